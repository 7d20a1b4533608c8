//! The verbs of client-side apply: what changes was computed here, not by the server.

use http::Method;

use super::client::Cluster;
use super::error::Error;
use super::object::{Object, ObjectId};
use super::transport::{Call, with_query};
use crate::yaml::Value;

/// How a patch is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// Lists are merged as the types of built-in kinds say.
    Strategic,
    /// Lists are replaced (RFC 7386).
    Merge,
}

impl PatchKind {
    fn content_type(self) -> &'static str {
        match self {
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Merge => "application/merge-patch+json",
        }
    }
}

/// Whether a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trying {
    /// It is.
    No,
    /// It is only computed.
    Yes,
}

impl Trying {
    fn dry_run(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Yes => "All",
        }
    }
}

impl Cluster {
    /// Patches an object and returns the result. Fields that the schema does not know are dropped.
    ///
    /// # Errors
    /// The request fails.
    pub async fn patch_object(
        &self,
        id: &ObjectId,
        (kind, patch): (PatchKind, &Value),
        trying: Trying,
    ) -> Result<Object, Error> {
        let path = self.served(id).await?.path(&id.namespace, &id.name, "");
        let query = [("fieldManager", self.manager()), ("dryRun", trying.dry_run())];
        let call = Call::write(Method::PATCH, with_query(path, &query), patch);
        let call = Call { content_type: kind.content_type(), ..call };
        Ok(Object(self.send_json(&call).await?))
    }

    /// Puts an object in the place of a live one, of which nothing stays. Unknown fields are errors.
    ///
    /// # Errors
    /// The request fails; see [`Error::is_conflict`].
    pub async fn replace_live(
        &self,
        object: &Object,
        live: &Object,
        trying: Trying,
    ) -> Result<Object, Error> {
        let id = object.id();
        let mut object = object.clone();
        if let Some(Value::Object(metadata)) = object.0.get_mut("metadata") {
            metadata.insert("resourceVersion".to_owned(), live.resource_version().into());
        }
        let path = self.served(&id).await?.path(&id.namespace, &id.name, "");
        let query = [
            ("fieldManager", self.manager()),
            ("fieldValidation", "Strict"),
            ("dryRun", trying.dry_run()),
        ];
        let call = Call::write(Method::PUT, with_query(path, &query), &object.0);
        Ok(Object(self.send_json(&call).await?))
    }
}
