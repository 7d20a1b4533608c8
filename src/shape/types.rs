//! What is known of the shape of objects: a table for built-in kinds, the structural schema for
//! custom ones. One view, [`Ty`], serves decoding, patches and field ownership.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use crate::yaml::Value;

/// The scalar or container kind of a field of a built-in type.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// A text.
    Text,
    /// A whole number.
    Int,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// An amount such as `100m`.
    Quantity,
    /// A port or percentage: a whole number or a text.
    IntOrText,
    /// A time of whole seconds.
    Time,
    /// A time of microseconds.
    MicroTime,
    /// Bytes, in base64.
    Bytes,
    /// Anything.
    Any,
    /// A type of the table, by its index.
    Struct(usize),
    /// A list of such items.
    List(Box<Field>),
    /// A map with such values.
    Map(Box<Field>),
}

/// How a list is merged by server-side apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Merging {
    #[default]
    Atomic,
    Set,
    Keyed,
}

/// How strategic merge treats a field.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks of a field")]
pub struct Strategy {
    /// Lists are merged, by `key` or as a set.
    pub merge: bool,
    /// Maps are replaced as a whole.
    pub replace: bool,
    /// Only the keys listed in `$retainKeys` stay.
    pub retain_keys: bool,
    /// The merge key; absent for lists of scalars.
    pub key: Option<&'static str>,
}

/// A field of a built-in type.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks of a field")]
pub struct Field {
    /// What kind of value it is.
    pub form: Form,
    merging: Merging,
    keys: Vec<&'static str>,
    atomic: bool,
    /// How strategic merge treats it.
    pub strategy: Strategy,
    /// The field is always present in Go's struct: present in the zero object.
    pub zero: bool,
    /// Objects without it are refused.
    pub required: bool,
    /// Written even when it holds Go's zero value: a pointer, or without `omitempty`.
    pub kept: bool,
    /// The field's number in protobuf, after those of the messages that Go embeds.
    pub numbers: Vec<u32>,
    default: Option<Value>,
}

/// A built-in type.
#[derive(Debug)]
pub struct Def {
    /// Its name in the OpenAPI documents, without `io.k8s.`.
    pub name: &'static str,
    atomic: bool,
    /// Its fields by name.
    pub fields: BTreeMap<&'static str, Field>,
    root: Field,
}

#[derive(Debug)]
struct Table {
    defs: Vec<Def>,
    by_name: HashMap<&'static str, usize>,
}

const TABLE: &str = include_str!("tables/types.txt");

fn table() -> &'static Table {
    static PARSED: OnceLock<Table> = OnceLock::new();
    PARSED.get_or_init(|| parse(TABLE))
}

fn parse(text: &'static str) -> Table {
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let names = lines().filter_map(|line| line.strip_prefix("T "));
    let names = names.filter_map(|rest| rest.split(' ').next());
    let by_name: HashMap<_, _> = names.enumerate().map(|(index, name)| (name, index)).collect();
    let mut defs: Vec<Def> = Vec::with_capacity(by_name.len());
    for line in lines() {
        if let Some(rest) = line.strip_prefix("T ") {
            let mut words = rest.split(' ');
            let name = words.next().unwrap_or_default();
            let root = Field::plain(Form::Struct(defs.len()));
            let atomic = words.next() == Some("atomic");
            defs.push(Def { name, atomic, fields: BTreeMap::new(), root });
        } else if let (Some(def), Some((name, rest))) =
            (defs.last_mut(), line.trim_start().split_once(' '))
        {
            def.fields.insert(name, parse_field(rest, &by_name));
        }
    }
    Table { defs, by_name }
}

fn parse_form(text: &'static str, by_name: &HashMap<&'static str, usize>) -> Form {
    let inner = |rest| Box::new(Field::plain(parse_form(rest, by_name)));
    match text.as_bytes().first() {
        Some(b's') => Form::Text,
        Some(b'i') => Form::Int,
        Some(b'n') => Form::Number,
        Some(b'b') => Form::Bool,
        Some(b'q') => Form::Quantity,
        Some(b'x') => Form::IntOrText,
        Some(b't') => Form::Time,
        Some(b'u') => Form::MicroTime,
        Some(b'y') => Form::Bytes,
        Some(b'[') => Form::List(inner(&text[1..])),
        Some(b'{') => Form::Map(inner(&text[1..])),
        Some(b'@') => by_name.get(&text[1..]).map_or(Form::Any, |index| Form::Struct(*index)),
        _ => Form::Any,
    }
}

