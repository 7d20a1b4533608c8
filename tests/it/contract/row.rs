//! Rows as they stand in the files.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One step: a request, or a look at a watch that an earlier row opened.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    /// What it shows.
    pub(super) row: String,
    /// `GET /api/v1/…`; `{ns}`, `{apps}`, `{batch}` stand for the namespace's paths, `$name` for
    /// what was kept.
    #[serde(default)]
    pub(super) send: String,
    /// `json` (the usual), `yaml`, `merge`, `json-patch`, `strategic`, `apply`, or a media type.
    #[serde(default)]
    pub(super) r#type: String,
    /// The body, as JSON.
    #[serde(default)]
    pub(super) body: Value,
    /// The body, as it is.
    pub(super) raw: Option<String>,
    /// Further headers.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Puts a long text into the body: its pointer and its length.
    pub(super) fill: Option<(String, usize)>,
    /// Keeps parts of the answer: name → pointer.
    #[serde(default)]
    pub(super) keep: BTreeMap<String, String>,
    /// Asks again until the answer holds these: pointer → value.
    #[serde(default)]
    pub(super) until: BTreeMap<String, Value>,
    /// Compares only these parts of the answer.
    #[serde(default)]
    pub(super) only: Vec<String>,
    /// Opens a watch under this name with `send`.
    pub(super) watch: Option<String>,
    /// Compares the events of a watch, up to the first that holds `until` (`/type` is its type).
    pub(super) events: Option<String>,
    /// Waits until a watch has shown objects that hold these, in this order; others may stand
    /// between them, and quick ones may be one. `null` means: not there.
    pub(super) sees: Option<(String, Vec<BTreeMap<String, Value>>)>,
    /// Why this row is not played on the simulator.
    pub(super) real_only: Option<String>,
}
