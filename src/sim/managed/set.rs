//! Sets of field paths, in the shape of `fieldsV1`: a tree whose nodes may be members.
//!
//! Source: sigs.k8s.io/structured-merge-diff v6 fieldpath/set.go.

use std::collections::BTreeMap;

use crate::yaml::Value;

/// A set of paths. Keys of `children` are path elements as `fieldsV1` writes them: `f:name`,
/// `k:{"name":"c"}`, `v:"x"`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Set {
    /// The path that leads here is itself in the set.
    pub(crate) member: bool,
    pub(crate) children: BTreeMap<String, Self>,
}

impl Set {
    /// Returns whether no path is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Returns the set below a path element, made when absent.
    pub(crate) fn below(&mut self, element: String) -> &mut Self {
        self.children.entry(element).or_default()
    }

    /// Returns whether something is `fieldsV1`.
    pub(crate) fn is_written(fields: &Value) -> bool {
        let is_element = |key: &str| {
            key == "." || ["f:", "k:", "v:", "i:"].iter().any(|kind| key.starts_with(kind))
        };
        let Some(fields) = fields.as_object() else { return false };
        fields.iter().all(|(key, inner)| is_element(key) && Self::is_written(inner))
    }

    /// Reads `fieldsV1`.
    pub(crate) fn read(fields: &Value) -> Self {
        fn node(value: &Value) -> Set {
            let mut set = Set::default();
            for (key, inner) in value.as_object().into_iter().flatten() {
                if key == "." {
                    set.member = true;
                } else {
                    set.children.insert(key.clone(), node(inner));
                }
            }
            set.member |= set.children.is_empty();
            set
        }
        let mut set = node(fields);
        set.member = fields.get(".").is_some();
        set
    }

    /// Writes `fieldsV1`.
    pub(crate) fn write(&self) -> Value {
        let mut map = serde_json::Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(serde_json::Map::new()));
        }
        for (element, child) in &self.children {
            map.insert(element.clone(), child.write());
        }
        Value::Object(map)
    }

    fn pruned(mut self) -> Self {
        self.children.retain(|_, child| !child.is_empty());
        self
    }

    /// Adds the paths of another set.
    pub(crate) fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, child) in &other.children {
            if !child.is_empty() {
                self.below(element.clone()).add(child);
            }
        }
    }

    /// Returns this set without the paths of another.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let children = self.children.iter().map(|(element, child)| {
            let rest = match other.children.get(element) {
                Some(gone) => child.without(gone),
                None => child.clone(),
            };
            (element.clone(), rest)
        });
        Self { member: self.member && !other.member, children: children.collect() }.pruned()
    }

    /// Returns the paths in both sets.
    pub(crate) fn common(&self, other: &Self) -> Self {
        let both = self.children.iter().filter_map(|(element, child)| {
            let common = child.common(other.children.get(element)?);
            Some((element.clone(), common))
        });
        Self { member: self.member && other.member, children: both.collect() }.pruned()
    }

    /// Drops the paths under some top-level branches, such as `["metadata", "name"]`.
    pub(crate) fn strip(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        let element = format!("f:{first}");
        if rest.is_empty() {
            self.children.remove(&element);
        } else if let Some(child) = self.children.get_mut(&element) {
            child.strip(rest);
            if child.is_empty() {
                self.children.remove(&element);
            }
        }
    }

    /// Lists the member paths as error messages print them: `.spec.containers[name="c"].image`.
    pub(crate) fn paths(&self) -> Vec<String> {
        fn walk(set: &Set, path: &str, found: &mut Vec<String>) {
            // A set lists its own members before those below its children.
            for (element, child) in &set.children {
                if child.member {
                    found.push(format!("{path}{}", print_element(element)));
                }
            }
            for (element, child) in &set.children {
                walk(child, &format!("{path}{}", print_element(element)), found);
            }
        }
        let mut found = Vec::new();
        walk(self, "", &mut found);
        found
    }
}

/// Prints a path element: `.name`, `[name="c"]`, `[="x"]`, `[0]`.
pub(crate) fn print_element(element: &str) -> String {
    let (kind, rest) = element.split_at(2.min(element.len()));
    match kind {
        "f:" => format!(".{rest}"),
        "k:" => match serde_json::from_str::<Value>(rest) {
            Ok(Value::Object(keys)) => {
                let keys: Vec<_> =
                    keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("[{}]", keys.join(","))
            }
            _ => format!("[{rest}]"),
        },
        "v:" => format!("[={rest}]"),
        _ => format!("[{rest}]"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_writes_and_reckons() {
        let one = json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}});
        let two = json!({"f:data": {"f:b": {}, "f:c": {}}});
        let (a, b) = (Set::read(&one), Set::read(&two));
        assert_eq!(a.write(), one);
        let mut both = a.clone();
        both.add(&b);
        assert_eq!(both.write(), json!({"f:data": {".": {}, "f:a": {}, "f:b": {}, "f:c": {}}}));
        assert_eq!(a.without(&b).write(), json!({"f:data": {".": {}, "f:a": {}}}));
        assert_eq!(a.common(&b).write(), json!({"f:data": {"f:b": {}}}));
        assert_eq!(b.without(&b).write(), json!({}));
        let ports = Set::read(
            &json!({"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:name": {}}}}),
        );
        assert_eq!(ports.paths(), [r#".ports[port=80,protocol="TCP"].name"#]);
    }
}
