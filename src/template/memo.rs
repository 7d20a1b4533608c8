//! What named templates gave for the chart's root: they are asked for it again and again, a name or
//! a set of labels in nearly every object, and give the same each time.
//!
//! A text is remembered only if all that went into it is the same for every file of the chart: no
//! function that varies was called, `.Template` was not looked into, nothing that templates share
//! was ever changed, and no template of a `tpl` text had a say.

use std::rc::Rc;

use super::value::{MapKind, MapRef, Str, Value, Watch};

/// Longest text that is remembered: longer ones are asked for once, as a rule.
const LONGEST: usize = 4 << 10;
/// Deepest nesting in which texts are remembered and used. Helm's own bound is far above twice of
/// it, so that what is refused there is refused all the same.
const DEEPEST: u32 = 100;

/// The texts, by the index of the template.
#[derive(Debug)]
pub(super) struct Memo {
    texts: Vec<Option<(MapRef, Str)>>,
    /// The root of the file that is rendered, and its `.Template`, frozen until somebody looks
    /// into it.
    file: Option<(MapRef, MapRef)>,
    /// Set when something that templates share is changed.
    changed: Watch,
    /// How often something happened that may happen otherwise next time.
    varied: u32,
    /// The chart's own template of the name that every `tpl` text has, which shadows it.
    shadowed: Option<usize>,
    /// Templates that are being executed, and the most there have been since the last mark.
    depth: u32,
    deepest: u32,
}

/// What was known when a template began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// How much had been written.
    start: usize,
    /// The template; none: it is not remembered.
    template: Option<u32>,
    varied: u32,
    deepest: u32,
}

impl Mark {
    pub(super) fn start(self) -> usize {
        self.start
    }
}

impl Memo {
    /// Prepares for so many templates, of which `tpl` texts shadow one.
    pub(super) fn new(templates: usize, shadowed: Option<usize>, changed: Watch) -> Self {
        let texts = std::iter::repeat_with(|| None).take(templates).collect();
        Self { texts, file: None, changed, varied: 0, shadowed, depth: 0, deepest: 0 }
    }

    /// Begins a file.
    pub(super) fn begin(&mut self, root: &MapRef, template: MapRef) {
        self.file = Some((MapRef::clone(root), template));
    }

    /// Notes that what comes out now may be something else next time.
    pub(super) fn vary(&mut self) {
        // Where it can count no further, nothing is remembered any more.
        self.varied = self.varied.saturating_add(1);
    }

    /// Returns what a template gave for this very root.
    pub(super) fn text(&self, template: Option<usize>, data: &Value) -> Option<&Str> {
        let (root, text) = self.texts.get(template?)?.as_ref()?;
        let is_same = is_root(data, root) && self.depth <= DEEPEST && !self.changed.get();
        is_same.then_some(text)
    }

    /// Notes that a template begins.
    pub(super) fn enter(&mut self, template: Option<usize>, data: &Value, start: usize) -> Mark {
        if template.is_some() && template == self.shadowed {
            self.vary();
        }
        let is_plain = template != self.shadowed
            && self.depth <= DEEPEST
            && self.file.as_ref().is_some_and(|(root, _)| is_root(data, root));
        let mark = Mark {
            start,
            template: template.filter(|_| is_plain).and_then(|index| u32::try_from(index).ok()),
            varied: self.varied,
            deepest: self.deepest,
        };
        self.depth += 1;
        self.deepest = self.depth;
        mark
    }

    /// Notes that a template ended. Returns where its text may be kept, if it may.
    pub(super) fn leave(&mut self, mark: Mark, length: usize) -> Option<Place<'_>> {
        self.depth -= 1;
        let below = self.deepest - self.depth;
        self.deepest = self.deepest.max(mark.deepest);
        let index = mark.template? as usize;
        let (root, template) = self.file.as_ref()?;
        let is_same = self.varied == mark.varied
            && self.varied < u32::MAX
            && !self.changed.get()
            && template.is_frozen()
            && below <= DEEPEST
            && length <= LONGEST;
        is_same.then(|| Place { text: &mut self.texts[index], root })
    }

    /// Lets go of what it holds.
    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.file = None;
    }
}

/// Where a text is kept.
pub(super) struct Place<'a> {
    text: &'a mut Option<(MapRef, Str)>,
    root: &'a MapRef,
}

impl Place<'_> {
    pub(super) fn keep(self, text: Str) {
        *self.text = Some((MapRef::clone(self.root), text));
    }
}

fn is_root(data: &Value, root: &MapRef) -> bool {
    matches!(data, Value::Map(MapKind::Values, map) if Rc::ptr_eq(map, root))
}

#[cfg(test)]
mod tests;
