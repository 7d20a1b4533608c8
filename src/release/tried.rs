//! What the cluster would make of a manifest, asked by dry runs.

use futures::future::join_all;

use super::apply::{self, Owner};
use super::{Error, manifest};
use crate::cluster::{self, ApplyOptions, Cluster, Object, ObjectId, StatusCause};
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
    /// Fields that another manager owns, and that would be taken from it.
    pub conflicts: Vec<StatusCause>,
}

/// Asks the cluster what applying each object of a manifest would do, in the manifest's order.
/// Nothing is changed.
///
/// # Errors
/// The manifest is not YAML, or the cluster cannot be asked.
pub async fn try_manifest(
    cluster: &Cluster,
    text: &str,
    (name, namespace): (&str, &str),
) -> Result<Vec<Tried>, Error> {
    let mut found = Vec::new();
    for part in manifest::objects(text)?.chunks(AT_ONCE) {
        let tried = part.iter().map(|value| try_one(cluster, value.clone(), (name, namespace)));
        for one in join_all(tried).await {
            found.push(one?);
        }
    }
    Ok(found)
}

async fn try_one(
    cluster: &Cluster,
    value: Value,
    (name, namespace): (&str, &str),
) -> Result<Tried, Error> {
    let unplaced = Object(value.clone()).id();
    let mut object = match apply::placed(cluster, value, namespace).await {
        Ok((object, _)) => object,
        Err(Error::Doing { source: source @ cluster::Error::NoKind { .. }, .. }) => {
            let would = Err(source);
            return Ok(Tried { id: unplaced, live: None, would, conflicts: Vec::new() });
        }
        Err(error) => return Err(error),
    };
    apply::own(std::slice::from_mut(&mut object), Owner { name, namespace });
    let id = object.id();
    let live = cluster.get(&id).await?;
    let polite = ApplyOptions { dry_run: true, ..ApplyOptions::polite() };
    let (would, conflicts) = match cluster.apply(&object, &polite).await {
        Err(error) if error.is_conflict() => {
            let causes = match &error {
                cluster::Error::Api { causes, .. } => causes.clone(),
                _ => Vec::new(),
            };
            (cluster.apply(&object, &ApplyOptions::dry_run()).await, causes)
        }
        would => (would, Vec::new()),
    };
    match would {
        Err(error) if error.is_outage() => Err(error.into()),
        would => Ok(Tried { id, live, would, conflicts }),
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
