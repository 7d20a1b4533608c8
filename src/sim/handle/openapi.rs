//! OpenAPI documents, made from the tables and from CRDs: types, list and map marks, and paths
//! whose `patch` offers `fieldValidation` (that is what clients look for).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, json};

use super::{Reply, swagger};
use crate::base::digest::Digest;
use crate::shape::types::{self, Field, Form, Shape, Ty};
use crate::sim::resource::{Registry, Resource};
use crate::yaml::Value;

const PLAIN: &str = "application/json";

fn document(body: &Value) -> Reply {
    Reply::Document { media: PLAIN, body: serde_json::to_vec(body).unwrap_or_default().into() }
}

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn by_version(registry: &Registry) -> BTreeMap<String, Vec<&Resource>> {
    let mut found: BTreeMap<String, Vec<&Resource>> = BTreeMap::new();
    for resource in registry.all() {
        found.entry(path_of(&resource.group, &resource.version)).or_default().push(resource);
    }
    found
}

/// Answers `/openapi/v3`: the documents and a hash of each.
pub(super) fn v3(registry: &Registry) -> Reply {
    let mut paths = Map::new();
    for (path, resources) in by_version(registry) {
        let mut seed = path.clone();
        for resource in resources {
            seed.push_str(&resource.plural);
            if let Some(custom) = &resource.custom {
                seed.push_str(&custom.schema.to_string());
            }
        }
        let hash = Digest::of(seed).to_hex().to_uppercase();
        paths.insert(
            path.clone(),
            json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}),
        );
    }
    document(&json!({ "paths": paths }))
}

/// Answers `/openapi/v3/<group version>`.
pub(super) fn v3_of(registry: &Registry, path: &str) -> Option<Reply> {
    let resources = by_version(registry).remove(path)?;
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for resource in resources {
        let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        let name = schema_name(resource);
        add_schemas(resource, &name, &mut schemas, "#/components/schemas/");
        for (url, item) in operations(resource) {
            let mut item = item;
            for operation in
                item.as_object_mut().into_iter().flatten().map(|(_, operation)| operation)
            {
                operation["responses"] = json!({"200": {"description": "OK",
                    "content": {PLAIN: {"schema": reference(&name)}}}});
            }
            paths.insert(url, item);
        }
    }
    let body = json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.34.2"},
        "paths": paths, "components": {"schemas": schemas},
    });
    Some(document(&body))
}

/// Answers `/openapi/v2`: all group versions in one Swagger document, as protobuf for those who ask
/// for that.
pub(super) fn v2(registry: &Registry, accept: &str) -> Reply {
    let whole = whole(registry);
    if accept.contains(swagger::ASKED) {
        return Reply::Document { media: swagger::MEDIA, body: swagger::write(&whole).into() };
    }
    document(&whole)
}

fn whole(registry: &Registry) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for resource in registry.all() {
        add_schemas(resource, &schema_name(resource), &mut schemas, "#/definitions/");
        for (url, mut item) in operations(resource) {
            for operation in
                item.as_object_mut().into_iter().flatten().map(|(_, operation)| operation)
            {
                operation["responses"] = json!({"200": {"description": "OK"}});
                operation["consumes"] = json!([PLAIN]);
                if let Some(map) = operation.as_object_mut() {
                    map.remove("requestBody");
                }
            }
            paths.insert(url, item);
        }
    }
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.34.2"},
        "paths": paths, "definitions": schemas,
    })
}

fn schema_name(resource: &Resource) -> String {
    match resource.ty().def() {
        Some(def) => format!("io.k8s.{}", def.name),
        None => {
            let group: Vec<_> = resource.group.rsplit('.').collect();
            format!("{}.{}.{}", group.join("."), resource.version, resource.kind)
        }
    }
}

