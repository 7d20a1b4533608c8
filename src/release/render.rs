//! Chart and values → manifest.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::manifest::{self, Hook};
use super::{Error, PostRendering};
use crate::base::constraint::Constraint;
use crate::base::version::Version;
use crate::base::{limit, parallel};
use crate::chart::{self, Chart};
use crate::template::{Capabilities, Context, Frozen, Hosts, Lookup, Program, ReleaseInfo, Scope};
use crate::yaml::Map;
use loaded::Loaded;
use prepared::{Prepared, files, scopes};

/// Compiled charts that are kept.
const KEPT: usize = 32;

/// Stack of the thread that checks values: schemas nest as deeply as their JSON may.
const SCHEMA_STACK_BYTES: usize = 16 << 20;

/// What is rendered.
pub struct RenderRequest<'a> {
    /// The chart, as loaded.
    pub chart: &'a Arc<Chart>,
    /// The user's values.
    pub values: &'a Map,
    /// `.Release`.
    pub release: ReleaseInfo,
    /// `.Capabilities`.
    pub capabilities: &'a Capabilities,
    /// Answers `lookup`.
    pub lookup: Option<&'a dyn Lookup>,
    /// Answers `getHostByName`.
    pub hosts: Option<&'a dyn Hosts>,
    /// Whether values are checked against the schemas.
    pub check_schema: bool,
}

/// What the templates of a chart gave, file by file.
#[derive(Debug)]
pub struct Rendering {
    /// The chart with its dependencies processed.
    pub chart: Arc<Chart>,
    /// The files, for [`manifest::sort`].
    pub files: Vec<manifest::Read>,
}

/// A rendered release.
#[derive(Debug, Clone)]
pub struct RenderedRelease {
    /// The chart with its dependencies processed.
    pub chart: Arc<Chart>,
    /// Manifest text, hooks not included.
    pub manifest: String,
    /// Hooks.
    pub hooks: Vec<Hook>,
    /// `NOTES.txt` of the root chart.
    pub notes: String,
}

/// Renders charts; remembers what it compiled.
#[derive(Debug, Default)]
pub struct Renderer {
    programs: Mutex<HashMap<Key, Compiled>>,
    /// The archive that was loaded last.
    loaded: Loaded,
    /// The chart and the user's values of the last rendering.
    last: Mutex<Option<Last>>,
}

/// What changes rendered files before they are sorted.
type Post<'a> = &'a dyn Fn(Vec<manifest::Read>) -> Result<Vec<manifest::Read>, Error>;

/// A program, and the chart whose address is its key.
type Compiled = (Arc<Chart>, Arc<Program>);

/// A chart, the user's values, and what was made of them.
type Last = (Arc<Chart>, Map, Arc<Prepared>);

/// A chart by identity, and which of its dependencies are enabled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    chart: usize,
    scopes: Vec<String>,
}

impl Renderer {
    /// Returns one that uses what earlier processes have left in a folder, and leaves there what
    /// it makes of archives, if it is told to [`keep`](Self::keep) it.
    #[must_use]
    pub fn with_store(folder: PathBuf) -> Self {
        Self { loaded: Loaded::with_store(folder), ..Self::default() }
    }

    /// Loads a chart that is going to be rendered: its templates are parsed while it inflates, or
    /// taken from the store.
    ///
    /// # Errors
    /// As [`chart::load_archive`].
    pub fn load_archive(&self, packed: &Bytes) -> Result<Chart, chart::Error> {
        self.loaded.load(packed)
    }

    /// Leaves what was made of the archive that was loaded last to later processes, if it was seen
    /// before: that takes some milliseconds. That it cannot be written is no harm.
    pub fn keep(&self) {
        self.loaded.keep();
    }

    /// Renders a chart.
    ///
    /// # Errors
    /// The chart, the values or a template are wrong; texts are Helm's.
    pub fn render(&self, request: &RenderRequest<'_>) -> Result<RenderedRelease, Error> {
        self.render_and_sort(request, &Ok)
    }

    /// Renders a chart for a `HelmRelease`, which may have more done to the objects.
    ///
    /// # Errors
    /// As [`Self::render`], and those of [`PostRendering::run`].
    pub fn render_for(
        &self,
        request: &RenderRequest<'_>,
        post: &PostRendering<'_>,
    ) -> Result<RenderedRelease, Error> {
        self.render_and_sort(request, &|files| post.run(files))
    }

    fn render_and_sort(
        &self,
        request: &RenderRequest<'_>,
        post: Post<'_>,
    ) -> Result<RenderedRelease, Error> {
        let Rendering { chart, files } = self.render_through(request, post)?;
        let notes_name = format!("{}/templates/NOTES.txt", chart.metadata.name);
        let notes = files.iter().find(|read| read.file.name == notes_name);
        let notes = notes.map(|read| read.file.text.clone()).unwrap_or_default();
        let sorted = manifest::sort(&files)?;
        let (manifest, hooks) = (manifest::text(&sorted.documents, &sorted.hooks), sorted.hooks);
        Ok(RenderedRelease { chart, manifest, hooks, notes })
    }

