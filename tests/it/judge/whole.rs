//! Charts of several files, rendered the way every command renders them.

use std::sync::Arc;

use leadsman::base::class::chain;
use leadsman::chart;
use leadsman::release::{RenderRequest, Renderer};
use leadsman::template::ReleaseInfo;
use leadsman::yaml::{Map, Value};
use serde_json::json;

use super::ask::Said;

/// Files of a chart: names and texts.
pub(super) type Files = Vec<(String, String)>;

/// What is asked about a chart; `templates/out.yaml` is what comes of it.
pub(super) fn question(files: &Files, values: &Value) -> Value {
    let files: Map = files.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
    json!({"files": files, "values": values})
}

/// What `templates/out.yaml` of a chart gives.
pub(super) fn rendered(files: &Files, values: &Value) -> Said {
    let file = |(name, text): &(String, String)| chart::File {
        name: name.clone(),
        data: bytes::Bytes::from(text.clone()).into(),
    };
    let mut list: Vec<_> = files.iter().map(file).collect();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    let loaded = Arc::new(chart::load_files(list).map_err(|error| chain(&error))?);
    let request = RenderRequest {
        chart: &loaded,
        values: values.as_object().unwrap(),
        release: ReleaseInfo {
            name: "rel".into(),
            namespace: "prod".into(),
            revision: 1,
            is_upgrade: false,
        },
        capabilities: &leadsman::release::offline("", &[]).unwrap(),
        lookup: None,
        hosts: None,
        check_schema: false,
    };
    let rendering =
        Renderer::default().render_through(&request, &Ok).map_err(|error| chain(&error))?;
    let name = format!("{}/templates/out.yaml", loaded.metadata.name);
    let out = rendering.files.iter().find(|read| read.file.name == name);
    Ok(out.map(|read| read.file.text.clone()).unwrap_or_default())
}
