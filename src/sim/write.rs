//! Creates, updates and applies: the way of a body into the store.
//!
//! The order is the server's: decode, default, own fields, prepare (what a kind's strategy sets),
//! validate, store. Nothing here waits.

use std::sync::Arc;

use super::access::{self, User};
use super::decode::{self, Report};
use super::default;
use super::managed::{self, ApplyRules, Writer};
use super::resource::Resource;
use super::status::{ApiError, FieldError};
use super::store::Store;
use super::value::{self, deleting, set, text, unset};
use super::{limits, quota, strategy, validate, version};
use crate::yaml::Value;

/// What to do about fields that the type does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Drop,
    Warn,
    Refuse,
}

/// The circumstances of a write.
#[derive(Debug, Clone)]
pub(crate) struct Circumstances {
    pub(crate) manager: String,
    pub(crate) dry_run: bool,
    pub(crate) unknown: Unknown,
    /// The present time, as Kubernetes prints it.
    pub(crate) now: String,
    /// Empty for the resource itself, else `status` or another subresource.
    pub(crate) subresource: String,
    /// Who may give no rights but their own; none: whoever writes may give any.
    pub(crate) giver: Option<User>,
}

/// What came of a write.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) object: Arc<Value>,
    pub(crate) created: bool,
    pub(crate) warnings: Vec<String>,
}

impl Circumstances {
    fn writer<'a>(&'a self, api_version: &'a str) -> Writer<'a> {
        let subresource = self.subresource.as_str();
        Writer { manager: &self.manager, api_version, subresource, now: &self.now }
    }
}

/// Reads a body through the type of its resource, fills in defaults.
pub(crate) fn read(
    resource: &Resource,
    body: Value,
    unknown: Unknown,
) -> Result<(Value, Vec<String>), ApiError> {
    read_strictly(resource, body, unknown, &[])
}

/// As [`read`], knowing which keys stood twice in the body.
pub(crate) fn read_strictly(
    resource: &Resource,
    body: Value,
    unknown: Unknown,
    twice: &[String],
) -> Result<(Value, Vec<String>), ApiError> {
    if !body.is_object() {
        return Err(wrong_kind(resource, "json: cannot unmarshal body into Go value"));
    }
    let mut report = Report::default();
    let decoded = decode::decode(body, resource.ty(), &mut report);
    let mut object = decoded.map_err(|why| wrong_kind(resource, &why.0))?;
    value::default(&mut object, "apiVersion", resource.api_version());
    value::default(&mut object, "kind", resource.kind.as_str());
    value::default(&mut object, "metadata", Value::Object(serde_json::Map::new()));
    if let Some(custom) = &resource.custom {
        custom.shape(&mut object, &mut report.unknown);
    } else {
        // Defaults are written for the version that is stored.
        let stored = &resource.storage_api_version;
        let served = resource.api_version();
        if served == *stored {
            default::fill(&resource.storage, &mut object);
        } else {
            let mut converted = version::convert(&object, stored);
            default::fill(&resource.storage, &mut converted);
            object = version::convert(&converted, &served);
        }
    }
    let unknowns = report.unknown.iter().map(|path| format!("unknown field \"{path}\""));
    let twice = twice.iter().map(|path| format!("duplicate field \"{path}\""));
    let fields: Vec<_> = unknowns.chain(twice).collect();
    match unknown {
        _ if fields.is_empty() => Ok((object, fields)),
        Unknown::Drop => Ok((object, Vec::new())),
        Unknown::Warn => Ok((object, fields)),
        Unknown::Refuse => {
            Err(wrong_kind(resource, &format!("strict decoding error: {}", fields.join(", "))))
        }
    }
}

fn wrong_kind(resource: &Resource, why: &str) -> ApiError {
    let (kind, version) = (&resource.kind, &resource.version);
    ApiError::bad_request(&format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"
    ))
}

/// A body of another kind, in the words of Go's scheme.
fn wrong_body(resource: &Resource, api_version: &str, kind: &str) -> ApiError {
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let internal = resource.group.split('.').next().filter(|group| !group.is_empty());
    let own = &resource.kind;
    ApiError::bad_request(&format!(
        "{kind} in version \"{version}\" cannot be handled as a {own}: converting \
         ({version}.{kind}) to ({}.{own}): unknown conversion",
        internal.unwrap_or("core")
    ))
}

