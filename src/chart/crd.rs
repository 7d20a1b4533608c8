//! The files of `crds/`.

use super::{Chart, File};

/// Returns the files of `crds/` with their whole paths (`root/charts/child/crds/x.yaml`): the
/// chart's own in the order of the package, then those of each dependency.
///
/// Source: helm v4.3.1 pkg/chart/v2/chart.go (`CRDObjects`).
pub fn crds(chart: &Chart) -> Vec<(String, &File)> {
    fn collect<'c>(chart: &'c Chart, path: &str, found: &mut Vec<(String, &'c File)>) {
        for file in &chart.files {
            if file.name.starts_with("crds/") && is_manifest(&file.name) {
                found.push((format!("{path}/{}", file.name), file));
            }
        }
        for child in &chart.dependencies {
            collect(child, &format!("{path}/charts/{}", child.metadata.name), found);
        }
    }
    let mut found = Vec::new();
    collect(chart, &chart.metadata.name, &mut found);
    found
}

fn is_manifest(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    let ending = base.rsplit_once('.').map_or("", |(_, ending)| ending);
    ["yaml", "yml", "json"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}
