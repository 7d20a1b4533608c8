//! A chart's templates, parsed once: one namespace for all files of all charts.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::ahead::Parsed;
use super::ast::{NodeId, Unit};
use super::error::{Error, ErrorKind};
use super::eval::{Machine, STACK_BYTES, stack_bytes};
use super::funcs::regexes::RegexCache;
use super::parser::{self, ParseError};
use super::value::{Str, Watch};
use super::{Context, Rendered, Scope, TemplateFile, convert};
use crate::base::limit::Limits;
use crate::base::{heap, parallel};

/// Most `tpl` texts that a program remembers.
const MAX_TPL_TEXTS: usize = 4_096;
/// Name of every `tpl` text.
pub(super) const TPL_NAME: &[u8] = b"gotpl";
/// Fewer files than this for each thread do not pay for a context of its own.
const FILES_PER_THREAD: usize = 8;

/// A named template of a unit.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) unit: Arc<Unit>,
    pub(super) name: Str,
    pub(super) root: NodeId,
}

/// The templates that a `tpl` text defines: they shadow the program's while it is executed.
#[derive(Debug, Clone)]
pub(super) struct Overlay(Arc<Vec<(Arc<Template>, bool)>>);

impl Overlay {
    /// Returns a template, and whether its body is empty.
    pub(super) fn find(&self, name: &[u8]) -> Option<(&Arc<Template>, bool)> {
        let found = self.0.iter().find(|(template, _)| *template.name == *name)?;
        Some((&found.0, found.1))
    }

    /// Whether the text defines nothing but itself.
    pub(super) fn is_plain(&self) -> bool {
        self.0.len() <= 1
    }

    /// Returns the text's own template.
    pub(super) fn main(&self) -> Option<Arc<Template>> {
        let own = self.0.iter().find(|(template, _)| template.name == template.unit.name);
        own.map(|(template, _)| Arc::clone(template))
    }
}

/// Templates of a chart and its dependencies, ready to be rendered many times.
///
/// Compiling is the costly part; rendering shares the trees and may run on several threads.
#[derive(Debug)]
pub struct Program {
    templates: Vec<Arc<Template>>,
    index: HashMap<Str, usize>,
    /// Files to render, in order: index of the template, index of the scope.
    files: Vec<(Str, usize)>,
    tpl: Mutex<HashMap<Str, Overlay>>,
    pub(super) regexes: RegexCache,
    /// Whether a file was seen to change what files after it see: they are not rendered side by
    /// side then.
    depends_on_order: AtomicBool,
}

fn is_partial(name: &str) -> bool {
    let base = Path::new(name).file_name().and_then(|base| base.to_str()).unwrap_or(name);
    base.starts_with('_')
}

/// What one thread has rendered.
struct Part<R> {
    /// Files by their place in the order.
    done: Vec<(usize, R)>,
    failure: Option<(usize, Error)>,
    /// Whether a template changed what templates after it see.
    changed: bool,
}

impl<R> Part<R> {
    fn whole(self) -> Result<Vec<R>, Error> {
        match self.failure {
            Some((_, error)) => Err(error),
            None => Ok(self.done.into_iter().map(|(_, made)| made).collect()),
        }
    }
}

/// Puts together what threads have rendered; `None` if the order would have made a difference.
fn joined<R>(parts: Vec<Part<R>>) -> Option<Result<Vec<R>, Error>> {
    let is_bounded = |part: &Part<R>| {
        part.failure.as_ref().is_some_and(|(_, error)| error.kind() == ErrorKind::Bounded)
    };
    // Who is alone has all of the bounds, not a share.
    if parts.iter().any(|part| part.changed || is_bounded(part)) {
        return None;
    }
    let mut whole = Part { done: Vec::new(), failure: None, changed: false };
    for mut part in parts {
        whole.done.append(&mut part.done);
        let earlier = |at: &usize| whole.failure.as_ref().is_none_or(|(first, _)| at < first);
        if part.failure.as_ref().is_some_and(|(at, _)| earlier(at)) {
            whole.failure = part.failure;
        }
    }
    whole.done.sort_unstable_by_key(|(at, _)| *at);
    Some(whole.whole())
}

