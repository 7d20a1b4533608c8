//! Writes: options checked, bodies decoded, patches applied.

use std::sync::Arc;

use serde_json::json;

use super::Reply;
use super::read::{Filter, write_list};
use crate::shape::patch;
use crate::sim::access;
use crate::sim::core::Core;
use crate::sim::decode;
use crate::sim::delete::{self, DeleteOptions};
use crate::sim::duplicate;
use crate::sim::protobuf;
use crate::sim::request::{Place, Request};
use crate::sim::resource::Resource;
use crate::sim::status::{ApiError, FieldError};
use crate::sim::store::Store;
use crate::sim::value;
use crate::sim::write::{self, Circumstances, Outcome, Unknown};
use crate::yaml::Value;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const APPLY: &str = "application/apply-patch+yaml";

fn media(request: &Request) -> &str {
    request.content_type.split(';').next().unwrap_or_default().trim()
}

/// Reads the body of a request as an object.
pub(super) fn body(request: &Request) -> Result<Value, ApiError> {
    match media(request) {
        "" | "application/json" | "application/yaml" | APPLY => parse(&request.body),
        PROTOBUF => protobuf::read(&request.body).map_err(|why| {
            ApiError::bad_request(&format!("the protobuf body cannot be read: {}", why.0))
        }),
        _ => Err(ApiError::unsupported_media(
            "the body of the request was in an unknown format - accepted media types include: \
             application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let text = String::from_utf8_lossy(bytes);
    serde_yaml::from_str(&text)
        .map_err(|error| ApiError::bad_request(&format!("error decoding body: {error}")))
}

/// Checks the options of a write.
pub(super) fn circumstances(
    core: &Core,
    request: &Request,
    options: &str,
    subresource: &str,
) -> Result<Circumstances, ApiError> {
    let refuse = |error| Err(ApiError::invalid_options(options, &[error]));
    let dry_run = match request.query("dryRun") {
        None => false,
        Some("All") => true,
        Some(other) => return refuse(FieldError::unsupported("dryRun", &json!([other]), &["All"])),
    };
    let unknown = match request.query("fieldValidation") {
        None | Some("Warn") => Unknown::Warn,
        Some("Strict") => Unknown::Refuse,
        Some("Ignore") => Unknown::Drop,
        Some(other) => {
            let known = ["Ignore", "Strict", "Warn"];
            return refuse(FieldError::unsupported("fieldValidation", &other.into(), &known));
        }
    };
    Ok(Circumstances {
        manager: request.manager(),
        dry_run,
        unknown,
        now: core.now_text(),
        subresource: subresource.to_owned(),
        giver: core.options.rbac.then(|| request.user.clone()),
    })
}

/// Shows what came of a write in the version of the request.
pub(super) fn reply(resource: &Resource, outcome: Outcome, warnings: Vec<String>) -> Reply {
    let object = resource.present(&outcome.object);
    let code = if outcome.created { 201 } else { 200 };
    let mut all = outcome.warnings;
    all.extend(warnings);
    Reply::Json {
        code,
        body: serde_json::to_vec(&*object).unwrap_or_default().into(),
        warnings: all,
    }
}

/// Answers `create`.
pub(super) fn create(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    place: &Place,
) -> Result<Reply, ApiError> {
    let how = circumstances(core, request, "CreateOptions", "")?;
    let mut object = body(request)?;
    let namespace = place.namespace.as_deref().unwrap_or("default");
    if resource.namespaced && place.namespace.is_none() {
        return Err(ApiError::no_method());
    }
    write::check_place(resource, &mut object, namespace, None)?;
    let twice = duplicate::keys(&request.body);
    let (object, warnings) = write::read_strictly(resource, object, how.unknown, &twice)?;
    let outcome = write::create(&mut core.store(), resource, object, &how)?;
    Ok(reply(resource, outcome, warnings))
}

fn subresource(place: &Place) -> &str {
    place.subresource.as_deref().unwrap_or_default()
}

/// Answers `update` (PUT).
pub(super) fn update(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    (place, name): (&Place, &str),
) -> Result<Reply, ApiError> {
    let how = circumstances(core, request, "UpdateOptions", subresource(place))?;
    let namespace = place.namespace.as_deref().unwrap_or_default();
    let mut object = body(request)?;
    write::check_place(resource, &mut object, namespace, Some(name))?;
    let twice = duplicate::keys(&request.body);
    let (object, warnings) = write::read_strictly(resource, object, how.unknown, &twice)?;
    let mut store = core.store();
    let live = store.get(&resource.storage, namespace, name).map(|live| resource.present(live));
    let live = live.ok_or_else(|| ApiError::not_found(resource, name))?;
    check_conditional(resource, &object, name)?;
    let outcome = write::update(&mut store, resource, &live, object, &how)?;
    Ok(reply(resource, outcome, warnings))
}

/// Refuses an object without a version where each update must name one.
fn check_conditional(resource: &Resource, object: &Value, name: &str) -> Result<(), ApiError> {
    let is_asked =
        resource.custom.is_some() || resource.storage.as_ref() == "leases.coordination.k8s.io";
    if !is_asked || !value::text(object, "/metadata/resourceVersion").is_empty() {
        return Ok(());
    }
    let why = "must be specified for an update";
    let error = FieldError::invalid("metadata.resourceVersion", &0.into(), why);
    let subject = resource.qualified();
    let path = (resource.group.as_str(), resource.plural.as_str());
    Err(ApiError::invalid_as(&subject, path, name, &[error]))
}

/// Answers `patch`.
pub(super) fn patch(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    (place, name): (&Place, &str),
) -> Result<Reply, ApiError> {
    let kind = media(request);
    let strategic = kind == STRATEGIC && resource.custom.is_none();
    if ![JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY].contains(&kind) {
        let mut error = ApiError::unsupported_media("415: Unsupported Media Type");
        error.body["details"] = json!({});
        return Err(error);
    }
    if !strategic && ![JSON_PATCH, MERGE_PATCH, APPLY].contains(&kind) {
        let mut known = vec![JSON_PATCH, MERGE_PATCH, APPLY];
        if resource.custom.is_none() {
            known.insert(2, STRATEGIC);
        }
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            known.join(", ")
        );
        return Err(ApiError::unsupported_media(&message));
    }
    let how = circumstances(core, request, "PatchOptions", subresource(place))?;
    let namespace = place.namespace.as_deref().unwrap_or_default();
    if kind == APPLY {
        return apply(core, request, resource, (place, name), &how);
    }
    if request.flag("force") {
        let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
        return Err(ApiError::invalid_options("PatchOptions", &[error]));
    }
    let mut store = core.store();
    let live = store.get(&resource.storage, namespace, name).map(|live| resource.present(live));
    let live = live.ok_or_else(|| ApiError::not_found(resource, name))?;
    let patched = patched(resource, &live, kind, &request.body)?;
    let text = patched.to_string();
    let (mut object, warnings) = write::read(resource, patched, how.unknown).map_err(|error| {
        // What a patch makes of an object is refused as a value, not as a body.
        if strategic || resource.custom.is_some() {
            return error;
        }
        let why = error.message().split_once(": ").map_or("", |(_, why)| why);
        let error = FieldError::invalid("patch", &text.into(), why);
        ApiError::invalid_as("", ("", ""), "", &[error])
    })?;
    write::check_place(resource, &mut object, namespace, Some(name))?;
    check_conditional(resource, &object, name)?;
    let outcome = write::update(&mut store, resource, &live, object, &how)?;
    Ok(reply(resource, outcome, warnings))
}

/// Returns the live object with a patch of any kind but apply.
pub(super) fn patched(
    resource: &Resource,
    live: &Value,
    kind: &str,
    body: &[u8],
) -> Result<Value, ApiError> {
    if kind == JSON_PATCH {
        let operations: Value = parse(body)?;
        if !operations.is_array() {
            let message = "error decoding patch: json: cannot unmarshal object into Go value of type \
                           []handlers.jsonPatchOp";
            return Err(ApiError::bad_request(message));
        }
        let operations: json_patch::Patch = serde_json::from_value(operations)
            .map_err(|error| ApiError::bad_request(&format!("error decoding patch: {error}")))?;
        let mut object = live.clone();
        json_patch::patch(&mut object, &operations).map_err(|_| ApiError::unprocessable())?;
        return Ok(object);
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        let why = if error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            error.to_string()
        };
        ApiError::bad_request(&format!("error decoding patch: {why}"))
    })?;
    if !body.is_object() {
        let found = decode::json_type(&body);
        return Err(ApiError::bad_request(&format!(
            "error decoding patch: json: cannot unmarshal {found} into Go value of type \
             map[string]interface {{}}"
        )));
    }
    if kind == STRATEGIC {
        return patch::strategic(live, &body, resource.ty())
            .map_err(|why| ApiError::internal(&why));
    }
    let mut object = live.clone();
    patch::merge(&mut object, body);
    Ok(object)
}

