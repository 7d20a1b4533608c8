//! What a person can do about a failure. Pure.
//!
//! Messages of conditions are Helm's and Flux's where they have one; the advice stands beside
//! them, in the line that is printed.

/// Reason of the condition (empty: any), part of its message (empty: any), advice. The first
/// row that fits is taken.
const ROWS: &[(&str, &str, &str)] = &[
    ("SourceNotReady", "no chart `", "correct spec.chart.spec.chart"),
    ("SourceNotReady", "with version matching", "correct spec.chart.spec.version"),
    ("SourceNotReady", "constraint", "correct spec.chart.spec.version"),
    ("ArtifactFailed", "the index says", "publish the chart anew and have the index made afresh"),
    ("ArtifactFailed", "fetch `", ""),
    ("SourceUnavailable", "not found", "create it, or correct spec.sourceRef"),
    ("ArtifactFailed", "could not get Source object", "create it, or correct spec.chartRef"),
    ("ArtifactFailed", "could not get Source object", ""),
    (
        "ArtifactFailed",
        "",
        "publish the chart anew as another version, or ask for another one in spec.chart.spec.version",
    ),
    ("ValuesError", "not found", "create it, or say `optional: true` in spec.valuesFrom"),
    ("ValuesError", "", "correct what spec.valuesFrom names"),
    ("DependencyNotReady", "not found", "create it, or correct spec.dependsOn"),
    ("UninstallFailed", "", "remove what is in the way; the uninstall is tried again by itself"),
    ("", "the schema(s)", "correct spec.values where the message points"),
    (
        "",
        "error while running post render",
        "correct spec.postRenderers, or choose another version of the chart",
    ),
    (
        "",
        "invalid ownership metadata",
        "remove or rename one of the two objects, or let spec.install.disableTakeOwnership be false",
    ),
    ("", "no matches for kind", "or choose a chart version for this cluster"),
    (
        "",
        "immutable",
        "delete the object so that it is made anew, or choose another version of the chart",
    ),
    ("", "namespaces \"", "create the namespace, or say `createNamespace: true` in spec.install"),
    ("", "nested reference name", "choose another version of the chart: its templates never end"),
    ("", "maximum template depth", "choose another version of the chart: its templates never end"),
    (
        "",
        "templates/",
        "correct spec.values if they lack what the template reads, or choose another version of the chart",
    ),
    (
        "",
        "metadata.labels: Invalid value",
        "a label holds at most 63 characters; the name of the HelmRelease is one, too: shorten it",
    ),
    (
        "",
        "cannot reuse a name that is still in use",
        "a record of an earlier release was kept: say `replace: true` in spec.install, or remove that record",
    ),
    ("", "is forbidden", "grant this right to Leadsman's service account"),
    ("", "stalled resources", "`leadsman why` tells what keeps each object"),
    ("", "timeout waiting", "`leadsman why` tells what keeps each object"),
    (
        "InstallFailed",
        "",
        "correct the HelmRelease or choose another version; then it is tried again",
    ),
    (
        "UpgradeFailed",
        "",
        "correct the HelmRelease or choose another version; then it is tried again",
    ),
];

/// Returns what to do about a failure; empty where the message says it already.
pub(super) fn advice(reason: &str, message: &str) -> &'static str {
    let fits = |row: &&(&str, &str, &str)| {
        (row.0.is_empty() || row.0 == reason) && message.contains(row.1)
    };
    ROWS.iter().find(fits).map_or("", |row| row.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_that_fits_is_taken() {
        let rows = [
            ("ArtifactFailed", "digest x, the index says y", "publish the chart anew and"),
            ("ArtifactFailed", "fetch `http://x`: 404: check the address", ""),
            ("ArtifactFailed", "no files in chart archive", "as another version"),
            ("UpgradeFailed", "spec.selector: field is immutable", "delete the object"),
            ("InstallFailed", "anything else", "correct the HelmRelease"),
            ("SourceNotReady", "it does not exist; create it", ""),
        ];
        for (reason, message, part) in rows {
            let got = advice(reason, message);
            assert!(got.contains(part) && got.is_empty() == part.is_empty(), "{message}: {got}");
        }
    }
}
