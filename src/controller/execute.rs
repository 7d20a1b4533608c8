//! Act: runs one step, and writes down what storage confirmed.
//!
//! Source: fluxcd/helm-controller internal/reconcile (install.go, upgrade.go, rollback.go, …).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::conflict::{Left, told};
use super::context::Context;
use super::history;
use super::manner::{of_install, of_mode, options, rules};
use super::next::Step;
use super::notice::{Severity, Subject};
use super::prerequisite::Prerequisites;
use super::site::Site;
use super::suite::{self, Tests};
use super::summary::{Told, Verdict, summarize, verdict};
use super::target::Target;
use super::{postrender, progress};
use crate::api::condition::{
    ConditionList, Conditions, READY, RECONCILING, REMEDIATED, TEST_SUCCESS, Truth,
};
use crate::api::{Action, CrdPolicy, HelmRelease, HelmReleaseStatus, Snapshot};
use crate::base::class::chain;
use crate::base::duration::GoDuration;
use crate::chart::{self, Chart};
use crate::cluster::Propagation;
use crate::cluster::wait::Progress;
use crate::policy::Evidence;
use crate::release::{
    self, ClusterLookup, Crds, Deploy, Env, Head, Kind, Method, Options, Origin, Outcome,
    PostRendering, Record, RenderRequest, RenderedRelease, Rollback, Storage, Suite, Uninstall,
};
use crate::template::ReleaseInfo;
use crate::yaml::Map;

/// A reconciliation that is under way.
pub(super) struct Work<'a> {
    pub(super) context: &'a Context,
    /// Where the release is installed.
    pub(super) site: &'a Site,
    pub(super) release: &'a HelmRelease,
    pub(super) target: &'a Target,
    pub(super) subject: &'a Subject,
    pub(super) storage: Storage,
    pub(super) status: HelmReleaseStatus,
    /// The newest revision when it was decided what to do; 0: none.
    pub(super) seen: u32,
    /// The newest revision of which the object's status told when it was read, or written by this
    /// reconciliation.
    pub(super) told: Option<u32>,
}

/// Longest wait of one request for an API server that went away in the middle of a step.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How a step went.
#[derive(Debug)]
pub(super) struct Done {
    /// Why it failed, if it did.
    pub(super) error: Option<release::Error>,
    /// Whether anything was stored.
    pub(super) persisted: bool,
    /// Objects that were not ready.
    pub(super) evidence: Vec<Evidence>,
    /// Somebody else acted on the release after it was looked at: nothing was done.
    pub(super) overtaken: bool,
}

