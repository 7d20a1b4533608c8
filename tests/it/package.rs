//! Packages and dependencies of charts, beside the real Helm.

use std::io::Read as _;
use std::path::Path;

use crate::support::chart::web;
use crate::support::pair::Pair;
use crate::support::repository::Repository;

/// A file of an archive: name, mode, time, content.
type Entry = (String, u32, u64, String);

/// Returns what precedes the compressed part, and the files in their order.
fn archive(path: &Path) -> (Vec<u8>, Vec<Entry>) {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut unpacked = flate2::read::GzDecoder::new(&bytes[..]);
    let header = unpacked.header().cloned();
    let mut tar = tar::Archive::new(&mut unpacked);
    let mut files = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let (mode, time) = (entry.header().mode().unwrap(), entry.header().mtime().unwrap());
        let mut text = Vec::new();
        entry.read_to_end(&mut text).unwrap();
        files.push((name, mode, time, String::from_utf8_lossy(&text).into_owned()));
    }
    let header = header.unwrap();
    let front = [header.extra().unwrap_or_default(), header.comment().unwrap_or_default()].concat();
    (front, files)
}

#[track_caller]
fn same_archives(pair: &Pair, path: &str) {
    let [(theirs, helm), (front, ours)] = pair.folders().map(|folder| archive(&folder.join(path)));
    assert_eq!(ours, helm, "{path}: ours (left), Helm's (right)");
    assert_eq!(front, theirs, "{path}: the header");
}

