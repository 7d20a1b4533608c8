//! Commands: they turn arguments into calls and results into text.
//!
//! Invariants: the only reader of the environment and writer to stdout; results go to stdout,
//! everything else to stderr; exit codes are 0 done, 1 failed, 2 usage, 130 interrupted.

mod args;
mod chart;
mod chart_args;
mod connect;
mod demo;
mod dependency;
mod deploy;
mod diagnose;
mod edit;
mod explain;
mod files;
mod get;
mod history;
mod home;
mod inspect;
mod install;
mod lint;
mod list;
mod name;
mod namespace;
mod outdated;
mod package;
mod plan;
mod plugin;
mod provenance;
mod pull;
mod refresh;
mod registry;
mod release_args;
mod repo;
mod repo_index;
mod report;
mod resources;
mod rollback;
mod run;
mod search;
mod shaped;
mod show;
mod sign;
mod site;
mod storage;
mod target;
mod template;
mod template_args;
mod test;
mod ui;
mod undo;
mod uninstall;
mod upgrade;
mod values;
mod verify;

use std::process::ExitCode;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use args::{Args, Command, Common};

use crate::base::limit::{self, Limits};

/// Runs the command line and returns its exit code.
pub fn main() -> ExitCode {
    let Args { common, command } = Args::read();
    start_log(common.verbose);
    match limits(&common.limits) {
        Ok(limits) => limit::install(limits),
        Err(error) => {
            ui::say(&format!("Error: LEADSMAN_LIMITS: {error}"));
            return ExitCode::from(2);
        }
    }
    if let Some(path) = &common.helm.registry_config {
        home::install_registry_config(path.clone());
    }
    let mut runtime = match &command {
        // Starting threads that have nothing to do takes longer than much of what it does.
        Command::Template(args) if !args.asks_cluster() => {
            tokio::runtime::Builder::new_current_thread()
        }
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.worker_threads(2).enable_all().build();
    let result = runtime.map_err(Into::into).and_then(|runtime| {
        let result = runtime.block_on(dispatch(common, command));
        // A watch that hangs must not keep the process.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            ui::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// The bounds of the environment, changed by those of the command line.
fn limits(given: &[String]) -> Result<Limits, String> {
    let mut limits = Limits::default();
    let environment = crate::base::file::env_var("LEADSMAN_LIMITS").unwrap_or_default();
    let of_environment = environment.split(',').filter(|text| !text.trim().is_empty());
    for text in of_environment.chain(given.iter().map(String::as_str)) {
        limits.set(text.trim())?;
    }
    Ok(limits)
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "leadsman=warn",
        1 => "leadsman=info",
        _ => "leadsman=debug",
    };
    let filter = crate::base::file::env_var("LEADSMAN_LOG").unwrap_or_else(|| level.to_owned());
    // A text that says nothing is as good as none.
    let filter: Targets = filter.parse().or_else(|_| level.parse()).unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

async fn dispatch(common: Common, command: Command) -> anyhow::Result<ExitCode> {
    let Common { connection, debug, verbose, .. } = common;
    let details = ui::Details { debug };
    let verbose = verbose > 0;
    match command {
        Command::Template(args) => template::run(*args, &connection, details).await,
        Command::Show(show) => show::run(show).await,
        Command::Lint(lint) => lint::run(&lint, &namespace::of(&connection), details),
        Command::Explain(args) => explain::run(*args, &connection, verbose).await,
        Command::Run(run) => run::run(run, &connection).await,
        Command::Demo => demo::demo().await,
        Command::Sim(sim) => run::sim(sim).await,
        Command::List(list) => list::run(*list, &connection).await,
        Command::History(history) => history::run(history, &connection).await,
        Command::Status(status) => inspect::status(status, &connection).await,
        Command::Why(why) => inspect::why(why, &connection).await,
        Command::Outdated(outdated) => outdated::run(*outdated, &connection).await,
        Command::Get(get) => get::run(get, &connection).await,
        Command::Pin(pin) => edit::pin(pin, &connection).await,
        Command::Unpin(unpin) => edit::unpin(unpin, &connection).await,
        Command::Hold(hold) => edit::hold(hold, &connection).await,
        Command::Unhold(unhold) => edit::unhold(unhold, &connection).await,
        Command::Suspend(one) => edit::suspend(one, true, &connection).await,
        Command::Resume(one) => edit::suspend(one, false, &connection).await,
        Command::Reconcile(reconcile) => edit::reconcile(reconcile, &connection).await,
        Command::Plan(args) => plan::plan(*args, &connection).await,
        Command::Apply(args) => plan::apply(args, &connection, details).await,
        Command::Diff(args) => plan::diff(*args, &connection).await,
        Command::Install(install) => install::run(*install, &connection, details).await,
        Command::Upgrade(upgrade) => upgrade::run(*upgrade, &connection, details).await,
        Command::Rollback(rollback) => rollback::run(*rollback, &connection).await,
        Command::Test(test) => test::run(test, &connection, details).await,
        Command::Uninstall(uninstall) => uninstall::run(*uninstall, &connection).await,
        Command::Repo(repo) => repo::run(repo).await,
        Command::Dependency(args) => dependency::run(args).await,
        Command::Package(package) => package::run(package).await,
        Command::Pull(pull) => pull::run(pull).await,
        Command::Push(push) => registry::push(push).await,
        Command::Registry(args) => registry::run(args).await,
        Command::Search(args) => search::run(&args).await,
        Command::Verify(args) => verify::run(&args),
    }
}
