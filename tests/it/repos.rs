//! Repositories by name, beside the real Helm on the same kind of files.

use crate::support::chart::web;
use crate::support::leadsman::Leadsman;
use crate::support::pack::Package;
use crate::support::pair::Pair;
use crate::support::repository::Repository;

fn repository() -> Repository {
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    repository.publish_package(web("1.1.0", ""));
    repository
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_are_kept_as_helm_keeps_them() {
    let Some(pair) = Pair::find() else { return };
    let (one, two) = (repository(), repository());
    let (first, second) = (&one.url(), &two.url());
    for arguments in [&["repo", "update"][..], &["repo", "remove", "x"]] {
        pair.same_error(arguments);
    }
    pair.same(&["repo", "list"]);
    pair.same(&["repo", "list", "-o", "json"]);
    pair.same(&["repo", "add", "one", first]);
    pair.same(&["repo", "add", "one", first]);
    pair.same_files("helm-config");
    pair.same_files("helm-cache");
    pair.same_error(&["repo", "add", "one", second]);
    pair.same_error(&["repo", "add", "a/b", second]);
    pair.same_error(&["repo", "add", "two", &format!("{second}/none")]);
    pair.same_error(&["repo", "add", "two", "ftp://localhost/charts"]);
    pair.same(&["repo", "add", "two", second, "--username", "me", "--password", "x: y"]);
    pair.same(&["repo", "add", "one", second, "--force-update", "--pass-credentials"]);
    for output in ["table", "json", "yaml"] {
        pair.same(&["repo", "list", "-o", output]);
    }
    pair.same(&["repo", "list", "--no-headers"]);
    pair.same(&["repo", "update", "two"]);
    pair.same_error(&["repo", "update", "three"]);
    pair.same(&["repo", "remove", "one"]);
    pair.same_error(&["repo", "remove", "three"]);
    pair.same_files("helm-config");
    pair.same_files("helm-cache");
    pair.same(&["repo", "remove", "two"]);
    pair.same_error(&["repo", "remove", "two"]);
    pair.same_files("helm-config");
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_and_leadsman_take_turns() {
    let Some(pair) = Pair::find() else { return };
    let repository = repository();
    repository.require("me", "secret");
    let [folder, _] = pair.folders();
    let url = repository.url();
    let refused = pair.leadsman_in(folder, &["repo", "add", "a", &url]).await;
    assert!(refused.stderr.contains("401 Unauthorized"), "{}", refused.stderr);
    let user = ["--username", "me", "--password", "secret"];
    pair.leadsman_in(folder, &[&["repo", "add", "a", &url][..], &user].concat()).await.success();
    pair.helm_in(folder, &["repo", "update"]).await.success();
    pair.helm_in(folder, &[&["repo", "add", "b", &url][..], &user].concat()).await.success();
    pair.leadsman_in(folder, &["repo", "update"]).await.success();
    let list = pair.leadsman_in(folder, &["repo", "list"]).await.success();
    assert_eq!(list, pair.helm_in(folder, &["repo", "list"]).await.success());
    pair.leadsman_in(folder, &["repo", "remove", "b"]).await.success();
    let found = pair.helm_in(folder, &["search", "repo", "web"]).await.success();
    assert!(found.contains("a/web") && !found.contains("b/web"), "{found}");
    #[cfg(unix)]
    {
        let meta = std::fs::metadata(folder.join("helm-config/repositories.yaml")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_away_is_named() {
    let Some(pair) = Pair::find() else { return };
    let repository = repository();
    pair.same(&["repo", "add", "good", &repository.url()]);
    let broken = Repository::start();
    broken.publish_package(Package::files([("Chart.yaml", "name: a\nversion: 1.0.0\n")]));
    pair.same(&["repo", "add", "broken", &broken.url()]);
    broken.misbehave("/index.yaml", crate::support::fault::Fault::Status(404));
    let [helm, ours] = pair.both(&["repo", "update"]).await;
    assert_eq!((ours.0, &ours.2), (helm.0, &helm.2));
    // Helm prints them in the order in which they end.
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&ours.1), sorted(&helm.1));
}

/// Publishes the corpus: its indexes, whose archives are asked for by few tests.
fn corpus_repository(name: &str) -> Option<Repository> {
    let repository = Repository::start();
    let folder = crate::support::corpus::corpus()?.repository(name);
    repository.put_index(std::fs::read(folder.join("index.yaml")).unwrap());
    Some(repository)
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_what_helm_finds() {
    let Some(pair) = Pair::find() else { return };
    pair.same_error(&["search", "repo"]);
    let mut repositories = Vec::new();
    for name in ["bitnami", "podinfo", "mixed"] {
        let Some(repository) = corpus_repository(name) else { return };
        pair.same(&["repo", "add", name, &repository.url()]);
        repositories.push(repository);
    }
    let rows: [&[&str]; 17] = [
        &[],
        &["-l"],
        &["nginx"],
        &["NGINX", "-l"],
        &["bitnami/", "--max-col-width", "20"],
        &["pod", "--versions", "--version", "<6.7.0"],
        &["pod", "--version", "~6.5", "-o", "yaml"],
        &["kubernetes", "-o", "json"],
        &["web", "server"],
        &["--devel"],
        &["-r", "^po.*o"],
        &["-r", r"\bdatabase\b", "-o", "json"],
        &["no such chart"],
        &["no such chart", "-o", "json"],
        &["no such chart", "-o", "yaml"],
        &["a", "--max-col-width", "0"],
        &["a", "--max-col-width", "2"],
    ];
    for row in rows {
        pair.same(&[&["search", "repo"], row].concat());
    }
    pair.same_error(&["search", "repo", "no such chart", "--fail-on-no-result"]);
    pair.same_error(&["search", "repo", "a", "--version", "latest"]);
    pair.same_error(&["search", "repo", "-r", "("]);
    for folder in pair.folders() {
        std::fs::remove_file(folder.join("helm-cache/repository/bitnami-index.yaml")).unwrap();
    }
    pair.same(&["search", "repo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_are_pulled_as_helm_pulls_them() {
    let Some(pair) = Pair::find() else { return };
    let repository = repository();
    repository.publish_package(web("1.2.0-rc.1", ""));
    repository.publish_package(web("1.1.1+build.7", ""));
    let url = &repository.url();
    pair.same_error(&["pull", "one/web"]);
    pair.same(&["repo", "add", "one", url]);
    let rows: [&[&str]; 7] = [
        &["one/web"],
        &["one/web", "--version", "1.0.x"],
        &["one/web", "--devel"],
        &["web", "--repo", url, "--version", "~1.0"],
        &["one/web", "--untar"],
        &["one/web", "--untar", "--untardir", "deep/er", "-d", "unpacked", "--version", "1.0.0"],
        &[&format!("{url}/web-1.1.0.tgz")],
    ];
    for row in rows {
        pair.same(&[&["pull"], row].concat());
        pair.same_files(".");
    }
    let rows: [&[&str]; 9] = [
        &["web"],
        &["two/web"],
        &["one/other"],
        &["one/web", "--version", "9"],
        &["one/web", "--version", "latest"],
        &["one/web", "--untar"],
        &["one/web", "--untar", "--untardir", "deep/er", "-d", "unpacked"],
        &["web", "--repo", url, "--version", "9"],
        &["web", "--repo", &format!("{url}/none")],
    ];
    for row in rows {
        pair.same_error(&[&["pull"], row].concat());
    }
    pair.same_files(".");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_a_registered_repository_is_rendered() {
    let Some(pair) = Pair::find() else { return };
    let repository = repository();
    repository.require("me", "secret");
    let user = ["--username", "me", "--password", "secret"];
    pair.same(&[&["repo", "add", "one", &repository.url()][..], &user].concat());
    pair.same(&["template", "rel", "one/web"]);
    pair.same(&["template", "rel", "one/web", "--version", "1.0.x"]);
    // Helm knows the repository of an address only when the index names it in full.
    let address = format!("{}/web-1.0.0.tgz", repository.url());
    let [helm, ours] = pair.both(&["template", "rel", &address]).await;
    assert_eq!((helm.0, ours.0), (Some(1), Some(0)), "{ours:?}");
    for chart in ["two/web", "one/other", "./web", "web"] {
        pair.same_error(&["template", "rel", chart]);
    }
    pair.same_error(&["template", "rel", "one/web", "--version", "3"]);
    let found = repository.count("/web-1.1.0.tgz", 200);
    pair.same(&["template", "rel", "one/web"]);
    assert_eq!(repository.count("/web-1.1.0.tgz", 200), found, "both find it in their caches");
}

/// An index without the times that are now.
fn timeless(path: &std::path::Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let is_time = |line: &&str| {
        let line = line.trim_start();
        !["created:", "generated:", "\"created\":", "\"generated\":"]
            .iter()
            .any(|start| line.starts_with(start) && !line.contains("2020"))
    };
    text.lines().filter(is_time).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_of_packages_are_indexed_as_by_helm() {
    let Some(pair) = Pair::find() else { return };
    let same = |path: &str| {
        let [helm, ours] = pair.folders().map(|folder| timeless(&folder.join(path)));
        assert_eq!(ours, helm, "{path}");
    };
    for version in ["1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1+b"] {
        let package = web(version, "");
        pair.file(&format!("charts/{}", package.file), &package.bytes);
    }
    let full = "apiVersion: v2\nname: b10\nversion: 0.1.0\nappVersion: 1.10\nkeywords: [b, a]\nmaintainers: [{name: n, email: e}]\nannotations: {z: '1', a: <b>}\ndependencies: [{name: d, version: 1.x, repository: ''}]\n";
    pair.file("charts/deep/b10-0.1.0.tgz", Package::files([("Chart.yaml", full)]).bytes);
    pair.file("charts/deep/er/c-1.0.0.tgz", web("3.0.0", "").bytes);
    pair.file("charts/no.tgz", "no chart");
    pair.file("old.yaml", "apiVersion: v1\nentries:\n  old:\n  - {name: old, version: 1.0.0, urls: [x], created: \"2020-01-01T00:00:00Z\"}\n  web:\n  - {apiVersion: v1, name: web, version: 1.0.0, urls: [u], created: \"2020-01-01T00:00:00Z\"}\n  - {apiVersion: v1, name: web, version: 0.1.0, urls: [z], digest: d, created: \"2020-01-01T00:00:00Z\"}\ngenerated: \"2020-01-01T00:00:00Z\"\n");
    pair.file("bad.yaml", "entries: {}\n");
    for more in [
        &[][..],
        &["--url", "https://example.com/charts"],
        &["--url", "https://example.com/charts/", "--merge", "old.yaml"],
        &["--url", "charts", "--json"],
        &["--merge", "new.yaml"],
    ] {
        pair.same(&[&["repo", "index", "charts"], more].concat());
        same("charts/index.yaml");
    }
    same("new.yaml");
    pair.same_error(&["repo", "index", "charts", "--merge", "bad.yaml"]);
    pair.file("empty/x", "");
    pair.same(&["repo", "index", "empty"]);
    same("empty/index.yaml");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_and_dependencies_are_fetched_for_a_rendering() {
    let Some(pair) = Pair::find() else { return };
    let repository = repository();
    let url = &repository.url();
    repository.put("v.yaml", "a: fetched\nb: 1\n");
    repository.put("bad.yaml", "a: b: c\n");
    let values = &format!("{url}/v.yaml");
    let app = format!(
        "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- {{name: web, version: 1.x, repository: '{url}'}}\n"
    );
    pair.file("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
    pair.file("c/templates/a.yaml", "a: {{ .Values.a | toJson }}\n");
    pair.file("app/Chart.yaml", app);
    pair.same(&["template", "r", "c", "-f", values]);
    pair.same(&["template", "r", "c", "--set-file", &format!("a={values}")]);
    pair.same(&["lint", "c", "-f", values]);
    let missing = &format!("{url}/none.yaml");
    pair.same_error(&["template", "r", "c", "-f", missing]);
    pair.same_error(&["template", "r", "c", "--set-file", &format!("a={missing}")]);
    pair.same_error(&["template", "r", "c", "-f", &format!("{url}/bad.yaml")]);
    pair.same_error(&["template", "r", "app"]);
    pair.same(&["template", "r", "app", "--dependency-update"]);
    pair.same(&["template", "r", "app", "--dependency-update"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_never_added_is_searched() {
    let repository = repository();
    repository.publish_package(web("2.0.0-rc.1", ""));
    let (leadsman, url) = (Leadsman::new(), repository.url());
    let rows = [
        (&["web"][..], "web 1.1.0"),
        (&["web", "--version", "~1.0"], "web 1.0.0"),
        (&["web", "--devel"], "web 2.0.0-rc.1"),
        (&["--versions"], "web 1.1.0, web 1.0.0"),
        (&["other"], ""),
    ];
    for (arguments, expected) in rows {
        let fixed = ["search", "repo", "-o", "json", "--repo", &url];
        let output = leadsman.run(&[&fixed, arguments].concat()).await.success();
        let hits: Vec<serde_json::Value> = serde_json::from_str(&output).unwrap();
        let shown = |hit: &serde_json::Value| {
            format!("{} {}", hit["name"].as_str().unwrap(), hit["version"].as_str().unwrap())
        };
        let found: Vec<String> = hits.iter().map(shown).collect();
        assert_eq!(found.join(", "), expected, "{arguments:?}");
    }
    assert_eq!(
        (repository.count("/index.yaml", 200), repository.count("/index.yaml", 304)),
        (1, 4)
    );
    let gone = leadsman.run(&["search", "repo", "--repo", &format!("{url}/none")]).await;
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("is not a valid chart repository"), "{}", gone.stderr);
}

#[test]
fn the_environment_names_a_proxy() {
    let server = repository();
    let proxy = server.url();
    server.put(
        "stable/index.yaml",
        "apiVersion: v1\nentries:\n  web:\n  - name: web\n    version: 1.0.0\n",
    );
    let rows: [(&[(&str, &str)], bool); 5] = [
        (&[], false),
        (&[("HTTP_PROXY", &proxy)], true),
        (&[("http_proxy", &proxy)], true),
        (&[("HTTP_PROXY", &proxy), ("NO_PROXY", "other.invalid,charts.invalid")], false),
        (&[("HTTP_PROXY", &proxy), ("NO_PROXY", "other.invalid")], true),
    ];
    for (environment, works) in rows {
        let leadsman = Leadsman::new();
        let arguments = ["search", "repo", "web", "--repo", "http://charts.invalid/stable"];
        let mut command = leadsman.command(&arguments);
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), works, "{environment:?}: {said}");
    }
    let asked = server.asked();
    assert!(asked.len() == 3 && asked.iter().all(|one| one.path == "/stable/index.yaml"));
}