fn operations(resource: &Resource) -> Vec<(String, Value)> {
    let root = format!("/{}", path_of(&resource.group, &resource.version));
    let place = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{root}{place}/{}", resource.plural);
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}, "type": "string"});
    let parameters =
        json!([parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")]);
    let operation = |action: &str, media: &[&str]| {
        let content: Map<_, _> = media
            .iter()
            .map(|media| ((*media).to_owned(), json!({"schema": {"type": "object"}})))
            .collect();
        json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
            "parameters": parameters, "requestBody": {"content": content}})
    };
    let mut patches = vec![
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
    ];
    if resource.custom.is_none() {
        patches.push("application/strategic-merge-patch+json");
    }
    let mut found = Vec::new();
    if resource.allows("create") {
        found.push((collection.clone(), json!({"post": operation("post", &["*/*"])})));
    }
    if resource.allows("patch") {
        let one = json!({"put": operation("put", &["*/*"]), "patch": operation("patch", &patches)});
        found.push((format!("{collection}/{{name}}"), one));
    }
    found
}

/// Adds the schema of a resource and of all that it refers to.
fn add_schemas(resource: &Resource, name: &str, schemas: &mut Map<String, Value>, root: &str) {
    let kind =
        json!([{"group": resource.group, "version": resource.version, "kind": resource.kind}]);
    let mut wanted = BTreeSet::new();
    let mut schema = match (resource.ty(), &resource.custom) {
        (_, Some(custom)) => {
            let mut schema = custom.schema.clone();
            let metadata = Ty::metadata();
            if let Ty::Known(field) = metadata {
                schema["properties"]["metadata"] = field_schema(field, &mut wanted, root);
            }
            schema
        }
        (ty, None) => ty
            .def()
            .map_or_else(|| json!({"type": "object"}), |def| def_schema(def, &mut wanted, root)),
    };
    schema["x-kubernetes-group-version-kind"] = kind;
    schemas.insert(name.to_owned(), schema);
    while let Some(index) = wanted.pop_first() {
        let def = types::def(index);
        let name = format!("io.k8s.{}", def.name);
        if !schemas.contains_key(&name) {
            schemas.insert(name, def_schema(def, &mut wanted, root));
        }
    }
}

fn def_schema(def: &'static types::Def, wanted: &mut BTreeSet<usize>, root: &str) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, field) in &def.fields {
        properties.insert((*name).to_owned(), field_schema(field, wanted, root));
        if field.required {
            required.push(*name);
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn field_schema(field: &'static Field, wanted: &mut BTreeSet<usize>, root: &str) -> Value {
    let mut schema = match &field.form {
        Form::Text | Form::Quantity => json!({"type": "string"}),
        Form::Time | Form::MicroTime => json!({"type": "string", "format": "date-time"}),
        Form::Bytes => json!({"type": "string", "format": "byte"}),
        Form::Int => json!({"type": "integer", "format": "int32"}),
        Form::Number => json!({"type": "number", "format": "double"}),
        Form::Bool => json!({"type": "boolean"}),
        Form::IntOrText => json!({"type": "string", "format": "int-or-string"}),
        Form::Any => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        Form::Struct(index) => {
            wanted.insert(*index);
            json!({"$ref": format!("{root}io.k8s.{}", types::def(*index).name)})
        }
        Form::List(inner) => json!({"type": "array", "items": field_schema(inner, wanted, root)}),
        Form::Map(inner) => {
            json!({"type": "object", "additionalProperties": field_schema(inner, wanted, root)})
        }
    };
    let strategy = &field.strategy;
    let parts = [(strategy.merge, "merge"), (strategy.retain_keys, "retainKeys")];
    let parts: Vec<_> = parts.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
    if !parts.is_empty() {
        schema["x-kubernetes-patch-strategy"] = parts.join(",").into();
    }
    if let Some(key) = strategy.key {
        schema["x-kubernetes-patch-merge-key"] = key.into();
    }
    match (Ty::Known(field).shape(), &field.form) {
        (Shape::Keyed(keys), _) => {
            schema["x-kubernetes-list-type"] = "map".into();
            schema["x-kubernetes-list-map-keys"] = json!(keys);
        }
        (Shape::Set, _) => schema["x-kubernetes-list-type"] = "set".into(),
        (Shape::Leaf, Form::List(_)) => schema["x-kubernetes-list-type"] = "atomic".into(),
        (Shape::Leaf, Form::Map(_)) => schema["x-kubernetes-map-type"] = "atomic".into(),
        _ => {}
    }
    schema
}
