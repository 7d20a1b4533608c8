//! Chart and values → manifest.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::manifest::{self, Hook};
use super::{Error, PostRendering};
use crate::base::constraint::Constraint;
use crate::base::version::Version;
use crate::base::{limit, parallel};
use crate::chart::{self, Chart};
use crate::template::{self, Capabilities, Context, Frozen, Hosts, Lookup, Program, ReleaseInfo};
use crate::yaml::Map;
use loaded::Loaded;
use prepared::{Prepared, Templates, paths, scopes};

/// Compiled charts that are kept.
const KEPT: usize = 32;

/// Stack of a thread that walks through values, or checks them: they nest as deeply as their YAML
/// and JSON may.
const VALUES_STACK_BYTES: usize = 16 << 20;

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

/// A program, or what is wrong with a template.
type Compiling = Result<Arc<Program>, template::Error>;

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

impl Key {
    fn of(loaded: &Arc<Chart>, enabled: &Chart) -> Self {
        Self { chart: Arc::as_ptr(loaded).addr(), scopes: paths(enabled) }
    }
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
        let (prepared, program) = self.ready(request)?;
        prepared.warn();
        let render = || rendered_files(request, &prepared, program);
        let rendered = beside_schemas(request, &prepared, render)?;
        Ok(Rendering { chart: Arc::clone(&prepared.chart), files: post(rendered)? })
    }

    /// Makes ready what a rendering begins with, as far as that was not done for the one before:
    /// values on one side, which take as long as the templates on the other. What is wrong with the
    /// templates is told behind what is wrong with the values.
    fn ready(&self, request: &RenderRequest<'_>) -> Result<(Arc<Prepared>, Compiling), Error> {
        let (chart, values) = (request.chart, request.values);
        if let Some(prepared) = self.prepared(chart, values) {
            let program = self.program(chart, &prepared.chart);
            return Ok((prepared, program));
        }
        let (enabled, warnings) = chart::enable_dependencies(chart, values)?;
        let key = Key::of(chart, &enabled);
        let (prepared, program) = match self.known(&key) {
            Some(program) => (Prepared::new(enabled, warnings, values), Ok(program)),
            None => {
                let templates = Templates::of(&enabled);
                let prepare = || Prepared::new(enabled, warnings, values);
                parallel::both(VALUES_STACK_BYTES, prepare, || self.compile(chart, key, templates))
            }
        };
        let prepared = Arc::new(prepared?);
        let last = (Arc::clone(chart), values.clone(), Arc::clone(&prepared));
        *self.last() = Some(last);
        Ok((prepared, program))
    }

    /// Returns what the rendering before began with, if it had the same chart and values.
    fn prepared(&self, chart: &Arc<Chart>, values: &Map) -> Option<Arc<Prepared>> {
        let last = self.last();
        let (known, of, prepared) = last.as_ref()?;
        (Arc::ptr_eq(known, chart) && of == values).then(|| Arc::clone(prepared))
    }

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn programs(&self) -> MutexGuard<'_, HashMap<Key, Compiled>> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, key: &Key) -> Option<Arc<Program>> {
        // The chart is kept with its program, so its address stays its own.
        self.programs().get(key).map(|(_, program)| Arc::clone(program))
    }

    /// Returns the program of a chart that is `enabled`; compiles it if nobody has.
    fn program(&self, loaded: &Arc<Chart>, enabled: &Chart) -> Compiling {
        let key = Key::of(loaded, enabled);
        let compile = || self.compile(loaded, key.clone(), Templates::of(enabled));
        self.known(&key).map_or_else(compile, Ok)
    }

    fn compile(&self, loaded: &Arc<Chart>, key: Key, templates: Templates) -> Compiling {
        let Templates { files, libraries } = templates;
        let is_library = |scope: usize| libraries[scope];
        let program = Program::compile_parsed(files, &is_library, &self.loaded.parsed())?;
        let program = Arc::new(program);
        let mut programs = self.programs();
        if programs.len() >= KEPT {
            programs.clear();
        }
        programs.insert(key, (Arc::clone(loaded), Arc::clone(&program)));
        Ok(program)
    }

    /// Forgets what was compiled: for programs that go on, but not on with the same charts.
    pub fn forget(&self) {
        self.programs().clear();
        *self.last() = None;
    }
}

/// Renders the templates of a chart that is ready.
fn rendered_files(
    request: &RenderRequest<'_>,
    prepared: &Prepared,
    program: Compiling,
) -> Result<Vec<manifest::Read>, Error> {
    check_kube_version(&prepared.chart, request.capabilities)?;
    if prepared.chart.metadata.is_library() {
        return Err(Error::Library);
    }
    let context = Context {
        scopes: &prepared.scopes,
        values: &prepared.frozen,
        release: &request.release,
        capabilities: request.capabilities,
        lookup: request.lookup,
        lenient: false,
        limits: limit::current(),
        hosts: request.hosts,
    };
    let program = program.map_err(Error::Template)?;
    program.render_map(&context, manifest::read).map_err(Error::Template)
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
    let (valid, rendered) = parallel::both(VALUES_STACK_BYTES, || prepared.validate(), render);
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
    let program = Program::compile(Templates::of(chart).files, &scopes).map_err(Error::Template)?;
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
