//! What `install` and `upgrade` have in common: chart and values → what is to be deployed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::plugin::Plugin;
use super::release_args::{Deploying, Depth};
use super::site::Site;
use super::template::{Dns, unversioned};
use super::template_args::PostRender;
use super::values::Merged;
use super::{chart as named, home, refresh, values};
use crate::base::clock::SystemClock;
use crate::chart::{self, Chart};
use crate::plan::saved::How;
use crate::release::{
    self, ClusterLookup, Deploy, Error, Kind, Options, Record, RenderRequest, RenderedRelease,
    Renderer, manifest,
};
use crate::template::{Capabilities, Hosts, ReleaseInfo};
use crate::yaml::Map;

/// A chart and the values for it.
pub(super) struct Ordered {
    renderer: Renderer,
    plugin: Option<Plugin>,
    hide_secret: bool,
    pub(super) chart: Arc<Chart>,
    pub(super) values: Map,
}

impl Ordered {
    /// Loads what was named.
    pub(super) async fn load(name: &str, args: &Deploying) -> anyhow::Result<Self> {
        let renderer = home::renderer();
        let plugin = Plugin::find(&args.post).map_err(anyhow::Error::msg)?;
        let unpack = |bytes: Vec<u8>| renderer.load_archive(&bytes.into());
        let loaded = named::load(name, &args.from, unpack).await.map_err(unversioned)?;
        let chart = refresh::complete(loaded, name, (&args.from, args.dependency_update)).await?;
        let Merged { values, .. } = values::merge(&args.values)?;
        if let Err(missing) = chart::check_dependencies_present(&chart) {
            anyhow::bail!(
                "an error occurred while checking for chart dependencies. You may need to run \
                 'helm dependency build' to fetch missing dependencies: {missing}"
            );
        }
        Ok(Self { renderer, plugin, hide_secret: args.hide_secret, chart, values })
    }

    /// Takes what was loaded before.
    ///
    /// # Errors
    /// There is no such plugin.
    pub(super) fn of(chart: Arc<Chart>, values: Map, how: &How) -> anyhow::Result<Self> {
        let mut words = how.post_renderer.iter().cloned();
        let post = PostRender {
            post_renderer: words.by_ref().take(1).collect(),
            post_renderer_args: words.collect(),
        };
        let plugin = Plugin::find(&post).map_err(anyhow::Error::msg)?;
        Ok(Self { renderer: Renderer::default(), plugin, hide_secret: false, chart, values })
    }

    /// Lets go all but the values.
    pub(super) fn into_values(self) -> Map {
        self.values
    }

    /// Renders it.
    pub(super) fn render(
        &self,
        how: &How,
        release: ReleaseInfo,
        (capabilities, lookup): (&Capabilities, Option<&ClusterLookup>),
    ) -> Result<RenderedRelease, Error> {
        let request = RenderRequest {
            chart: &self.chart,
            values: &self.values,
            release,
            capabilities,
            lookup: lookup.map(|lookup| lookup as _),
            hosts: how.dns.then_some(&Dns as &dyn Hosts),
            check_schema: how.check_schema,
        };
        let notes = RefCell::new(BTreeMap::new());
        let post = |files: Vec<manifest::Read>| {
            let found = files.iter().filter(|read| read.file.name.ends_with("NOTES.txt"));
            let texts = found.map(|read| (read.file.name.clone(), read.file.text.clone()));
            notes.borrow_mut().extend(texts);
            match &self.plugin {
                Some(plugin) => plugin.post(files),
                None => Ok(files),
            }
        };
        let rendered =
            tokio::task::block_in_place(|| self.renderer.render_through(&request, &post))?;
        self.renderer.keep();
        let sorted = manifest::sort(&rendered.files)?;
        let hidden: Vec<_> =
            sorted.documents.iter().map(|one| hide(one, self.hide_secret)).collect();
        Ok(RenderedRelease {
            manifest: manifest::text(&hidden, &[]),
            notes: join(notes.take(), &rendered.chart, how.all_notes),
            hooks: sorted.hooks,
            chart: rendered.chart,
        })
    }
}