/// Checks that a body is of the resource's kind and names the place of the URL.
pub(crate) fn check_place(
    resource: &Resource,
    object: &mut Value,
    namespace: &str,
    name: Option<&str>,
) -> Result<(), ApiError> {
    let (api_version, kind) =
        (text(object, "/apiVersion").to_owned(), text(object, "/kind").to_owned());
    if (!kind.is_empty() && kind != resource.kind)
        || (!api_version.is_empty() && api_version != resource.api_version())
    {
        return Err(wrong_body(resource, &api_version, &kind));
    }
    if resource.namespaced {
        let given = value::namespace(object);
        if !given.is_empty() && given != namespace {
            let message = "the namespace of the provided object does not match the namespace sent on \
                           the request";
            return Err(ApiError::bad_request(message));
        }
        set(object, &["metadata", "namespace"], namespace);
    } else {
        unset(object, &["metadata", "namespace"]);
    }
    if let Some(name) = name {
        let given = value::name(object);
        if !given.is_empty() && given != name {
            let message = format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            );
            return Err(ApiError::bad_request(&message));
        }
        set(object, &["metadata", "name"], name);
    }
    Ok(())
}

/// Refuses new objects in namespaces that are absent or on their way out.
fn check_namespace(store: &Store, resource: &Resource, object: &Value) -> Result<(), ApiError> {
    if !resource.namespaced {
        return Ok(());
    }
    let namespace = value::namespace(object);
    match store.get("namespaces", "", namespace) {
        None => Err(ApiError::namespace_not_found(namespace)),
        Some(found) if deleting(found) => {
            Err(ApiError::terminating_namespace(resource, value::name(object), namespace))
        }
        Some(_) => Ok(()),
    }
}

const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Returns five characters for `generateName`.
pub(crate) fn random_suffix() -> String {
    let pick = |_| char::from(SUFFIX[rand::random_range(0..SUFFIX.len())]);
    (0..5).map(pick).collect()
}