fn charts(pair: &Pair) {
    pair.file("web/Chart.yaml", "# a comment\nversion: 1.0.0\nname: web\napiVersion: v2\nappVersion: 1.10\nunknown: x\ndescription: |\n  two\n  lines\nmaintainers:\n- email: a@b.c\n  name: me\nannotations:\n  b: \"1\"\n  a: x\nkubeVersion: '>=1.20'\ndependencies:\n- name: db\n  version: 1.x\n  condition: db.enabled\n  import-values: [x, {child: a, parent: b}]\n  tags: [t]\n- name: db\n  alias: other\n  version: '*'\n  repository: ''\n");
    pair.file("web/Chart.lock", "digest: sha256:00\ndependencies:\n- name: db\n  version: 1.0.0\n  repository: ''\ngenerated: \"2020-01-01T00:00:00.5+02:00\"\n");
    pair.file("web/values.yaml", "# kept as it is\nb: 1\na:  2\n");
    pair.file("web/values.schema.json", "{ \"type\": \"object\" }\n");
    pair.file("web/templates/z.yaml", "z: {{ .Values.a }}\n");
    pair.file("web/templates/_a.tpl", "");
    pair.file("web/templates/.hidden", "x");
    pair.file("web/templates/sub/NOTES.txt", "notes");
    pair.file("web/crds/a.yaml", "a: 1\n");
    pair.file("web/README.md", "hello\n");
    pair.file("web/.helmignore", "*.bak\n");
    pair.file("web/x.bak", "x");
    pair.file(&format!("web/files/{}.txt", "long".repeat(40)), "deep\n");
    pair.file("web/charts/db/Chart.yaml", "{name: db, version: 1.0.0, apiVersion: v2}");
    pair.file("web/charts/db/values.yaml", "port: 1\n");
    pair.file("web/charts/db/templates/a.yaml", "a: 1\n");
    pair.file("web/charts/_skipped/x", "x");
    pair.file("old/Chart.yaml", "name: old\nversion: v2.0\napiVersion: v1\n");
    pair.file(
        "old/requirements.yaml",
        "dependencies:\n- name: web\n  version: 1.x\n  repository: https://x\n",
    );
    pair.file("old/requirements.lock", "digest: x\n");
    pair.file("lean/Chart.yaml", "name: lean\nversion: 0.1.0\napiVersion: v2\n");
    pair.file("bad/Chart.yaml", "name: bad\nversion: 0.1.0\napiVersion: v2\n");
    pair.file("bad/values.schema.json", "{");
    pair.file("none/values.yaml", "a: 1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_those_of_helm() {
    let Some(pair) = Pair::find() else { return };
    let pair = pair.env("SOURCE_DATE_EPOCH", "1700000000");
    charts(&pair);
    pair.same(&["package", "web"]);
    same_archives(&pair, "web-1.0.0.tgz");
    pair.same(&[
        "package",
        "web",
        "--version",
        "2.0.0-rc.1+b",
        "--app-version",
        "9",
        "-d",
        "out/deep",
    ]);
    same_archives(&pair, "out/deep/web-2.0.0-rc.1+b.tgz");
    pair.same(&["package", "lean", "./web/", "-d", "./out"]);
    same_archives(&pair, "out/lean-0.1.0.tgz");
    same_archives(&pair, "out/web-1.0.0.tgz");
    for row in [
        &["old"][..],
        &["nowhere"],
        &["none"],
        &["bad"],
        &["lean", "--version", "x"],
        &["lean", "--version", "1.0.0-01"],
    ] {
        pair.same_error(&[&["package"], row].concat());
    }
    for folder in pair.folders() {
        std::fs::remove_file(folder.join("old/requirements.yaml")).unwrap();
    }
    pair.same(&["package", "old"]);
    same_archives(&pair, "old-v2.0.tgz");
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_of_real_charts_are_those_of_helm() {
    let (Some(pair), Some(corpus)) = (Pair::find(), crate::support::corpus::corpus()) else {
        return;
    };
    let pair = pair.env("SOURCE_DATE_EPOCH", "1700000000");
    let [theirs, ours] = pair.folders();
    for (repository, start) in
        [("podinfo", "podinfo-6.9"), ("bitnami", "nginx-"), ("prometheus-community", "kube-prom")]
    {
        for (at, package) in corpus.packages(repository, start).iter().take(1).enumerate() {
            let bytes = std::fs::read(package).unwrap();
            let name = format!("{repository}-{at}");
            let mut chart = String::new();
            for folder in [theirs, ours] {
                let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
                tar.unpack(folder.join(&name)).unwrap();
                let inner = std::fs::read_dir(folder.join(&name)).unwrap().next().unwrap();
                chart = inner.unwrap().file_name().to_string_lossy().into_owned();
            }
            let said = pair.same(&["package", &format!("{name}/{chart}"), "-d", "out"]);
            let saved = said.trim().rsplit(": ").next().unwrap();
            let [(_, mut helm), (_, mut mine)] =
                pair.folders().map(|folder| archive(&folder.join(saved)));
            // Helm keeps charts of charts/ in the order of a hash map.
            helm.sort();
            mine.sort();
            assert_eq!(mine, helm, "{saved}");
        }
    }
}

/// Asserts that both locks are the same but for their time.
#[track_caller]
fn same_locks(pair: &Pair, path: &str) {
    let [helm, ours] = pair.folders().map(|folder| {
        let text = std::fs::read_to_string(folder.join(path)).unwrap();
        text.lines().filter(|l| !l.starts_with("generated:")).collect::<Vec<_>>().join("\n")
    });
    assert_eq!(ours, helm, "{path}: ours (left), Helm's (right)");
}

fn app(pair: &Pair, version: &str, url: &str) {
    let chart = format!(
        "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n\
         - name: web\n  version: '{version}'\n  repository: {url}\n  condition: web.enabled\n\
         - name: lib\n  version: '>=1, <3'\n  repository: file://../lib\n  tags: [a, b]\n\
         - name: web\n  version: '{version}'\n  repository: {url}\n  alias: second\n\
         - name: inside\n  version: 1.x\n  repository: ''\n"
    );
    pair.file("app/Chart.yaml", chart);
    pair.file("app/charts/inside/Chart.yaml", "name: inside\nversion: 1.2.3\napiVersion: v2\n");
    pair.file("lib/Chart.yaml", "name: lib\nversion: 2.0.0\napiVersion: v2\n");
    pair.file("lib/templates/_a.tpl", "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_are_got_and_locked_as_helm_does() {
    let Some(pair) = Pair::find() else { return };
    let pair = pair.env("SOURCE_DATE_EPOCH", "1700000000");
    let repository = Repository::start();
    for version in ["1.0.0", "1.1.0", "2.0.0"] {
        repository.publish_package(web(version, ""));
    }
    let url = &repository.url();
    app(&pair, "~1.0", url);
    pair.same(&["dependency", "list", "app"]);
    pair.same(&["dependency", "update", "app"]);
    same_locks(&pair, "app/Chart.lock");
    pair.same_files("app/charts/web-1.0.0.tgz");
    same_archives(&pair, "app/charts/lib-2.0.0.tgz");
    pair.same(&["dep", "ls", "app/"]);
    // A repository that is not registered is no reason to refuse an update, but a build.
    pair.same_error(&["dependency", "build", "app"]);
    pair.same(&["repo", "add", "one", url]);
    pair.same(&["dependency", "build", "app"]);
    pair.same(&["dependency", "build", "app", "--skip-refresh"]);
    app(&pair, "1.x", "'@one'");
    pair.same_error(&["dependency", "build", "app"]);
    pair.same(&["dependency", "list", "app", "--max-col-width", "8"]);
    pair.same(&["dependency", "update", "app"]);
    same_locks(&pair, "app/Chart.lock");
    let [helm, ours] = pair.folders().map(|folder| names(&folder.join("app/charts")));
    assert_eq!(ours, helm);
    assert_eq!(ours, ["inside", "lib-2.0.0.tgz", "web-1.1.0.tgz"]);
    pair.same(&["dependency", "update", "app", "--skip-refresh"]);
    pair.same(&["package", "app", "-u"]);
    pair.same(&["template", "rel", "app"]);
    pair.file("app/charts/stray/Chart.yaml", "name: stray\nversion: 1.0.0\napiVersion: v2\n");
    pair.same(&["dependency", "list", "app"]);
    pair.same(&["dependency", "list", "app/charts/lib-2.0.0.tgz"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_that_cannot_be_had_are_told_as_helm_does() {
    let Some(pair) = Pair::find() else { return };
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let url = &repository.url();
    pair.same_error(&["dependency", "update", "nowhere"]);
    pair.file("file/Chart.yaml", "name: file\nversion: 1.0.0\napiVersion: v2\n");
    pair.same(&["dependency", "list", "file"]);
    pair.same(&["dependency", "update", "file"]);
    pair.same_error(&["dependency", "update", "file/Chart.yaml"]);
    let rows = [
        ("9.x", url.as_str()),
        ("latest", url.as_str()),
        ("1.x", "stable"),
        ("1.x", "'@none'"),
        ("1.x", "file://../nowhere"),
        ("1.x", "''"),
    ];
    for (version, repository) in rows {
        app(&pair, version, repository);
        pair.same_error(&["dependency", "update", "app"]);
    }
    pair.same(&["repo", "add", "one", url]);
    app(&pair, "9.x", "'@one'");
    pair.same_error(&["dependency", "update", "app"]);
    pair.same(&["dependency", "list", "app"]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
