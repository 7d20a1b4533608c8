use super::*;

/// As many steps as no row needs.
const STEPS: u64 = 1_000_000;

fn answer(pattern: &str, path: &str) -> Result<bool, Stop> {
    let mut work = Work::up_to(STEPS);
    Glob::new(pattern, &mut work)?.matches(path, &mut work)
}

/// Patterns, paths, and what upstream said, as Helm calls it: the text of a panic where it did.
#[test]
fn patterns_match_as_upstream() {
    let text = include_str!("../../../../tests/golden/globs.jsonl");
    let mut wrong = Vec::new();
    for line in text.lines() {
        let (pattern, path, want): (String, String, serde_json::Value) =
            serde_json::from_str(line).unwrap();
        let got = answer(&pattern, &path);
        let is_same = match (got.map_err(Fail::from), &want) {
            (Ok(got), serde_json::Value::Bool(want)) => got == *want,
            (Err(Fail::Text(got)), serde_json::Value::String(want)) => got == *want,
            _ => false,
        };
        if !is_same {
            wrong.push(format!("{line}: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What would take upstream a lifetime, or more stack than there is.
#[test]
fn hostile_patterns_are_refused() {
    let rows = [
        ("stars", "***?".repeat(20), Stop::TooMuch),
        ("braces", "{a*,*b}".repeat(700), Stop::TooMuch),
        ("parts", "{".repeat(MOST_PARTS + 1), Stop::TooLarge),
        ("bytes", "a".repeat(MOST_BYTES + 1), Stop::TooLarge),
    ];
    let path = "a".repeat(200);
    for (name, pattern, want) in rows {
        assert_eq!(answer(&pattern, &path), Err(want), "{name}");
    }
}

/// As deep as there may be: rendering has that much stack for functions.
#[test]
fn nested_patterns_leave_stack() {
    let deepest = std::thread::Builder::new().stack_size(64 << 20).spawn(|| {
        let half = MOST_PARTS / 2;
        for pattern in ["{".repeat(MOST_PARTS), "{a".repeat(half), "**a".repeat(half)] {
            let mut work = Work::up_to(100_000_000);
            let glob = Glob::new(&pattern, &mut work).unwrap();
            assert_ne!(glob.matches("ab", &mut work), Err(Stop::TooLarge));
        }
    });
    deepest.unwrap().join().unwrap();
}

proptest::proptest! {
    #[test]
    fn any_pattern_has_an_answer(
        pattern in r"([*?{},!\-\\/\[\]ab.é\x00]|\PC){0,12}",
        path in r"([ab./é]|\PC){0,12}",
    ) {
        let _ = answer(&pattern, &path);
    }

    /// Without anything special, a pattern is a path.
    #[test]
    fn plain_patterns_match_themselves(pattern in r"[ab/.é,}!\-\]]{0,12}", path in "[ab/]{0,3}") {
        assert_eq!(answer(&pattern, &pattern), Ok(true));
        assert_eq!(answer(&pattern, &path), Ok(pattern == path));
    }
}
