//! Uninstall.
//!
//! Source: helm v4.3.1 pkg/action/uninstall.go.

use std::time::Duration;

use futures::future::join_all;

use super::action::{Env, Outcome, supersede};
use super::apply::Owner;
use super::manifest::{UNINSTALL_ORDER, sort_by_kind};
use super::record::Record;
use super::{Error, Method, Options, apply, hook};
use crate::base::clock::rfc3339_nano;
use crate::cluster::wait::wait_deleted;
use crate::cluster::{self, Cluster, Object, ObjectId, Propagation};

/// Objects that are asked about at the same time.
const AT_ONCE: usize = 8;

/// An uninstall.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "Helm's options, as they are")]
pub struct Uninstall {
    /// The newest revision.
    pub last: Record,
    /// Limit of each wait.
    pub timeout: Duration,
    /// Whether it waits until the objects are gone.
    pub wait: bool,
    /// Whether hooks run.
    pub hooks: bool,
    /// Whether the records stay.
    pub keep_history: bool,
    /// What happens to what the objects own.
    pub propagation: Propagation,
    /// What only a command asks for.
    pub options: Options,
}

/// Objects of a release that stay when it goes, each as `[Kind] name`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Spared {
    /// Those that ask for it.
    pub kept: Vec<String>,
    /// Those that are somebody else's.
    pub foreign: Vec<String>,
}

impl Spared {
    /// Returns what Helm says of them.
    pub fn text(&self) -> String {
        let (mut text, count) = (String::new(), self.foreign.len());
        let mut part = |title: String, names: &[String]| {
            if names.is_empty() {
                return;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("{title}:\n{}\n", names.join("\n")));
        };
        part("These resources were kept due to the resource policy".to_owned(), &self.kept);
        let why = "because they are not owned by this release";
        part(format!("{count} resource(s) were not deleted {why}"), &self.foreign);
        text
    }
}

/// Uninstalls a release.
pub async fn uninstall(env: &Env<'_>, uninstall: Uninstall) -> Outcome {
    uninstall_telling(env, uninstall).await.0
}

/// Uninstalls a release, and tells what stays.
pub async fn uninstall_telling(env: &Env<'_>, uninstall: Uninstall) -> (Outcome, Spared) {
    let (mut written, mut spared) = (Vec::new(), Spared::default());
    let result = run(env, &uninstall, &mut written, &mut spared).await;
    (Outcome { written, result }, spared)
}

/// Tells which objects would stay if a release were uninstalled because they ask for it.
///
/// # Errors
/// Its manifest is unreadable.
pub fn plan_uninstall(last: &Record) -> Result<Spared, Error> {
    let mut objects: Vec<Object> =
        super::manifest::objects(&last.manifest)?.into_iter().map(Object).collect();
    sort_by_kind(&mut objects, UNINSTALL_ORDER, Object::kind);
    let kept = objects.iter().filter(|object| is_kept(object)).map(named).collect();
    Ok(Spared { kept, foreign: Vec::new() })
}

/// What would become of an object of a release that goes.
#[derive(Debug)]
pub enum Parting {
    /// It is deleted.
    Deleted(Object),
    /// It asks to be kept.
    Kept(Object),
    /// It is somebody else's: why.
    Foreign(Object, String),
    /// The cluster does not let it go.
    Refused(Object, cluster::Error),
    /// It is not there.
    Absent(ObjectId),
}

/// Asks the cluster, by dry runs, what an uninstall would do with each object of a record, in the
/// order in which it would. Nothing is changed.
///
/// # Errors
/// The manifest is not YAML, or the cluster cannot be asked.
pub async fn try_uninstall(
    cluster: &Cluster,
    record: &Record,
    propagation: Propagation,
) -> Result<Vec<Parting>, Error> {
    let mut objects = apply::old_objects(cluster, &record.manifest, &record.namespace).await?;
    sort_by_kind(&mut objects, UNINSTALL_ORDER, Object::kind);
    let owner = Owner { name: &record.name, namespace: &record.namespace };
    let mut found = Vec::new();
    for part in objects.chunks(AT_ONCE) {
        let partings = part.iter().map(|object| parting(cluster, object, owner, propagation));
        for one in join_all(partings).await {
            found.push(one?);
        }
    }
    Ok(found)
}

async fn parting(
    cluster: &Cluster,
    object: &Object,
    owner: Owner<'_>,
    propagation: Propagation,
) -> Result<Parting, Error> {
    let id = object.id();
    let Some(live) = cluster.get(&id).await? else { return Ok(Parting::Absent(id)) };
    if stays(object) {
        return Ok(Parting::Kept(live));
    }
    let why = apply::foreign(&live, owner);
    if !why.is_empty() {
        return Ok(Parting::Foreign(live, why.join("; ")));
    }
    match cluster.try_delete(&id, propagation).await {
        Ok(true) => Ok(Parting::Deleted(live)),
        Ok(false) => Ok(Parting::Absent(id)),
        Err(error) if error.is_outage() => Err(error.into()),
        Err(error) => Ok(Parting::Refused(live, error)),
    }
}

/// Whether an object outlives its release. Any value of the policy keeps it, as in Helm.
fn stays(object: &Object) -> bool {
    object.annotation("helm.sh/resource-policy").is_some()
}

fn named(object: &Object) -> String {
    format!("[{}] {}", object.kind(), object.name())
}

/// Whether an object asks to be kept. Any other value of the policy keeps it as well, but nobody
/// is told.
fn is_kept(object: &Object) -> bool {
    let policy = object.annotation("helm.sh/resource-policy");
    policy.is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
}

