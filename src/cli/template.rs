//! `leadsman template`.

use std::mem::ManuallyDrop;
use std::process::ExitCode;

use super::args::Template;
use super::{chart as named, ui, values};
use crate::chart;
use crate::release::manifest::{Selection, template_output};
use crate::release::{RenderRequest, Renderer, offline};
use crate::template::ReleaseInfo;

pub(super) async fn run(args: Template, namespace: Option<String>) -> anyhow::Result<ExitCode> {
    // The process ends here: taking trees and texts apart first would only cost time.
    let renderer = ManuallyDrop::new(Renderer::default());
    let unpack = |bytes: &[u8]| renderer.load_archive(bytes);
    let chart = ManuallyDrop::new(named::load(&args.chart, &args.from, unpack).await?);
    let values = values::merge(&args.values)?;
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
