//! Templates that are called by name or as text: `template`, `include` and `tpl`.

use std::sync::Arc;

use super::super::compile::{Overlay, Template};
use super::super::error::Fail;
use super::super::memo::Mark;
use super::super::strconv;
use super::super::value::{Str, Value};
use super::{Machine, Result, strip_no_value};

/// Deepest nesting of one name's `include`, as in Helm.
const MAX_INCLUDE_DEPTH: u32 = 1_000;
/// A parsed text takes about so many bytes for each of its own.
const TREE_BYTES: usize = 16;

impl Machine<'_> {
    /// Executes a named template and returns its output.
    pub(in crate::template) fn include(&mut self, name: &[u8], data: Value) -> Result<Value> {
        let index = self.program.index(name);
        if let Some(text) = self.remembered(index, &data) {
            return Ok(Value::Str(text));
        }
        let mark = self.memo.enter(index, &data, self.out.len());
        self.include_here(name, index, data)?;
        let start = mark.start();
        let text: Str = Arc::from(&self.out[start..]);
        self.out.truncate(start);
        if let Some(place) = self.memo.leave(mark, text.len()) {
            place.keep(Arc::clone(&text));
        }
        Ok(Value::Str(text))
    }

    /// Returns what a template gave for the same root before, unless a `tpl` text might have a say.
    fn remembered(&self, index: Option<usize>, data: &Value) -> Option<Str> {
        let text = self.memo.text(index, data)?;
        self.overlays.iter().all(Overlay::is_plain).then(|| Arc::clone(text))
    }

    /// Writes what a template gave for the same root before, if it may.
    #[inline(never)]
    pub(super) fn writes_remembered(&mut self, index: Option<usize>, data: &Value) -> bool {
        let text = self.remembered(index, data);
        self.out.extend_from_slice(text.as_deref().unwrap_or_default());
        text.is_some()
    }

    /// Begins a template. What a `tpl` text defines is not the program's, and not remembered.
    #[inline(never)]
    pub(super) fn enter(
        &mut self,
        index: Option<usize>,
        target: &Arc<Template>,
        data: &Value,
    ) -> Mark {
        let own = index.filter(|index| self.program.is_template(*index, target));
        self.memo.enter(own, data, self.out.len())
    }

    /// Ends a template.
    #[inline(never)]
    pub(super) fn leave(&mut self, mark: Mark) {
        let start = mark.start();
        if let Some(place) = self.memo.leave(mark, self.out.len() - start) {
            place.keep(Arc::from(&self.out[start..]));
        }
    }

    /// Executes a named template, appending to the output.
    fn include_here(&mut self, name: &[u8], index: Option<usize>, data: Value) -> Result<()> {
        let nesting = match index {
            Some(index) => &mut self.nesting[index],
            None => self.other_nesting.entry(Arc::from(name)).or_default(),
        };
        if *nesting > MAX_INCLUDE_DEPTH {
            let name = strconv::lossy(name);
            return Err(Fail::Text(format!(
                "rendering template has a nested reference name: {name}: unable to execute template"
            )));
        }
        *nesting += 1;
        let Some(code) = self.lookup_template(name, index) else {
            let name = strconv::quote(name);
            return Err(Fail::NoTemplate(format!(
                "template: no template {name} associated with template \"gotpl\""
            )));
        };
        self.execute(&code, data)?;
        match index {
            Some(index) => self.nesting[index] -= 1,
            None => {
                self.other_nesting.entry(Arc::from(name)).and_modify(|nesting| *nesting -= 1);
            }
        }
        Ok(())
    }

    pub(super) fn lookup_template(
        &mut self,
        name: &[u8],
        index: Option<usize>,
    ) -> Option<Arc<Template>> {
        let mut empty = None;
        for overlay in self.overlays.iter().rev() {
            let found = overlay.find(name);
            if found.is_some() {
                self.memo.vary();
            }
            match found {
                Some((template, false)) => return Some(Arc::clone(template)),
                Some((template, true)) => empty = empty.or_else(|| Some(Arc::clone(template))),
                None => {}
            }
        }
        index.map(|index| self.program.template(index)).or(empty)
    }

    /// Renders a text that a value holds.
    ///
    /// Source: helm v4.3.1 pkg/engine/engine.go (tplFun).
    pub(in crate::template) fn tpl(&mut self, text: &Str, data: Value) -> Result<Value> {
        let start = self.out.len();
        if !text.windows(2).any(|pair| pair == b"{{") {
            let mut plain = text.to_vec();
            strip_no_value(&mut plain, 0);
            return Ok(Value::Str(plain.into()));
        }
        let (overlay, is_new) = self.program.parse_tpl(text).map_err(|error| {
            let quoted = strconv::quote(text);
            let message = format!("template: gotpl:{}: {}", error.line, error.message);
            Fail::Wrapped(format!("cannot parse template {quoted}"), Box::new(Fail::Text(message)))
        })?;
        if is_new {
            self.take(text.len().saturating_mul(TREE_BYTES))?;
        }
        let Some(code) = overlay.main() else { return Ok(Value::str("")) };
        self.overlays.push(overlay);
        self.execute(&code, data).map_err(|fail| {
            // A refusal may come through thousands of them.
            if fail.is_bound() {
                return fail;
            }
            let quoted = strconv::quote(text);
            let prefix = format!("error during tpl function execution for {quoted}");
            Fail::Wrapped(prefix, Box::new(fail))
        })?;
        self.overlays.pop();
        strip_no_value(&mut self.out, start);
        let output = Arc::from(&self.out[start..]);
        self.out.truncate(start);
        Ok(Value::Str(output))
    }
}
