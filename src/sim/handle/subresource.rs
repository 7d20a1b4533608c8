//! Doors beside the object itself: scale, eviction, binding, log, token, finalize.

use std::sync::Arc;

use serde_json::json;

use super::Reply;
use super::writes::{body, circumstances, patched};
use crate::sim::access::TOKEN;
use crate::sim::core::Core;
use crate::sim::delete::{self, DeleteOptions};
use crate::sim::request::{Place, Request};
use crate::sim::resource::Resource;
use crate::sim::selector::Labels;
use crate::sim::status::{ApiError, FieldError};
use crate::sim::value::{self, int, set, text};
use crate::sim::write;
use crate::yaml::Value;

/// Answers a request to a subresource other than `status`.
pub(super) fn answer(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    place: &Place,
    name: &str,
) -> Result<Reply, ApiError> {
    let door = resource.subresource(name).ok_or_else(ApiError::no_resource)?;
    let object = place.name.as_deref().ok_or_else(ApiError::no_resource)?;
    let namespace = place.namespace.as_deref().unwrap_or_default();
    if !door.verbs.iter().any(|verb| verb == request.verb()) {
        return Err(ApiError::no_method());
    }
    match (resource.storage.as_ref(), name) {
        (_, "scale") => scale(core, request, resource, (namespace, object)),
        ("pods", "log") => log(core, resource, (namespace, object)),
        ("pods", "eviction") => {
            let options = body(request)?.get("deleteOptions").cloned().unwrap_or_default();
            let options = DeleteOptions::read(&options, |_| None)?;
            let now = core.now();
            delete::delete(&mut core.store(), resource, (namespace, object), &options, now)?;
            Ok(success(201))
        }
        ("pods", "binding") => {
            let node = text(&body(request)?, "/target/name").to_owned();
            core.edit(("pods", namespace, object), &request.manager(), "", |pod| {
                set(pod, &["spec", "nodeName"], node);
            })?;
            Ok(success(201))
        }
        ("serviceaccounts", "token") => token(core, request, resource, (namespace, object)),
        ("namespaces", "finalize") => {
            let sent = body(request)?;
            let finalizers = sent.pointer("/spec/finalizers").cloned().unwrap_or_else(|| json!([]));
            let new = core.edit(
                ("namespaces", "", object),
                &request.manager(),
                "finalize",
                |namespace| {
                    set(namespace, &["spec", "finalizers"], finalizers);
                },
            )?;
            Ok(Reply::json(200, &new))
        }
        _ => Err(ApiError::no_method()),
    }
}

fn success(code: u16) -> Reply {
    Reply::json(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}),
    )
}

/// Where a resource keeps its scale: pointers to wanted and present replicas, and to the selector.
fn paths(resource: &Resource) -> (String, String, String) {
    match resource.custom.as_ref().and_then(|custom| custom.scale.as_ref()) {
        Some(scale) => (scale.spec.clone(), scale.status.clone(), scale.selector.clone()),
        None => ("/spec/replicas".to_owned(), "/status/replicas".to_owned(), String::new()),
    }
}

