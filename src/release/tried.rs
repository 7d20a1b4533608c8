//! What the cluster would make of a manifest, asked by dry runs.

use futures::future::join_all;

use super::apply::{self, Owner};
use super::conflict::{Conflict, Rules};
use super::serverside::{self, Purpose};
use super::{Error, manifest};
use crate::cluster::{self, Cluster, Object, ObjectId};
use crate::yaml::Value;

/// Objects that are asked about at the same time.
const AT_ONCE: usize = 8;

/// One object, as it is and as it would be.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Which.
    pub id: ObjectId,
    /// What is there now.
    pub live: Option<Object>,
    /// What would be there, or why not.
    pub would: Result<Object, cluster::Error>,
    /// Fields that another manager owns, and what would be done about each. Secrets are shown.
    pub conflicts: Vec<Conflict>,
}

/// Asks the cluster what applying each object of a manifest would do, in the manifest's order.
/// Nothing is changed. What a conflict would make fail is told as if it were taken.
///
/// # Errors
/// The manifest is not YAML, or the cluster cannot be asked.
pub async fn try_manifest(
    cluster: &Cluster,
    text: &str,
    (name, namespace): (&str, &str),
    rules: &Rules,
) -> Result<Vec<Tried>, Error> {
    let owner = Owner { name, namespace };
    let mut found = Vec::new();
    for part in manifest::objects(text)?.chunks(AT_ONCE) {
        let tried = part.iter().map(|value| try_one(cluster, value.clone(), owner, rules));
        for one in join_all(tried).await {
            found.push(one?);
        }
    }
    Ok(found)
}

async fn try_one(
    cluster: &Cluster,
    value: Value,
    owner: Owner<'_>,
    rules: &Rules,
) -> Result<Tried, Error> {
    let unplaced = Object(value.clone()).id();
    let mut object = match apply::placed(cluster, value, owner.namespace).await {
        Ok((object, _)) => object,
        Err(Error::Doing { source: source @ cluster::Error::NoKind { .. }, .. }) => {
            let would = Err(source);
            return Ok(Tried { id: unplaced, live: None, would, conflicts: Vec::new() });
        }
        Err(error) => return Err(error),
    };
    apply::own(std::slice::from_mut(&mut object), owner);
    let id = object.id();
    let live = cluster.get(&id).await?;
    match serverside::put(cluster, &object, (rules, Purpose::Tell), live.clone()).await {
        Ok(applied) => {
            Ok(Tried { id, live, would: Ok(applied.object), conflicts: applied.conflicts })
        }
        Err(refusal) if refusal.source.is_outage() => Err(refusal.source.into()),
        Err(refusal) => Ok(Tried { id, live, would: Err(refusal.source), conflicts: Vec::new() }),
    }
}

/// Returns the objects of an old manifest that a new one lacks and that are still there.
///
/// # Errors
/// A manifest is not YAML, or the cluster cannot be asked.
pub async fn surplus(
    cluster: &Cluster,
    old: (&str, &str),
    new: &[Tried],
) -> Result<Vec<Object>, Error> {
    let old = apply::old_objects(cluster, old.0, old.1).await?;
    let new: Vec<ObjectId> = new.iter().map(|tried| tried.id.clone()).collect();
    let mut found = Vec::new();
    for id in apply::lacking(&old, &new) {
        found.extend(cluster.get(&id).await?);
    }
    Ok(found)
}
