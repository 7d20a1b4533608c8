//! `leadsman template`.

use std::mem::ManuallyDrop;
use std::process::ExitCode;

use super::args::Template;
use super::diagnose::{self, Detailed};
use super::files::{self, Files};
use super::provenance::Provenance;
use super::ui::Details;
use super::{chart as named, name, ui, values};
use crate::base::class::chain;
use crate::chart;
use crate::release::manifest::{self, Hook, Selection, template_output};
use crate::release::{Error, RenderRequest, RenderedRelease, Renderer, offline};
use crate::template::{Hosts, ReleaseInfo};

pub(super) async fn run(
    args: Template,
    namespace: Option<String>,
    verbosity: Details,
) -> anyhow::Result<ExitCode> {
    // The process ends here: taking trees and texts apart first would only cost time.
    let renderer = ManuallyDrop::new(Renderer::default());
    let capabilities = offline(&args.kube_version, &args.api_versions)?;
    let (name, chart) = name::name_and_chart(&args, &capabilities)?;
    let unpack = |bytes: Vec<u8>| renderer.load_archive(&bytes.into());
    let chart = ManuallyDrop::new(named::load(&chart, &args.from, unpack).await?);
    let merged = values::merge(&args.values)?;
    name::check(&name)?;
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    let request = RenderRequest {
        chart: &chart,
        values: &merged.values,
        release: ReleaseInfo {
            name: name.clone(),
            namespace,
            revision: 1,
            is_upgrade: args.is_upgrade,
        },
        capabilities: &capabilities,
        lookup: None,
        hosts: args.enable_dns.then_some(&Dns as &dyn Hosts),
        check_schema: !args.skip_schema_validation,
    };
    match renderer.render(&request).map(ManuallyDrop::new) {
        Ok(rendered) if args.output_dir.is_empty() => print(&args, rendered),
        Ok(rendered) => write(&args, &name, &rendered),
        Err(error) => {
            if verbosity.debug {
                show_partial(&args, &name, &error)?;
            }
            let text = refused(&error, verbosity.debug);
            if !verbosity.wanted() {
                anyhow::bail!(text);
            }
            let provenance = || {
                let layers = values::layers(&merged.given).ok()?;
                Provenance::of(&chart, merged.given.clone(), layers).ok()
            };
            let details = diagnose::details(&error, provenance);
            Err(Detailed { text, details }.into())
        }
    }
}

/// The system's own way to find hosts.
struct Dns;

impl Hosts for Dns {
    fn addresses(&self, name: &str) -> Vec<String> {
        let found = std::net::ToSocketAddrs::to_socket_addrs(&(name, 0));
        found.map(|all| all.map(|one| one.ip().to_string()).collect()).unwrap_or_default()
    }
}

/// Whether Helm has a release to show, or nothing yet.
fn is_partial(error: &Error) -> bool {
    !matches!(error, Error::Chart(_) | Error::Library)
}

/// What Helm says when rendering fails; the hint stands where Helm has something to show.
fn refused(error: &Error, debug: bool) -> String {
    let text = chain(error);
    match error {
        Error::Chart(chart::Error::MissingDependencies(_)) => format!(
            "an error occurred while checking for chart dependencies. You may need to run \
             'helm dependency build' to fetch missing dependencies: {text}"
        ),
        Error::Chart(chart::Error::Schema(_) | chart::Error::TypeMismatch { .. })
        | Error::Library => text,
        Error::Chart(_) => format!("chart dependencies processing failed: {text}"),
        _ if debug => text,
        _ => format!("{text}\n\nUse --debug flag to render out invalid YAML"),
    }
}

/// Prints what was rendered before it failed: all files when one of them is no YAML, else nothing
/// but a line break.
///
/// Source: helm v4.3.1 pkg/cmd/template.go (`newTemplateCmd`).
fn show_partial(args: &Template, name: &str, error: &Error) -> anyhow::Result<()> {
    if !is_partial(error) {
        return Ok(());
    }
    let (manifest, mut hooks) = match error {
        Error::Manifest { broken: Some(broken), .. } => {
            (broken.manifest.clone(), &broken.hooks[..])
        }
        _ => (String::new(), &[][..]),
    };
    if !args.output_dir.is_empty() {
        let mut out = Files::default();
        write_hooks(&mut out, args, &output_folder(args, name), hooks)?;
        ui::print(&out.write()?);
        hooks = &[];
    }
    // A template that --show-only names and that is not there: the first error counts.
    if let Ok(text) = template_output(manifest, hooks, &selection(args)) {
        ui::print(&text);
    }
    Ok(())
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
    let folder = output_folder(args, name);
    let mut out = Files::default();
    if args.include_crds {
        for (path, file) in chart::crds(&rendered.chart) {
            out.add(&args.output_dir, &path, &file.data);
        }
    }
    for (path, text) in manifest::parts(&rendered.manifest) {
        out.add(&folder, path, text.as_bytes());
    }
    write_hooks(&mut out, args, &folder, &rendered.hooks)?;
    ui::print(&out.write()?);
    ui::print(&template_output(String::new(), &[], &selection(args))?);
    Ok(ExitCode::SUCCESS)
}

fn output_folder(args: &Template, name: &str) -> String {
    if args.release_name { files::join(&args.output_dir, name) } else { args.output_dir.clone() }
}

fn write_hooks(
    out: &mut Files,
    args: &Template,
    folder: &str,
    hooks: &[Hook],
) -> anyhow::Result<()> {
    let is_wanted = |hook: &&Hook| !(args.no_hooks || args.skip_tests && hook.is_test());
    for hook in hooks.iter().filter(is_wanted) {
        out.keep(folder, &hook.path)?;
        out.add(folder, &hook.path, hook.manifest.as_bytes());
    }
    Ok(())
}