fn apply(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    (place, name): (&Place, &str),
    how: &Circumstances,
) -> Result<Reply, ApiError> {
    if request.query("fieldManager").is_none() {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        return Err(ApiError::invalid_options("PatchOptions", &[error]));
    }
    let mut config = parse(&request.body)?;
    let (version, kind) = (value::text(&config, "/apiVersion"), value::text(&config, "/kind"));
    if version != resource.api_version() || kind != resource.kind {
        let group = if version.contains('/') { "" } else { "/" };
        let message = format!("invalid object type: {group}{version}, Kind={kind}");
        return Err(ApiError::bad_request(&message));
    }
    let given_namespace = value::namespace(&config).to_owned();
    let namespace = place.namespace.as_deref().unwrap_or_default();
    write::check_place(resource, &mut config, namespace, Some(name))?;
    let applied = write::Applied { config, given_namespace, force: request.flag("force") };
    let mut store = core.store();
    if core.options.rbac && store.get(&resource.storage, namespace, name).is_none() {
        access::check_create(&store, request, place)?;
    }
    let outcome = write::apply(&mut store, resource, applied, how)?;
    Ok(reply(resource, outcome, Vec::new()))
}

fn delete_options(request: &Request) -> Result<DeleteOptions, ApiError> {
    let given = if request.body.is_empty() { Value::Null } else { body(request)? };
    DeleteOptions::read(&given, |name| request.query(name).map(str::to_owned))
}

