//! House rules that a text scan can check: who may import whom, which room may name which outside
//! crate, no forgotten file, no over-long file, no path of a certain machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// Rooms by floor: a room imports only rooms on lower floors. Change it in a commit of its own.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["yaml"],
    &["chart", "template", "policy", "api", "jsonpath", "shape", "expression", "signature"],
    &["source", "cluster", "sim", "kustomize"],
    &["repo", "release"],
    &["plan"],
    &["controller"],
    &["web"],
    &["cli"],
];

/// Outside crates that only some rooms may name, outside of tests. Crates that are not listed
/// (serde, thiserror, tracing, tokio, bytes, futures, …) are free.
const CRATES: &[(&str, &[&str])] = &[
    ("anyhow", &["cli"]),
    ("clap", &["cli"]),
    ("rpassword", &["cli"]),
    ("tracing_subscriber", &["cli"]),
    ("axum", &["sim", "web"]),
    ("kube", &["cluster", "sim"]),
    ("k8s_openapi", &["cluster", "sim"]),
    ("tower", &["cluster", "sim", "web"]),
    ("http_body_util", &["cluster", "sim", "web"]),
    ("reqwest", &["source"]),
    ("rustls", &["source", "cluster", "cli"]),
    ("rustls_platform_verifier", &["source"]),
    ("rusty_s3", &["source"]),
    ("libyaml_safer", &["yaml"]),
    ("cel", &["expression"]),
    ("jsonschema", &["chart", "sim"]),
    ("tar", &["chart", "repo"]),
    ("pgp", &["chart"]),
    ("ring", &["signature", "source"]),
    ("x509_parser", &["signature"]),
    ("flate2", &["chart", "source", "repo", "release"]),
    ("handlebars", &["controller", "web", "cli"]),
    ("semver", &["base"]),
    ("sha1", &["template", "source"]),
    ("similar", &["plan", "cli"]),
    ("json_patch", &["cluster", "release", "sim"]),
];

const MAXIMUM_LINES: usize = 600;
/// Files that may be longer: tables of one-liners.
const LONG_FILES: &[&str] = &[
    // One upstream file each: splitting them would hide what they mirror.
    "src/template/eval.rs",
    "src/template/fmt.rs",
    "src/template/parser.rs",
    // One row a rule.
    "src/cluster/status/tests.rs",
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Returns the Rust files below a folder, in order.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns the room that a source file belongs to; `None` for `lib.rs` and `main.rs`.
fn room_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root().join("src")).ok()?;
    let mut parts = inside.components();
    let first = parts.next()?.as_os_str().to_string_lossy().into_owned();
    parts.next().map(|_| first)
}

/// Returns the lines of code with their numbers, comments left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter_map(|(number, line)| {
        let line = line.trim_start();
        (!line.starts_with("//")).then_some((number + 1, line))
    })
}

/// Returns the rooms named as `crate::room` in a file, with line numbers; in groups
/// (`use crate::{base::…, yaml::…}`) too, as long as each stands where rustfmt puts it.
fn named_rooms(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut depth = 0_i32;
    for (number, line) in code(text) {
        let mut rest = line;
        if depth > 0 {
            if depth == 1 {
                names(line).for_each(|name| found.push((number, name)));
            }
            depth += braces(line);
            continue;
        }
        while let Some(at) = rest.find("crate::") {
            let is_path = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            rest = &rest[at + "crate::".len()..];
            if let Some(group) = rest.strip_prefix('{').filter(|_| is_path) {
                names(group).for_each(|name| found.push((number, name)));
                depth = 1 + braces(group);
            } else if is_path {
                found.extend(identifier(rest).map(|name| (number, name)));
            }
        }
    }
    found
}

fn braces(text: &str) -> i32 {
    text.chars().map(|c| i32::from(c == '{') - i32::from(c == '}')).sum()
}

/// Returns what begins each item of a group on one line: the first identifier after each comma
/// that stands outside of inner braces.
fn names(group: &str) -> impl Iterator<Item = String> {
    let mut depth = 0;
    let items = group.split(move |c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    items.filter_map(|item| identifier(item.trim_start())).collect::<Vec<_>>().into_iter()
}

fn identifier(text: &str) -> Option<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Returns the text without inline test modules, which may name any crate.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |at| &text[..at])
}

