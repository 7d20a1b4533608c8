//! Manifest → objects → cluster: ownership, order, removal.
//!
//! Source: helm v4.3.1 pkg/action (install.go, upgrade.go, validate.go), pkg/kube/client.go.

use futures::future::try_join_all;

use super::{Error, manifest};
use crate::cluster::{ApplyOptions, Cluster, Object, ObjectId, Propagation, Resource};
use crate::yaml::Value;

/// Objects of one kind that are applied at the same time.
const AT_ONCE: usize = 8;
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// The release that objects belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
}

/// Gives an object its namespace; returns also what the server knows of its kind.
pub(super) async fn placed(
    cluster: &Cluster,
    value: Value,
    namespace: &str,
) -> Result<(Object, Resource), Error> {
    let mut object = Object(value);
    let id = object.id();
    let Some(resource) = cluster.resource(object.api_version(), object.kind()).await? else {
        return Err(Error::Refused(format!(
            "unable to build kubernetes objects from release manifest: resource mapping not found for name: \"{}\" namespace: \"{}\" from \"\": no matches for kind \"{}\" in version \"{}\"\nensure CRDs are installed first",
            id.name,
            id.namespace,
            id.kind,
            id.api_version(),
        )));
    };
    if !resource.namespaced {
        object.set_namespace("");
    } else if id.namespace.is_empty() {
        object.set_namespace(namespace);
    }
    Ok((object, resource))
}

/// Returns the objects of a manifest, in its order, each with its namespace.
pub(super) async fn objects(
    cluster: &Cluster,
    text: &str,
    namespace: &str,
) -> Result<Vec<Object>, Error> {
    let mut found = Vec::new();
    for value in manifest::objects(text)? {
        found.push(placed(cluster, value, namespace).await?.0);
    }
    Ok(found)
}

/// Marks objects as the release's.
pub(super) fn own(objects: &mut [Object], owner: Owner<'_>) {
    for object in objects {
        object.set_label(MANAGED_BY, "Helm");
        object.set_annotation(RELEASE_NAME, owner.name);
        object.set_annotation(RELEASE_NAMESPACE, owner.namespace);
    }
}

/// Refuses objects that exist and are not the release's.
pub(super) async fn check_ownership(
    cluster: &Cluster,
    objects: &[Object],
    owner: Owner<'_>,
    doing: &str,
) -> Result<(), Error> {
    for object in objects {
        let id = object.id();
        let Some(live) = cluster.get(&id).await? else { continue };
        let mut wrong = Vec::new();
        let mut check = |what: &str, key: &str, want: &str, have: Option<&str>| {
            match have {
            Some(have) if have == want => {}
            Some(have) => wrong.push(format!(
                "{what} validation error: key \"{key}\" must equal \"{want}\": current value is \"{have}\""
            )),
            None => wrong.push(format!(
                "{what} validation error: missing key \"{key}\": must be set to \"{want}\""
            )),
        }
        };
        check("label", MANAGED_BY, "Helm", live.label(MANAGED_BY));
        check("annotation", RELEASE_NAME, owner.name, live.annotation(RELEASE_NAME));
        check("annotation", RELEASE_NAMESPACE, owner.namespace, live.annotation(RELEASE_NAMESPACE));
        if !wrong.is_empty() {
            return Err(Error::Refused(format!(
                "unable to continue with {doing}: {} \"{}\" in namespace \"{}\" exists and cannot be imported into the current release: invalid ownership metadata; {}",
                id.kind,
                id.name,
                id.namespace,
                wrong.join("; "),
            )));
        }
    }
    Ok(())
}

/// Applies objects in their order; objects of one kind in a row go at the same time.
pub(super) async fn apply(cluster: &Cluster, objects: &[Object]) -> Result<(), Error> {
    for group in objects.chunk_by(|a, b| a.kind() == b.kind()) {
        for part in group.chunks(AT_ONCE) {
            try_join_all(part.iter().map(|object| apply_one(cluster, object))).await?;
        }
    }
    Ok(())
}

async fn apply_one(cluster: &Cluster, object: &Object) -> Result<(), Error> {
    match cluster.apply(object, &ApplyOptions::forced()).await {
        Ok(_) => Ok(()),
        Err(source) => {
            let id = object.id();
            let doing = if source.is_conflict() {
                "conflict occurred while applying object"
            } else {
                "server-side apply failed for object"
            };
            let of = format!("{}/{} {}", id.namespace, id.name, id.go_kind());
            Err(Error::Refused(format!("{doing} {of}: {source}")))
        }
    }
}

/// Deletes the objects of an old manifest that a new one lacks, but not those that ask to be kept.
pub(super) async fn remove_surplus(
    cluster: &Cluster,
    old: &[Object],
    new: &[Object],
) -> Result<(), Error> {
    for object in old {
        let id = object.id();
        if new.iter().any(|other| other.id().same(&id)) {
            continue;
        }
        let Some(live) = cluster.get(&id).await? else { continue };
        if live.annotation("helm.sh/resource-policy") != Some("keep") {
            cluster.delete(&id, Propagation::Background).await?;
        }
    }
    Ok(())
}

/// Creates a namespace, if it is not there.
pub(super) async fn create_namespace(cluster: &Cluster, name: &str) -> Result<(), Error> {
    let id = ObjectId::new("v1", "Namespace", "", name);
    if cluster.get(&id).await?.is_some() {
        return Ok(());
    }
    let object = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"name": name}},
    });
    cluster.apply(&Object(object), &ApplyOptions::forced()).await?;
    Ok(())
}
