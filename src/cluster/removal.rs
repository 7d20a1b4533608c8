//! Deleting objects.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::transport::Call;
use super::{Cluster, Error, ObjectId};

/// What happens to the objects that a deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Propagation {
    /// They are deleted afterwards.
    #[default]
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay.
    Orphan,
}

impl Propagation {
    fn text(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}

/// Tries of a deletion that meets others, as Helm's client makes them.
const CONFLICTS: u32 = 5;
/// Pause before the second one.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

impl Cluster {
    /// Deletes an object; returns whether it was there.
    ///
    /// # Errors
    /// The request fails.
    pub async fn delete(&self, id: &ObjectId, propagation: Propagation) -> Result<bool, Error> {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation.text()});
        self.remove(id, &options).await
    }

    /// Asks whether an object may be deleted; returns whether it is there. Nothing is changed.
    ///
    /// # Errors
    /// It may not, or the request fails.
    pub async fn try_delete(&self, id: &ObjectId, propagation: Propagation) -> Result<bool, Error> {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation.text(), "dryRun": ["All"]});
        self.remove(id, &options).await
    }

    async fn remove(&self, id: &ObjectId, options: &serde_json::Value) -> Result<bool, Error> {
        let path = self.served(id).await?.path(&id.namespace, &id.name, "");
        let call = Call::write(Method::DELETE, path, options);
        let mut attempt = 1;
        loop {
            match self.send(&call).await {
                Ok(_) => return Ok(true),
                Err(error) if error.is_not_found() => return Ok(false),
                // Somebody wrote the object in the same moment: that is no reason to keep it.
                Err(error) if error.is_conflict() && attempt < CONFLICTS => {
                    tokio::time::sleep(PAUSE * attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
