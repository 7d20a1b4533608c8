//! Managers of fields: `metadata.managedFields` read, reckoned and written.
//!
//! Source: sigs.k8s.io/structured-merge-diff v6 merge/update.go; k8s.io/apimachinery 0.34
//! pkg/util/managedfields/internal (structuredmerge, managedfieldsupdater, stripmeta, …).

use serde_json::json;

use super::set::Set;
use super::typed;
use crate::shape::types::Ty;
use crate::sim::status::ApiError;
use crate::sim::value;
use crate::yaml::Value;

/// Who writes, and through which door.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: &'a str,
    /// Empty for the resource itself, else `status` or `scale`.
    pub(crate) subresource: &'a str,
    /// The present time, as Kubernetes prints it.
    pub(crate) now: &'a str,
}

/// One entry of `metadata.managedFields`.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    manager: String,
    apply: bool,
    api_version: String,
    subresource: String,
    time: Option<String>,
    fields: Set,
}

/// Fields whose owner is never recorded.
const UNTRACKED: [&[&str]; 13] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "uid"],
    &["metadata", "resourceVersion"],
    &["metadata", "creationTimestamp"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "selfLink"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "deletionGracePeriodSeconds"],
    &["metadata", "clusterName"],
];

impl Entry {
    fn read(value: &Value) -> Option<Self> {
        let text =
            |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = text("operation");
        Some(Self {
            manager: text("manager"),
            apply: operation == "Apply",
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: value.get("time").and_then(Value::as_str).map(str::to_owned),
            fields: Set::read(value.get("fieldsV1")?),
        })
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": if self.apply { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.write(),
        });
        if let Some(time) = &self.time {
            entry["time"] = time.as_str().into();
        }
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }

    fn is_of(&self, writer: &Writer<'_>, apply: bool) -> bool {
        self.apply == apply
            && self.manager == writer.manager
            && self.subresource == writer.subresource
            && (apply || self.api_version == writer.api_version)
    }

    /// Prints the owner as conflicts name it.
    fn print(&self) -> String {
        let mut text = format!("\"{}\"", self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource \"{}\"", self.subresource));
        }
        if !self.apply {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

fn read(object: &Value) -> Vec<Entry> {
    value::items(object, "/metadata/managedFields").iter().filter_map(Entry::read).collect()
}

fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|a, b| {
        let key = |e: &Entry| {
            (
                !e.apply,
                e.time.clone(),
                e.manager.clone(),
                e.api_version.clone(),
                e.subresource.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    if entries.is_empty() {
        value::unset(object, &["metadata", "managedFields"]);
    } else {
        let list: Vec<_> = entries.iter().map(Entry::write).collect();
        value::set(object, &["metadata", "managedFields"], list);
    }
}

fn strip(set: &mut Set) {
    for path in UNTRACKED {
        set.strip(path);
    }
    // The bare map that every object has is nobody's.
    if let Some(metadata) = set.children.get_mut("f:metadata") {
        metadata.member = false;
    }
    set.children.retain(|_, child| !child.is_empty());
}

/// Takes changed and removed fields away from the other entries.
fn take(entries: &mut [Entry], keep: Option<usize>, changed: &Set, removed: &Set) {
    for (index, entry) in entries.iter_mut().enumerate() {
        if Some(index) != keep {
            entry.fields = entry.fields.without(changed).without(removed);
        }
    }
}

/// Records a write that is no apply: changed fields belong to the writer.
///
/// `new.metadata.managedFields` is what the client sent: it may say who owns what, but not through
/// a subresource. Where it says nothing that can be read, what `live` says goes on.
///
/// Source: k8s.io/apimachinery 0.34 pkg/util/managedfields/internal/fieldmanager.go
/// (decodeLiveOrNew).
pub(crate) fn update(
    live: &Value,
    new: &mut Value,
    ty: Ty<'_>,
    writer: &Writer<'_>,
    created: bool,
) {
    let sent = new.pointer("/metadata/managedFields").and_then(Value::as_array);
    let cleared = sent
        .is_some_and(|list| list.len() == 1 && list[0].as_object().is_some_and(|e| e.is_empty()));
    let named = sent.filter(|list| !list.is_empty() && writer.subresource.is_empty() && !created);
    let is_readable = |entry: &Value| entry.get("fieldsV1").is_some_and(Set::is_written);
    let named = named.filter(|list| list.iter().all(is_readable));
    let named = named.and_then(|list| list.iter().map(Entry::read).collect::<Option<Vec<_>>>());
    value::unset(new, &["metadata", "managedFields"]);
    let mut entries = named.unwrap_or_else(|| read(live));
    if cleared || (entries.is_empty() && !created) {
        return;
    }
    let mut difference = typed::compare(live, new, ty);
    strip(&mut difference.changed);
    strip(&mut difference.removed);
    take(&mut entries, None, &difference.changed, &difference.removed);
    if !difference.changed.is_empty() {
        let time = (writer.subresource != "scale").then(|| writer.now.to_owned());
        match entries.iter_mut().find(|entry| entry.is_of(writer, false)) {
            Some(entry) => {
                entry.fields.add(&difference.changed);
                entry.time = time;
            }
            None => entries.push(Entry {
                manager: writer.manager.to_owned(),
                apply: false,
                api_version: writer.api_version.to_owned(),
                subresource: writer.subresource.to_owned(),
                time,
                fields: difference.changed,
            }),
        }
    }
    write(new, entries);
}

/// Applies a configuration.
///
/// `ignored` are branches that this endpoint does not write (`status` on the main resource);
/// `live` is the zero object when the object does not exist.
pub(crate) fn apply(
    live: &Value,
    config: &Value,
    ty: Ty<'_>,
    writer: &Writer<'_>,
    rules: ApplyRules<'_>,
) -> Result<Value, ApiError> {
    let mut entries = read(live);
    if entries.is_empty() && rules.exists {
        let mut fields = typed::compare(rules.zero, live, ty).changed;
        strip(&mut fields);
        fields.strip(&["status"]);
        let manager = "before-first-apply".to_owned();
        let api_version = writer.api_version.to_owned();
        let (subresource, time) = (String::new(), Some(writer.now.to_owned()));
        entries.push(Entry { manager, apply: false, api_version, subresource, time, fields });
    }
    let mut wanted =
        typed::fields_of(config, ty).map_err(|why| rules.schema_error(config, writer, &why))?;
    // The name is nobody's in the records, but the applier's while it is decided what goes.
    let whole = wanted.clone();
    strip(&mut wanted);
    for path in rules.ignored {
        wanted.strip(path);
    }
    let merged = typed::merge(Some(live), config, ty);
    let mine = entries.iter().position(|entry| entry.is_of(writer, true));
    let last = mine.map(|index| entries[index].fields.clone()).unwrap_or_default();
    let mine = mine.unwrap_or_else(|| {
        entries.push(Entry {
            manager: writer.manager.to_owned(),
            apply: true,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: None,
            fields: Set::default(),
        });
        entries.len() - 1
    });
    entries[mine].fields = wanted.clone();
    entries[mine].api_version = writer.api_version.to_owned();
    let object =
        if last.is_empty() { merged } else { prune(merged, (&last, &whole), &entries, ty) };
    let mut difference = typed::compare(live, &object, ty);
    strip(&mut difference.changed);
    strip(&mut difference.removed);
    let conflicts = conflicts(&entries, mine, &difference.changed);
    if !rules.force && !conflicts.is_empty() {
        return Err(conflict_error(&conflicts));
    }
    take(&mut entries, Some(mine), &difference.changed, &difference.removed);
    if wanted != last || difference_matters(&difference) || entries[mine].time.is_none() {
        entries[mine].time = Some(writer.now.to_owned());
    }
    let mut object = object;
    write(&mut object, entries);
    Ok(object)
}

fn difference_matters(difference: &typed::Comparison) -> bool {
    !difference.changed.is_empty() || !difference.removed.is_empty()
}

/// What an apply may do, and the state that it meets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApplyRules<'a> {
    pub(crate) force: bool,
    pub(crate) exists: bool,
    /// The object as Go would hold it with no field set.
    pub(crate) zero: &'a Value,
    pub(crate) ignored: &'a [&'a [&'a str]],
    pub(crate) kind: &'a str,
    /// The namespace that the configuration itself names.
    pub(crate) namespace: &'a str,
}

impl ApplyRules<'_> {
    fn schema_error(&self, config: &Value, writer: &Writer<'_>, why: &str) -> ApiError {
        let (namespace, name) = (self.namespace, value::name(config));
        let object = format!("{namespace}/{name}");
        let group = if writer.api_version.contains('/') { "" } else { "/" };
        let (version, kind) = (format!("{group}{}", writer.api_version), self.kind);
        ApiError::internal(&format!(
            "failed to create typed patch object ({object}; {version}, Kind={kind}): {why}"
        ))
    }
}

/// Removes what only this applier owned before and does not want now.
///
/// Source: structured-merge-diff merge/update.go (prune, addBackOwnedItems, addBackDanglingItems).
fn prune(merged: Value, (last, whole): (&Set, &Set), entries: &[Entry], ty: Ty<'_>) -> Value {
    let named_last = typed::with_named_fields(last, ty);
    let pruned = typed::remove(&merged, &named_last, ty);
    let fields = |value: &Value| {
        let set = typed::fields_of(value, ty).unwrap_or_default();
        typed::with_named_fields(&set, ty)
    };
    let all = fields(&merged);
    let mut owned = whole.clone();
    for entry in entries {
        owned.add(&entry.fields);
    }
    let mut kept = fields(&pruned);
    kept.add(&typed::with_named_fields(&owned, ty));
    let pruned = typed::remove(&merged, &all.without(&kept), ty);
    let dangling = all.without(&fields(&pruned)).common(&named_last);
    typed::remove(&merged, &dangling, ty)
}

fn conflicts(entries: &[Entry], mine: usize, changed: &Set) -> Vec<(String, String)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if index != mine {
            let paths = entry.fields.common(changed).paths();
            if !paths.is_empty() {
                found.push((entry.print(), paths));
            }
        }
    }
    found.sort();
    let flat = found.into_iter();
    flat.flat_map(|(who, paths)| paths.into_iter().map(move |path| (who.clone(), path))).collect()
}

fn conflict_error(conflicts: &[(String, String)]) -> ApiError {
    let causes = conflicts
        .iter()
        .map(|(who, path)| (format!("conflict with {who}"), path.clone()))
        .collect();
    if let [(who, path)] = conflicts {
        let message = format!("Apply failed with 1 conflict: conflict with {who}: {path}");
        return ApiError::apply_conflict(&message, causes);
    }
    let mut lines = Vec::new();
    let mut current = None;
    for (who, path) in conflicts {
        if current != Some(who) {
            lines.push(format!("conflicts with {who}:"));
            current = Some(who);
        }
        lines.push(format!("- {path}"));
    }
    let text = lines.join("\n");
    let message = format!("Apply failed with {} conflicts: {text}", conflicts.len());
    ApiError::apply_conflict(&message, causes)
}
