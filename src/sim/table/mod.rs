//! Tables: what `kubectl get` prints, and objects cut to their metadata.

mod cells;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde_json::json;

use super::resource::Resource;
use super::value::{name, text};
use crate::base::clock::Timestamp;
use crate::yaml::Value;

const TABLE: &str = include_str!("../tables/columns.txt");

fn definitions() -> &'static HashMap<&'static str, Vec<Value>> {
    static PARSED: OnceLock<HashMap<&'static str, Vec<Value>>> = OnceLock::new();
    PARSED.get_or_init(|| {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.split_once('|'))
            .map(|(kind, columns)| (kind, parse(columns)))
            .collect()
    })
}

fn parse(columns: &str) -> Vec<Value> {
    columns
        .split('|')
        .filter_map(|column| {
            let mut parts = column.rsplitn(4, ',');
            let (priority, format, kind) = (parts.next()?, parts.next()?, parts.next()?);
            Some(definition(parts.next()?, kind, format, priority.parse().unwrap_or_default()))
        })
        .collect()
}

fn definition(name: &str, kind: &str, format: &str, priority: i64) -> Value {
    json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
}

fn columns(resource: &Resource) -> Vec<Value> {
    let plain =
        || vec![definition("Name", "string", "name", 0), definition("Created At", "date", "", 0)];
    if let Some(custom) = &resource.custom {
        let mut all = vec![definition("Name", "string", "name", 0)];
        let own = custom.columns.iter();
        all.extend(
            own.map(|column| {
                definition(&column.name, &column.kind, &column.format, column.priority)
            }),
        );
        if custom.columns.is_empty() {
            all.push(definition("Age", "date", "", 0));
        }
        return all;
    }
    let group = if resource.group.is_empty() { "-" } else { &resource.group };
    let key = format!("{group}/{}/{}", resource.version, resource.plural);
    definitions().get(key.as_str()).cloned().unwrap_or_else(plain)
}

/// Returns objects as a table.
pub(crate) fn table(
    resource: &Resource,
    objects: &[Arc<Value>],
    include: &str,
    now: Timestamp,
) -> Value {
    let columns = columns(resource);
    let rows: Vec<_> = objects
        .iter()
        .map(|object| {
            let cells = cells(resource, object, &columns, now);
            let mut row = json!({ "cells": cells });
            match include {
                "None" => {}
                "Object" => row["object"] = Value::clone(object),
                _ => row["object"] = metadata_only(object),
            }
            row
        })
        .collect();
    let revision = objects.last().map_or("", |object| text(object, "/metadata/resourceVersion"));
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision},
        "columnDefinitions": columns, "rows": rows})
}

fn cells(resource: &Resource, object: &Value, columns: &[Value], now: Timestamp) -> Vec<Value> {
    if let Some(custom) = &resource.custom {
        let mut all = vec![Value::from(name(object))];
        all.extend(
            custom
                .columns
                .iter()
                .map(|column| cells::custom(object, &column.path, &column.kind, now)),
        );
        if custom.columns.is_empty() {
            all.push(cells::age(object, now).into());
        }
        return all;
    }
    let column = |column: &Value| cells::cell(resource, object, text(column, "/name"), now);
    columns.iter().map(column).collect()
}

/// Returns an object as `PartialObjectMetadata`.
pub(crate) fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}
