//! `leadsman template`.

use std::mem::ManuallyDrop;
use std::process::ExitCode;

use super::args::{Connection, Template};
use super::diagnose::{self, Detailed};
use super::files::{self, Files};
use super::name::{NOBODYS, Naming};
use super::plugin::Plugin;
use super::provenance::Provenance;
use super::target::Target;
use super::template_args::Place;
use super::ui::Details;
use super::values::Merged;
use super::{chart as named, home, name, namespace, refresh, ui, values};
use crate::base::class::chain;
use crate::base::heap;
use crate::chart::{self, Chart};
use crate::release::manifest::{self, Hook, Selection, template_output};
use crate::release::{Conflicts, Error, RenderRequest, Trial, offline};
use crate::template::{Hosts, ReleaseInfo};

/// Memory that each thread takes at once: a large chart needs so much.
const AT_ONCE: usize = 8 << 20;

impl Template {
    /// Whether a cluster is asked.
    pub(super) fn asks_cluster(&self) -> bool {
        self.against.place() == Ok(Place::Server)
    }

    fn naming(&self) -> Naming<'_> {
        let (words, template) = (&self.words[..], self.name_template.as_str());
        Naming { words, generate: self.generate_name, template }
    }
}

pub(super) async fn run(
    args: Template,
    connection: &Connection,
    verbosity: Details,
) -> anyhow::Result<ExitCode> {
    // The process ends here: taking trees and texts apart first would only cost time.
    heap::end_soon(AT_ONCE);
    let renderer = ManuallyDrop::new(home::renderer());
    let plugin = Plugin::find(&args.post).map_err(anyhow::Error::msg)?;
    let offline = offline(&args.kube_version, &args.api_versions)?;
    args.against.note().into_iter().for_each(ui::say);
    let place = args.against.place().map_err(anyhow::Error::msg)?;
    let unnamed = |_: &str| Ok(NOBODYS.to_owned());
    let (name, chart) = name::name_and_chart(&args.naming(), &offline, unnamed)?;
    let unpack = |bytes: Vec<u8>| renderer.load_archive(&bytes.into());
    let loaded = named::load(&chart, &args.from, unpack).await.map_err(unversioned)?;
    let chart = ManuallyDrop::new(
        refresh::complete(loaded, &chart, (&args.from, args.dependency_update)).await?,
    );
    let merged = values::merge(&args.values)?;
    let target = match place {
        Place::Client => None,
        Place::Server => Some(Target::reach(connection).await?),
    };
    name::check(&name)?;
    args.idle.check().map_err(anyhow::Error::msg)?;
    let request = RenderRequest {
        chart: &chart,
        values: &merged.values,
        release: ReleaseInfo {
            name: name.clone(),
            namespace: namespace::of(connection),
            revision: 1,
            is_upgrade: args.is_upgrade,
        },
        capabilities: target.as_ref().map_or(&offline, |target| &target.capabilities),
        lookup: target.as_ref().map(|target| &target.lookup as _),
        hosts: args.enable_dns.then_some(&Dns as &dyn Hosts),
        check_schema: !args.skip_schema_validation,
    };
    let post = |files| match &plugin {
        Some(plugin) => plugin.post(files),
        None => Ok(files),
    };
    let render = || renderer.render_through(&request, &post);
    let rendered = if target.is_some() { tokio::task::block_in_place(render) } else { render() };
    let refuse = |error: &Error| failed(&args, error, verbosity, (&name, &chart, &merged));
    let rendered = match rendered.map(ManuallyDrop::new) {
        Ok(rendered) => rendered,
        Err(error) => return refuse(&error),
    };
    let sorted = match manifest::sort(&rendered.files).map(ManuallyDrop::new) {
        Ok(sorted) => sorted,
        Err(error) => return refuse(&error),
    };
    let mut tried = None;
    if let Some(target) = &target {
        let manifest = tried.insert(manifest::text(&sorted.documents, &sorted.hooks));
        trial(&args, &request.release).run(&target.cluster, manifest).await?;
    }
    let shown = show(&args, &name, &rendered.chart, (&sorted, tried));
    renderer.keep();
    shown
}

