//! The README's first command: the whole job as a story, told by what happens.

use crate::support::leadsman::Leadsman;

#[tokio::test(flavor = "multi_thread")]
async fn the_story_is_told_to_its_end() {
    let output = Leadsman::new().run(&["demo"]).await;
    let told = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(output.code, Some(0), "{told}");
    // Lines of the manager, which nobody wrote for the story.
    for line in ["InstallSucceeded", "UpgradeSucceeded", "RollbackSucceeded", "VersionQuarantined"]
    {
        assert!(told.contains(line), "no {line} in:\n{told}");
    }
    // Why 1.2.0 was left: the object, the condition, the container.
    let why = told.split("$ leadsman why web\n").nth(1).unwrap_or_default();
    let why = why.split("\n── ").next().unwrap_or_default();
    for part in ["1.2.0", "Deployment", "web"] {
        assert!(why.contains(part), "no {part} in:\n{why}");
    }
    // What `kubectl scale` took away was put back by a correction, not by a new revision.
    assert!(told.contains("DriftCorrected"), "{told}");
    let history = told.split("$ leadsman history web\n").nth(1).unwrap_or_default();
    assert!(history.contains(": Deployment/demo/web configured"), "{history}");
    let charts: Vec<_> = history
        .lines()
        .filter_map(|line| line.split('\t').map(str::trim).find(|cell| cell.starts_with("web-")))
        .collect();
    assert_eq!(
        charts,
        ["web-1.0.0", "web-1.1.0", "web-1.2.0", "web-1.1.0", "web-1.3.0", "web-1.1.0"],
        "{history}"
    );
}
