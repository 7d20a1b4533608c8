use super::super::Quarantined;
use super::*;
use crate::base::constraint::Constraint;

struct Row {
    name: &'static str,
    running: &'static str,
    /// `!` in front: deprecated.
    published: &'static [&'static str],
    range: &'static str,
    rules: Rules<'static>,
    suspended: bool,
    quarantine: &'static [&'static str],
    numbered: bool,
    want: &'static str,
}

const PLAIN: Row = Row {
    name: "",
    running: "1.1.0",
    published: &["3.0.0", "2.1.0", "2.0.0", "1.3.0", "1.2.0", "1.1.2", "1.1.1", "1.1.0", "1.0.0"],
    range: "1.x",
    rules: Rules { pin: None, hold: None },
    suspended: false,
    quarantine: &[],
    numbered: false,
    want: "",
};

fn published(text: &str, range: &str) -> Published {
    let (text, deprecated) = match text.strip_prefix('!') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let version: Version = text.parse().unwrap();
    let constraint: Constraint = range.parse().unwrap();
    let allowed = constraint.matches(&version);
    Published { text: text.to_owned(), version, allowed, deprecated }
}

fn text(offers: &Offers) -> String {
    let one = |(level, offer): (Level, &Offer)| {
        let held = offer.held.as_ref().map_or("free", |(rule, _)| rule.as_str());
        let mark = if offer.deprecated { "!" } else { "" };
        let range = if offer.allowed { "" } else { " outside" };
        format!("{} {mark}{}{range} {held}", level.as_str(), offer.version)
    };
    let deprecated = offers.deprecated.then(|| "deprecated".to_owned());
    offers.each().map(one).chain(deprecated).collect::<Vec<_>>().join(", ")
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn the_newest_of_each_level_is_told_with_what_holds_it() {
    let frozen = Rules { pin: None, hold: Some("frozen") };
    let pinned = Rules { pin: Some("1.2.0"), hold: Some("frozen") };
    let rows = [
        Row {
            name: "each level",
            want: "patch 1.1.2 free, minor 1.3.0 free, major 3.0.0 outside constraint",
            ..PLAIN
        },
        Row { name: "newest", running: "3.0.0", want: "", ..PLAIN },
        Row { name: "newer than all", running: "4.0.0", want: "", ..PLAIN },
        Row { name: "nothing is published", published: &[], want: "", ..PLAIN },
        Row {
            name: "the source lost what runs",
            running: "1.2.5",
            want: "minor 1.3.0 free, major 3.0.0 outside constraint",
            ..PLAIN
        },
        Row {
            name: "exact range",
            range: "1.1.0",
            want: "patch 1.1.2 outside constraint, minor 1.3.0 outside constraint, \
                   major 3.0.0 outside constraint",
            ..PLAIN
        },
        Row {
            name: "hold",
            rules: frozen,
            want: "patch 1.1.2 hold, minor 1.3.0 hold, major 3.0.0 outside hold",
            ..PLAIN
        },
        Row {
            name: "pin beats hold",
            rules: pinned,
            want: "patch 1.1.2 pin, minor 1.3.0 pin, major 3.0.0 outside pin",
            ..PLAIN
        },
        Row {
            name: "what is pinned is free",
            published: &["1.2.0", "1.1.0"],
            rules: pinned,
            want: "minor 1.2.0 free",
            ..PLAIN
        },
        Row {
            name: "suspended",
            suspended: true,
            rules: pinned,
            want: "patch 1.1.2 suspend, minor 1.3.0 suspend, major 3.0.0 outside suspend",
            ..PLAIN
        },
        Row {
            name: "quarantine",
            quarantine: &["1.3.0", "3.0.0"],
            want: "patch 1.1.2 free, minor 1.3.0 quarantine, major 3.0.0 outside constraint",
            ..PLAIN
        },
        Row {
            name: "below 1.0.0 a minor step is a major one",
            running: "0.4.1",
            published: &["0.9.0", "0.4.7", "0.4.1"],
            range: "0.x",
            want: "patch 0.4.7 free, major 0.9.0 free",
            ..PLAIN
        },
        Row {
            name: "deprecated ones are marked",
            published: &["!1.2.0", "!1.1.0"],
            want: "minor !1.2.0 free, deprecated",
            ..PLAIN
        },
        Row {
            name: "prereleases are passed over",
            published: &["2.0.0-rc.1", "1.2.0-rc.1", "1.1.0"],
            want: "",
            ..PLAIN
        },
        Row {
            name: "prereleases that the range allows",
            published: &["2.0.0-rc.1", "1.2.0-rc.1", "1.1.0"],
            range: ">=1.0.0-0 <2.0.0-0",
            want: "minor 1.2.0-rc.1 free",
            ..PLAIN
        },
        Row {
            name: "prereleases for whom one runs",
            running: "1.2.0-rc.1",
            published: &["2.0.0-rc.1", "1.2.0-rc.2", "1.2.0-rc.1"],
            range: "1.2.0-rc.1",
            want: "patch 1.2.0-rc.2 outside constraint, major 2.0.0-rc.1 outside constraint",
            ..PLAIN
        },
        Row {
            name: "a release beats its prereleases",
            running: "1.2.0-rc.1",
            published: &["1.2.0-rc.2", "1.2.0", "1.2.0-rc.1"],
            range: ">=1.0.0-0",
            want: "patch 1.2.0 free",
            ..PLAIN
        },
        Row {
            name: "build metadata makes nothing newer; of equal ones the first",
            running: "1.1.0+a",
            published: &["1.1.1+b", "1.1.1+a", "1.1.0+b", "!1.1.0+a"],
            want: "patch 1.1.1+b free, deprecated",
            ..PLAIN
        },
        Row {
            name: "artifacts carry a digest",
            running: "1.1.0+0cc9a8446c95",
            published: &["1.3.0", "1.2.0", "1.1.1+b", "1.1.0"],
            quarantine: &["1.3.0+0123456789ab", "1.1.1+fedcba987654"],
            numbered: true,
            want: "patch 1.1.1+b quarantine, minor 1.3.0 quarantine",
            ..PLAIN
        },
        Row {
            name: "a pinned artifact",
            running: "1.1.0+0cc9a8446c95",
            published: &["1.2.0", "1.1.0"],
            rules: Rules { pin: Some("1.2.0+0123456789ab"), hold: None },
            numbered: true,
            want: "minor 1.2.0 free",
            ..PLAIN
        },
        Row {
            name: "others carry none",
            published: &["1.2.0", "1.1.0"],
            quarantine: &["1.2.0+b"],
            want: "minor 1.2.0 free",
            ..PLAIN
        },
        Row {
            name: "any order",
            published: &["1.2.0", "1.10.0", "1.9.0"],
            want: "minor 1.10.0 free",
            ..PLAIN
        },
    ];
    let mut wrong = Vec::new();
    for row in rows {
        let all: Vec<_> = row.published.iter().map(|text| published(text, row.range)).collect();
        let mut quarantine = Quarantine::default();
        for version in row.quarantine {
            quarantine
                .add(Quarantined { version: (*version).to_owned(), ..Quarantined::default() });
        }
        let standing = Standing {
            running: &row.running.parse().unwrap(),
            range: Some(row.range),
            rules: row.rules,
            suspended: row.suspended,
            quarantine: &quarantine,
            numbered: row.numbered,
        };
        let got = text(&offers(&all, &standing));
        if got != row.want {
            wrong.push(format!("{}: got `{got}`, want `{}`", row.name, row.want));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_a_range_nothing_holds_a_version() {
    let all = [published("2.0.0", "*")];
    let standing = Standing {
        running: &"1.0.0".parse().unwrap(),
        range: None,
        rules: Rules::default(),
        suspended: false,
        quarantine: &Quarantine::default(),
        numbered: false,
    };
    assert_eq!(text(&offers(&all, &standing)), "major 2.0.0 free");
}
