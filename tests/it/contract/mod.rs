//! The contract of a Kubernetes API: the same requests, with the same answers, on the real API
//! server and on `leadsman sim`, so that the simulator cannot drift.
//!
//! A subject is a file of rows (`*.yaml`), played in order in a namespace of its own. What is
//! expected was answered by the real API server (`tests/golden/contract/`, written by
//! `LEADSMAN_RECORD=1` on that side only) and is compared whole: code, warnings, body. What differs
//! by nature is named instead: see [`plain`].

mod plain;
mod play;
mod row;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use self::play::Player;
use self::row::Row;
use crate::support::api::Api;
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::Leadsman;
use crate::support::root;
use crate::support::wait::SOON;

/// Which API is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Real,
    Simulated,
}

macro_rules! subjects {
    ($($name:ident),* $(,)?) => {
        const SUBJECTS: &[&str] = &[$(stringify!($name)),*];

        mod on_the_real_api_server {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::on_the_real_one(stringify!($name)).await;
            })*
        }

        mod in_the_simulated_cluster {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::on_the_simulated_one(stringify!($name)).await;
            })*
        }
    };
}

subjects!(
    access,
    apply,
    create,
    custom,
    delete,
    library,
    limits,
    list,
    namespace,
    patch,
    quota,
    rules,
    scopes,
    update,
    validation,
    watch,
    workload_deployment,
    workload_job,
    workload_set,
);

async fn on_the_real_one(subject: &str) {
    let Some(cluster) = ControlPlane::shared() else { return };
    check(subject, cluster.api().await, Side::Real).await;
}

async fn on_the_simulated_one(subject: &str) {
    let server = Leadsman::new();
    let running = server.spawn(&["sim", "--rbac", "--kubeconfig-out", "kubeconfig"]);
    running.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    let api = Api::connect(&server.folder().join("kubeconfig")).await;
    check(subject, api, Side::Simulated).await;
}

fn golden(subject: &str) -> PathBuf {
    root().join(format!("tests/golden/contract/{subject}.yaml"))
}

fn rows(subject: &str) -> Vec<Row> {
    let path = root().join(format!("tests/it/contract/{subject}.yaml"));
    let text = std::fs::read_to_string(&path).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Plays a subject and compares each answer; all rows that differ are reported at once.
async fn check(subject: &str, api: Api, side: Side) {
    let record = side == Side::Real && std::env::var_os("LEADSMAN_RECORD").is_some();
    let expected: BTreeMap<String, Value> = match std::fs::read_to_string(golden(subject)) {
        Ok(text) => serde_yaml::from_str(&text).unwrap(),
        Err(_) => BTreeMap::new(),
    };
    let mut player = Player::new(api, subject).await;
    let (mut seen, mut wrong) = (BTreeMap::new(), Vec::new());
    for row in rows(subject) {
        if side == Side::Simulated && row.real_only.is_some() {
            continue;
        }
        let answer = match player.play(&row).await {
            Ok(answer) => answer,
            Err(why) => {
                wrong.push(format!("{}: {why}", row.row));
                continue;
            }
        };
        // Recorded answers are plain; this brings what has no order into the same order.
        let want = plain::plain(expected.get(&row.row).unwrap_or(&Value::Null), "{ns}");
        let mut differences = Vec::new();
        plain::differences("", &want, &answer, &mut differences);
        if !record && !differences.is_empty() {
            wrong.push(format!("{}:\n    {}", row.row, differences.join("\n    ")));
        }
        assert!(seen.insert(row.row.clone(), answer).is_none(), "two rows `{}`", row.row);
    }
    if record {
        std::fs::write(golden(subject), serde_yaml::to_string(&seen).unwrap()).unwrap();
    }
    assert!(wrong.is_empty(), "{} rows differ:\n  {}", wrong.len(), wrong.join("\n  "));
}

#[test]
fn every_file_of_rows_is_played_and_nothing_else_is_expected() {
    let folder = root().join("tests/it/contract");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = names
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, SUBJECTS);
    for subject in SUBJECTS {
        let text = std::fs::read_to_string(golden(subject)).unwrap();
        let expected: BTreeMap<String, Value> = serde_yaml::from_str(&text).unwrap();
        let mut rows: Vec<_> = rows(subject).into_iter().map(|row| row.row).collect();
        rows.sort();
        assert_eq!(rows, expected.into_keys().collect::<Vec<_>>(), "{subject}");
    }
}
