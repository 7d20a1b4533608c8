//! `leadsman template`.

use std::mem::ManuallyDrop;
use std::process::ExitCode;

use super::args::Template;
use super::files::{self, Files};
use super::{chart as named, name, ui, values};
use crate::base::class::chain;
use crate::chart;
use crate::release::manifest::{self, Hook, Selection, template_output};
use crate::release::{Error, RenderRequest, RenderedRelease, Renderer, offline};
use crate::template::ReleaseInfo;

pub(super) async fn run(args: Template, namespace: Option<String>) -> anyhow::Result<ExitCode> {
    // The process ends here: taking trees and texts apart first would only cost time.
    let renderer = ManuallyDrop::new(Renderer::default());
    let capabilities = offline(&args.kube_version, &args.api_versions)?;
    let (name, chart) = name::name_and_chart(&args, &capabilities)?;
    let unpack = |bytes: &[u8]| renderer.load_archive(bytes);
    let chart = ManuallyDrop::new(named::load(&chart, &args.from, unpack).await?);
    let values = values::merge(&args.values)?;
    name::check(&name)?;
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    let request = RenderRequest {
        chart: &chart,
        values: &values,
        release: ReleaseInfo {
            name: name.clone(),
            namespace,
            revision: 1,
            is_upgrade: args.is_upgrade,
        },
        capabilities: &capabilities,
        lookup: None,
        hosts: None,
        check_schema: !args.skip_schema_validation,
    };
    let rendered = renderer.render(&request).map(ManuallyDrop::new).map_err(|e| refused(&e))?;
    if args.output_dir.is_empty() { print(&args, rendered) } else { write(&args, &name, &rendered) }
}

/// What Helm says when rendering fails; the hint stands where Helm has something to show.
fn refused(error: &Error) -> anyhow::Error {
    let text = chain(error);
    match error {
        Error::Chart(chart::Error::MissingDependencies(_)) => anyhow::anyhow!(
            "an error occurred while checking for chart dependencies. You may need to run \
             'helm dependency build' to fetch missing dependencies: {text}"
        ),
        Error::Chart(chart::Error::Schema(_) | chart::Error::TypeMismatch { .. })
        | Error::Library => anyhow::anyhow!("{text}"),
        Error::Chart(_) => anyhow::anyhow!("chart dependencies processing failed: {text}"),
        _ => anyhow::anyhow!("{text}\n\nUse --debug flag to render out invalid YAML"),
    }
}

fn selection(args: &Template) -> Selection {
    Selection {
        show_only: args.show_only.clone(),
        skip_tests: args.skip_tests,
        no_hooks: args.no_hooks,
    }
}

fn print(args: &Template, mut rendered: ManuallyDrop<RenderedRelease>) -> anyhow::Result<ExitCode> {
    let mut manifest = std::mem::take(&mut rendered.manifest);
    if args.include_crds {
        let mut crds = String::new();
        for (path, file) in chart::crds(&rendered.chart) {
            let text = String::from_utf8_lossy(&file.data);
            crds.push_str(&format!("---\n# Source: {path}\n{text}\n"));
        }
        manifest.insert_str(0, &crds);
    }
    ui::print(&template_output(manifest, &rendered.hooks, &selection(args))?);
    Ok(ExitCode::SUCCESS)
}

/// Writes files. Nothing is left to print then, which Helm ends with a newline all the same, and
/// which holds no template that `--show-only` could name.
fn write(args: &Template, name: &str, rendered: &RenderedRelease) -> anyhow::Result<ExitCode> {
    let folder = if args.release_name {
        files::join(&args.output_dir, name)
    } else {
        args.output_dir.clone()
    };
    let mut out = Files::default();
    if args.include_crds {
        for (path, file) in chart::crds(&rendered.chart) {
            out.add(&args.output_dir, &path, &file.data);
        }
    }
    for (path, text) in manifest::parts(&rendered.manifest) {
        out.add(&folder, path, text.as_bytes());
    }
    let is_wanted = |hook: &&Hook| !(args.no_hooks || args.skip_tests && hook.is_test());
    for hook in rendered.hooks.iter().filter(is_wanted) {
        out.keep(&folder, &hook.path)?;
        out.add(&folder, &hook.path, hook.manifest.as_bytes());
    }
    ui::print(&out.write()?);
    ui::print(&template_output(String::new(), &[], &selection(args))?);
    Ok(ExitCode::SUCCESS)
}
