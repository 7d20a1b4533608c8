//! Who may do what: roles and bindings, read as the API server reads them. Pure.
//!
//! Source: kubernetes 1.34 plugin/pkg/auth/authorizer/rbac (rbac.go), pkg/registry/rbac/validation
//! (rule.go), component-helpers auth/rbac/validation (policy_comparator.go).

use std::collections::BTreeMap;

use serde_json::json;

use super::request::{Place, Request};
use super::resource::Resource;
use super::status::ApiError;
use super::store::Store;
use super::value::{items, name, namespace, text};
use crate::yaml::Value;

const ROLES: &str = "roles.rbac.authorization.k8s.io";
pub(crate) const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
const BINDINGS: &str = "rolebindings.rbac.authorization.k8s.io";
const CLUSTER_BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";
/// Who is of this group may do everything.
const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";
const ACCOUNT: &str = "system:serviceaccount:";

/// What tokens of service accounts begin with; namespace and name follow.
pub(crate) const TOKEN: &str = "sim.";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: Vec<(String, Vec<String>)>,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) verb: String,
    pub(crate) group: String,
    /// With its door, such as `deployments/scale`.
    pub(crate) resource: String,
    /// Empty: all, or none.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl User {
    /// Returns who asks when nobody else is named: one who may do everything.
    pub(crate) fn admin() -> Self {
        let groups = [MASTERS, AUTHENTICATED].map(str::to_owned).into();
        Self { name: "admin".to_owned(), uid: "admin".to_owned(), groups, extra: Vec::new() }
    }

    /// Returns a user by name; service accounts belong to the groups of their namespace.
    pub(crate) fn named(name: &str, uid: &str, groups: Vec<String>) -> Self {
        let mut groups = groups;
        if groups.is_empty()
            && let Some((namespace, _)) =
                name.strip_prefix(ACCOUNT).and_then(|of| of.split_once(':'))
        {
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        if name != "system:anonymous" && !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { name: name.to_owned(), uid: uid.to_owned(), groups, extra: Vec::new() }
    }

    /// Returns the service account of a token that was given here.
    pub(crate) fn of_token(token: &str) -> Option<Self> {
        let (namespace, name) = token.strip_prefix(TOKEN)?.split_once('.')?;
        Some(Self::named(&format!("{ACCOUNT}{namespace}:{name}"), "", Vec::new()))
    }

    /// Adds something else that is known of the user.
    pub(crate) fn tell(&mut self, key: String, value: String) {
        match self.extra.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => self.extra.push((key, vec![value])),
        }
    }

    /// Returns the user as reviews show them.
    pub(crate) fn to_value(&self) -> Value {
        let mut shown = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            shown["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            let extra = self.extra.iter().map(|(key, values)| (key.clone(), json!(values)));
            shown["extra"] = Value::Object(extra.collect());
        }
        shown
    }

    fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }
}

impl Ask {
    /// Returns what it is for, as a rule would say it.
    fn told(&self) -> String {
        let names = match self.name.as_str() {
            "" => String::new(),
            name => format!(", ResourceNames:[\"{name}\"]"),
        };
        format!("APIGroups:[\"{}\"], Resources:[\"{}\"]{names}", self.group, self.resource)
    }

    /// Returns why the API server refuses it, after the subject's name.
    pub(crate) fn refusal(&self, user: &User) -> String {
        let place = match self.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        format!(
            "User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {place}",
            user.name, self.verb, self.resource, self.group
        )
    }
}

/// Returns by what a user may do something, in the API server's words; nothing: they may not.
pub(crate) fn allowed(store: &Store, user: &User, ask: &Ask) -> Option<String> {
    if user.is_master() {
        return Some(String::new());
    }
    granted(store, user, &ask.namespace)
        .find(|grant| grant.rules.iter().any(|rule| permits(rule, ask)))
        .map(|grant| grant.reason)
}

/// Rules that a binding gives to a user.
struct Grant {
    reason: String,
    rules: Vec<Value>,
}

