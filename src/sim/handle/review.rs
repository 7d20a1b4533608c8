//! Reviews: created, answered, never stored. Everybody may do everything here.

use serde_json::json;

use super::Reply;
use super::writes::body;
use crate::sim::core::Core;
use crate::sim::request::Request;
use crate::sim::resource::Resource;
use crate::sim::status::ApiError;
use crate::sim::value::default;

/// Answers a review.
pub(super) fn answer(
    _core: &Core,
    request: &Request,
    resource: &Resource,
) -> Result<Reply, ApiError> {
    let mut review = body(request)?;
    default(&mut review, "apiVersion", resource.api_version());
    default(&mut review, "kind", resource.kind.as_str());
    default(&mut review, "metadata", json!({}));
    let user = json!({"username": "admin", "uid": "admin", "groups": ["system:masters", "system:authenticated"]});
    review["status"] = match resource.kind.as_str() {
        "SelfSubjectReview" => json!({ "userInfo": user }),
        "TokenReview" => json!({"authenticated": true, "user": user}),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        "Binding" => return Err(ApiError::no_method()),
        _ => json!({"allowed": true}),
    };
    Ok(Reply::json(201, &review))
}
