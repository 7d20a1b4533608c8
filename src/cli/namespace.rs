//! Which namespace is meant where nobody says one.

use std::path::{Path, PathBuf};

use super::args::Connection;
use crate::base::file::{self, env_var};
use crate::yaml::{self, Numbers, Value};

/// Longest kubeconfig.
const CONFIG_BYTES: u64 = 16 << 20;

/// Returns the namespace of a rendering: that of the arguments, of the environment, or of the
/// kubeconfig's context, which is read but not connected to.
///
/// Source: helm v4.3.1 pkg/cli/environment.go (`Namespace`).
pub(super) fn of(connection: &Connection) -> String {
    let set = |name: &str| env_var(name).filter(|value| !value.is_empty());
    let given = connection.namespace.clone().filter(|name| !name.is_empty());
    let named = given.or_else(|| set("HELM_NAMESPACE"));
    named.unwrap_or_else(|| {
        let files = match (&connection.kubeconfig, set("KUBECONFIG")) {
            (Some(file), _) => vec![file.clone()],
            (None, Some(list)) => std::env::split_paths(&list).collect(),
            (None, None) => {
                vec![PathBuf::from(set("HOME").unwrap_or_default()).join(".kube/config")]
            }
        };
        let context = connection.context.clone().or_else(|| set("HELM_KUBECONTEXT"));
        let configs: Vec<Value> = files.iter().filter_map(|file| read(file)).collect();
        of_context(&configs, context.as_deref()).unwrap_or_else(|| "default".to_owned())
    })
}

fn read(path: &Path) -> Option<Value> {
    let text = file::read_text(path, CONFIG_BYTES).ok()?;
    yaml::parse_keys(&text, &["current-context", "contexts"], Numbers::Exact).ok()
}

/// Returns the namespace of a context, or of the current one. Of several files the first that says
/// something counts.
fn of_context(configs: &[Value], wanted: Option<&str>) -> Option<String> {
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str).unwrap_or_default();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let current = || configs.iter().find_map(|config| text(config, "current-context"));
    let wanted = wanted.map(str::to_owned).or_else(current)?;
    let contexts = configs.iter().filter_map(|config| config.get("contexts")?.as_array());
    let found = contexts.flatten().find(|context| text(context, "name").as_ref() == Some(&wanted));
    text(found?.get("context")?, "namespace")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_file_that_says_something_counts() {
        let context = |name: &str, namespace: &str| json!({"name": name, "context": {"namespace": namespace}});
        let one = json!({"contexts": [context("a", "x"), context("b", "")]});
        let two =
            json!({"current-context": "a", "contexts": [context("a", "y"), context("c", "z")]});
        let configs = [one, two];
        let rows =
            [(None, Some("x")), (Some("b"), None), (Some("c"), Some("z")), (Some("d"), None)];
        for (wanted, namespace) in rows {
            assert_eq!(of_context(&configs, wanted).as_deref(), namespace, "{wanted:?}");
        }
        assert_eq!(of_context(&[], None), None);
    }
}
