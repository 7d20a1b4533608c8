//! The parser below panics on a few texts (a tag that ends at a comma, `[!a,`): such a text is
//! refused like any other, and nothing is printed about it.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs something that may panic; `None` if it did.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |about| {
            if !QUIET.get() {
                before(about);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    QUIET.set(before);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::super::{Numbers, parse};

    #[test]
    fn a_tag_that_ends_at_a_comma_is_refused_as_go_refuses_it() {
        let error = parse("a: 1\nb: [!,\n", Numbers::Exact).unwrap_err();
        assert_eq!(error.line(), Some(2));
        assert!(error.to_string().contains("did not find expected whitespace"), "{error}");
        assert!(parse("b: [! a, b]\n", Numbers::Exact).is_ok());
    }
}
