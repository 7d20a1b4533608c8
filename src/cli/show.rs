//! `leadsman show`: the parts of a chart, as `helm show` prints them.

use std::process::ExitCode;

use anyhow::bail;

use super::args::{Show, ShowPart};
use super::{chart as named, ui};
use crate::chart::{self, Chart, File};
use crate::jsonpath::Template;
use crate::yaml::{self, Value};

/// What a readme may be called, in any case.
const README: &[&str] = &["readme.md", "readme.txt", "readme"];

pub(super) async fn run(args: Show) -> anyhow::Result<ExitCode> {
    if args.part != ShowPart::Values && !args.jsonpath.is_empty() {
        bail!("unknown flag: --jsonpath (`show values` has it)");
    }
    let loaded = named::load(&args.chart, &args.from, |bytes| chart::load_archive(&bytes)).await;
    // Here Helm does not look for the version first.
    let chart = loaded.map_err(|error| match error.downcast::<chart::Error>() {
        Ok(chart::Error::NoVersion | chart::Error::NotAChart { .. }) => {
            chart::Error::NoMetadata.into()
        }
        Ok(error) => error.into(),
        Err(error) => error,
    })?;
    let text = match args.jsonpath.as_str() {
        "" => text(&chart, args.part)?,
        template => found(&chart, template)?,
    };
    ui::print_bytes(&text);
    Ok(ExitCode::SUCCESS)
}

/// Returns what a template finds in the values. Where it finds nothing, Helm prints nothing and is
/// content; the reason goes to the log.
fn found(chart: &Chart, template: &str) -> anyhow::Result<Vec<u8>> {
    if chart.values_text.is_none() {
        return Ok(Vec::new());
    }
    let parsed = Template::parse(template)
        .map_err(|error| anyhow::anyhow!("error parsing jsonpath {template}: {error}"))?;
    let values = Value::Object((*chart.values).clone());
    Ok(parsed.render(&values).unwrap_or_else(|error| {
        tracing::warn!("nothing is printed for --jsonpath {template}: {error}");
        Vec::new()
    }))
}

/// Source: helm v4.3.1 pkg/action/show.go (`Show.Run`).
fn text(chart: &Chart, part: ShowPart) -> anyhow::Result<Vec<u8>> {
    let wants = |one| part == one || part == ShowPart::All;
    let mark = if part == ShowPart::All { "---\n" } else { "" };
    let mut out = Vec::new();
    if wants(ShowPart::Chart) {
        push(&mut out, "", yaml::print(&serde_json::to_value(&chart.metadata)?)?.as_bytes());
    }
    if wants(ShowPart::Values)
        && let Some(values) = &chart.values_text
    {
        push(&mut out, mark, values);
    }
    if wants(ShowPart::Readme)
        && let Some(readme) = chart.files.iter().find(|file| is_readme(file))
    {
        push(&mut out, mark, &readme.data);
    }
    if wants(ShowPart::Crds) {
        for (_, crd) in chart::crds(chart) {
            let mark = if crd.data.starts_with(b"---") { "" } else { "---\n" };
            push(&mut out, mark, &crd.data);
        }
    }
    Ok(out)
}

fn is_readme(file: &File) -> bool {
    README.iter().any(|name| file.name.eq_ignore_ascii_case(name))
}

fn push(out: &mut Vec<u8>, mark: &str, data: &[u8]) {
    out.extend_from_slice(mark.as_bytes());
    out.extend_from_slice(data);
    out.push(b'\n');
}