fn show_scale(resource: &Resource, object: &Value) -> Value {
    let (wanted, present, selector) = paths(resource);
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.pointer(&format!("/metadata/{field}")) {
            metadata[field] = value.clone();
        }
    }
    let mut spec = json!({});
    if let Some(replicas) = int(object, &wanted).filter(|replicas| *replicas != 0) {
        spec["replicas"] = replicas.into();
    }
    let mut status = json!({"replicas": int(object, &present).unwrap_or_default()});
    let selector = if resource.custom.is_some() {
        Some(text(object, &selector).to_owned()).filter(|selector| !selector.is_empty())
    } else {
        object.pointer("/spec/selector").and_then(Labels::from_object).map(|labels| labels.print())
    };
    if let Some(selector) = selector {
        status["selector"] = selector.into();
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

fn scale(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    (namespace, name): (&str, &str),
) -> Result<Reply, ApiError> {
    let how = circumstances(core, request, "UpdateOptions", "scale")?;
    let mut store = core.store();
    let live = store.get(&resource.storage, namespace, name).map(|live| resource.present(live));
    let live = live.ok_or_else(|| ApiError::not_found(resource, name))?;
    let shown = show_scale(resource, &live);
    let new = match request.method.as_str() {
        "GET" => return Ok(Reply::json(200, &shown)),
        "PUT" => body(request)?,
        _ => {
            let kind = request.content_type.split(';').next().unwrap_or_default();
            patched(resource, &shown, kind, &request.body)?
        }
    };
    let given = text(&new, "/metadata/resourceVersion");
    if !given.is_empty() && given != text(&live, "/metadata/resourceVersion") {
        return Err(ApiError::stale(resource, name));
    }
    let replicas = int(&new, "/spec/replicas").unwrap_or_default();
    if replicas < 0 {
        let why = "must be greater than or equal to 0";
        let error = FieldError::invalid("spec.replicas", &replicas.into(), why);
        let of = ("autoscaling", "Scale");
        return Err(ApiError::invalid_as("Scale.autoscaling", of, name, &[error]));
    }
    let mut object = Value::clone(&live);
    let (wanted, _, _) = paths(resource);
    let path: Vec<&str> = wanted.split('/').filter(|part| !part.is_empty()).collect();
    set(&mut object, &path, replicas);
    // The change is one of the spec: only the door's name is another.
    let generation = int(&live, "/metadata/generation").unwrap_or_default();
    if resource.has_generation() && object != *live {
        object = bump(object, generation);
    }
    let outcome = write::update_scale(&mut store, resource, &live, object, &how)?;
    Ok(Reply::json(200, &show_scale(resource, &resource.present(&outcome.object))))
}

fn bump(mut object: Value, generation: i64) -> Value {
    set(&mut object, &["metadata", "generation"], generation + 1);
    object
}

fn log(
    core: &Core,
    resource: &Resource,
    (namespace, name): (&str, &str),
) -> Result<Reply, ApiError> {
    let pod =
        core.get("pods", namespace, name).ok_or_else(|| ApiError::not_found(resource, name))?;
    let body = value::annotation(&pod, crate::sim::LOG_ANNOTATION).to_owned();
    Ok(Reply::Text { code: 200, body })
}

/// Who is meant by a token that names nobody: this API.
const AUDIENCE: &str = "https://kubernetes.default.svc";

fn token(
    core: &Core,
    request: &Request,
    resource: &Resource,
    (namespace, name): (&str, &str),
) -> Result<Reply, ApiError> {
    if core.get("serviceaccounts", namespace, name).is_none() {
        return Err(ApiError::not_found(resource, name));
    }
    let mut review = body(request)?;
    let seconds = int(&review, "/spec/expirationSeconds").unwrap_or(3600);
    let wrong = match seconds {
        ..600 => "may not specify a duration less than 10 minutes",
        4_294_967_297.. => "may not specify a duration larger than 2^32 seconds",
        600..=4_294_967_296 => "",
    };
    if !wrong.is_empty() {
        let error = FieldError::invalid("spec.expirationSeconds", &seconds.into(), wrong);
        let of = ("authentication.k8s.io", "TokenRequest");
        return Err(ApiError::invalid_as("TokenRequest.authentication.k8s.io", of, "", &[error]));
    }
    set(&mut review, &["spec", "expirationSeconds"], seconds);
    if value::items(&review, "/spec/audiences").is_empty() {
        set(&mut review, &["spec", "audiences"], json!([AUDIENCE]));
    }
    value::default(&mut review["spec"], "boundObjectRef", Value::Null);
    set(&mut review, &["metadata", "name"], name);
    set(&mut review, &["metadata", "namespace"], namespace);
    let end =
        core.now().saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(core.now());
    review["status"] = json!({
        "token": format!("{TOKEN}{namespace}.{name}"),
        "expirationTimestamp": crate::base::clock::rfc3339_seconds(end),
    });
    Ok(Reply::json(201, &review))
}
