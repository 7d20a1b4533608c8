//! Requests answered: one function for each verb, over the locked store. Nothing here waits.

mod discovery;
mod openapi;
mod read;
mod review;
mod subresource;
mod swagger;
mod watch;
mod writes;

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

pub(crate) use watch::{Watch, stream};

use super::access;
use super::core::Core;
use super::request::{Form, Place, Request, Target, accepted};
use super::resource::Resource;
use super::status::ApiError;
use crate::yaml::Value;

/// An answer.
#[derive(Debug)]
pub(crate) enum Reply {
    Json {
        code: u16,
        body: Bytes,
        warnings: Vec<String>,
    },
    /// A document that clients cache: discovery, OpenAPI.
    Document {
        media: &'static str,
        body: Bytes,
    },
    Text {
        code: u16,
        body: String,
    },
    Watch(Box<Watch>),
}

impl Reply {
    /// Returns a JSON answer.
    pub(crate) fn json(code: u16, body: &Value) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self::Json { code, body: body.into(), warnings: Vec::new() }
    }

    /// Returns the answer of a refusal.
    pub(crate) fn refusal(error: &ApiError) -> Self {
        Self::json(error.code, &error.body)
    }
}

const BODY_BYTES: usize = 3_145_728;

/// Answers a request.
pub(crate) fn answer(core: &Core, request: &Request) -> Reply {
    route(core, request).unwrap_or_else(|error| Reply::refusal(&error))
}

fn route(core: &Core, request: &Request) -> Result<Reply, ApiError> {
    if request.body.len() > BODY_BYTES {
        return Err(ApiError::too_large());
    }
    let place = match &request.target {
        Target::Resource(place) => place,
        Target::Unknown => return Ok(not_found()),
        Target::Control(path) => return Ok(control(core, request, path)),
        _ if request.method != Method::GET && request.method != Method::HEAD => {
            return Err(ApiError::no_method());
        }
        Target::Version => return Ok(discovery::version()),
        Target::Health => return Ok(Reply::Text { code: 200, body: "ok".to_owned() }),
        Target::CoreVersions
        | Target::Groups
        | Target::Group(_)
        | Target::Resources(..)
        | Target::OpenApi2
        | Target::OpenApi3
        | Target::OpenApi3Of(_) => {
            let registry = core.store().registry.clone();
            return Ok(match &request.target {
                Target::OpenApi2 => openapi::v2(&registry, &request.accept),
                Target::OpenApi3 => openapi::v3(&registry),
                Target::OpenApi3Of(path) => {
                    openapi::v3_of(&registry, path).unwrap_or_else(not_found)
                }
                _ => discovery::answer(&registry, request).unwrap_or_else(not_found),
            });
        }
    };
    if core.options.rbac {
        access::check(&core.store(), request, place)?;
    }
    let resource = {
        let store = core.store();
        if !store.registry.serves(&place.group, &place.version) {
            return Ok(not_found());
        }
        store.registry.find(&place.group, &place.version, &place.plural)
    };
    let resource = resource.ok_or_else(ApiError::no_resource)?;
    if place.name.is_some() && resource.namespaced && place.namespace.is_none() {
        return Err(ApiError::no_resource());
    }
    if let Some(subresource) = &place.subresource
        && subresource != "status"
    {
        return subresource::answer(core, request, &resource, place, subresource);
    }
    of_resource(core, request, &resource, place)
}

fn of_resource(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    place: &Place,
) -> Result<Reply, ApiError> {
    if place.subresource.is_some() && !resource.has_status() {
        return Err(ApiError::no_resource());
    }
    let form = accepted(&request.accept).ok_or_else(ApiError::not_acceptable)?;
    let verb = request.verb();
    if resource.verbs == ["create"] && verb == "create" {
        return review::answer(core, request, resource, place);
    }
    if !resource.allows(verb) {
        return Err(ApiError::no_method());
    }
    match (verb, &place.name) {
        ("get", Some(name)) => read::get(core, request, resource, (place, name), form),
        ("list", _) => read::list(core, request, resource, place, form),
        ("watch", _) => watch::plan(core, request, resource, place, form),
        ("create", None) => writes::create(core, request, resource, place),
        ("update", Some(name)) => writes::update(core, request, resource, (place, name)),
        ("patch", Some(name)) => writes::patch(core, request, resource, (place, name)),
        ("delete", Some(name)) => writes::delete(core, request, resource, (place, name)),
        ("deletecollection", None) => writes::delete_collection(core, request, resource, place),
        _ => Err(ApiError::no_method()),
    }
}

fn not_found() -> Reply {
    Reply::Text { code: 404, body: "404 page not found\n".to_owned() }
}

/// Shows one object in the form that was asked for.
fn show(
    core: &Core,
    request: &Request,
    resource: &Resource,
    object: &Arc<Value>,
    form: Form,
) -> Value {
    match form {
        Form::Object | Form::Discovery => Value::clone(object),
        Form::Metadata => super::table::metadata_only(object),
        Form::Table => {
            let include = request.query("includeObject").unwrap_or("Metadata");
            super::table::table(resource, std::slice::from_ref(object), include, core.now())
        }
    }
}

/// The simulation's own doors: `/sim/faults` and `/sim/calls`.
fn control(core: &Core, request: &Request, path: &str) -> Reply {
    use super::fault::Rule;
    match (request.method.as_str(), path) {
        ("GET", "faults") => {
            let body = serde_json::json!({"rules": core.faults.rules(), "held": core.faults.held(),
                    "struck": core.faults.struck(), "calls": core.faults.struck_calls()});
            Reply::json(200, &body)
        }
        ("POST", "faults") => match serde_json::from_slice::<Rule>(&request.body) {
            Ok(rule) => {
                core.faults.add(rule);
                Reply::json(201, &serde_json::json!({"rules": core.faults.rules()}))
            }
            Err(error) => Reply::Text { code: 400, body: format!("this is no rule: {error}\n") },
        },
        ("DELETE", "faults") => {
            core.faults.clear();
            Reply::json(200, &serde_json::json!({"rules": []}))
        }
        ("GET", "calls") => Reply::json(200, &core.calls.to_value()),
        ("DELETE", "calls") => {
            core.calls.reset();
            Reply::json(200, &core.calls.to_value())
        }
        ("POST", "watches/cut") => {
            core.cut_watches();
            Reply::json(200, &serde_json::json!({}))
        }
        ("POST", "watches/expire") => {
            core.expire();
            Reply::json(200, &serde_json::json!({}))
        }
        _ => not_found(),
    }
}
