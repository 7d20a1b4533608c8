use super::*;

fn of(minor: &str) -> AvailableUpdates {
    AvailableUpdates { minor: minor.to_owned(), ..AvailableUpdates::default() }
}

/// Plays reconciliations; returns how often the status was written, and what memory says then.
fn play(new: &[&str], keeps: bool) -> (usize, Told) {
    let (mut told, mut live, mut writes) = (Told::default(), None, 0);
    for minor in new {
        let new = (!minor.is_empty()).then(|| of(minor));
        let status = shown(live.as_ref(), new, &mut told);
        if status != live {
            writes += 1;
            live = status.filter(|_| keeps);
        }
    }
    (writes, told)
}

#[test]
fn a_status_that_does_not_keep_it_is_not_written_again_and_again() {
    let rows: [(&str, &[&str], bool, usize); 8] = [
        ("nothing", &["", "", ""], true, 0),
        ("kept", &["1", "1", "1"], true, 1),
        ("kept, another, gone", &["1", "1", "2", "2", "", ""], true, 3),
        ("dropped", &["1", "1", "1", "1", "1"], false, 2),
        ("dropped, another", &["1", "1", "1", "2", "2", "2"], false, 3),
        ("dropped, gone", &["1", "1", "1", "", "", ""], false, 2),
        ("dropped, gone, another", &["1", "1", "1", "", "2", "2", "2"], false, 4),
        ("nothing, dropped", &["", "", ""], false, 0),
    ];
    for (name, new, keeps, want) in rows {
        assert_eq!(play(new, keeps).0, want, "{name}");
    }
}

#[test]
fn what_was_wiped_comes_back() {
    let mut told = Told::default();
    assert_eq!(shown(None, Some(of("1")), &mut told), Some(of("1")));
    assert_eq!(shown(Some(&of("1")), Some(of("1")), &mut told), Some(of("1")));
    for _ in 0..3 {
        // Wiped, and there again.
        assert_eq!(shown(None, Some(of("1")), &mut told), Some(of("1")));
        assert_eq!(shown(Some(&of("1")), Some(of("1")), &mut told), Some(of("1")));
    }
    assert!(!told.dropped);
}

#[test]
fn each_version_is_told_once() {
    let offer = |version: &str, held: Option<(Rule, &str)>| {
        let held = held.map(|(rule, reason)| (rule, reason.to_owned()));
        Some(Offer { version: version.to_owned(), allowed: false, deprecated: false, held })
    };
    let outside = Some((Rule::Constraint, "1.x does not allow it"));
    let failed = Some((Rule::Quarantine, "it crashed"));
    let mut told = Told::default();
    let mut texts = |offers: Offers| {
        let news = untold("web", &offers, &mut told).into_iter().map(|News(text)| text);
        news.collect::<Vec<_>>()
    };
    let first = Offers { major: offer("2.0.0", outside), ..Offers::default() };
    let want = "web 2.0.0 is available (major); constraint: 1.x does not allow it";
    assert_eq!(texts(first.clone()), [want]);
    assert!(texts(first.clone()).is_empty());
    let second = Offers { major: offer("2.0.1", None), minor: offer("1.4.0", failed), ..first };
    assert_eq!(texts(second), ["web 2.0.1 is available (major)"]);
    let back = Offers { major: offer("2.0.0", outside), ..Offers::default() };
    assert!(texts(back).is_empty(), "one that is the newest again");
    for number in 0..100 {
        texts(Offers { patch: offer(&format!("1.0.{number}"), None), ..Offers::default() });
    }
    assert_eq!((told.versions.len(), told.versions[0].as_str()), (REMEMBERED, "1.0.68"));
}
