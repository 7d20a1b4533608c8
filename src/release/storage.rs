//! Records as Secrets.
//!
//! Source: helm v4.3.1 pkg/storage (storage.go, driver/secrets.go).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Error, Record};
use crate::base::clock::Clock;
use crate::cluster::{Cluster, Object, ObjectId, Propagation, Selection};
use crate::yaml::Value;

/// Labels that Helm sets itself.
const SYSTEM_LABELS: [&str; 6] = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];
/// Annotation that names who wrote a pending record.
pub(super) const HOLDER: &str = "leadsman.dev/holder";

/// Records of one namespace.
#[derive(Debug, Clone)]
pub struct Storage {
    cluster: Cluster,
    namespace: String,
}

/// A record's labels: what a listing tells without reading records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Release name.
    pub name: String,
    /// Revision.
    pub version: u32,
    /// Helm's status word.
    pub status: String,
    /// Who wrote it, if it was Leadsman.
    pub holder: String,
}

impl Storage {
    /// Returns the records of a namespace.
    pub fn new(cluster: &Cluster, namespace: &str) -> Self {
        Self { cluster: cluster.clone(), namespace: namespace.to_owned() }
    }

    /// Returns the heads of a release's records, newest first; of all releases for an empty name.
    ///
    /// # Errors
    /// The API cannot be asked.
    pub async fn heads(&self, release: &str) -> Result<Vec<Head>, Error> {
        let labels = match release {
            "" => "owner=helm".to_owned(),
            release => format!("name={release},owner=helm"),
        };
        let selection = Selection::namespace(&self.namespace).labels(labels);
        let found = self.cluster.list_metadata("v1", "Secret", &selection).await?;
        let mut heads: Vec<Head> = found.iter().filter_map(head).collect();
        heads.sort_by(|a, b| a.name.cmp(&b.name).then(b.version.cmp(&a.version)));
        Ok(heads)
    }

    /// Returns a record.
    ///
    /// # Errors
    /// The API cannot be asked, or the record is unreadable.
    pub async fn get(&self, release: &str, version: u32) -> Result<Option<Record>, Error> {
        self.read(release, version, Record::decode).await
    }

    /// Returns a record without the files of its chart: enough for all but writing it again.
    ///
    /// # Errors
    /// As [`Storage::get`].
    pub async fn outline(&self, release: &str, version: u32) -> Result<Option<Record>, Error> {
        self.read(release, version, Record::decode_outline).await
    }

    async fn read(
        &self,
        release: &str,
        version: u32,
        decode: fn(&str, &[u8]) -> Result<Record, Error>,
    ) -> Result<Option<Record>, Error> {
        let name = format!("sh.helm.release.v1.{release}.v{version}");
        let id = ObjectId::new("v1", "Secret", &self.namespace, &name);
        let Some(secret) = self.cluster.get(&id).await? else {
            return Ok(None);
        };
        let data = secret.text("/data/release");
        let refuse = |reason: String| Error::Record { name: name.clone(), reason };
        let text = STANDARD.decode(data).map_err(|error| refuse(error.to_string()))?;
        let mut record = decode(&name, &text)?;
        let given = secret.at("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let own = given.filter(|(key, _)| !SYSTEM_LABELS.contains(&key.as_str()));
        record.labels = own
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        Ok(Some(record))
    }

    /// Returns the newest record of a release, with its head.
    ///
    /// # Errors
    /// As [`Storage::get`].
    pub async fn last(&self, release: &str) -> Result<Option<(Head, Record)>, Error> {
        let Some(head) = self.heads(release).await?.into_iter().next() else {
            return Ok(None);
        };
        Ok(self.get(release, head.version).await?.map(|record| (head, record)))
    }

    /// Returns the newest record of a release without the files of its chart, with its head.
    ///
    /// # Errors
    /// As [`Storage::get`].
    pub async fn last_outline(&self, release: &str) -> Result<Option<(Head, Record)>, Error> {
        let Some(head) = self.heads(release).await?.into_iter().next() else {
            return Ok(None);
        };
        Ok(self.outline(release, head.version).await?.map(|record| (head, record)))
    }

    /// Stores a new record. One that is there already with the very same content is ours: the
    /// answer to an earlier attempt was lost.
    ///
    /// # Errors
    /// It exists already, does not fit, or the API refuses.
    pub async fn create(
        &self,
        record: &Record,
        holder: &str,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        let now = clock.now().as_second().to_string();
        let secret = self.secret(record, ("createdAt", &now), holder)?;
        let failed = |source| Error::Doing { doing: "create: failed to create".to_owned(), source };
        match self.cluster.create_repeatedly(&secret).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_already_exists() => {
                let live = self.cluster.get(&secret.id()).await.map_err(failed)?;
                let data = |secret: &Object| secret.text("/data/release").to_owned();
                if live.is_some_and(|live| data(&live) == data(&secret)) {
                    return Ok(());
                }
                Err(Error::Refused("release: already exists".to_owned()))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Overwrites a record.
    ///
    /// # Errors
    /// It is gone, or the API refuses.
    pub async fn update(
        &self,
        record: &Record,
        holder: &str,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        let now = clock.now().as_second().to_string();
        let secret = self.secret(record, ("modifiedAt", &now), holder)?;
        let replaced = self.cluster.replace(&secret).await;
        replaced.map(drop).map_err(|source| Error::Doing {
            doing: format!("update: failed to update {}", record.secret_name()),
            source,
        })
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn delete(&self, release: &str, version: u32) -> Result<(), Error> {
        let name = format!("sh.helm.release.v1.{release}.v{version}");
        let id = ObjectId::new("v1", "Secret", &self.namespace, &name);
        self.cluster.delete(&id, Propagation::Background).await?;
        Ok(())
    }

    /// Deletes the oldest records until at most `keep` are left; never the newest deployed one.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn prune(&self, release: &str, keep: usize) -> Result<(), Error> {
        let heads = self.heads(release).await?;
        let deployed = heads.iter().find(|head| head.status == "deployed").map(|head| head.version);
        let mut surplus = heads.len().saturating_sub(keep);
        for head in heads.iter().rev() {
            if surplus == 0 {
                break;
            }
            if Some(head.version) != deployed {
                self.delete(release, head.version).await?;
                surplus -= 1;
            }
        }
        Ok(())
    }

    fn secret(&self, record: &Record, time: (&str, &str), holder: &str) -> Result<Object, Error> {
        let mut labels = json!({
            "name": record.name,
            "owner": "helm",
            "status": record.info.status,
            "version": record.version.to_string(),
        });
        labels[time.0] = time.1.into();
        for (key, value) in &record.labels {
            labels[key] = value.as_str().into();
        }
        let mut metadata = json!({
            "name": record.secret_name(),
            "namespace": self.namespace,
            "labels": labels,
        });
        if record.is_pending() && !holder.is_empty() {
            metadata["annotations"] = json!({HOLDER: holder});
        }
        Ok(Object(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": "helm.sh/release.v1",
            "data": {"release": STANDARD.encode(record.encode()?)},
        })))
    }
}

fn head(secret: &Object) -> Option<Head> {
    Some(Head {
        name: secret.label("name")?.to_owned(),
        version: secret.label("version")?.parse().ok()?,
        status: secret.label("status").unwrap_or_default().to_owned(),
        holder: secret.annotation(HOLDER).unwrap_or_default().to_owned(),
    })
}
