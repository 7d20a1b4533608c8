//! Logs of containers.

use super::client::Cluster;
use super::error::Error;
use super::object::ObjectId;
use super::transport::{Call, with_query};

/// Most bytes of a whole log that are read.
const WHOLE_BYTES: &str = "4194304";

impl Cluster {
    /// Reads a container's log from its beginning, of at most 4 MiB.
    ///
    /// # Errors
    /// The request fails.
    pub async fn whole_log(&self, pod: &ObjectId, container: &str) -> Result<String, Error> {
        let path = self.served(pod).await?.path(&pod.namespace, &pod.name, "log");
        let path = with_query(path, &[("container", container), ("limitBytes", WHOLE_BYTES)]);
        let body = self.send(&Call { accept: "*/*", ..Call::read(path) }).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}
