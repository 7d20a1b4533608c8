//! Objects as the server's tables show them.

use super::client::Cluster;
use super::error::Error;
use super::object::ObjectId;
use super::transport::{Call, with_query};
use crate::yaml::Value;

/// A server that knows no tables may send the object itself.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

impl Cluster {
    /// Reads an object, or (its name is empty) those that labels select, as a table. What does not
    /// exist is `None`.
    ///
    /// # Errors
    /// The request fails.
    pub async fn table(&self, id: &ObjectId, labels: &str) -> Result<Option<Value>, Error> {
        let path = self.served(id).await?.path(&id.namespace, &id.name, "");
        let path = with_query(path, &[("labelSelector", labels), ("includeObject", "Object")]);
        match self.send_json(&Call { accept: TABLE, ..Call::read(path) }).await {
            Ok(table) => Ok(Some(table)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