fn new_uid() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Creates an object from a body that was read with [`read`] and placed with [`check_place`].
pub(crate) fn create(
    store: &mut Store,
    resource: &Resource,
    mut object: Value,
    how: &Circumstances,
) -> Result<Outcome, ApiError> {
    if !text(&object, "/metadata/resourceVersion").is_empty() {
        return Err(ApiError::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    for field in [
        "uid",
        "creationTimestamp",
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
    ] {
        unset(&mut object, &["metadata", field]);
    }
    if resource.has_generation() {
        unset(&mut object, &["metadata", "generation"]);
    }
    name_it(store, resource, &mut object)?;
    let api_version = resource.api_version();
    let zero = decode::zero(resource.ty());
    let mut owned = object.clone();
    if resource.has_status() {
        unset(&mut owned, &["status"]);
    }
    managed::update(&zero, &mut owned, resource.ty(), &how.writer(&api_version), true);
    if let Some(entries) = unset(&mut owned, &["metadata", "managedFields"]) {
        set(&mut object, &["metadata", "managedFields"], entries);
    }
    store_new(store, resource, object, how)
}

fn name_it(store: &Store, resource: &Resource, object: &mut Value) -> Result<(), ApiError> {
    if !value::name(object).is_empty() {
        return Ok(());
    }
    let prefix = text(object, "/metadata/generateName").to_owned();
    if prefix.is_empty() {
        let error = FieldError::required("metadata.name", "name or generateName is required");
        return Err(ApiError::invalid(resource, "", &[error]));
    }
    let prefix = prefix.get(..prefix.len().min(58)).unwrap_or(&prefix).to_owned();
    let mut name = format!("{prefix}{}", random_suffix());
    for _ in 0..7 {
        if store.get(&resource.storage, value::namespace(object), &name).is_none() {
            break;
        }
        name = format!("{prefix}{}", random_suffix());
    }
    set(object, &["metadata", "name"], name);
    Ok(())
}

/// Prepares, validates and stores a new object whose managed fields are set.
fn store_new(
    store: &mut Store,
    resource: &Resource,
    mut object: Value,
    how: &Circumstances,
) -> Result<Outcome, ApiError> {
    check_namespace(store, resource, &object)?;
    set(&mut object, &["metadata", "uid"], new_uid());
    set(&mut object, &["metadata", "creationTimestamp"], how.now.as_str());
    if resource.has_generation() {
        set(&mut object, &["metadata", "generation"], 1);
    }
    let served = resource.api_version();
    let mut object = if served == resource.storage_api_version {
        object
    } else {
        version::convert(&object, &resource.storage_api_version)
    };
    strategy::set_priority(store, resource, &mut object)?;
    limits::fill(store, resource, &mut object);
    strategy::prepare_create(store, resource, &mut object);
    let name = value::name(&object).to_owned();
    if let Some(custom) = &resource.custom {
        strategy::check_crd_accepts(store, resource, custom, &name)?;
    }
    let errors = validate::create(resource, &object);
    if !errors.is_empty() {
        return Err(ApiError::invalid(resource, &name, &errors));
    }
    if let Some(giver) = &how.giver {
        access::check_gift(store, giver, resource, &object)?;
    }
    limits::admit(store, resource, &object)?;
    quota::admit(store, resource, None, &object, how.dry_run)?;
    if store.get(&resource.storage, value::namespace(&object), &name).is_some() {
        return Err(ApiError::exists(resource, &name));
    }
    let object = if how.dry_run { Arc::new(object) } else { store.put(&resource.storage, object) };
    Ok(Outcome { object, created: true, warnings: Vec::new() })
}

/// Replaces an object by a body that was read and placed, or changes it by a patch's result.
pub(crate) fn update(
    store: &mut Store,
    resource: &Resource,
    live: &Arc<Value>,
    mut object: Value,
    how: &Circumstances,
) -> Result<Outcome, ApiError> {
    let name = value::name(live).to_owned();
    check_version(resource, live, &object, &name)?;
    check_deletion(resource, live, &object)?;
    keep_metadata(live, &mut object);
    strategy::prepare_update(store, resource, live, &mut object, &how.subresource);
    let api_version = resource.api_version();
    managed::update(live, &mut object, resource.ty(), &how.writer(&api_version), false);
    store_changed(store, resource, live, object, how)
}

/// Writes through `scale`: the caller has raised the generation.
pub(crate) fn update_scale(
    store: &mut Store,
    resource: &Resource,
    live: &Arc<Value>,
    mut object: Value,
    how: &Circumstances,
) -> Result<Outcome, ApiError> {
    let api_version = resource.api_version();
    managed::update(live, &mut object, resource.ty(), &how.writer(&api_version), false);
    store_changed(store, resource, live, object, how)
}

fn check_version(
    resource: &Resource,
    live: &Value,
    object: &Value,
    name: &str,
) -> Result<(), ApiError> {
    let given = text(object, "/metadata/resourceVersion");
    if !given.is_empty() && given != text(live, "/metadata/resourceVersion") {
        return Err(ApiError::stale(resource, name));
    }
    let given = value::uid(object);
    if !given.is_empty() && given != value::uid(live) {
        let group = match &resource.custom {
            Some(_) => format!("{}/", resource.group),
            None => String::new(),
        };
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{}/{name}, \
             ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: \
             {given}, UID in object meta: {}",
            resource.plural,
            value::namespace(live),
            value::uid(live)
        );
        return Err(ApiError::conflict(resource, name, &why));
    }
    Ok(())
}

/// Refuses a time of deletion that is not the server's.
fn check_deletion(resource: &Resource, live: &Value, object: &Value) -> Result<(), ApiError> {
    let path = "/metadata/deletionTimestamp";
    let given = text(object, path);
    if given.is_empty() || given == text(live, path) {
        return Ok(());
    }
    let error =
        || FieldError::invalid("metadata.deletionTimestamp", &given.into(), "field is immutable");
    Err(ApiError::invalid(resource, value::name(live), &[error(), error()]))
}

/// On updates the server's metadata wins.
fn keep_metadata(live: &Value, object: &mut Value) {
    const KEPT: [&str; 7] = [
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "generateName",
    ];
    for field in KEPT {
        match live.pointer(&format!("/metadata/{field}")) {
            Some(kept) => set(object, &["metadata", field], kept.clone()),
            None if field == "generateName" => {}
            None => {
                unset(object, &["metadata", field]);
            }
        }
    }
    unset(object, &["metadata", "selfLink"]);
}

/// Validates and stores a changed object, or finishes a deletion that it completes.
fn store_changed(
    store: &mut Store,
    resource: &Resource,
    live: &Arc<Value>,
    mut object: Value,
    how: &Circumstances,
) -> Result<Outcome, ApiError> {
    let name = value::name(live).to_owned();
    if resource.has_generation()
        && how.subresource.is_empty()
        && strategy::spec_differs(resource, live, &object)
    {
        let generation = value::int(live, "/metadata/generation").unwrap_or_default() + 1;
        set(&mut object, &["metadata", "generation"], generation);
    }
    let errors = validate::update(resource, live, &object, &how.subresource);
    if !errors.is_empty() {
        return Err(ApiError::invalid(resource, &name, &errors));
    }
    let done = |object| Ok(Outcome { object, created: false, warnings: Vec::new() });
    if object == **live {
        return done(live.clone());
    }
    if how.subresource.is_empty() {
        if let Some(giver) = &how.giver {
            access::check_gift(store, giver, resource, &object)?;
        }
        quota::admit(store, resource, Some(live), &object, how.dry_run)?;
    }
    let finished = deleting(&object)
        && value::items(&object, "/metadata/finalizers").is_empty()
        && strategy::may_vanish(resource, &object);
    if how.dry_run {
        return done(Arc::new(object));
    }
    let stored = if resource.api_version() == resource.storage_api_version {
        object
    } else {
        version::convert(&object, &resource.storage_api_version)
    };
    if finished {
        let (namespace, name) =
            (value::namespace(&stored).to_owned(), value::name(&stored).to_owned());
        store.put(&resource.storage, stored);
        let last = store.remove(&resource.storage, &namespace, &name);
        return done(last.unwrap_or_else(|| live.clone()));
    }
    done(store.put(&resource.storage, stored))
}

/// What is applied.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The configuration, placed with [`check_place`].
    pub(crate) config: Value,
    /// The namespace that the client had written into it.
    pub(crate) given_namespace: String,
    /// Whether fields are taken from other managers.
    pub(crate) force: bool,
}

