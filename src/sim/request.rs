//! Requests, parsed: what a method, path and query mean. Pure.

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::access::{Ask, User};

/// The resource that a path names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Version,
    Health,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/<group>`
    Group(String),
    /// `/api/v1`, `/apis/<group>/<version>`
    Resources(String, String),
    OpenApi2,
    OpenApi3,
    OpenApi3Of(String),
    Resource(Place),
    /// `/sim/…`: the simulation's own doors.
    Control(String),
    Unknown,
}

/// A request with its body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Target,
    query: Vec<(String, String)>,
    pub(crate) accept: String,
    pub(crate) content_type: String,
    pub(crate) if_none_match: String,
    user_agent: String,
    /// Who asks.
    pub(crate) user: User,
    /// Who asks in the name of another.
    pub(crate) behind: Option<User>,
    pub(crate) body: Bytes,
}

impl Request {
    /// Parses a request.
    pub(crate) fn new(parts: &http::request::Parts, body: Bytes) -> Self {
        let header = |name: http::HeaderName| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let own = own_user(&parts.headers);
        let (user, behind) = match acted_for(&parts.headers) {
            Some(user) => (user, Some(own)),
            None => (own, None),
        };
        let query = parts.uri.query().unwrap_or_default();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self {
            method: parts.method.clone(),
            target: target(parts.uri.path()),
            query,
            accept: header(http::header::ACCEPT),
            content_type: header(http::header::CONTENT_TYPE),
            if_none_match: header(http::header::IF_NONE_MATCH),
            user_agent: header(http::header::USER_AGENT),
            user,
            behind,
            body,
        }
    }

    /// Returns a query parameter that is not empty.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Returns whether a query parameter is set to true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.is_some_and(|(_, value)| value != "false" && value != "0")
    }

    /// Returns the field manager: the parameter, else the client's name.
    pub(crate) fn manager(&self) -> String {
        let agent = self.agent();
        let agent = if agent.is_empty() { "unknown" } else { agent };
        self.query("fieldManager").unwrap_or(agent).to_owned()
    }

    /// Returns the client's name.
    pub(crate) fn agent(&self) -> &str {
        self.user_agent.split('/').next().unwrap_or_default()
    }

    /// Returns what rights a request to a resource needs.
    pub(crate) fn ask(&self, place: &Place) -> Ask {
        let door = place.subresource.as_ref().map(|door| format!("/{door}")).unwrap_or_default();
        // One object may be watched by its name.
        let selected =
            self.query("fieldSelector").and_then(|text| text.strip_prefix("metadata.name="));
        let name = place.name.as_deref().or(selected).unwrap_or_default().to_owned();
        // A namespace is within itself.
        let is_namespace = place.group.is_empty() && place.plural == "namespaces";
        let namespace = match &place.namespace {
            Some(namespace) => namespace.clone(),
            None if is_namespace => name.clone(),
            None => String::new(),
        };
        Ask {
            verb: self.verb().to_owned(),
            group: place.group.clone(),
            resource: format!("{}{door}", place.plural),
            namespace,
            name,
        }
    }

    /// Returns the verb as RBAC names it.
    pub(crate) fn verb(&self) -> &'static str {
        let Target::Resource(place) = &self.target else { return "get" };
        match (self.method.as_str(), place.name.is_some()) {
            ("GET" | "HEAD", true) => "get",
            // Only collections are watched.
            ("GET" | "HEAD", false) if self.flag("watch") => "watch",
            ("GET" | "HEAD", false) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "delete",
            ("DELETE", false) => "deletecollection",
            _ => "",
        }
    }
}

/// Returns who holds the token: a service account that was given it here, else one who may do
/// everything.
fn own_user(headers: &HeaderMap) -> User {
    let token = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let account = token.and_then(|token| token.strip_prefix("Bearer ")).and_then(User::of_token);
    account.unwrap_or_else(User::admin)
}

/// Returns in whose name a request is made.
fn acted_for(headers: &HeaderMap) -> Option<User> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let name = headers.get("impersonate-user").map(text)?;
    let groups = headers.get_all("impersonate-group").iter().map(text).collect();
    let uid = headers.get("impersonate-uid").map(text).unwrap_or_default();
    let mut user = User::named(&name, &uid, groups);
    for (key, value) in headers {
        if let Some(key) = key.as_str().strip_prefix("impersonate-extra-") {
            user.tell(decoded(key), text(value));
        }
    }
    Some(user)
}

fn decoded(segment: &str) -> String {
    let plain = segment.replace('+', "%2B");
    url::form_urlencoded::parse(plain.as_bytes())
        .next()
        .map_or_else(String::new, |(text, _)| text.into_owned())
}

fn target(path: &str) -> Target {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["version"] => Target::Version,
        ["healthz" | "livez" | "readyz", ..] => Target::Health,
        ["api"] => Target::CoreVersions,
        ["apis"] => Target::Groups,
        ["apis", group] => Target::Group((*group).to_owned()),
        ["openapi", "v2"] => Target::OpenApi2,
        ["openapi", "v3"] => Target::OpenApi3,
        ["openapi", "v3", rest @ ..] => Target::OpenApi3Of(rest.join("/")),
        ["sim", rest @ ..] => Target::Control(rest.join("/")),
        ["api", version] => Target::Resources(String::new(), (*version).to_owned()),
        ["apis", group, version] => Target::Resources((*group).to_owned(), (*version).to_owned()),
        ["api", version, rest @ ..] => place("", version, rest),
        ["apis", group, version, rest @ ..] => place(group, version, rest),
        _ => Target::Unknown,
    }
}

fn place(group: &str, version: &str, rest: &[&str]) -> Target {
    // `namespaces/x` is an object, `namespaces/x/pods` a collection, `namespaces/x/status` a door.
    let (namespace, rest) = match rest {
        ["namespaces", _, "status" | "finalize"] | ["namespaces", _] | ["namespaces"] => {
            (None, rest)
        }
        ["namespaces", namespace, rest @ ..] => (Some(decoded(namespace)), rest),
        _ => (None, rest),
    };
    let [plural, rest @ ..] = rest else { return Target::Unknown };
    let (name, subresource) = match rest {
        [] => (None, None),
        [name] => (Some(decoded(name)), None),
        [name, sub @ ..] => (Some(decoded(name)), Some(sub.join("/"))),
    };
    Target::Resource(Place {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: (*plural).to_owned(),
        namespace,
        name,
        subresource,
    })
}

/// How objects are to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    Table,
    Metadata,
    Discovery,
}

/// Chooses the first form of an `Accept` header that is served; nothing when none is.
pub(crate) fn accepted(accept: &str) -> Option<Form> {
    if accept.is_empty() {
        return Some(Form::Object);
    }
    accept.split(',').find_map(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parts: Vec<_> = parts.collect();
        let json = ["application/json", "*/*", "application/*"].contains(&media);
        let form = parts.iter().find_map(|part| part.strip_prefix("as="));
        let has = |part: &str| parts.contains(&part);
        match form {
            _ if !json => None,
            None => Some(Form::Object),
            Some("Table") if has("v=v1") => Some(Form::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if has("v=v1") => {
                Some(Form::Metadata)
            }
            Some("APIGroupDiscoveryList") if has("v=v2") => Some(Form::Discovery),
            Some(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_places() {
        let rows = [
            ("/api/v1/namespaces/a", ("", "namespaces", None, Some("a"), None)),
            ("/api/v1/namespaces/a/status", ("", "namespaces", None, Some("a"), Some("status"))),
            ("/api/v1/namespaces/a/pods", ("", "pods", Some("a"), None, None)),
            ("/api/v1/namespaces/a/pods/p/log", ("", "pods", Some("a"), Some("p"), Some("log"))),
            ("/apis/apps/v1/deployments", ("apps", "deployments", None, None, None)),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/a%3Ab",
                ("rbac.authorization.k8s.io", "clusterroles", None, Some("a:b"), None),
            ),
        ];
        for (path, (group, plural, namespace, name, subresource)) in rows {
            let wanted = Place {
                group: group.to_owned(),
                version: "v1".to_owned(),
                plural: plural.to_owned(),
                namespace: namespace.map(str::to_owned),
                name: name.map(str::to_owned),
                subresource: subresource.map(str::to_owned),
            };
            assert_eq!(target(path), Target::Resource(wanted), "{path}");
        }
        assert_eq!(target("/foo"), Target::Unknown);
        assert_eq!(target("/apis/apps"), Target::Group("apps".to_owned()));
    }

    #[test]
    fn accept_headers_choose_a_form() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accepted(kubectl), Some(Form::Table));
        assert_eq!(
            accepted("application/vnd.kubernetes.protobuf,application/json"),
            Some(Form::Object)
        );
        assert_eq!(accepted("application/vnd.kubernetes.protobuf"), None);
        let discovery =
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert_eq!(accepted(discovery), Some(Form::Discovery));
    }
}