/// Prints or writes what was rendered; its text is made only once.
fn show(
    args: &Template,
    name: &str,
    chart: &Chart,
    (sorted, tried): (&manifest::Sorted<'_>, Option<String>),
) -> anyhow::Result<ExitCode> {
    if is_whole(args) {
        ui::print_through(|out| manifest::write_output(out, sorted));
        return Ok(ExitCode::SUCCESS);
    }
    let manifest = tried.unwrap_or_else(|| manifest::text(&sorted.documents, &sorted.hooks));
    let shown = Shown { chart, manifest, hooks: &sorted.hooks };
    if args.output_dir.is_empty() { print(args, shown) } else { write(args, name, &shown) }
}

/// What of a rendering is shown.
struct Shown<'a> {
    chart: &'a Chart,
    manifest: String,
    hooks: &'a [Hook],
}

/// Whether all manifests and hooks are printed, and nothing else.
fn is_whole(args: &Template) -> bool {
    let Template { output_dir, show_only, include_crds, skip_tests, no_hooks, .. } = args;
    output_dir.is_empty() && show_only.is_empty() && !(*include_crds || *skip_tests || *no_hooks)
}

/// Says why nothing was rendered: in Helm's words, and below them where and why.
fn failed(
    args: &Template,
    error: &Error,
    verbosity: Details,
    (name, chart, merged): (&str, &Chart, &Merged),
) -> anyhow::Result<ExitCode> {
    if verbosity.debug {
        show_partial(args, name, error)?;
    }
    let text = refused(error, verbosity.debug);
    if !verbosity.wanted() {
        anyhow::bail!(text);
    }
    let details = diagnose::details(error, || Provenance::of_merged(chart, merged));
    Err(Detailed { text, details }.into())
}

/// The system's own way to find hosts.
pub(super) struct Dns;

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

fn trial<'a>(args: &Template, release: &'a ReleaseInfo) -> Trial<'a> {
    let conflicts = match (args.is_upgrade, args.against.take_ownership) {
        (true, _) => Conflicts::Ignored,
        (false, true) => Conflicts::TakenOver,
        (false, false) => Conflicts::Refused,
    };
    Trial {
        name: &release.name,
        namespace: &release.namespace,
        validate: !args.against.disable_openapi_validation,
        conflicts,
    }
}

/// Where charts are rendered Helm looks for the version first, with a type of its own.
pub(super) fn unversioned(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<chart::Error>() {
        Ok(chart::Error::Parse { file: "Chart.yaml", text }) => {
            let text = text.replace("type v2.Metadata", "type loader.chartBase");
            chart::Error::Parse { file: "Chart.yaml", text }.into()
        }
        Ok(error) => error.into(),
        Err(error) => error,
    }
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

fn print(args: &Template, shown: Shown<'_>) -> anyhow::Result<ExitCode> {
    let Shown { chart, manifest: mut out, hooks } = shown;
    if args.include_crds {
        let mut crds = String::new();
        for (path, file) in chart::crds(chart) {
            let text = String::from_utf8_lossy(&file.data);
            manifest::push(&mut crds, &path, &text);
        }
        out.insert_str(0, &crds);
    }
    ui::print(&template_output(out, hooks, &selection(args))?);
    Ok(ExitCode::SUCCESS)
}

/// Writes files. Nothing is left to print then, which Helm ends with a newline all the same, and
/// which holds no template that `--show-only` could name.
fn write(args: &Template, name: &str, shown: &Shown<'_>) -> anyhow::Result<ExitCode> {
    let folder = output_folder(args, name);
    let mut out = Files::default();
    if args.include_crds {
        for (path, file) in chart::crds(shown.chart) {
            out.add(&args.output_dir, &path, &file.data);
        }
    }
    for (path, text) in manifest::parts(&shown.manifest) {
        out.add(&folder, path, text.as_bytes());
    }
    write_hooks(&mut out, args, &folder, shown.hooks)?;
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