fn parse_field(text: &'static str, by_name: &HashMap<&'static str, usize>) -> Field {
    let mut words = text.split(' ');
    let mut field = Field::plain(parse_form(words.next().unwrap_or_default(), by_name));
    for word in words {
        match word.split_at(1) {
            _ if word == "atomic" => field.atomic = true,
            _ if word == "req" => field.required = true,
            _ if word == "zero" => field.zero = true,
            ("L", "set") => field.merging = Merging::Set,
            ("L", keys) => {
                field.merging = Merging::Keyed;
                field.keys = keys.trim_start_matches("map:").split(',').collect();
            }
            ("P", rest) => {
                let (how, key) = rest.split_once(':').map_or((rest, None), |(h, k)| (h, Some(k)));
                field.strategy.merge = how.split(',').any(|part| part == "merge");
                field.strategy.replace = how == "replace";
                field.strategy.retain_keys = how.split(',').any(|part| part == "retainKeys");
                field.strategy.key = key;
            }
            ("#", numbers) => {
                field.kept = numbers.ends_with('!');
                let numbers = numbers.trim_end_matches('!').split('.');
                field.numbers = numbers.filter_map(|number| number.parse().ok()).collect();
            }
            ("D", json) => field.default = serde_json::from_str(json).ok(),
            _ => {}
        }
    }
    field
}

impl Field {
    const fn plain(form: Form) -> Self {
        Self {
            form,
            merging: Merging::Atomic,
            keys: Vec::new(),
            atomic: false,
            strategy: Strategy { merge: false, replace: false, retain_keys: false, key: None },
            zero: false,
            required: false,
            kept: false,
            numbers: Vec::new(),
            default: None,
        }
    }
}

/// Returns the type at an index of the table.
pub fn def(index: usize) -> &'static Def {
    &table().defs[index]
}

/// Returns every built-in type with its index.
#[cfg(test)]
pub fn all() -> &'static [Def] {
    &table().defs
}

