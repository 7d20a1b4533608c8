//! `--rollback-on-failure`: what a failed install or upgrade left is taken back.
//!
//! Source: helm v4.3.2 pkg/action (install.go `failRelease`, upgrade.go `failRelease`).

use std::time::Duration;

use super::site::Site;
use crate::base::class::chain;
use crate::cluster::Propagation;
use crate::release::{self, Error, Method, Options, Rollback, Uninstall};

/// How it is taken back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Undo {
    pub(super) timeout: Duration,
    pub(super) wait_for_jobs: bool,
    pub(super) hooks: bool,
}

impl Undo {
    /// Removes what a failed installation left; returns what Helm says.
    pub(super) async fn install(self, site: &Site, name: &str, error: Error) -> anyhow::Error {
        let why = chain(&error);
        let last = match site.last(name).await {
            Ok(Some(last)) => last,
            Ok(None) => return error.into(),
            Err(lost) => return failed_twice(&why, &format!("{lost:#}")),
        };
        let uninstall = Uninstall {
            last,
            timeout: self.timeout,
            wait: true,
            hooks: self.hooks,
            keep_history: false,
            propagation: Propagation::Background,
            options: Options::default(),
        };
        match release::uninstall(&site.env(), uninstall).await.result {
            Ok(()) => anyhow::Error::new(error).context(format!(
                "release {name} failed, and has been uninstalled due to rollback-on-failure being set: {why}"
            )),
            Err(more) => failed_twice(&why, &chain(&more)),
        }
    }

    /// Brings back the newest revision that worked; returns what Helm says. What there is to say
    /// below the error is kept. The method of that revision gives `options`.
    pub(super) async fn upgrade(
        self,
        site: &Site,
        name: &str,
        error: Error,
        options: &(dyn Fn(Method) -> anyhow::Result<Options> + Sync),
    ) -> anyhow::Error {
        let why = chain(&error);
        let text = match self.roll_back(site, name, options).await {
            Ok(true) => format!(
                "release {name} failed, and has been rolled back due to rollback-on-failure being set: {why}"
            ),
            Ok(false) => format!(
                "unable to find a previously successful release when attempting to rollback. original upgrade error: {why}"
            ),
            Err(more) => format!(
                "an error occurred while rolling back the release. original upgrade error: {why}: {}",
                chain(&more)
            ),
        };
        anyhow::Error::new(error).context(text)
    }

    async fn roll_back(
        self,
        site: &Site,
        name: &str,
        options: &(dyn Fn(Method) -> anyhow::Result<Options> + Sync),
    ) -> Result<bool, Error> {
        let heads = site.storage.heads(name).await?;
        let worked = |status: &str| matches!(status, "superseded" | "deployed");
        let Some(head) = heads.iter().find(|head| worked(&head.status)) else { return Ok(false) };
        let target = site.storage.get(name, head.version).await?;
        let last = site.storage.last(name).await?;
        let Some((target, (_, last))) = target.zip(last) else { return Ok(false) };
        let options = options(Method::of(&target.apply_method));
        let rollback = Rollback {
            target,
            last,
            timeout: self.timeout,
            wait: true,
            wait_for_jobs: self.wait_for_jobs,
            hooks: self.hooks,
            cleanup_on_fail: false,
            max_history: 0,
            options: options.map_err(|error| Error::Refused(format!("{error:#}")))?,
        };
        release::rollback(&site.env(), rollback).await.result.map(|()| true)
    }
}

fn failed_twice(first: &str, second: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "an error occurred while uninstalling the release. original install error: {first}: {second}"
    )
}