fn is_test_file(file: &Path) -> bool {
    file.components().any(|part| {
        let name = part.as_os_str();
        name == "tests.rs" || name == "tests" || name == "testing.rs"
    })
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

#[track_caller]
fn none(rule: &str, failures: &[String]) {
    assert!(failures.is_empty(), "{rule}:\n  {}", failures.join("\n  "));
}

#[test]
fn rooms_import_only_lower_floors() {
    let mut failures = Vec::new();
    for file in rust_files(&root().join("src")) {
        let Some(room) = room_of(&file) else { continue };
        let Some(own) = floor(&room) else {
            failures.push(format!("{}: room `{room}` has no floor", shown(&file)));
            continue;
        };
        for (line, other) in named_rooms(&fs::read_to_string(&file).unwrap()) {
            if other != room && floor(&other).is_some_and(|floor| floor >= own) {
                failures.push(format!("{}:{line}: {room} -> {other}", shown(&file)));
            }
        }
    }
    none("a room imports only rooms on lower floors", &failures);
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let mut failures = Vec::new();
    for file in rust_files(&root().join("src")) {
        let Some(room) = room_of(&file) else { continue };
        if is_test_file(&file) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for (line, code) in code(without_tests(&text)) {
            for (name, rooms) in CRATES {
                let path = format!("{name}::");
                let is_named = code.match_indices(&path).any(|(at, _)| {
                    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                });
                if is_named && !rooms.contains(&room.as_str()) {
                    failures.push(format!("{}:{line}: {room} names {name}", shown(&file)));
                }
            }
        }
    }
    none("an outside crate is named in its rooms only", &failures);
}

#[test]
fn no_file_is_forgotten() {
    let mut failures = Vec::new();
    for folder in ["src", "tests/it"] {
        for file in rust_files(&root().join(folder)) {
            let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
            let parent = file.parent().unwrap();
            let (name, near) = match stem.as_str() {
                "main" | "lib" => continue,
                "mod" => (
                    parent.file_name().unwrap().to_string_lossy().into_owned(),
                    parent.parent().unwrap().to_owned(),
                ),
                _ => (stem, parent.to_owned()),
            };
            let declares = |source: &Path| {
                let text = fs::read_to_string(source).unwrap_or_default();
                code(&text).any(|(_, line)| {
                    line.ends_with(&format!("mod {name};"))
                        || line.contains(&format!("mod {name};"))
                })
            };
            let declared = ["mod.rs", "lib.rs", "main.rs"].iter().any(|f| declares(&near.join(f)))
                || declares(&near.with_extension("rs"));
            if !declared {
                failures.push(format!("{}: no `mod {name};`", shown(&file)));
            }
        }
    }
    none("every file is part of the build", &failures);
}

#[test]
fn files_are_not_too_long() {
    let mut failures = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for file in rust_files(&root().join(folder)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            if lines > MAXIMUM_LINES && !LONG_FILES.contains(&shown(&file).as_str()) {
                failures.push(format!("{}: {lines} lines", shown(&file)));
            }
        }
    }
    none("a file has at most 600 lines", &failures);
}

/// What a template calls reads no environment, no files and no network: the room that holds its
/// functions names none of them.
#[test]
fn templates_name_nothing_outside() {
    let outside = [
        "std::env",
        "std::fs",
        "std::process",
        "std::os",
        "TcpStream",
        "UdpSocket",
        "ToSocketAddrs",
        "tokio",
        "reqwest",
        "base::file",
    ];
    let mut failures = Vec::new();
    for file in rust_files(&root().join("src/template")).iter().filter(|file| !is_test_file(file)) {
        let text = fs::read_to_string(file).unwrap();
        for (number, line) in code(without_tests(&text)) {
            if let Some(name) = outside.iter().find(|name| line.contains(**name)) {
                failures.push(format!("{}:{number}: {name}", shown(file)));
            }
        }
    }
    none("templates reach nothing outside", &failures);
}

#[test]
fn no_path_of_a_certain_machine() {
    // Put together here, so that this file does not hold what it looks for.
    let homes = ["/wor", "/roo", "/hom"].map(|start| match start {
        "/wor" => format!("{start}k/"),
        "/roo" => format!("{start}t/"),
        _ => format!("{start}e/"),
    });
    let mut failures = Vec::new();
    for file in kept_files(root()) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            // Only where a path starts: `/var/work/` is a path inside a container, say.
            let names = homes.iter().any(|home| {
                line.match_indices(home.as_str()).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}~$/)".contains(c))
                })
            });
            if names {
                failures.push(format!("{}:{}: {}", shown(&file), number + 1, line.trim()));
            }
        }
    }
    none("no file names a path of the machine it was written on", &failures);
}

/// Returns the files of the repository that people write (not what tools made from inputs).
fn kept_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if [".git", "target", "charts-cache", "Cargo.lock", "golden", "snapshots"].contains(&&*name)
        {
            continue;
        }
        if path.is_dir() {
            found.extend(kept_files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_scan_itself_sees_what_it_should() {
    let rows: &[(&str, &str, &[&str])] = &[
        ("plain use", "use crate::yaml::Value;", &["yaml"]),
        ("inline path", "    let x = crate::base::limit::INDEX;", &["base"]),
        ("visibility", "pub(crate) mod x;\npub(in crate::chart) fn f() {}", &["chart"]),
        ("comment", "// use crate::cli::run;\n/// [`crate::web`]", &[]),
        ("group", "use crate::{base::name::Name, yaml};", &["base", "yaml"]),
        ("group inside", "use crate::{base::{file, cli}, yaml};", &["base", "yaml"]),
        (
            "long group",
            "use crate::{\n    base::{\n        cli,\n    },\n    repo::Index,\n};",
            &["base", "repo"],
        ),
        ("other crate", "use mycrate::web::x;", &[]),
        ("two", "fn f(a: crate::sim::A, b: crate::repo::B)", &["sim", "repo"]),
    ];
    let mut failures = Vec::new();
    for (name, text, wanted) in rows {
        let seen: Vec<_> = named_rooms(text).into_iter().map(|(_, room)| room).collect();
        if seen != *wanted {
            failures.push(format!("{name}: {seen:?}"));
        }
    }
    none("rooms named in a text", &failures);
}