/// What is known of a value's shape.
#[derive(Debug, Clone, Copy)]
pub enum Ty<'a> {
    /// A field of a built-in type.
    Known(&'static Field),
    /// A whole custom resource with its structural schema.
    Custom(&'a Value),
    /// A value inside a custom resource.
    Schema(&'a Value),
    /// Nothing: the value speaks for itself (maps granular, lists atomic).
    Any,
}

/// How a value is merged and owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape<'a> {
    /// Owned as one.
    Leaf,
    /// Each key is owned by itself.
    Map,
    /// Each item is owned by itself, known by its value.
    Set,
    /// Each item is owned by itself, known by these keys.
    Keyed(Vec<&'a str>),
    /// As the value is.
    Deduced,
}

/// The groups of the kinds that client-go knows, and how names of their types begin. The group of
/// the aggregation layer is not one of them.
const GROUPS: &[(&str, &str)] = &[
    ("", "api.core"),
    ("admissionregistration.k8s.io", "api.admissionregistration"),
    ("apiextensions.k8s.io", "apiextensions-apiserver.pkg.apis.apiextensions"),
    ("apps", "api.apps"),
    ("authentication.k8s.io", "api.authentication"),
    ("authorization.k8s.io", "api.authorization"),
    ("autoscaling", "api.autoscaling"),
    ("batch", "api.batch"),
    ("certificates.k8s.io", "api.certificates"),
    ("coordination.k8s.io", "api.coordination"),
    ("discovery.k8s.io", "api.discovery"),
    ("events.k8s.io", "api.events"),
    ("flowcontrol.apiserver.k8s.io", "api.flowcontrol"),
    ("networking.k8s.io", "api.networking"),
    ("node.k8s.io", "api.node"),
    ("policy", "api.policy"),
    ("rbac.authorization.k8s.io", "api.rbac"),
    ("resource.k8s.io", "api.resource"),
    ("scheduling.k8s.io", "api.scheduling"),
    ("storage.k8s.io", "api.storage"),
];

const SCHEMA_KEYS: &str = "x-kubernetes-list-map-keys";

impl Ty<'static> {
    /// Returns a built-in type by its name in the table.
    pub fn named(name: &str) -> Option<Self> {
        table().by_name.get(name).map(|index| Self::Known(&table().defs[*index].root))
    }

    /// Returns the type of a kind, if it is one that client-go knows. Of a version that the table
    /// does not have, another one's is returned: how lists are merged does not change.
    pub fn of_kind(group: &str, version: &str, kind: &str) -> Option<Self> {
        let (_, prefix) = GROUPS.iter().find(|(known, _)| *known == group)?;
        Self::named(&format!("{prefix}.{version}.{kind}")).or_else(|| {
            let of_kind = |def: &&Def| {
                let rest = def.name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.'));
                rest.and_then(|rest| rest.split_once('.')).is_some_and(|(_, name)| name == kind)
            };
            table().defs.iter().find(of_kind).map(|def| Self::Known(&def.root))
        })
    }

    /// Returns the type of `metadata`.
    pub fn metadata() -> Self {
        Self::named("apimachinery.pkg.apis.meta.v1.ObjectMeta").unwrap_or(Self::Any)
    }
}

impl<'a> Ty<'a> {
    /// Returns the built-in struct behind this type.
    pub fn def(self) -> Option<&'static Def> {
        match self {
            Self::Known(Field { form: Form::Struct(index), .. }) => Some(def(*index)),
            Self::Known(_) | Self::Custom(_) | Self::Schema(_) | Self::Any => None,
        }
    }

    /// Returns the name of the built-in struct behind this type, as in Go: `PodSpec`.
    pub fn go_name(self) -> &'static str {
        let name = self.def().map(|def| def.name).unwrap_or_default();
        name.rsplit('.').next().unwrap_or_default()
    }

    /// Returns the type of a declared field.
    pub fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Known(_) => self.def()?.fields.get(name).map(Self::Known),
            Self::Custom(schema) => match name {
                "metadata" => Some(Ty::metadata()),
                "apiVersion" | "kind" => Ty::metadata().def()?.fields.get("name").map(Self::Known),
                _ => schema.get("properties")?.get(name).map(Self::Schema),
            },
            Self::Schema(schema) => {
                if let Some(found) = schema.get("properties").and_then(|map| map.get(name)) {
                    return Some(Self::Schema(found));
                }
                let embedded = schema.get("x-kubernetes-embedded-resource").is_some();
                (embedded && name == "metadata").then(Ty::metadata)
            }
            Self::Any => None,
        }
    }

    /// Returns the type of the values of a map.
    pub fn values(self) -> Option<Self> {
        match self {
            Self::Known(Field { form: Form::Map(inner), .. }) => Some(Self::Known(inner)),
            Self::Schema(schema) | Self::Custom(schema) => {
                schema.get("additionalProperties").filter(|s| s.is_object()).map(Self::Schema)
            }
            Self::Known(_) | Self::Any => None,
        }
    }

    /// Returns the type below a key: the declared field, else the map's values, else anything.
    pub fn child(self, name: &str) -> Self {
        self.field(name).or_else(|| self.values()).unwrap_or(Ty::Any)
    }

    /// Returns the type of a list's items.
    pub fn item(self) -> Self {
        match self {
            Self::Known(Field { form: Form::List(inner), .. }) => Self::Known(inner),
            Self::Schema(schema) => schema.get("items").map_or(Ty::Any, Self::Schema),
            Self::Known(_) | Self::Custom(_) | Self::Any => Ty::Any,
        }
    }

    /// Returns whether a part of a custom resource has no other fields than the declared ones.
    pub fn is_closed(self) -> bool {
        let (Self::Custom(schema) | Self::Schema(schema)) = self else { return false };
        schema.get("properties").is_some()
            && schema.get("additionalProperties").is_none()
            && schema.get("x-kubernetes-preserve-unknown-fields").is_none()
            && schema.get("x-kubernetes-embedded-resource").is_none()
    }

    /// Returns how values of this type are merged and owned.
    pub fn shape(self) -> Shape<'a> {
        match self {
            Self::Any => Shape::Deduced,
            Self::Custom(_) => Shape::Map,
            Self::Known(field) => field.shape(),
            Self::Schema(schema) => schema_shape(schema),
        }
    }

    /// Returns the default of a declared field: keyed lists fill their keys with it.
    pub fn default_of(self, name: &str) -> Option<&'a Value> {
        match self.field(name)? {
            Self::Known(field) => field.default.as_ref(),
            Self::Schema(schema) => schema.get("default"),
            Self::Custom(_) | Self::Any => None,
        }
    }

    /// Returns how strategic merge treats this field.
    pub fn strategy(self) -> Option<&'static Strategy> {
        match self {
            Self::Known(field) => Some(&field.strategy),
            Self::Custom(_) | Self::Schema(_) | Self::Any => None,
        }
    }
}