async fn run(
    env: &Env<'_>,
    uninstall: &Uninstall,
    written: &mut Vec<Record>,
    spared: &mut Spared,
) -> Result<(), Error> {
    let mut record = uninstall.last.clone();
    if record.info.status == "uninstalled" {
        if uninstall.keep_history {
            let name = &record.name;
            let text = format!("the release named \"{name}\" is already deleted");
            return Err(Error::Refused(text));
        }
        return env.storage.purge(&record.name).await;
    }
    "uninstalling".clone_into(&mut record.info.status);
    record.info.deleted = rfc3339_nano(env.clock.now());
    "Deletion in progress (or silently failed)".clone_into(&mut record.info.description);
    // Whoever manages fields of a hook must not keep a release from being removed.
    let taken = Method::Server.taking();
    let hooks = (uninstall.timeout, &taken);
    if uninstall.hooks {
        hook::run(env, &mut record, "pre-delete", hooks).await?;
    }
    env.storage.update(&record, env.holder, &*env.clock).await?;
    written.push(record.clone());
    let deleted = delete_objects(env, &record, uninstall.propagation, spared).await?;
    // The objects are on their way out: what fails from here on keeps nothing of the release.
    let mut wrong = Vec::new();
    if uninstall.wait
        && let Err(error) = wait_deleted(&env.cluster, &deleted, uninstall.timeout).await
    {
        late(error.into(), &mut wrong)?;
    }
    if uninstall.hooks
        && let Err(error) = hook::run(env, &mut record, "post-delete", hooks).await
    {
        late(error, &mut wrong)?;
    }
    "uninstalled".clone_into(&mut record.info.status);
    record.info.description = uninstall.options.described("Uninstallation complete");
    if uninstall.keep_history {
        supersede(env, &record, None, written).await?;
        env.storage.update(&record, env.holder, &*env.clock).await?;
        written.push(record);
    } else {
        env.storage.purge(&record.name).await?;
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let step = format!("uninstallation completed with {} error(s)", wrong.len());
    Err(Error::Several(wrong).during(step))
}

/// Notes what failed once all objects were deleted. An API server that is away is waited for.
fn late(error: Error, wrong: &mut Vec<Error>) -> Result<(), Error> {
    if error.is_outage() {
        return Err(error);
    }
    wrong.push(error);
    Ok(())
}

/// Deletes the objects of a record one after another, those that ask to be kept or belong to
/// somebody else aside. One that cannot be deleted does not keep the others.
async fn delete_objects(
    env: &Env<'_>,
    record: &Record,
    propagation: Propagation,
    spared: &mut Spared,
) -> Result<Vec<ObjectId>, Error> {
    let mut objects = apply::old_objects(&env.cluster, &record.manifest, &record.namespace).await?;
    sort_by_kind(&mut objects, UNINSTALL_ORDER, Object::kind);
    let owner = Owner { name: &record.name, namespace: &record.namespace };
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for object in &objects {
        let id = object.id();
        if stays(object) {
            if is_kept(object) {
                spared.kept.push(named(object));
            }
            continue;
        }
        match delete_object(env, &id, owner, propagation).await {
            Ok(Deleted::Done) => deleted.push(id),
            Ok(Deleted::Gone) => {}
            Ok(Deleted::Foreign) => spared.foreign.push(named(object)),
            Err(source) => {
                let doing = format!("failed to delete {id}");
                // Each request has waited long for the API server already.
                if source.is_outage() {
                    return Err(Error::Doing { doing, source });
                }
                failed.push(Error::Doing { doing, source });
            }
        }
    }
    if failed.is_empty() {
        return Ok(deleted);
    }
    Err(Error::Several(failed).during(format!("failed to delete release: {}", record.name)))
}

/// What became of an object.
enum Deleted {
    Done,
    Gone,
    Foreign,
}

async fn delete_object(
    env: &Env<'_>,
    id: &ObjectId,
    owner: Owner<'_>,
    propagation: Propagation,
) -> Result<Deleted, cluster::Error> {
    let live = match env.cluster.get(id).await {
        // Its definition may go while the release goes.
        Ok(None) | Err(cluster::Error::NoKind { .. }) => return Ok(Deleted::Gone),
        Ok(Some(live)) => live,
        Err(error) => return Err(error),
    };
    if !apply::foreign(&live, owner).is_empty() {
        tracing::info!(%id, "somebody else's object of the same name stays");
        return Ok(Deleted::Foreign);
    }
    match env.cluster.delete(id, propagation).await {
        Ok(true) => Ok(Deleted::Done),
        Ok(false) | Err(cluster::Error::NoKind { .. }) => Ok(Deleted::Gone),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_told_in_helm_s_words() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        let rows: [(&[&str], &[&str], &str); 4] = [
            (&[], &[], ""),
            (
                &["[ConfigMap] a"],
                &[],
                "These resources were kept due to the resource policy:\n[ConfigMap] a\n",
            ),
            (
                &[],
                &["[Secret] s"],
                "1 resource(s) were not deleted because they are not owned by this release:\n[Secret] s\n",
            ),
            (
                &["[A] a"],
                &["[B] b", "[C] c"],
                "These resources were kept due to the resource policy:\n[A] a\n\n2 resource(s) were not deleted because they are not owned by this release:\n[B] b\n[C] c\n",
            ),
        ];
        for (kept, foreign, want) in rows {
            let spared = Spared { kept: names(kept), foreign: names(foreign) };
            assert_eq!(spared.text(), want);
        }
    }
}