/// Returns what bindings give to a user in a namespace: those of the cluster first.
fn granted<'a>(
    store: &'a Store,
    user: &'a User,
    here: &'a str,
) -> impl Iterator<Item = Grant> + 'a {
    let wide = store.list(CLUSTER_BINDINGS, None).map(|(_, binding)| (binding, ""));
    let narrow = store.list(BINDINGS, Some(here)).map(move |(_, binding)| (binding, here));
    let narrow = narrow.filter(move |_| !here.is_empty());
    wide.chain(narrow).filter_map(move |(binding, here)| {
        let subjects = items(binding, "/subjects").iter();
        let subject = { subjects }.find(|subject| is_subject(subject, user, here))?;
        let (kind, role) = (text(binding, "/roleRef/kind"), text(binding, "/roleRef/name"));
        let found = match kind {
            "Role" => store.get(ROLES, here, role),
            _ => store.get(CLUSTER_ROLES, "", role),
        };
        let what = if here.is_empty() {
            format!("ClusterRoleBinding \"{}\"", name(binding))
        } else {
            format!("RoleBinding \"{}/{here}\"", name(binding))
        };
        let whom = match text(subject, "/kind") {
            "ServiceAccount" => {
                let own = text(subject, "/namespace");
                let own = if own.is_empty() { here } else { own };
                format!("ServiceAccount \"{}/{own}\"", text(subject, "/name"))
            }
            kind => format!("{kind} \"{}\"", text(subject, "/name")),
        };
        let reason = format!("RBAC: allowed by {what} of {kind} \"{role}\" to {whom}");
        Some(Grant { reason, rules: items(found?, "/rules").to_vec() })
    })
}

fn is_subject(subject: &Value, user: &User, here: &str) -> bool {
    let wanted = text(subject, "/name");
    match text(subject, "/kind") {
        "User" => wanted == user.name,
        "Group" => user.groups.iter().any(|group| group == wanted),
        "ServiceAccount" => {
            let own = text(subject, "/namespace");
            let own = if own.is_empty() { here } else { own };
            user.name == format!("{ACCOUNT}{own}:{wanted}")
        }
        _ => false,
    }
}

/// Whether a list of a rule names something; `*` names everything.
fn lists(rule: &Value, pointer: &str, wanted: &str) -> bool {
    items(rule, pointer).iter().any(|one| one == "*" || one == wanted)
}

fn permits(rule: &Value, ask: &Ask) -> bool {
    let names = items(rule, "/resourceNames");
    let door = ask.resource.split_once('/').map(|(_, door)| format!("*/{door}"));
    lists(rule, "/verbs", &ask.verb)
        && lists(rule, "/apiGroups", &ask.group)
        && (lists(rule, "/resources", &ask.resource)
            || door.is_some_and(|door| items(rule, "/resources").iter().any(|one| *one == door)))
        && (names.is_empty() || names.iter().any(|name| *name == ask.name.as_str()))
}

/// Refuses a request that its user has no right to, or one in the name of somebody whom its user
/// may not act for.
pub(crate) fn check(store: &Store, request: &Request, place: &Place) -> Result<(), ApiError> {
    if let Some(own) = &request.behind {
        impersonates(store, own, &request.user)?;
    }
    let ask = request.ask(place);
    let is_about_oneself = SELF.contains(&(place.group.as_str(), place.plural.as_str()));
    if is_about_oneself || allowed(store, &request.user, &ask).is_some() {
        return Ok(());
    }
    // What is made is named in its body, which nobody has read yet.
    let name = place.name.as_deref().unwrap_or_default();
    let path = (place.group.as_str(), place.plural.as_str());
    Err(ApiError::forbidden_at(path, name, &ask.refusal(&request.user)))
}

/// Refuses what else a write needs a right to: an apply to make what is missing.
pub(crate) fn check_create(
    store: &Store,
    request: &Request,
    place: &Place,
) -> Result<(), ApiError> {
    let ask = Ask { verb: "create".to_owned(), ..request.ask(place) };
    if allowed(store, &request.user, &ask).is_some() {
        return Ok(());
    }
    let path = (place.group.as_str(), place.plural.as_str());
    Err(ApiError::forbidden_at(path, &ask.name, &ask.refusal(&request.user)))
}

/// What everybody may ask of themselves.
const SELF: [(&str, &str); 3] = [
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
];