/// Answers `delete`.
pub(super) fn delete(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    (place, name): (&Place, &str),
) -> Result<Reply, ApiError> {
    let options = delete_options(request)?;
    let namespace = place.namespace.as_deref().unwrap_or_default();
    let now = core.now();
    let deleted = delete::delete(&mut core.store(), resource, (namespace, name), &options, now)?;
    Ok(Reply::json(200, &deleted.body(resource)))
}

/// Answers `deletecollection`.
pub(super) fn delete_collection(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    place: &Place,
) -> Result<Reply, ApiError> {
    let options = delete_options(request)?;
    let filter = Filter::parse(request, resource)?;
    let now = core.now();
    let mut store = core.store();
    let objects: Vec<_> = matching(&store, resource, place, &filter);
    for object in &objects {
        let key = (value::namespace(object), value::name(object));
        match delete::delete(&mut store, resource, key, &options, now) {
            Err(error) if error.code != 404 => return Err(error),
            _ => {}
        }
    }
    let metadata = json!({"resourceVersion": store.revision().to_string()});
    let body = write_list(resource, &objects, &metadata).into();
    Ok(Reply::Json { code: 200, body, warnings: Vec::new() })
}

fn matching(store: &Store, resource: &Resource, place: &Place, filter: &Filter) -> Vec<Arc<Value>> {
    let all = store.list(&resource.storage, place.namespace.as_deref());
    let all = all.map(|(_, object)| resource.present(object));
    all.filter(|object| filter.matches(object)).collect()
}
