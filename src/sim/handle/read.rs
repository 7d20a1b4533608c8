//! Reads: one object, lists in pages.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::json;

use super::{Reply, show};
use crate::sim::core::Core;
use crate::sim::request::{Form, Place, Request};
use crate::sim::resource::Resource;
use crate::sim::selector::{Fields, Labels};
use crate::sim::status::{ApiError, FieldError};
use crate::sim::store::{Store, key};
use crate::sim::table;
use crate::yaml::Value;

/// The selectors of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) labels: Labels,
    pub(crate) fields: Fields,
}

impl Filter {
    /// Parses the selectors of a request.
    pub(crate) fn parse(request: &Request, resource: &Resource) -> Result<Self, ApiError> {
        let bad = |why: String| ApiError::bad_request(&why);
        let labels =
            Labels::parse(request.query("labelSelector").unwrap_or_default()).map_err(bad)?;
        let fields = request.query("fieldSelector").unwrap_or_default();
        let fields = Fields::parse(fields, resource).map_err(bad)?;
        Ok(Self { labels, fields })
    }

    /// Returns whether nothing is filtered.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Returns whether an object is wanted.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object.pointer("/metadata/labels")) && self.fields.matches(object)
    }
}

/// Answers `get`.
pub(super) fn get(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    (place, name): (&Place, &str),
    form: Form,
) -> Result<Reply, ApiError> {
    let namespace = place.namespace.as_deref().unwrap_or_default();
    let found = core.get(&resource.storage, namespace, name);
    let found = found.ok_or_else(|| ApiError::not_found(resource, name))?;
    let found = resource.present(&found);
    if form == Form::Object {
        let body = serde_json::to_vec(&*found).unwrap_or_default().into();
        return Ok(Reply::Json { code: 200, body, warnings: Vec::new() });
    }
    Ok(Reply::json(200, &show(core, request, resource, &found, form)))
}

/// Parses the revision of a request; nothing when any will do.
pub(super) fn revision(request: &Request) -> Result<Option<u64>, ApiError> {
    let Some(text) = request.query("resourceVersion").filter(|text| *text != "0") else {
        return Ok(None);
    };
    let quoted = format!("resourceVersion: Invalid value: \"{text}\"");
    text.parse().map(Some).map_err(|_| {
        ApiError::internal(&format!(
            "{quoted}: strconv.ParseUint: parsing \"{text}\": invalid syntax"
        ))
    })
}

/// Where the next page begins, and the revision of the first page.
struct Continue {
    revision: u64,
    after: String,
}

impl Continue {
    fn read(token: &str) -> Result<Self, ApiError> {
        let bad = || ApiError::bad_request("invalid continue token: the token is not valid");
        let bytes =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| {
            let first = String::from_utf8_lossy(&bytes).chars().next().unwrap_or_default();
            ApiError::bad_request(&format!(
                "invalid continue token: continue key is not valid: invalid character '{first}' \
                 looking for beginning of value"
            ))
        })?;
        let revision = value.get("rv").and_then(Value::as_u64).ok_or_else(bad)?;
        let start = value.get("start").and_then(Value::as_str).ok_or_else(bad)?;
        Ok(Self {
            revision,
            after: start.trim_end_matches('\0').trim_start_matches('/').to_owned(),
        })
    }

    fn write(&self) -> String {
        let token = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": format!("/{}\u{0}", self.after)});
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
    }
}

/// One page of a list.
struct Page {
    objects: Vec<Arc<Value>>,
    revision: u64,
    next: Option<Continue>,
    remaining: Option<usize>,
}

