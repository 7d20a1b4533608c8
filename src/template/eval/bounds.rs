//! What a rendering may take: steps, stack, memory and output.

use super::super::{compile::Template, error::Fail, value::Value};
use super::{Machine, Result, stack_position};
use crate::base::limit::{Limit, Limits};

/// A longer argument costs a step for so many of its bytes or items.
pub(super) const LONG: usize = 1 << 10;
const LENGTH_PER_STEP: usize = 64;

impl Machine<'_> {
    /// Counts work, and checks what would otherwise exhaust the machine.
    pub(super) fn step(&mut self, code: &Template) -> Result<()> {
        self.steps += 1;
        if self.steps & 0x3f == 0 || self.steps > self.most_steps {
            if self.steps > self.most_steps {
                return self.refuse(code, Limit::Steps, "rendering takes too many steps:");
            }
            self.check_output(code)?;
        }
        if self.stack_start.abs_diff(stack_position()) > self.most_stack {
            return self.refuse(code, Limit::Stack, "templates are nested too deeply:");
        }
        Ok(())
    }

    pub(super) fn check_output(&self, code: &Template) -> Result<()> {
        if self.out.len() > self.limits.size(Limit::Output) {
            return self.refuse(code, Limit::Output, "the output is too large:");
        }
        Ok(())
    }

    #[cold]
    pub(super) fn refuse<T>(&self, code: &Template, limit: Limit, what: &str) -> Result<T> {
        let cause = Fail::Bound(self.context.limits.hint(limit));
        Err(Fail::locate(&code.unit, self.at, &code.name, what.to_owned(), Some(cause)))
    }

    /// Returns a function's refusal; the bound that it tells is the rendering's, not a share of it.
    #[cold]
    pub(in crate::template) fn refusal(&self, limit: Limit, what: &str) -> Fail {
        Fail::Bound(self.context.limits.refusal(limit, what))
    }

    /// Returns the bounds.
    pub(in crate::template) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts work that is more than the nodes that ask for it.
    pub(in crate::template) fn spend(&mut self, steps: usize) -> Result<()> {
        self.steps = self.steps.saturating_add(steps as u64);
        if self.steps > self.most_steps {
            return Err(self.refusal(Limit::Steps, "rendering takes too many steps"));
        }
        Ok(())
    }

    /// Returns how much more work there may be.
    pub(in crate::template) fn steps_left(&self) -> u64 {
        self.most_steps.saturating_sub(self.steps)
    }

    /// Counts memory that is more than the top of a value that a function gives.
    pub(in crate::template) fn take(&mut self, bytes: usize) -> Result<()> {
        self.taken = self.taken.saturating_add(bytes as u64);
        self.room_for(0)
    }

    /// Refuses what would be too much memory, before it is taken.
    pub(in crate::template) fn room_for(&self, bytes: usize) -> Result<()> {
        if self.taken.saturating_add(bytes as u64) > self.limits.of(Limit::Memory) {
            return Err(self.refusal(Limit::Memory, "templates take too much memory"));
        }
        Ok(())
    }

    /// Refuses a text that would be too long, before it is made.
    pub(in crate::template) fn room_for_text(&self, bytes: usize) -> Result<()> {
        if bytes > self.limits.size(Limit::Text) {
            return Err(self.refusal(Limit::Text, "a text is too long"));
        }
        self.room_for(bytes)
    }

    /// Refuses a list that would be too long, before it is made.
    pub(in crate::template) fn room_for_items(&self, items: usize) -> Result<()> {
        if items > self.limits.size(Limit::Items) {
            return Err(self.refusal(Limit::Items, "a list is too long"));
        }
        self.room_for(items.saturating_mul(size_of::<Value>()))
    }

    /// Counts the memory of what a function made, if it is new.
    #[inline]
    pub(super) fn charged(&mut self, value: Value) -> Result<Value> {
        let bytes = value.fresh_bytes();
        self.taken += bytes as u64;
        // A text over its own bound is more than a function foresaw.
        if bytes > LONG {
            match &value {
                Value::Str(text) | Value::Bytes(text) => self.room_for_text(text.len())?,
                _ => self.room_for(0)?,
            }
        }
        Ok(value)
    }

    /// Counts the work that long arguments are.
    #[inline]
    pub(super) fn weigh(&mut self, args: &[Value]) -> Result<()> {
        for arg in args {
            let length = arg.length();
            if length > LONG {
                self.spend(length / LENGTH_PER_STEP)?;
            }
        }
        Ok(())
    }
}
