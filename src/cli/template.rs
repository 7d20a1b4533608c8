//! `leadsman template`.

use std::mem::ManuallyDrop;
use std::process::ExitCode;

use super::args::{Connection, Template};
use super::files::{self, Files};
use super::plugin::Plugin;
use super::target::Target;
use super::template_args::Place;
use super::{chart as named, name, namespace, refresh, ui, values};
use crate::base::class::chain;
use crate::chart;
use crate::release::manifest::{self, Hook, Selection, template_output};
use crate::release::{Conflicts, Error, RenderRequest, RenderedRelease, Renderer, Trial, offline};
use crate::template::ReleaseInfo;

impl Template {
    /// Whether a cluster is asked.
    pub(super) fn asks_cluster(&self) -> bool {
        self.against.place() == Ok(Place::Server)
    }
}

pub(super) async fn run(args: Template, connection: &Connection) -> anyhow::Result<ExitCode> {
    // The process ends here: taking trees and texts apart first would only cost time.
    let renderer = ManuallyDrop::new(Renderer::default());
    let plugin = Plugin::find(&args.post).map_err(anyhow::Error::msg)?;
    let offline = offline(&args.kube_version, &args.api_versions)?;
    args.against.note().into_iter().for_each(ui::say);
    let place = args.against.place().map_err(anyhow::Error::msg)?;
    let (name, chart) = name::name_and_chart(&args, &offline)?;
    let unpack = |bytes: &[u8]| renderer.load_archive(bytes);
    let loaded = named::load(&chart, &args.from, unpack).await?;
    let chart = ManuallyDrop::new(refresh::complete(loaded, &chart, &args).await?);
    let values = values::merge(&args.values)?;
    let target = match place {
        Place::Client => None,
        Place::Server => Some(Target::reach(connection).await?),
    };
    name::check(&name)?;
    args.idle.check().map_err(anyhow::Error::msg)?;
    let request = RenderRequest {
        chart: &chart,
        values: &values,
        release: ReleaseInfo {
            name: name.clone(),
            namespace: namespace::of(connection),
            revision: 1,
            is_upgrade: args.is_upgrade,
        },
        capabilities: target.as_ref().map_or(&offline, |target| &target.capabilities),
        lookup: target.as_ref().map(|target| &target.lookup as _),
        check_schema: !args.skip_schema_validation,
    };
    let post = |files| match &plugin {
        Some(plugin) => plugin.post(files),
        None => Ok(files),
    };
    let render = || {
        let rendered = renderer.render_through(&request, &post);
        rendered.map(ManuallyDrop::new).map_err(|error| refused(&error))
    };
    let rendered = match &target {
        Some(target) => {
            let rendered = tokio::task::block_in_place(render)?;
            let trial = trial(&args, &request.release);
            trial.run(&target.cluster, &rendered.manifest).await?;
            rendered
        }
        None => render()?,
    };
    if args.output_dir.is_empty() { print(&args, rendered) } else { write(&args, &name, &rendered) }
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