fn page(
    store: &Store,
    request: &Request,
    resource: &Resource,
    place: &Place,
) -> Result<Page, ApiError> {
    let filter = Filter::parse(request, resource)?;
    let mut revision_shown = store.revision();
    let mut after = None;
    if let Some(token) = request.query("continue") {
        let token = Continue::read(token)?;
        if token.revision < store.oldest() {
            let message = "The provided continue parameter is too old to display a consistent list \
                           result. You can start a new list without the continue parameter, or use \
                           the continue token in this response to retrieve the remainder of the \
                           results. Continuing with the provided token results in an inconsistent \
                           list - objects that were created, modified, or deleted between the time \
                           the first chunk was returned and now may show up in the list.";
            let mut error = ApiError::expired(message);
            let fresh = Continue { revision: store.revision(), after: token.after };
            error.body["metadata"] = json!({"continue": fresh.write()});
            return Err(error);
        }
        revision_shown = token.revision;
        after = Some(token.after);
    } else if let Some(asked) = revision(request).map_err(|error| {
        ApiError::bad_request(&format!("invalid resource version: {}", error.message()))
    })? {
        if asked > store.revision() {
            return Err(ApiError::too_large_version(asked, store.revision()));
        }
        if request.query("resourceVersionMatch") == Some("Exact") && asked < store.oldest() {
            return Err(ApiError::expired("The resourceVersion for the provided list is too old."));
        }
    }
    let limit =
        request.query("limit").and_then(|text| text.parse::<usize>().ok()).filter(|n| *n > 0);
    let matching = store
        .list(&resource.storage, place.namespace.as_deref())
        .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
        .map(|(_, object)| object)
        .filter(|object| filter.is_empty() || filter.matches(&resource.present(object)));
    let mut objects: Vec<Arc<Value>> = Vec::new();
    let mut remaining = 0;
    for object in matching {
        if limit.is_some_and(|limit| objects.len() == limit) {
            remaining += 1;
        } else {
            objects.push(resource.present(object));
        }
    }
    let next = objects.last().filter(|_| remaining > 0).map(|last| Continue {
        revision: revision_shown,
        after: key(crate::sim::value::namespace(last), crate::sim::value::name(last)),
    });
    let remaining = (filter.is_empty() && next.is_some()).then_some(remaining);
    Ok(Page { objects, revision: revision_shown, next, remaining })
}

fn list_metadata(page: &Page, resource: &Resource) -> Value {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if resource.custom.is_some() {
        metadata["continue"] = "".into();
    }
    if let Some(next) = &page.next {
        metadata["continue"] = next.write().into();
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    metadata
}

/// Answers `list`.
pub(super) fn list(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    place: &Place,
    form: Form,
) -> Result<Reply, ApiError> {
    if request.flag("sendInitialEvents") {
        let mut errors = Vec::new();
        if request.query("resourceVersion").is_none()
            && request.query("resourceVersionMatch").is_some()
        {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            errors.push(FieldError::forbidden("resourceVersionMatch", why));
        }
        let why = "sendInitialEvents is forbidden for list";
        errors.push(FieldError::forbidden("sendInitialEvents", why));
        return Err(ApiError::invalid_options("ListOptions", &errors));
    }
    let page = page(&core.store(), request, resource, place)?;
    let metadata = list_metadata(&page, resource);
    match form {
        Form::Table => {
            let include = request.query("includeObject").unwrap_or("Metadata");
            let mut table = table::table(resource, &page.objects, include, core.now());
            table["metadata"] = metadata;
            Ok(Reply::json(200, &table))
        }
        Form::Metadata => {
            let items: Vec<_> =
                page.objects.iter().map(|object| table::metadata_only(object)).collect();
            let kind = "PartialObjectMetadataList";
            let list = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items});
            Ok(Reply::json(200, &list))
        }
        Form::Object | Form::Discovery => {
            let body = write_list(resource, &page.objects, &metadata).into();
            Ok(Reply::Json { code: 200, body, warnings: Vec::new() })
        }
    }
}

/// Writes a list without building it. Items of built-in kinds carry neither kind nor apiVersion.
pub(super) fn write_list(resource: &Resource, objects: &[Arc<Value>], metadata: &Value) -> Vec<u8> {
    let (kind, version) = (&resource.list_kind, resource.api_version());
    let mut body = format!(
        "{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":["
    )
    .into_bytes();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        // Writing to a vector cannot fail.
        let _ = match object.as_object().filter(|_| resource.custom.is_none()) {
            Some(map) => {
                let bare =
                    map.iter().filter(|(key, _)| !["kind", "apiVersion"].contains(&key.as_str()));
                serde::Serializer::collect_map(&mut serde_json::Serializer::new(&mut body), bare)
            }
            None => serde_json::to_writer(&mut body, &**object),
        };
    }
    body.extend_from_slice(b"]}");
    body
}
