//! `leadsman lint`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::Lint;
use super::diagnose::{self, Detailed};
use super::provenance::Provenance;
use super::ui::Details;
use super::values::Merged;
use super::{files, ui, values};
use crate::base::class::chain;
use crate::base::file;
use crate::base::limit::{self, Limit};
use crate::chart::{self, Error, File};
use crate::release::lint::{Entry, Message, Options, Severity, Subject, lint};
use crate::release::{self, offline};

/// Source: helm v4.3.1 pkg/cmd/lint.go.
pub(super) fn run(args: &Lint, namespace: &str, verbosity: Details) -> anyhow::Result<ExitCode> {
    let capabilities = offline(&args.kube_version, &[])?;
    let mut paths = args.paths.clone();
    if args.with_subcharts {
        paths.extend(args.paths.iter().flat_map(|path| inner(path)));
    }
    let merged = values::merge(&args.values)?;
    let options = Options {
        values: &merged.values,
        namespace,
        capabilities: &capabilities,
        check_schema: !args.skip_schema_validation,
    };
    let worst = if args.strict { Severity::Warning } else { Severity::Error };
    let (mut failed, mut remarked, mut out) = (0, false, String::new());
    let mut details = String::new();
    for path in &paths {
        let result = subject(path).map(|subject| {
            let linted = lint(&subject, &options);
            if let Some(failure) = linted.failure.filter(|_| verbosity.wanted()) {
                let heading = if paths.len() > 1 { format!("{path}:\n") } else { String::new() };
                details.push_str(&format!("{heading}{}\n", why(&subject, &failure, &merged)));
            }
            linted.messages
        });
        let is_remarkable = |message: &Message| message.severity > Severity::Info;
        let remarkable = result.as_ref().map_or(true, |all| all.iter().any(is_remarkable));
        remarked |= remarkable;
        if args.quiet && !remarkable {
            continue;
        }
        out.push_str(&format!("==> Linting {path}\n"));
        match &result {
            Err(why) => out.push_str(&format!("Error {why}\n")),
            Ok(messages) => {
                for message in messages.iter().filter(|m| !args.quiet || is_remarkable(m)) {
                    out.push_str(&format!("{message}\n"));
                }
            }
        }
        let is_bad = result.map_or(true, |all| all.iter().any(|m| m.severity >= worst));
        failed += usize::from(is_bad);
        out.push('\n');
    }
    ui::print(&out);
    let summary = format!("{} chart(s) linted, {failed} chart(s) failed", paths.len());
    if failed > 0 {
        return Err(Detailed { text: summary, details }.into());
    }
    if !args.quiet || remarked {
        ui::print(&format!("{summary}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns where templates failed, and why.
fn why(subject: &Subject, failure: &release::Error, merged: &Merged) -> String {
    let provenance = || Provenance::of_merged(subject.chart.as_ref().ok()?, merged);
    diagnose::details(failure, provenance)
}

/// Returns the charts below `charts/`, packed or not.
fn inner(path: &str) -> Vec<String> {
    let charts = files::join(path, "charts");
    let mut names = file::list_tree(Path::new(&charts)).unwrap_or_default();
    names.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    let found = names.into_iter().filter_map(|name| {
        let full = format!("{charts}/{name}");
        match full.strip_suffix("/Chart.yaml") {
            Some(folder) => Some(folder.to_owned()),
            None => is_package(&name).then_some(full),
        }
    });
    found.collect()
}

fn is_package(path: &str) -> bool {
    path.ends_with(".tgz") || path.ends_with(".tar.gz")
}

fn subject(path: &str) -> Result<Subject, String> {
    if is_package(path) { packed(path) } else { folder(path) }
}

fn folder(path: &str) -> Result<Subject, String> {
    let top = Path::new(path);
    let definition = files::join(path, "Chart.yaml");
    if !Path::new(&definition).exists() {
        return Err(format!(
            "unable to check Chart.yaml file in chart: stat {definition}: no such file or directory"
        ));
    }
    let whole = std::path::absolute(top).unwrap_or_else(|_| top.to_owned());
    let whole: PathBuf = whole.components().collect();
    let entry = |name: &str| match std::fs::metadata(top.join(name)) {
        Ok(found) if found.is_dir() => Entry::Folder,
        Ok(_) => Entry::File,
        Err(_) => Entry::Missing,
    };
    let read = |name: &str| file::read_bytes(&top.join(name), limit::SOURCE_FILE_BYTES);
    Ok(Subject {
        folder: whole.display().to_string(),
        definition: read("Chart.yaml").map_err(|error| chain(&error)),
        values: read("values.yaml").ok(),
        schema: read("values.schema.json").ok(),
        templates: entry("templates"),
        crds: entry("crds"),
        chart: chart::load_folder(top),
    })
}

fn packed(path: &str) -> Result<Subject, String> {
    let bytes = file::read_bytes(Path::new(path), limit::current().of(Limit::Unpacked)).map_err(
        |error| {
            let missing = error.kind() == Some(std::io::ErrorKind::NotFound);
            let why = if missing {
                format!("open {path}: no such file or directory")
            } else {
                chain(&error)
            };
            format!("unable to open tarball: {why}")
        },
    )?;
    let mut files: Vec<File> = Vec::new();
    let chart = chart::load_archive_showing(&bytes, &mut |file| files.push(file.clone()));
    let find =
        |name: &str| files.iter().find(|file| file.name == name).map(|file| file.data.to_vec());
    let Some(definition) = find("Chart.yaml") else {
        let why = match chart {
            Err(Error::NotGzip) => "gzip: invalid header".to_owned(),
            Err(Error::Archive(error)) => chain(&error),
            Err(error) => chain(&error),
            Ok(_) => "no Chart.yaml".to_owned(),
        };
        return Err(format!("unable to extract tarball: {why}"));
    };
    let entry = |name: &str| {
        let inside = |file: &File| file.name.strip_prefix(name).is_some_and(|r| r.starts_with('/'));
        match (files.iter().any(inside), files.iter().any(|file| file.name == name)) {
            (true, _) => Entry::Folder,
            (_, true) => Entry::File,
            _ => Entry::Missing,
        }
    };
    Ok(Subject {
        folder: path.to_owned(),
        definition: Ok(definition),
        values: find("values.yaml"),
        schema: find("values.schema.json"),
        templates: entry("templates"),
        crds: entry("crds"),
        chart,
    })
}