impl Field {
    fn shape(&self) -> Shape<'static> {
        match &self.form {
            Form::Struct(index) if self.atomic || def(*index).atomic => Shape::Leaf,
            Form::Map(_) if self.atomic => Shape::Leaf,
            Form::Struct(_) | Form::Map(_) => Shape::Map,
            Form::List(_) => match self.merging {
                Merging::Atomic => Shape::Leaf,
                Merging::Set => Shape::Set,
                Merging::Keyed => Shape::Keyed(self.keys.clone()),
            },
            Form::Any => Shape::Deduced,
            Form::Text
            | Form::Int
            | Form::Number
            | Form::Bool
            | Form::Quantity
            | Form::IntOrText
            | Form::Time
            | Form::MicroTime
            | Form::Bytes => Shape::Leaf,
        }
    }
}

fn schema_shape(schema: &Value) -> Shape<'_> {
    let mark = |key: &str| schema.get(key).and_then(Value::as_str);
    match mark("type") {
        Some("object") if mark("x-kubernetes-map-type") == Some("atomic") => Shape::Leaf,
        Some("object") => {
            let known = schema.get("properties").is_some()
                || schema.get("additionalProperties").is_some_and(Value::is_object);
            if known { Shape::Map } else { Shape::Deduced }
        }
        Some("array") => match mark("x-kubernetes-list-type") {
            Some("set") => Shape::Set,
            Some("map") => {
                let keys = schema.get(SCHEMA_KEYS).and_then(Value::as_array);
                Shape::Keyed(keys.into_iter().flatten().filter_map(Value::as_str).collect())
            }
            _ => Shape::Leaf,
        },
        Some(_) => Shape::Leaf,
        None => Shape::Deduced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_knows_lists_maps_and_strategies() {
        let deployment = Ty::named("api.apps.v1.Deployment").unwrap();
        let pod = deployment.child("spec").child("template").child("spec");
        assert_eq!(pod.child("containers").shape(), Shape::Keyed(vec!["name"]));
        let ports = pod.child("containers").item().child("ports");
        assert_eq!(ports.shape(), Shape::Keyed(vec!["containerPort", "protocol"]));
        assert_eq!(ports.item().default_of("protocol"), Some(&Value::from("TCP")));
        assert_eq!(ports.strategy().unwrap().key, Some("containerPort"));
        assert_eq!(pod.child("nodeSelector").shape(), Shape::Leaf);
        assert_eq!(pod.child("tolerations").shape(), Shape::Leaf);
        assert_eq!(deployment.child("spec").child("selector").shape(), Shape::Leaf);
        assert!(deployment.child("spec").child("strategy").strategy().unwrap().retain_keys);
        assert_eq!(Ty::metadata().child("finalizers").shape(), Shape::Set);
    }

    #[test]
    fn kinds_are_found_by_group_version_and_name() {
        let rows = [
            ("", "v1", "ConfigMap", "ConfigMap"),
            ("apps", "v1", "Deployment", "Deployment"),
            ("apps", "v1beta2", "Deployment", "Deployment"),
            ("rbac.authorization.k8s.io", "v1", "Role", "Role"),
            ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "CustomResourceDefinition"),
            ("apiregistration.k8s.io", "v1", "APIService", ""),
            ("apps.example.com", "v1", "Deployment", ""),
            ("apps", "v1", "Deployed", ""),
        ];
        for (group, version, kind, want) in rows {
            let found = Ty::of_kind(group, version, kind).map(Ty::go_name).unwrap_or_default();
            assert_eq!(found, want, "{group} {version} {kind}");
        }
    }
}