impl Program {
    /// Parses all templates.
    ///
    /// Files deeper in the tree come first, then names descending; a later definition of a name
    /// replaces an earlier one, unless its body is empty. Libraries add only their `_` files.
    ///
    /// Source: helm v4.3.1 pkg/engine/engine.go (render, sortTemplates, recAllTpls).
    ///
    /// # Errors
    /// The first text that is not a template.
    pub fn compile(files: Vec<TemplateFile>, scopes: &[Scope]) -> Result<Self, Error> {
        let is_library = |scope| scopes.get(scope).is_some_and(|scope: &Scope| scope.library);
        Self::compile_parsed(files, &is_library, &Parsed::default())
    }

    /// Compiles as [`Program::compile`], with the texts that were parsed before. Of scopes nothing
    /// is needed but whether they are libraries.
    ///
    /// # Errors
    /// As [`Program::compile`].
    pub fn compile_parsed(
        mut files: Vec<TemplateFile>,
        is_library: &dyn Fn(usize) -> bool,
        parsed: &Parsed,
    ) -> Result<Self, Error> {
        files.retain(|file| !is_library(file.scope) || is_partial(&file.name));
        files.sort_by(|a, b| b.name.cmp(&a.name));
        // Deepest first; a sort by name alone keeps the many comparisons short.
        let depth = |file: &TemplateFile| file.name.bytes().filter(|&byte| byte == b'/').count();
        files.sort_by_cached_key(|file| Reverse(depth(file)));
        let mut program = Self {
            templates: Vec::new(),
            index: HashMap::new(),
            files: Vec::new(),
            tpl: Mutex::default(),
            regexes: RegexCache::default(),
            depends_on_order: AtomicBool::new(false),
        };
        let unit = |file: &TemplateFile| {
            let name: Str = Arc::from(file.name.as_bytes());
            let unit = match parsed.0.take(&file.text) {
                Some(parsed) => parsed.named(&name),
                None => parser::parse(&name, &file.text),
            };
            let unit =
                unit.map_err(|error| Error::parse(&name, &file.text, error.line, &error.message))?;
            Ok((name, unit))
        };
        let units = if files.iter().all(|file| parsed.0.knows(&file.text)) {
            files.iter().map(unit).collect()
        } else {
            parallel::map(&files, STACK_BYTES, unit)
        };
        for (file, parsed) in files.iter().zip(units) {
            let (name, unit) = parsed?;
            program.add(unit);
            if !is_partial(&file.name) {
                program.files.push((name, file.scope));
            }
        }
        Ok(program)
    }

    fn add(&mut self, unit: Box<Unit>) {
        let unit: Arc<Unit> = unit.into();
        for (name, root) in &unit.templates {
            let template =
                Arc::new(Template { unit: Arc::clone(&unit), name: Arc::clone(name), root: *root });
            match self.index.get(name) {
                None => {
                    self.index.insert(Arc::clone(name), self.templates.len());
                    self.templates.push(template);
                }
                Some(_) if unit.is_empty(*root) => {}
                Some(&index) => self.templates[index] = template,
            }
        }
    }

    /// Renders all files in Helm's order, `NOTES.txt` included, files that begin with `_` not.
    ///
    /// Outputs that are only space are kept for the caller to drop.
    ///
    /// # Errors
    /// The first expression that fails.
    pub fn render(&self, context: &Context<'_>) -> Result<Vec<Rendered>, Error> {
        self.render_map(context, |file| file)
    }

