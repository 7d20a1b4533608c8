//! Which namespace is meant where nobody says one.

use std::path::{Path, PathBuf};

use super::args::Connection;
use crate::base::file::{self, env_var};
use crate::yaml::{self, Numbers, Value};

/// Longest kubeconfig.
const CONFIG_BYTES: u64 = 16 << 20;

/// Where a Pod finds what it is.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Longest name of a namespace in that folder, blanks included.
const NAME_BYTES: u64 = 4 << 10;

/// Returns the namespace that is meant: that of the arguments, of the environment, of the
/// kubeconfig's context (which is read but not connected to), or of the Pod.
///
/// Source: helm v4.3.2 pkg/cli/environment.go (`Namespace`), k8s.io/client-go v0.37.2
/// tools/clientcmd/merged_client_builder.go (`Namespace`).
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
        let is_missing = connection.kubeconfig.is_some() && configs.is_empty();
        let of_pod = || if is_missing { None } else { Pod::here().map(Pod::namespace) };
        let found = of_context(&configs, context.as_deref()).or_else(of_pod);
        found.unwrap_or_else(|| "default".to_owned())
    })
}

/// What a Pod is told of its namespace.
struct Pod {
    /// `POD_NAMESPACE`.
    variable: String,
    /// The service account's file.
    file: String,
}

impl Pod {
    /// Looks whether this is a Pod that may talk to its cluster.
    fn here() -> Option<Self> {
        let variable = |name: &str| env_var(name).unwrap_or_default();
        let has_server = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]
            .iter()
            .all(|name| !variable(name).is_empty());
        let account = Path::new(ACCOUNT);
        // What is asked last costs the most.
        let has_token = || std::fs::metadata(account.join("token")).is_ok_and(|it| !it.is_dir());
        (has_server && has_token()).then(|| Self {
            variable: variable("POD_NAMESPACE"),
            file: file::read_text(&account.join("namespace"), NAME_BYTES).unwrap_or_default(),
        })
    }

    fn namespace(self) -> String {
        let said = [self.variable.as_str(), self.file.trim()];
        said.into_iter().find(|name| !name.is_empty()).unwrap_or("default").to_owned()
    }
}

fn read(path: &Path) -> Option<Value> {
    let text = file::read_text(path, CONFIG_BYTES).ok()?;
    yaml::parse_keys(&text, &["current-context", "contexts"], Numbers::Exact).ok()
}

/// Returns the namespace of a context, or of the current one; `default` for one that there is not.
/// Of several files the first that says something counts.
fn of_context(configs: &[Value], wanted: Option<&str>) -> Option<String> {
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str).unwrap_or_default();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let current = || configs.iter().find_map(|config| text(config, "current-context"));
    let wanted = wanted.map(str::to_owned).or_else(current)?;
    let contexts = configs.iter().filter_map(|config| config.get("contexts")?.as_array());
    let found = contexts.flatten().find(|context| text(context, "name").as_ref() == Some(&wanted));
    match found {
        Some(found) => text(found.get("context")?, "namespace"),
        None => Some("default".to_owned()),
    }
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
        let rows = [
            (None, Some("x")),
            (Some("b"), None),
            (Some("c"), Some("z")),
            (Some("d"), Some("default")),
        ];
        for (wanted, namespace) in rows {
            assert_eq!(of_context(&configs, wanted).as_deref(), namespace, "{wanted:?}");
        }
        assert_eq!(of_context(&[], None), None);
    }
    #[test]
    fn a_pod_has_the_namespace_that_it_is_told() {
        for (variable, file, want) in
            [("", "there\n", "there"), ("here", "there", "here"), ("", " \n", "default")]
        {
            let pod = Pod { variable: variable.to_owned(), file: file.to_owned() };
            assert_eq!(pod.namespace(), want, "{variable:?} {file:?}");
        }
    }
}