fn impersonates(store: &Store, own: &User, other: &User) -> Result<(), ApiError> {
    let account = other.name.strip_prefix(ACCOUNT).and_then(|of| of.split_once(':'));
    let (resource, namespace, name) = match account {
        Some((namespace, name)) => ("serviceaccounts", namespace, name),
        None => ("users", "", other.name.as_str()),
    };
    let implied = User::named(&other.name, "", Vec::new());
    let groups = other.groups.iter().filter(|group| !implied.groups.contains(group));
    let groups = groups.map(|group| ("groups", "", group.as_str()));
    for (resource, namespace, name) in [(resource, namespace, name)].into_iter().chain(groups) {
        let ask = Ask {
            verb: "impersonate".to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Ask::default()
        };
        if allowed(store, own, &ask).is_none() {
            return Err(ApiError::forbidden_at(("", resource), name, &ask.refusal(own)));
        }
    }
    Ok(())
}

/// Refuses a role, or a binding of one, that gives rights which its writer has not.
pub(crate) fn check_gift(
    store: &Store,
    user: &User,
    resource: &Resource,
    object: &Value,
) -> Result<(), ApiError> {
    let (verb, of, rules) = match resource.storage.as_ref() {
        ROLES | CLUSTER_ROLES => ("escalate", resource.plural.as_str(), items(object, "/rules")),
        BINDINGS | CLUSTER_BINDINGS => {
            let (kind, role) = (text(object, "/roleRef/kind"), text(object, "/roleRef/name"));
            let is_wide = kind == "ClusterRole";
            let storage = if is_wide { CLUSTER_ROLES } else { ROLES };
            let within = if is_wide { "" } else { namespace(object) };
            let role = store.get(storage, within, role);
            let rules = role.map_or(&[][..], |role| items(role, "/rules"));
            ("bind", if is_wide { "clusterroles" } else { "roles" }, rules)
        }
        _ => return Ok(()),
    };
    let own = name(object);
    let named = if verb == "bind" { text(object, "/roleRef/name") } else { own };
    let ask = Ask {
        verb: verb.to_owned(),
        group: resource.group.clone(),
        resource: of.to_owned(),
        namespace: namespace(object).to_owned(),
        name: named.to_owned(),
    };
    if allowed(store, user, &ask).is_some() {
        return Ok(());
    }
    let held: Vec<Value> =
        granted(store, user, namespace(object)).flat_map(|grant| grant.rules).collect();
    let missing = missing(&held, rules);
    if missing.is_empty() {
        return Ok(());
    }
    let groups: Vec<_> = user.groups.iter().map(|group| format!("\"{group}\"")).collect();
    let why = format!(
        "user \"{}\" (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        groups.join(" "),
        missing.join("\n")
    );
    Err(ApiError::forbidden(resource, own, &why))
}

/// Returns what rules give that others do not, as refusals tell it: verbs by what they are for.
fn missing(held: &[Value], rules: &[Value]) -> Vec<String> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut note = |what: String, verb: &str| {
        let verbs = found.entry(what).or_default();
        if !verbs.iter().any(|known| known == verb) {
            verbs.push(verb.to_owned());
        }
    };
    for rule in rules {
        let texts = |pointer: &str| items(rule, pointer).iter().filter_map(Value::as_str);
        let names: Vec<&str> = texts("/resourceNames").collect();
        let names = if names.is_empty() { vec![""] } else { names };
        for verb in texts("/verbs") {
            for (group, resource) in texts("/apiGroups")
                .flat_map(|group| texts("/resources").map(move |one| (group, one)))
            {
                for name in &names {
                    let ask = Ask {
                        verb: verb.to_owned(),
                        group: group.to_owned(),
                        resource: resource.to_owned(),
                        namespace: String::new(),
                        name: (*name).to_owned(),
                    };
                    if !held.iter().any(|rule| permits(rule, &ask)) {
                        note(ask.told(), verb);
                    }
                }
            }
            for path in texts("/nonResourceURLs") {
                let has = |one: &Value| {
                    lists(one, "/nonResourceURLs", path) && lists(one, "/verbs", verb)
                };
                if !held.iter().any(has) {
                    note(format!("NonResourceURLs:[\"{path}\"]"), verb);
                }
            }
        }
    }
    let told = found.into_iter().map(|(what, verbs)| {
        let verbs: Vec<_> = verbs.iter().map(|verb| format!("\"{verb}\"")).collect();
        format!("{{{what}, Verbs:[{}]}}", verbs.join(" "))
    });
    told.collect()
}

/// Returns the rules that a user has in a namespace.
pub(crate) fn rules_of(store: &Store, user: &User, here: &str) -> Vec<Value> {
    if user.is_master() {
        return vec![json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})];
    }
    granted(store, user, here).flat_map(|grant| grant.rules).collect()
}