    /// Renders as [`Program::render`], and returns what `make` makes of each file, on the thread
    /// that rendered it.
    ///
    /// # Errors
    /// The first expression that fails.
    pub fn render_map<R: Send>(
        &self,
        context: &Context<'_>,
        make: impl Fn(Rendered) -> R + Send + Sync,
    ) -> Result<Vec<R>, Error> {
        let threads = parallel::processors().min(self.files.len() / FILES_PER_THREAD);
        if threads > 1 && !self.depends_on_order.load(Ordering::Relaxed) {
            let parts = self.render_parts(context, threads, &make);
            if let Some(rendered) = joined(parts) {
                return rendered;
            }
            self.depends_on_order.store(true, Ordering::Relaxed);
        }
        let parts = self.render_parts(context, 1, &make);
        parts.into_iter().next().map_or_else(|| Ok(Vec::new()), Part::whole)
    }

    /// Renders on some threads, each with a context of its own.
    fn render_parts<R: Send>(
        &self,
        context: &Context<'_>,
        threads: usize,
        make: &(impl Fn(Rendered) -> R + Send + Sync),
    ) -> Vec<Part<R>> {
        let next = AtomicUsize::new(0);
        // Behind the first failure nothing needs to be rendered.
        let end = AtomicUsize::new(self.files.len());
        // Templates recurse as deep as they like: that needs a stack of its own.
        let stack = stack_bytes(&context.limits);
        // Together they may do what one may.
        let share = context.limits.shared_by(threads as u64);
        parallel::crew(threads, stack, || self.render_part(context, share, (&next, &end), make))
    }

    fn render_part<R>(
        &self,
        context: &Context<'_>,
        limits: Limits,
        (next, end): (&AtomicUsize, &AtomicUsize),
        make: &impl Fn(Rendered) -> R,
    ) -> Part<R> {
        let watch = Watch::default();
        let roots = convert::roots(context, &watch);
        let mut machine = Machine::new(self, context, limits, &watch);
        let mut part = Part { done: Vec::new(), failure: None, changed: false };
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= end.load(Ordering::Relaxed) {
                break;
            }
            let (name, scope) = &self.files[at];
            let (Some(&index), Some(root)) = (self.index.get(name), roots.get(*scope)) else {
                continue;
            };
            match machine.render_file(&self.templates[index], root) {
                Ok(text) => {
                    let name = String::from_utf8_lossy(name).into_owned();
                    part.done.push((at, make(Rendered { name, text })));
                }
                Err(fail) => {
                    part.failure = Some((at, Error::execute(fail)));
                    end.fetch_min(at, Ordering::Relaxed);
                    break;
                }
            }
        }
        part.changed = watch.get();
        if !heap::is_left() {
            machine.release();
        }
        heap::leave((machine, roots));
        part
    }

    /// Returns the number of templates.
    pub(super) fn len(&self) -> usize {
        self.templates.len()
    }

    /// Returns the index of a template.
    pub(super) fn index(&self, name: &[u8]) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Returns a template.
    pub(super) fn template(&self, index: usize) -> Arc<Template> {
        Arc::clone(&self.templates[index])
    }

    /// Whether it is the template of an index.
    pub(super) fn is_template(&self, index: usize, template: &Arc<Template>) -> bool {
        Arc::ptr_eq(&self.templates[index], template)
    }

    /// Parses the text of a `tpl`, or remembers that it has done so; returns also which of both.
    pub(super) fn parse_tpl(&self, text: &Str) -> Result<(Overlay, bool), ParseError> {
        let lock = || self.tpl.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(overlay) = lock().get(text) {
            return Ok((overlay.clone(), false));
        }
        let name: Str = Arc::from(TPL_NAME);
        let unit: Arc<Unit> = parser::parse(&name, &Bytes::copy_from_slice(text))?.into();
        let templates = unit.templates.iter().map(|(name, root)| {
            let template =
                Template { unit: Arc::clone(&unit), name: Arc::clone(name), root: *root };
            (Arc::new(template), unit.is_empty(*root))
        });
        let overlay = Overlay(Arc::new(templates.collect()));
        let mut known = lock();
        if known.len() >= MAX_TPL_TEXTS {
            known.clear();
        }
        known.insert(Arc::clone(text), overlay.clone());
        Ok((overlay, true))
    }
}