/// Applies a configuration (server-side apply), creating the object when it is missing.
pub(crate) fn apply(
    store: &mut Store,
    resource: &Resource,
    Applied { config, given_namespace, force }: Applied,
    how: &Circumstances,
) -> Result<Outcome, ApiError> {
    let (namespace, name) = (value::namespace(&config).to_owned(), value::name(&config).to_owned());
    let live = store.get(&resource.storage, &namespace, &name).map(|live| resource.present(live));
    if config.pointer("/metadata/managedFields").is_some_and(|fields| !value::is_empty(fields)) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    check_apply_place(resource, live.as_deref(), &config, &name)?;
    let mut zero = decode::zero(resource.ty());
    let api_version = resource.api_version();
    set(&mut zero, &["apiVersion"], api_version.as_str());
    set(&mut zero, &["kind"], resource.kind.as_str());
    let ignored = ignored_branches(resource, &how.subresource);
    let rules = ApplyRules {
        force,
        exists: live.is_some(),
        zero: &zero,
        ignored,
        kind: &resource.kind,
        namespace: &given_namespace,
    };
    let base = live.as_deref().unwrap_or(&zero);
    let writer = how.writer(&api_version);
    let applied = managed::apply(base, &config, resource.ty(), &writer, rules)?;
    let (mut object, warnings) = read(resource, applied, how.unknown)?;
    let mut outcome = match &live {
        None => store_new(store, resource, object, how)?,
        Some(live) => {
            keep_metadata(live, &mut object);
            strategy::prepare_update(store, resource, live, &mut object, &how.subresource);
            store_changed(store, resource, live, object, how)?
        }
    };
    outcome.warnings = warnings;
    Ok(outcome)
}

fn ignored_branches(resource: &Resource, subresource: &str) -> &'static [&'static [&'static str]] {
    match subresource {
        "" if resource.has_status() => &[&["status"]],
        "status" => &[&["spec"], &["metadata"]],
        _ => &[],
    }
}

fn check_apply_place(
    resource: &Resource,
    live: Option<&Value>,
    config: &Value,
    name: &str,
) -> Result<(), ApiError> {
    match live {
        Some(live) => check_version(resource, live, config, name),
        None if !value::uid(config).is_empty() => {
            let why = format!(
                "uid mismatch: the provided object specified uid {}, and no existing object was found",
                value::uid(config)
            );
            Err(ApiError::conflict(resource, name, &why))
        }
        None if !text(config, "/metadata/resourceVersion").is_empty() => {
            Err(ApiError::not_found(resource, name))
        }
        None => Ok(()),
    }
}
