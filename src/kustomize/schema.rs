//! What kustomize knows of built-in kinds: which lists are merged by which keys, and which kinds
//! stand in no namespace.
//!
//! Source: sigs.k8s.io/kustomize/kyaml v0.21.1 openapi (the OpenAPI document of Kubernetes 1.21.2
//! that is built in); `tests/parts/kustomize` made the table of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

const TABLE: &str = include_str!("tables/schema.txt");

/// What a field holds, as far as it matters to patches.
#[derive(Debug, Clone)]
enum Form {
    /// Nothing that is merged.
    Plain,
    /// A type of the table.
    Type(usize),
    /// A list of what a field may hold.
    List(Box<Field>),
    /// A map of it.
    Map(Box<Field>),
}

/// A field of a built-in type.
#[derive(Debug, Clone)]
pub(super) struct Field {
    form: Form,
    /// The keys by which a list is merged, the first one foremost; none: it is replaced.
    pub(super) keys: Option<Vec<&'static str>>,
}

#[derive(Debug)]
struct Table {
    types: Vec<BTreeMap<&'static str, Field>>,
    /// By `apiVersion kind`.
    kinds: HashMap<&'static str, Field>,
    cluster: HashSet<&'static str>,
}

fn table() -> &'static Table {
    static PARSED: OnceLock<Table> = OnceLock::new();
    PARSED.get_or_init(|| parse(TABLE))
}

/// `T type`, below it ` field form [key,key]`; `K apiVersion kind type`; `C apiVersion kind`.
fn parse(text: &'static str) -> Table {
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let names = lines().filter_map(|line| line.strip_prefix("T "));
    let names: HashMap<_, _> = names.enumerate().map(|(index, name)| (name, index)).collect();
    let (mut types, mut kinds) = (Vec::with_capacity(names.len()), HashMap::new());
    let mut cluster = HashSet::new();
    for line in lines() {
        match (line.get(..2), line.get(2..).unwrap_or_default()) {
            (Some("T "), _) => types.push(BTreeMap::new()),
            (Some("K "), rest) => {
                if let Some((kind, name)) = rest.rsplit_once(' ') {
                    kinds.insert(kind, Field { form: form(name, &names), keys: None });
                }
            }
            (Some("C "), kind) => {
                cluster.insert(kind);
            }
            _ => {
                let mut words = line.split_whitespace();
                let (Some(name), Some(shape)) = (words.next(), words.next()) else { continue };
                // `-` stands for a list of texts, which is merged by the texts.
                let keys = words.next().map(|keys| keys.split(',').filter(|key| *key != "-"));
                let field = Field { form: form(shape, &names), keys: keys.map(Iterator::collect) };
                if let Some(fields) = types.last_mut() {
                    fields.insert(name, field);
                }
            }
        }
    }
    Table { types, kinds, cluster }
}

fn form(text: &'static str, names: &HashMap<&'static str, usize>) -> Form {
    let inner = |rest| Box::new(Field { form: form(rest, names), keys: None });
    match text.as_bytes().first() {
        Some(b'[') => Form::List(inner(&text[1..])),
        Some(b'{') => Form::Map(inner(&text[1..])),
        _ => names.get(text).map_or(Form::Plain, |index| Form::Type(*index)),
    }
}

impl Field {
    /// Returns what is known of a kind.
    pub(super) fn of_kind(api_version: &str, kind: &str) -> Option<&'static Self> {
        table().kinds.get(&*format!("{api_version} {kind}"))
    }

    /// Returns what is known of a field.
    pub(super) fn child(&'static self, name: &str) -> Option<&'static Self> {
        match &self.form {
            Form::Type(index) => table().types[*index].get(name),
            Form::Map(values) => Some(values),
            Form::Plain | Form::List(_) => None,
        }
    }

    /// Returns what is known of the items of a list.
    pub(super) fn item(&'static self) -> Option<&'static Self> {
        match &self.form {
            Form::List(items) => Some(items),
            Form::Plain | Form::Type(_) | Form::Map(_) => None,
        }
    }
}

/// Returns whether a kind is known to stand in no namespace.
pub(super) fn is_cluster_scoped(api_version: &str, kind: &str) -> bool {
    table().cluster.contains(&*format!("{api_version} {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_merged_by_the_keys_of_the_table() {
        let deployment = Field::of_kind("apps/v1", "Deployment").unwrap();
        let at = |path: &str| {
            let mut field = deployment;
            for name in path.split('/') {
                field = if name == "*" { field.item()? } else { field.child(name)? };
            }
            Some(field)
        };
        let keys = |path: &str| at(path).and_then(|field| field.keys.clone());
        assert_eq!(keys("spec/template/spec/containers"), Some(vec!["name"]));
        let ports = keys("spec/template/spec/containers/*/ports");
        assert_eq!(ports, Some(vec!["containerPort", "protocol"]));
        assert_eq!(keys("spec/template/spec/containers/*/args"), None);
        assert_eq!(keys("metadata/finalizers"), Some(vec![]));
        assert!(Field::of_kind("example.com/v1", "Deployment").is_none());
    }

    #[test]
    fn scopes_are_told_apart() {
        assert!(is_cluster_scoped("v1", "Namespace"));
        assert!(!is_cluster_scoped("v1", "Pod"));
        assert!(!is_cluster_scoped("example.com/v1", "Namespace"));
    }
}