    /// Renders a chart; `post` may change the rendered files before they are sorted.
    ///
    /// # Errors
    /// As [`Self::render`], and those of `post`.
    pub fn render_through(
        &self,
        request: &RenderRequest<'_>,
        post: Post<'_>,
    ) -> Result<Rendering, Error> {
        chart::check_dependencies_present(request.chart)?;
        let prepared = self.prepared(request)?;
        prepared.warn();
        let rendered =
            beside_schemas(request, &prepared, || self.rendered_files(request, &prepared))?;
        Ok(Rendering { chart: Arc::clone(&prepared.chart), files: post(rendered)? })
    }

    /// Prepares a rendering, unless that was done for the one before.
    fn prepared(&self, request: &RenderRequest<'_>) -> Result<Arc<Prepared>, Error> {
        let lock = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((chart, values, prepared)) = &*lock()
            && Arc::ptr_eq(chart, request.chart)
            && values == request.values
        {
            return Ok(Arc::clone(prepared));
        }
        let prepared = Arc::new(Prepared::new(request.chart, request.values)?);
        let last = (Arc::clone(request.chart), request.values.clone(), Arc::clone(&prepared));
        *lock() = Some(last);
        Ok(prepared)
    }

    /// Renders the templates of a processed chart.
    fn rendered_files(
        &self,
        request: &RenderRequest<'_>,
        prepared: &Prepared,
    ) -> Result<Vec<manifest::Read>, Error> {
        let chart = &prepared.chart;
        check_kube_version(chart, request.capabilities)?;
        if chart.metadata.is_library() {
            return Err(Error::Library);
        }
        // This is done while the last templates are parsed.
        let values = prepared.frozen();
        let program = self.compiled(request.chart, chart, &prepared.scopes)?;
        let context = Context {
            scopes: &prepared.scopes,
            values,
            release: &request.release,
            capabilities: request.capabilities,
            lookup: request.lookup,
            lenient: false,
            limits: limit::current(),
            hosts: request.hosts,
        };
        program.render_map(&context, manifest::read).map_err(Error::Template)
    }

    /// Forgets what was compiled: for programs that go on, but not on with the same charts.
    pub fn forget(&self) {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn compiled(
        &self,
        loaded: &Arc<Chart>,
        chart: &Chart,
        scopes: &[Scope],
    ) -> Result<Arc<Program>, Error> {
        let key = Key {
            chart: Arc::as_ptr(loaded).addr(),
            scopes: scopes.iter().map(|scope| scope.path.clone()).collect(),
        };
        let lock = || self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        // The chart is kept with its program, so its address stays its own.
        if let Some((_, program)) = lock().get(&key) {
            return Ok(Arc::clone(program));
        }
        let files = files(chart);
        let parsed = self.loaded.parsed();
        let program = Program::compile_parsed(files, scopes, &parsed).map_err(Error::Template)?;
        let program = Arc::new(program);
        let mut programs = lock();
        if programs.len() >= KEPT {
            programs.clear();
        }
        programs.insert(key, (Arc::clone(loaded), Arc::clone(&program)));
        Ok(program)
    }
}

/// Renders while the values are checked against the schemas, which takes as long for some charts;
/// values that do not fit are told before whatever is wrong with the templates.
fn beside_schemas<T>(
    request: &RenderRequest<'_>,
    prepared: &Prepared,
    render: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    if !request.check_schema || !prepared.is_unchecked() {
        return render();
    }
    // A cluster must not be asked on behalf of values that are refused.
    if request.lookup.is_some() || request.hosts.is_some() {
        prepared.validate()?;
        return render();
    }
    let (valid, rendered) = parallel::both(SCHEMA_STACK_BYTES, || prepared.validate(), render);
    valid?;
    rendered
}

/// Renders a processed chart for nobody but a linter: refusals of the chart itself are no errors,
/// and what cannot be installed is rendered all the same.
pub(super) fn render_leniently(
    chart: &Chart,
    values: Map,
    release: &ReleaseInfo,
    capabilities: &Capabilities,
) -> Result<HashMap<String, String>, Error> {
    let scopes = scopes(chart);
    let program = Program::compile(files(chart), &scopes).map_err(Error::Template)?;
    let values = Frozen::of_map(&values);
    let context = Context {
        scopes: &scopes,
        values: &values,
        release,
        capabilities,
        lookup: None,
        lenient: true,
        limits: limit::current(),
        hosts: None,
    };
    let rendered = program.render(&context).map_err(Error::Template)?;
    Ok(rendered.into_iter().map(|file| (file.name, file.text)).collect())
}

/// Source: helm v4.3.1 pkg/action/action.go: a constraint that cannot be read is not met, either.
fn check_kube_version(chart: &Chart, capabilities: &Capabilities) -> Result<(), Error> {
    let wanted = &chart.metadata.kube_version;
    if wanted.is_empty() {
        return Ok(());
    }
    let have = match capabilities.kube_normalized.as_str() {
        "" => &capabilities.kube_version,
        normalized => normalized,
    };
    let met = wanted.parse::<Constraint>().is_ok_and(|constraint| {
        have.parse::<Version>().is_ok_and(|have| constraint.matches(&have))
    });
    if met {
        return Ok(());
    }
    Err(Error::KubeVersion { wanted: wanted.clone(), have: capabilities.kube_version.clone() })
}

mod loaded;
mod prepared;
mod saved;
mod store;
#[cfg(test)]
mod tests;
