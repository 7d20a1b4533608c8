//! `leadsman test`.
//!
//! Source: helm v4.3.2 pkg/cmd/release_testing.go.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args as ClapArgs;

use super::args::{Connection, Output, duration};
use super::release_args::NoCharts;
use super::report::{self, Parts};
use super::site::Site;
use super::ui;
use crate::base::class::chain;
use crate::cluster::wait::{Unready, WaitError};
use crate::release::{self, Filters, Suite};

#[derive(Debug, ClapArgs)]
pub(super) struct Test {
    /// Name of the release or HelmRelease.
    pub(super) release: String,
    /// Longest wait for each test.
    #[arg(long, value_parser = duration, default_value = "5m", value_name = "DURATION")]
    pub(super) timeout: Duration,
    /// Print what the Pods among the tests said.
    #[arg(long)]
    pub(super) logs: bool,
    /// Tests that run (`name=a`), or do not (`!name=a`), separated by commas (repeatable).
    #[arg(long, value_delimiter = ',', value_name = "[!]name=TEST")]
    pub(super) filter: Vec<String>,
    #[command(flatten)]
    pub(super) no_charts: NoCharts,
}

pub(super) async fn run(
    args: Test,
    connection: &Connection,
    details: ui::Details,
) -> anyhow::Result<ExitCode> {
    let filters = filters(&args.filter);
    let (site, name) = Site::find(connection, &args.release).await?;
    let Some(last) = site.last(&name).await? else { bail!("release: not found") };
    let suite = Suite { last, timeout: args.timeout, filters: filters.clone() };
    let env = site.env();
    let tested = release::test(&env, suite).await;
    let parts = Parts { debug: details.debug, hide_notes: true, ..Parts::default() };
    report::show(Output::Table, &tested.record, parts)?;
    let mut wrong = Vec::new();
    if args.logs {
        let (log, unread) = tested.logs(&site.cluster, &filters).await;
        ui::print(&format!("\n{log}"));
        wrong = unread;
    }
    if let Err(error) = tested.finish(&env).await.result {
        wrong.insert(0, told(&error));
    }
    if !wrong.is_empty() {
        bail!(wrong.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads filters; what is none counts for nothing, as with Helm.
fn filters(texts: &[String]) -> Filters {
    let mut filters = Filters::default();
    for text in texts {
        if let Some(name) = text.strip_prefix("name=") {
            filters.only.push(name.to_owned());
        } else if let Some(rest) = text.strip_prefix('!') {
            let rest = rest.strip_prefix([' ', '\t', '\n', '\r', '\x0c']).unwrap_or(rest);
            filters.not.extend(rest.strip_prefix("name=").map(str::to_owned));
        }
    }
    filters
}

/// Returns what went wrong in Helm's words: a line for each object that is not ready.
fn told(error: &release::Error) -> String {
    let line = |unready: &Unready| {
        let (id, status) = (&unready.id, &unready.status);
        format!(
            "resource {}/{}/{} not ready. status: {}, message: {}",
            id.kind, id.namespace, id.name, status.status, status.message
        )
    };
    let mut lines: Vec<String> = error.unready().iter().map(line).collect();
    match error {
        release::Error::Wait(WaitError::Failed { .. }) => {}
        release::Error::Wait(WaitError::Timeout { .. }) => {
            lines.push("context deadline exceeded".to_owned());
        }
        other => return chain(other),
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ObjectId;
    use crate::cluster::status::{ObjectStatus, Status};

    #[test]
    fn filters_are_read_as_by_helm() {
        let rows = [
            ("name=a,name=b", "a b", ""),
            ("!name=a,! name=b", "", "a b"),
            ("name=a,!name=a", "a", "a"),
            ("x=a,a,!x,!  name=a, name=b", "", ""),
        ];
        for (text, only, not) in rows {
            let texts: Vec<_> = text.split(',').map(str::to_owned).collect();
            let read = filters(&texts);
            assert_eq!(
                (read.only.join(" "), read.not.join(" ")),
                (only.into(), not.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn failures_are_told_in_helm_s_words() {
        let id = ObjectId::new("v1", "Pod", "n", "p");
        let message = "pod p failed".to_owned();
        let status = ObjectStatus { status: Status::Failed, reason: String::new(), message };
        let unready = vec![Unready { id, status, cause: None }];
        let line = "resource Pod/n/p not ready. status: Failed, message: pod p failed";
        let failed = WaitError::Failed { unready: unready.clone() };
        assert_eq!(told(&failed.into()), line);
        let timeout = WaitError::Timeout { unready };
        assert_eq!(told(&timeout.into()), format!("{line}\ncontext deadline exceeded"));
    }
}