/// Leaves a Secret out.
fn hide<'a>(document: &manifest::Document<'a>, is_asked: bool) -> manifest::Document<'a> {
    let mut document = document.clone();
    let is_first = || document.text.lines().any(|line| line.trim_end() == "apiVersion: v1");
    if is_asked && document.kind == "Secret" && is_first() {
        document.text = "# HIDDEN: The Secret output has been suppressed";
    }
    document
}

/// Returns the notes of a chart, with those of its dependencies if asked for.
fn join(mut notes: BTreeMap<String, String>, chart: &Chart, all: bool) -> String {
    let own = format!("{}/templates/NOTES.txt", chart.metadata.name);
    if !all {
        return notes.remove(&own).unwrap_or_default();
    }
    let texts: Vec<String> = notes.into_values().collect();
    texts.join("\n")
}

/// Which release is made of what was rendered.
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) config: Map,
    pub(super) cleanup_on_fail: bool,
    pub(super) max_history: usize,
}

/// Returns the action.
pub(super) fn action(
    args: &Deploying,
    plan: Plan,
    rendered: RenderedRelease,
    options: Options,
) -> anyhow::Result<Deploy> {
    Ok(Deploy {
        kind: plan.kind,
        name: plan.name,
        namespace: plan.namespace,
        rendered,
        config: plan.config,
        timeout: args.waiting.timeout,
        wait: args.waits(),
        wait_for_jobs: args.waiting.wait_for_jobs,
        hooks: !args.no_hooks,
        take_ownership: args.take_ownership,
        create_namespace: args.create_namespace,
        cleanup_on_fail: plan.cleanup_on_fail,
        max_history: plan.max_history,
        options,
    })
}

/// Returns the record of an action that is only tried.
pub(super) fn tried(mut deploy: Deploy, description: &str) -> Result<Record, Error> {
    let mut record = deploy.draft(&SystemClock);
    let text = if description.is_empty() { "Dry run complete" } else { description };
    text.clone_into(&mut record.info.description);
    Ok(record)
}

/// Carries an action out and returns the record that it left; what went wrong says also whether
/// anything had been stored.
pub(super) async fn carry_out(site: &Site, deploy: Deploy) -> Result<Record, (Error, bool)> {
    let outcome = release::deploy(&site.env(), deploy).await;
    let begun = !outcome.written.is_empty();
    match (outcome.result, outcome.written.into_iter().next_back()) {
        (Ok(()), Some(record)) => Ok(record),
        (Ok(()), None) => Err((Error::Refused("nothing was stored".to_owned()), false)),
        (Err(error), _) => Err((error, begun)),
    }
}

/// Refuses to hide what is going to be installed.
pub(super) fn check_hiding(args: &Deploying, depth: Depth) -> anyhow::Result<()> {
    if args.hide_secret && depth == Depth::Whole {
        anyhow::bail!("hiding Kubernetes secrets requires a dry-run mode");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        let rows = [
            ("Secret", "apiVersion: v1\nkind: Secret\n", true, true),
            ("Secret", "apiVersion: v1\nkind: Secret\n", false, false),
            ("Secret", "apiVersion: x.io/v1\nkind: Secret\n", true, false),
            ("ConfigMap", "apiVersion: v1\nkind: ConfigMap\n", true, false),
        ];
        for (kind, text, asked, want) in rows {
            let document = manifest::Document { path: "a", text, kind: kind.to_owned() };
            assert_eq!(hide(&document, asked).text.starts_with("# HIDDEN"), want, "{text} {asked}");
        }
    }

    #[test]
    fn notes_of_dependencies_stand_beside_the_chart_s_own() {
        let mut chart = Chart::default();
        "c".clone_into(&mut chart.metadata.name);
        let notes = || {
            BTreeMap::from([
                ("c/charts/d/templates/NOTES.txt".to_owned(), "of d".to_owned()),
                ("c/templates/NOTES.txt".to_owned(), "of c".to_owned()),
            ])
        };
        assert_eq!(join(notes(), &chart, false), "of c");
        assert_eq!(join(notes(), &chart, true), "of d\nof c");
        assert_eq!(join(BTreeMap::new(), &chart, true), "");
    }
}
