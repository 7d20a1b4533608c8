//! Reviews: created, answered, never stored.

use serde_json::json;

use super::Reply;
use super::writes::body;
use crate::sim::access::{self, Ask, User};
use crate::sim::core::Core;
use crate::sim::request::{Place, Request};
use crate::sim::resource::Resource;
use crate::sim::status::ApiError;
use crate::sim::value::{default, items, text};
use crate::yaml::Value;

/// Answers a review.
pub(super) fn answer(
    core: &Core,
    request: &Request,
    resource: &Resource,
    place: &Place,
) -> Result<Reply, ApiError> {
    if resource.namespaced && place.namespace.is_none() {
        return Err(ApiError::no_resource());
    }
    let mut review = body(request)?;
    default(&mut review, "apiVersion", resource.api_version());
    default(&mut review, "kind", resource.kind.as_str());
    default(&mut review, "metadata", json!({}));
    let user = &request.user;
    review["status"] = match resource.kind.as_str() {
        "SelfSubjectReview" => json!({ "userInfo": user.to_value() }),
        "TokenReview" => {
            let of = User::of_token(text(&review, "/spec/token")).unwrap_or_else(User::admin);
            json!({"authenticated": true, "user": of.to_value()})
        }
        "SelfSubjectRulesReview" => rules(core, user, text(&review, "/spec/namespace")),
        "Binding" => return Err(ApiError::no_method()),
        "SelfSubjectAccessReview" => verdict(core, user, &review),
        _ => verdict(core, &named(&review), &review),
    };
    Ok(Reply::json(201, &review))
}

fn rules(core: &Core, user: &User, namespace: &str) -> Value {
    let user = if core.options.rbac { user.clone() } else { User::admin() };
    json!({
        "resourceRules": access::rules_of(&core.store(), &user, namespace),
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": false,
    })
}

/// Returns whom a review of somebody else is about.
fn named(review: &Value) -> User {
    let groups = items(review, "/spec/groups").iter().filter_map(Value::as_str);
    User {
        name: text(review, "/spec/user").to_owned(),
        uid: text(review, "/spec/uid").to_owned(),
        groups: groups.map(str::to_owned).collect(),
        extra: Vec::new(),
    }
}

fn verdict(core: &Core, user: &User, review: &Value) -> Value {
    let part = |name: &str| text(review, &format!("/spec/resourceAttributes/{name}")).to_owned();
    // What is no resource may be read by everybody.
    let is_resource = review.pointer("/spec/resourceAttributes").is_some();
    if !core.options.rbac || !is_resource {
        return json!({"allowed": true});
    }
    let door = part("subresource");
    let door = if door.is_empty() { door } else { format!("/{door}") };
    let ask = Ask {
        verb: part("verb"),
        group: part("group"),
        resource: format!("{}{door}", part("resource")),
        namespace: part("namespace"),
        name: part("name"),
    };
    match access::allowed(&core.store(), user, &ask) {
        Some(reason) if reason.is_empty() => json!({"allowed": true}),
        Some(reason) => json!({"allowed": true, "reason": reason}),
        None => json!({"allowed": false}),
    }
}