impl Work<'_> {
    /// Edits the conditions.
    pub(super) fn conditions<T>(&mut self, edit: impl FnOnce(&mut Conditions<'_>) -> T) -> T {
        let mut list: ConditionList = std::mem::take(&mut self.status.conditions);
        let generation = self.release.metadata.generation;
        let result = edit(&mut Conditions::new(&mut list, generation, self.context.clock.now()));
        self.status.conditions = list;
        result
    }

    /// Runs a step and notes how it went; `holder` is named by pending records.
    pub(super) async fn run(&mut self, step: Step, needs: &Prerequisites, holder: &str) -> Done {
        let (context, release) = (self.context, self.release);
        let (say, heard) = watch::channel(String::new());
        let acted = async {
            let outcome = self.act(step, needs, (holder, &say)).await;
            // Nothing is to be written about its progress any more.
            drop(say);
            outcome
        };
        let (outcome, ()) = tokio::join!(acted, progress::write(context, release, heard));
        if outcome.written.is_empty() && outcome.result.is_err() && self.is_overtaken().await {
            return Done { error: None, persisted: false, evidence: vec![], overtaken: true };
        }
        self.note(step, needs, outcome).await
    }

    /// Returns whether somebody else wrote a revision since this was decided.
    async fn is_overtaken(&self) -> bool {
        let heads = self.storage.heads(&self.target.name).await;
        heads.is_ok_and(|heads| heads.first().map_or(0, |head| head.version) != self.seen)
    }

    async fn act(
        &mut self,
        step: Step,
        needs: &Prerequisites,
        (holder, say): (&str, &watch::Sender<String>),
    ) -> Outcome {
        let subject = self.subject.clone();
        let recorder = &self.context.recorder;
        let progress = move |progress: &Progress| {
            recorder.progress(&subject, "Waiting", progress::line(progress));
            if let Some(text) = progress::cause(progress) {
                say.send_if_modified(|said| std::mem::replace(said, text.clone()) != text);
            }
        };
        let (rules, amiss) = rules(self.release);
        if let Some(text) = amiss {
            let none = BTreeMap::new();
            let severity = Severity::Warning;
            recorder.record(self.subject, severity, "InvalidAnnotation", text, &none).await;
        }
        let left = Left::default();
        let patience = step.timeout(&self.release.spec).0.min(PATIENCE);
        let cluster = self.site.cluster.patient(patience);
        let env = Env {
            storage: Storage::new(&cluster, &self.target.storage_namespace),
            cluster,
            clock: Arc::clone(&self.context.clock),
            holder,
            rules,
            progress: &progress,
            output: &progress::said,
            left: &|object, conflicts| left.hear(object, conflicts),
        };
        let began = tokio::time::Instant::now();
        let outcome = match step {
            Step::Install | Step::Upgrade => self.deploy(&env, step, needs).await,
            Step::Rollback { to } => self.rollback(&env, to).await,
            Step::UninstallRemediation | Step::FinishUninstall => self.uninstall(&env).await,
            Step::Test => self.test(&env).await,
            Step::Unlock => self.unlock(&env).await,
        };
        if matches!(step, Step::Install | Step::Upgrade) {
            step.name().clone_into(&mut self.status.last_attempted_release_action);
            self.status.last_attempted_release_action_duration =
                GoDuration(began.elapsed()).to_string();
        }
        left.tell(self).await;
        outcome
    }

    async fn deploy(&mut self, env: &Env<'_>, step: Step, needs: &Prerequisites) -> Outcome {
        match self.rendered(env, step, needs).await {
            Ok(deploy) => release::deploy(env, deploy).await,
            Err(error) => Outcome { written: Vec::new(), result: Err(error) },
        }
    }

    async fn rendered(
        &mut self,
        env: &Env<'_>,
        step: Step,
        needs: &Prerequisites,
    ) -> Result<Deploy, release::Error> {
        let spec = &self.release.spec;
        let install = step == Step::Install;
        let (kind, after, before) = self.kind(install).await?;
        let replaced = match install && after > 0 {
            true => self.storage.get(&self.target.name, after).await?.map(Box::new),
            false => None,
        };
        let (i, u) = (&spec.install, &spec.upgrade);
        let options = match install {
            true => options(self.release, of_install(i.server_side_apply), false),
            false => options(self.release, of_mode(u.server_side_apply).or(before), u.force),
        }?;
        let options = Options { replaced, ..options };
        let origin = Origin::of(self.release);
        let crds = if install { spec.install.crds } else { spec.upgrade.crds };
        let (chart, values) = match &kind {
            Kind::Upgrade { current, .. } if u.preserve_values => {
                let (chart, values) =
                    current.reuse_values(&needs.pulled.chart, needs.values.clone())?;
                (Arc::new(chart), values)
            }
            _ => (Arc::clone(&needs.pulled.chart), needs.values.clone()),
        };
        let (processed, _) = chart::process_dependencies(&chart, &values)?;
        let policy = crds.unwrap_or(CrdPolicy::Create);
        let crds = Crds {
            policy,
            method: options.method,
            rules: &options.conflicts,
            namespace: &self.target.namespace,
            origin: Some(&origin),
        };
        release::install_crds(env, &processed, crds).await?;
        // Helm renders every first revision as number one, also after a record that was kept.
        let revision = if install { 1 } else { after + 1 };
        let rendered = self.render(env, (install, revision), (&chart, &values)).await?;
        let pick = |a: bool, b: bool| if install { a } else { b };
        Ok(Deploy {
            kind,
            name: self.target.name.clone(),
            namespace: self.target.namespace.clone(),
            rendered,
            config: values,
            timeout: step.timeout(spec).0,
            wait: !pick(i.disable_wait, u.disable_wait),
            wait_for_jobs: !pick(i.disable_wait_for_jobs, u.disable_wait_for_jobs),
            hooks: !pick(i.disable_hooks, u.disable_hooks),
            take_ownership: !pick(i.disable_take_ownership, u.disable_take_ownership),
            create_namespace: install && i.create_namespace && !spec.target_namespace.is_empty(),
            cleanup_on_fail: !install && u.cleanup_on_fail,
            max_history: spec.kept_revisions(),
            options,
        })
    }

    /// Returns what is replaced, the newest revision so far (0: none), and who computed its
    /// changes.
    async fn kind(&mut self, install: bool) -> Result<(Kind, u32, Method), release::Error> {
        let name = &self.target.name;
        let heads = self.storage.heads(name).await?;
        let after = heads.first().map_or(0, |head| head.version);
        self.check_newest(after)?;
        self.conditions(|conditions| {
            conditions.delete(REMEDIATED);
            conditions.delete(TEST_SUCCESS);
        });
        if install {
            self.status.history.clear();
            if let Some(head) = heads.first() {
                release::check_name(&head.status, self.release.spec.install.replace)?;
            }
            return Ok((Kind::Install { after }, after, Method::Server));
        }
        let Some(head) = Head::current(&heads) else {
            let text = format!("\"{name}\" has no deployed releases");
            return Err(release::Error::Refused(text));
        };
        // Of its chart nothing is needed, unless its values are kept.
        let current = match self.release.spec.upgrade.preserve_values {
            true => self.storage.get(name, head.version).await?,
            false => self.storage.outline(name, head.version).await?,
        };
        let current = current.unwrap_or_default();
        let method = match head.version == after {
            true => Method::of(&current.apply_method),
            false => {
                let last = self.storage.summary(name, after).await?.unwrap_or_default();
                Method::of(&last.apply_method)
            }
        };
        Ok((Kind::Upgrade { current: Box::new(current), after }, after, method))
    }

    /// What was decided counts only for the revision that was looked at.
    fn check_newest(&self, newest: u32) -> Result<(), release::Error> {
        if newest == self.seen {
            return Ok(());
        }
        let text = format!("revision {newest} was written meanwhile");
        Err(release::Error::Refused(text))
    }

    async fn render(
        &self,
        env: &Env<'_>,
        (install, revision): (bool, u32),
        (chart, values): (&Arc<Chart>, &Map),
    ) -> Result<RenderedRelease, release::Error> {
        let spec = &self.release.spec;
        let capabilities = release::of_cluster(&env.cluster).await?;
        let lookup = ClusterLookup::new(env.cluster.clone());
        let (i, u) =
            (spec.install.disable_schema_validation, spec.upgrade.disable_schema_validation);
        let request = RenderRequest {
            chart,
            values,
            release: ReleaseInfo {
                name: self.target.name.clone(),
                namespace: self.target.namespace.clone(),
                revision,
                is_upgrade: !install,
            },
            capabilities: &capabilities,
            lookup: Some(&lookup),
            hosts: None,
            check_schema: !(if install { i } else { u }),
        };
        let post = PostRendering::of(self.release);
        let renderer = &self.context.renderer;
        let rendered = release::in_place(|| renderer.render_for(&request, &post));
        // Compiling takes milliseconds, and the next release of this chart may be weeks away.
        self.context.renderer.forget();
        // What the template says then is not the template's fault.
        match lookup.into_outage() {
            Some(error) => Err(error.into()),
            None => {
                if let Err(release::Error::Template(error)) = &rendered {
                    let key = self.release.metadata.key();
                    tracing::info!(release = %key, "a template failed\n{}", error.way());
                }
                rendered
            }
        }
    }

    async fn rollback(&mut self, env: &Env<'_>, to: u32) -> Outcome {
        let spec = &self.release.spec;
        let name = &self.target.name;
        let records = async {
            let target = self.storage.get(name, to).await?;
            let last = self.storage.last(name).await?.map(|(_, record)| record);
            self.check_newest(last.as_ref().map_or(0, |last| last.version))?;
            let Some((target, last)) = target.zip(last) else { return Ok(None) };
            let method = of_mode(spec.rollback.server_side_apply);
            let method = method.or(Method::of(&target.apply_method));
            let options = options(self.release, method, spec.rollback.force)?;
            Ok::<_, release::Error>(Some((target, last, options)))
        };
        match records.await {
            Ok(Some((target, last, options))) => {
                let rollback = Rollback {
                    target,
                    last,
                    timeout: Step::Rollback { to }.timeout(spec).0,
                    wait: !spec.rollback.disable_wait,
                    wait_for_jobs: !spec.rollback.disable_wait_for_jobs,
                    hooks: !spec.rollback.disable_hooks,
                    cleanup_on_fail: spec.rollback.cleanup_on_fail,
                    max_history: spec.kept_revisions(),
                    options,
                };
                release::rollback(env, rollback).await
            }
            Ok(None) => {
                let error = release::Error::Refused(format!("release has no {to} version"));
                Outcome { written: Vec::new(), result: Err(error) }
            }
            Err(error) => Outcome { written: Vec::new(), result: Err(error) },
        }
    }

    pub(super) async fn uninstall(&mut self, env: &Env<'_>) -> Outcome {
        let spec = &self.release.spec.uninstall;
        match self.storage.last(&self.target.name).await {
            // It was before, and the object did not get away.
            Ok(Some((_, last))) if spec.keep_history && last.info.status == "uninstalled" => {
                Outcome { written: Vec::new(), result: Ok(()) }
            }
            Ok(Some((_, last))) => {
                let propagation = match spec.deletion_propagation.as_deref() {
                    Some("foreground") => Propagation::Foreground,
                    Some("orphan") => Propagation::Orphan,
                    _ => Propagation::Background,
                };
                let uninstall = Uninstall {
                    last,
                    timeout: self.release.spec.action_timeout(spec.timeout).0,
                    wait: !spec.disable_wait,
                    hooks: !spec.disable_hooks,
                    keep_history: spec.keep_history,
                    propagation,
                    options: release::Options::default(),
                };
                release::uninstall(env, uninstall).await
            }
            Ok(None) => Outcome { written: Vec::new(), result: Ok(()) },
            Err(error) => Outcome { written: Vec::new(), result: Err(error) },
        }
    }

    async fn test(&mut self, env: &Env<'_>) -> Outcome {
        let spec = &self.release.spec;
        match self.storage.last(&self.target.name).await {
            Ok(Some((head, last))) if head.version == self.seen => {
                let timeout = Step::Test.timeout(spec).0;
                let suite = Suite { last, timeout, filters: suite::filters(&spec.test) };
                release::test(env, suite).await.finish(env).await
            }
            Ok(_) => {
                let error = release::Error::Refused("no latest release".to_owned());
                Outcome { written: Vec::new(), result: Err(error) }
            }
            Err(error) => Outcome { written: Vec::new(), result: Err(error) },
        }
    }

    async fn unlock(&mut self, env: &Env<'_>) -> Outcome {
        match self.storage.last(&self.target.name).await {
            Ok(Some((head, record))) if record.is_pending() => {
                let outcome = release::unlock(env, record).await;
                if outcome.result.is_ok() {
                    let leases = &self.site.leases;
                    leases.bury(&self.target.storage_namespace, &head.holder).await;
                }
                outcome
            }
            Ok(_) => Outcome { written: Vec::new(), result: Ok(()) },
            Err(error) => Outcome { written: Vec::new(), result: Err(error) },
        }
    }

    /// Takes over what was stored, sets conditions, counts failures, sends the event.
    async fn note(&mut self, step: Step, needs: &Prerequisites, outcome: Outcome) -> Done {
        if let Err(error) = outcome.result.as_ref()
            && error.is_outage()
        {
            let persisted = !outcome.written.is_empty();
            self.interrupted(step, needs, error).await;
            let error = outcome.result.err();
            return Done { error, persisted, evidence: Vec::new(), overtaken: false };
        }
        let snapshots = self.snapshots(step, &outcome.written);
        let before = history::latest(&self.status.history).cloned();
        match step {
            Step::Install => history::record(&mut self.status.history, &snapshots, Action::Install),
            Step::Upgrade => history::record(&mut self.status.history, &snapshots, Action::Upgrade),
            Step::Rollback { .. } => {
                history::record(&mut self.status.history, &snapshots, Action::Rollback);
            }
            Step::UninstallRemediation | Step::FinishUninstall => {
                history::record(&mut self.status.history, &snapshots, Action::UninstallRemediation);
            }
            Step::Test => {
                let filters = suite::filters(&self.release.spec.test);
                let tested = outcome.written.last().map(|record| suite::hooks(record, &filters));
                history::record_tests(&mut self.status.history, &snapshots, tested);
            }
            Step::Unlock => history::record_unlock(&mut self.status.history, &snapshots),
        }
        if let Some(last) = outcome.written.iter().max_by_key(|record| record.version)
            && matches!(step, Step::Install | Step::Upgrade | Step::Rollback { .. })
            && let Ok((chart, _)) = chart::process_dependencies(&needs.pulled.chart, &needs.values)
            && let Ok(inventory) =
                release::inventory::of(&self.site.cluster, &last.manifest, &last.namespace, &chart)
                    .await
        {
            self.status.inventory = Some(inventory);
        }
        let tested = || history::latest(&self.status.history).is_some_and(history::is_tested);
        let persisted = !outcome.written.is_empty() && (step != Step::Test || tested());
        let evidence = evidence(&outcome);
        let error = outcome.result.err();
        self.conclude(step, needs, before.as_ref(), error.as_ref(), persisted).await;
        Done { error, persisted, evidence, overtaken: false }
    }

    /// The API server went away in the middle: that is no failure of the release. What was
    /// stored is found, and the step taken up, once it answers again.
    async fn interrupted(&mut self, step: Step, needs: &Prerequisites, error: &release::Error) {
        let metadata = &needs.pulled.chart.metadata;
        let text = format!(
            "Helm {} of release {}/{} with chart {}@{} was interrupted: {}; it is tried again when the cluster answers",
            step.name(),
            self.target.namespace,
            self.target.full_name,
            metadata.name,
            metadata.version,
            chain(error),
        );
        self.conditions(|conditions| {
            conditions.set(RECONCILING, Truth::True, "ProgressingWithRetry", &text);
            conditions.set(READY, Truth::Unknown, "Interrupted", &text);
        });
        let recorder = &self.context.recorder;
        recorder
            .record(self.subject, Severity::Warning, "Interrupted", text, &Default::default())
            .await;
    }

    async fn conclude(
        &mut self,
        step: Step,
        needs: &Prerequisites,
        before: Option<&Snapshot>,
        error: Option<&release::Error>,
        persisted: bool,
    ) {
        let metadata = &needs.pulled.chart.metadata;
        let said = error.map(told);
        let Verdict { kind, word, text } = verdict(&Told {
            step,
            release: &format!("{}/{}", self.target.namespace, self.target.full_name),
            chart: &format!("{}@{}", metadata.name, metadata.version),
            before,
            history: &self.status.history,
            error: said.as_deref(),
        });
        let ok = error.is_none();
        if !ok {
            self.status.failures += 1;
            match step {
                Step::Install if persisted => self.status.install_failures += 1,
                Step::Upgrade if persisted => self.status.upgrade_failures += 1,
                Step::Test if persisted => self.count_failed_test(),
                _ => {}
            }
        }
        let truth = if ok && step != Step::Unlock { Truth::True } else { Truth::False };
        let test = &self.release.spec.test;
        let latest = history::latest(&self.status.history).cloned().unwrap_or_default();
        self.conditions(|conditions| {
            conditions.set(kind, truth, word, &text);
            if ok && matches!(step, Step::Install | Step::Upgrade) {
                suite::await_tests(conditions, test, &latest);
            }
            // After an uninstall that undoes an install, `Ready` goes on to tell why.
            if !matches!(step, Step::UninstallRemediation | Step::FinishUninstall) {
                summarize(conditions, test);
            }
        });
        // An upgrade of which nothing was stored leaves what runs as it was.
        let acted = ok || persisted || step == Step::Install;
        if acted && !matches!(step, Step::UninstallRemediation | Step::FinishUninstall) {
            postrender::note(&self.release.spec, &mut self.status);
        }
        let severity = if ok { Severity::Normal } else { Severity::Warning };
        let mut annotations = BTreeMap::from([
            ("helm.toolkit.fluxcd.io/revision".to_owned(), metadata.version.clone()),
            ("helm.toolkit.fluxcd.io/app-version".to_owned(), metadata.app_version.clone()),
            ("helm.toolkit.fluxcd.io/token".to_owned(), needs.config_digest.clone()),
        ]);
        let oci = &self.status.last_attempted_revision_digest;
        let oci = Some(("helm.toolkit.fluxcd.io/oci-digest".to_owned(), oci.clone()));
        annotations.extend(oci.filter(|(_, digest)| !digest.is_empty()));
        self.context.recorder.record(self.subject, severity, word, text, &annotations).await;
    }

    /// Returns the history entries of what was stored: a new revision has the digest that was
    /// attempted or returned to, another the one that is known of it.
    fn snapshots(&self, step: Step, written: &[Record]) -> Vec<Snapshot> {
        let history = &self.status.history;
        let newest = written.iter().map(|record| record.version).max();
        let returned = |to: u32| {
            let target = history.iter().find(|entry| entry.version == to);
            target.map_or("", |entry| entry.oci_digest.as_str())
        };
        let of = |record: &Record| {
            let oci = match step {
                Step::Install | Step::Upgrade if Some(record.version) == newest => {
                    &self.status.last_attempted_revision_digest
                }
                Step::Rollback { to } if Some(record.version) == newest => returned(to),
                _ => history::oci_digest(history, record),
            };
            history::snapshot(record, oci)
        };
        written.iter().map(of).collect()
    }
}

impl Work<'_> {
    /// A failed test counts as a failure of the action that it tested.
    fn count_failed_test(&mut self) {
        let status = &mut self.status;
        if Tests::of(&self.release.spec, status) != Tests::Counted {
            return;
        }
        match status.last_attempted_release_action.as_str() {
            "install" => status.install_failures += 1,
            _ => status.upgrade_failures += 1,
        }
    }
}

fn evidence(outcome: &Outcome) -> Vec<Evidence> {
    let failed = outcome.result.as_ref().err();
    let unready = failed.map(release::Error::unready).unwrap_or_default();
    unready
        .iter()
        .map(|unready| Evidence {
            object: unready.id.to_string(),
            status: unready.status.status.to_string(),
            condition: unready.status.message.clone(),
            cause: unready.cause.as_ref().map(ToString::to_string).unwrap_or_default(),
        })
        .collect()
}
