use super::*;

struct Row {
    name: &'static str,
    candidates: &'static [&'static str],
    rules: Rules<'static>,
    deployed: Option<&'static str>,
    constraint_changed: bool,
    quarantine: &'static [&'static str],
    want: &'static str,
}

const PLAIN: Row = Row {
    name: "",
    candidates: &["1.3.0", "1.2.0", "1.1.0"],
    rules: Rules { pin: None, hold: None },
    deployed: Some("1.1.0"),
    constraint_changed: false,
    quarantine: &[],
    want: "",
};

fn text(decision: &Decision) -> String {
    let verdict = match &decision.verdict {
        Verdict::Run(version) => format!("run {version}"),
        Verdict::Nothing => "nothing".to_owned(),
    };
    let held = decision.held.iter().map(|h| format!("{} {}", h.rule.as_str(), h.version));
    std::iter::once(verdict).chain(held).collect::<Vec<_>>().join(", ")
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn the_version_is_chosen_by_the_rules() {
    let rows = [
        Row { name: "newest", want: "run 1.3.0", ..PLAIN },
        Row { name: "first install", deployed: None, want: "run 1.3.0", ..PLAIN },
        Row {
            name: "quarantined newest",
            quarantine: &["1.3.0"],
            want: "run 1.2.0, quarantine 1.3.0",
            ..PLAIN
        },
        Row {
            name: "rolled back, all newer quarantined",
            quarantine: &["1.3.0", "1.2.0"],
            want: "run 1.1.0, quarantine 1.3.0, quarantine 1.2.0",
            ..PLAIN
        },
        Row {
            name: "nothing left to install",
            deployed: None,
            quarantine: &["1.3.0", "1.2.0", "1.1.0"],
            want: "nothing, quarantine 1.3.0, quarantine 1.2.0, quarantine 1.1.0",
            ..PLAIN
        },
        Row {
            name: "pin beats all",
            rules: Rules { pin: Some("1.1.0"), hold: Some("frozen") },
            quarantine: &["1.1.0"],
            want: "run 1.1.0, pin 1.3.0, pin 1.2.0",
            ..PLAIN
        },
        Row {
            name: "pin outside the candidates",
            rules: Rules { pin: Some("0.9.0"), hold: None },
            want: "run 0.9.0, pin 1.3.0, pin 1.2.0, pin 1.1.0",
            ..PLAIN
        },
        Row {
            name: "hold keeps what runs",
            rules: Rules { pin: None, hold: Some("frozen") },
            want: "run 1.1.0, hold 1.3.0, hold 1.2.0",
            ..PLAIN
        },
        Row {
            name: "hold does not stop a first install",
            rules: Rules { pin: None, hold: Some("frozen") },
            deployed: None,
            want: "run 1.3.0",
            ..PLAIN
        },
        Row {
            name: "the index lost the deployed version",
            deployed: Some("1.4.0"),
            want: "run 1.4.0, downgrade 1.3.0",
            ..PLAIN
        },
        Row {
            name: "the user lowered the constraint",
            deployed: Some("2.0.0"),
            constraint_changed: true,
            want: "run 1.3.0",
            ..PLAIN
        },
        Row { name: "empty index keeps what runs", candidates: &[], want: "run 1.1.0", ..PLAIN },
        Row { name: "in sync", deployed: Some("1.3.0"), want: "run 1.3.0", ..PLAIN },
        Row {
            name: "quarantine, then older than deployed",
            candidates: &["1.4.0", "1.2.0"],
            deployed: Some("1.3.0"),
            quarantine: &["1.4.0"],
            want: "run 1.3.0, quarantine 1.4.0, downgrade 1.2.0",
            ..PLAIN
        },
    ];
    let mut wrong = Vec::new();
    for row in rows {
        let candidates: Vec<_> = row
            .candidates
            .iter()
            .map(|text| Candidate { text: (*text).to_owned(), version: text.parse().unwrap() })
            .collect();
        let mut quarantine = Quarantine::default();
        for version in row.quarantine {
            quarantine
                .add(Quarantined { version: (*version).to_owned(), ..Quarantined::default() });
        }
        let seen = Seen {
            deployed: row.deployed,
            constraint_changed: row.constraint_changed,
            quarantine: &quarantine,
        };
        let got = text(&decide(&candidates, row.rules, &seen));
        if got != row.want {
            wrong.push(format!("{}: got `{got}`, want `{}`", row.name, row.want));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn quarantine_ends_when_the_user_changes_constraint_or_values() {
    let mut quarantine =
        Quarantine { constraint: "1.x".into(), config_digest: "d".into(), versions: Vec::new() };
    quarantine.add(Quarantined { version: "1.3.0".into(), ..Quarantined::default() });
    assert_eq!(quarantine.clone().still_valid("1.x", "d"), quarantine);
    assert!(quarantine.clone().still_valid("1.x", "e").versions.is_empty());
    assert!(quarantine.still_valid("2.x", "d").versions.is_empty());
}
