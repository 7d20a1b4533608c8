//! `leadsman template`.

use std::io::Read as _;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::args::Template;
use super::{connect, ui};
use crate::base::{file, limit};
use crate::chart::{self, Chart, merge_values, set};
use crate::release::manifest::{Selection, template_output};
use crate::release::{RenderRequest, Renderer, offline};
use crate::repo::RepositorySpec;
use crate::template::ReleaseInfo;
use crate::yaml::Map;

pub(super) async fn run(args: Template, namespace: Option<String>) -> anyhow::Result<ExitCode> {
    // The process ends here: taking trees and texts apart first would only cost time.
    let renderer = ManuallyDrop::new(Renderer::default());
    let chart = ManuallyDrop::new(Arc::new(load(&args, &renderer).await?));
    let values = values(&args)?;
    let capabilities = offline(args.kube_version.as_deref(), &args.api_versions);
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    let request = RenderRequest {
        chart: &chart,
        values: &values,
        release: ReleaseInfo { name: args.name.clone(), namespace, revision: 1, is_upgrade: false },
        capabilities: &capabilities,
        lookup: None,
        check_schema: true,
    };
    let rendered = renderer.render(&request).map(ManuallyDrop::new).map_err(|error| {
        let text = crate::base::class::chain(&error);
        anyhow::anyhow!("{text}\n\nUse --debug flag to render out invalid YAML")
    })?;
    let mut rendered = rendered;
    let mut manifest = std::mem::take(&mut rendered.manifest);
    if args.include_crds {
        let mut crds = String::new();
        for (path, file) in chart::crds(&rendered.chart) {
            let text = String::from_utf8_lossy(&file.data);
            crds.push_str(&format!("---\n# Source: {path}\n{text}\n"));
        }
        manifest.insert_str(0, &crds);
    }
    let selection = Selection { show_only: args.show_only.clone(), ..Selection::default() };
    ui::print(&template_output(manifest, &rendered.hooks, &selection)?);
    Ok(ExitCode::SUCCESS)
}

async fn load(args: &Template, renderer: &Renderer) -> anyhow::Result<Chart> {
    if let Some(url) = &args.repo {
        let repositories = connect::repositories(&args.sources)?;
        let spec = RepositorySpec {
            url: url.parse()?,
            timeout: Duration::from_secs(60),
            credentials: None,
            tls: None,
        };
        repositories.refresh(&spec).await?;
        let found = repositories.resolve(&spec.url, &args.chart, &args.version)?;
        let newest = found.first().context("no version")?;
        let pulled = repositories.pull(&spec, newest).await?;
        return Ok(Arc::unwrap_or_clone(pulled.chart));
    }
    let path = Path::new(&args.chart);
    if !path.exists() {
        let named = super::pull::load_named(&args.chart, &args.version, &args.sources);
        return Ok(Arc::unwrap_or_clone(named.await?));
    }
    if path.is_dir() {
        return Ok(chart::load_folder(path)?);
    }
    Ok(renderer.load_archive(&file::read_bytes(path, limit::UNPACKED_BYTES)?)?)
}

fn values(args: &Template) -> anyhow::Result<Map> {
    let mut values = Map::new();
    for name in &args.values {
        let text = if name == "-" {
            let mut text = String::new();
            std::io::stdin().take(limit::SOURCE_FILE_BYTES).read_to_string(&mut text)?;
            text
        } else {
            file::read_text(Path::new(name), limit::SOURCE_FILE_BYTES)?
        };
        let more = chart::parse_values(text.as_bytes())
            .with_context(|| format!("failed to parse {name}"))?;
        values = merge_values(values, more);
    }
    for pairs in &args.set {
        set::parse_set(pairs, &mut values).context("failed parsing --set data")?;
    }
    for pairs in &args.set_string {
        set::parse_set_string(pairs, &mut values).context("failed parsing --set-string data")?;
    }
    Ok(values)
}
