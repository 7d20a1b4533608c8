//! Signatures of charts, beside the real Helm.

use std::path::PathBuf;

use crate::support::chart::web;
use crate::support::fixtures;
use crate::support::leadsman::Leadsman;
use crate::support::pair::Pair;
use crate::support::repository::Repository;
use crate::support::terminal::typing;

const CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\ndescription: |\n  two  \n  - lines\n";

fn pair() -> Option<Pair> {
    let pair = Pair::find()?.env("SOURCE_DATE_EPOCH", "1700000000");
    pair.file("c/Chart.yaml", CHART);
    pair.file("c/templates/a.yaml", "kind: A\n");
    for entry in std::fs::read_dir(keys()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        pair.file(&name, std::fs::read(&path).unwrap());
    }
    pair.file("two.asc", [read("ann.pub.asc"), read("bob.pub.asc")].concat());
    pair.file("word", "secret\nmore\n");
    pair.file("wrong", "wrong\n");
    Some(pair)
}

fn keys() -> PathBuf {
    fixtures().join("keys")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(keys().join(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verifies_what_the_other_signed() {
    let Some(pair) = pair() else { return };
    let [theirs, ours] = pair.folders();
    for key in ["ann", "bob", "eve"] {
        let keyring = format!("{key}.gpg");
        let sign = ["package", "c", "--sign", "--key", key, "--keyring", &keyring];
        let sign = [&sign[..], &["--passphrase-file", "word"]].concat();
        pair.same(&sign);
        let package = "c-1.0.0.tgz";
        let [helm, mine] = pair
            .folders()
            .map(|folder| std::fs::read_to_string(folder.join("c-1.0.0.tgz.prov")).unwrap());
        let message =
            |text: &str| text.split("-----BEGIN PGP SIGNATURE").next().unwrap().to_owned();
        let trimmed: Vec<String> =
            message(&helm).lines().map(|line| line.trim_end().to_owned()).collect();
        let mine_lines: Vec<String> = message(&mine).lines().map(str::to_owned).collect();
        let sums = |lines: &[String]| {
            lines.iter().filter(|l| !l.contains("sha256:")).cloned().collect::<Vec<_>>()
        };
        assert_eq!(sums(&mine_lines), sums(&trimmed), "what {key} signed");
        // Each other's package and signature.
        for name in [package, "c-1.0.0.tgz.prov"] {
            let (a, b) = (theirs.join(name), ours.join(name));
            let (first, second) = (std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
            std::fs::write(&a, second).unwrap();
            std::fs::write(&b, first).unwrap();
        }
        for keyring in ["all.gpg", "pubring.kbx"] {
            let said = pair.helm_in(theirs, &["verify", package, "--keyring", keyring]).await;
            let said = said.success();
            let mine = pair.leadsman_in(ours, &["verify", package, "--keyring", keyring]).await;
            let mine = mine.success();
            let name = |said: &str| said.lines().take(2).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(name(&mine), name(&said));
            assert!(
                mine.starts_with("Signed by: ") && mine.contains("Verified: sha256:"),
                "{mine}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_verify_is_told_as_by_helm() {
    let Some(pair) = pair() else { return };
    let [theirs, ours] = pair.folders();
    let sign = ["package", "c", "--sign", "--key", "Ann RSA", "--keyring", "ann.gpg"];
    pair.helm_in(theirs, &sign).await.success();
    for name in ["c-1.0.0.tgz", "c-1.0.0.tgz.prov"] {
        std::fs::copy(theirs.join(name), ours.join(name)).unwrap();
    }
    let archive = std::fs::read(ours.join("c-1.0.0.tgz")).unwrap();
    let signed = std::fs::read_to_string(ours.join("c-1.0.0.tgz.prov")).unwrap();
    pair.same(&["verify", "c-1.0.0.tgz", "--keyring", "ann.pub.asc"]);
    pair.same(&["verify", "c-1.0.0.tgz", "--keyring", "two.asc"]);
    pair.same(&["verify", "./c-1.0.0.tgz", "--keyring", "ann.gpg"]);
    pair.file("more/c-1.0.0.tgz", [archive.clone(), b"x".to_vec()].concat());
    pair.file("more/c-1.0.0.tgz.prov", &signed);
    pair.file("text/c-1.0.0.tgz", &archive);
    pair.file("text/c-1.0.0.tgz.prov", signed.replace("name: c", "name: d"));
    pair.file("name/d.tgz", &archive);
    pair.file("name/d.tgz.prov", &signed);
    pair.file("none/c.tgz", &archive);
    pair.file("none/c.tgz.prov", "hello\n");
    pair.file("bare/c.tgz", &archive);
    pair.file("crlf/c-1.0.0.tgz", &archive);
    pair.file("crlf/c-1.0.0.tgz.prov", format!("before\n{signed}\nafter\n"));
    pair.file("empty", "");
    for (folder, signed) in [("sub", "sub.prov"), ("gone", "gone.prov")] {
        pair.file(&format!("{folder}/a.tgz"), "archive");
        pair.file(&format!("{folder}/a.tgz.prov"), read(signed));
    }
    pair.same(&["verify", "sub/a.tgz", "--keyring", "other.gpg"]);
    pair.same_error(&["verify", "gone/a.tgz", "--keyring", "other.gpg"]);
    pair.same(&["verify", "crlf/c-1.0.0.tgz", "--keyring", "all.gpg"]);
    for path in [
        "more/c-1.0.0.tgz",
        "text/c-1.0.0.tgz",
        "name/d.tgz",
        "none/c.tgz",
        "bare/c.tgz",
        "c",
        "nowhere.tgz",
        "c/Chart.yaml",
    ] {
        pair.same_error(&["verify", path, "--keyring", "all.gpg"]);
    }
    for keyring in ["bob.pub.asc", "nowhere", "word", "empty", "c-1.0.0.tgz.prov"] {
        pair.same_error(&["verify", "c-1.0.0.tgz", "--keyring", keyring]);
    }
    pair.same_error(&["verify", "c-1.0.0.tgz"]);
    for more in [
        &["--sign"][..],
        &["--sign", "--key", "zed", "--keyring", "ann.gpg"],
        &["--sign", "--key", "e", "--keyring", "all.gpg"],
        &["--sign", "--key", "ann", "--keyring", "all.gpg"],
        &["--sign", "--key", "eve", "--keyring", "eve.gpg", "--passphrase-file", "wrong"],
        &["--sign", "--key", "eve", "--keyring", "eve.gpg", "--passphrase-file", "nowhere"],
        &["--sign", "--key", "eve", "--keyring", "nowhere"],
    ] {
        pair.same_error(&[&["package", "c"], more].concat());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_passphrase_of_a_locked_key_is_asked_for() {
    let Some(pair) = pair() else { return };
    pair.file("d/Chart.yaml", CHART.replace("name: c", "name: d"));
    let sign = ["package", "c", "--sign", "--key", "eve", "--keyring", "eve.gpg"];
    for (typed, is_right) in [("secret", true), ("wrong", false)] {
        let [helm, ours] = pair.commands(&sign);
        let (helm, ours) = (typing(&helm, typed).await, typing(&ours, typed).await);
        let question = |shown: &str| shown.lines().next().unwrap_or_default().to_owned();
        assert_eq!(question(&ours.1), question(&helm.1));
        assert_eq!((ours.0, ours.0 == Some(0)), (helm.0, is_right), "{ours:?}");
        assert!(!ours.1.contains(typed), "{}", ours.1);
        let end = |shown: &str| shown.replace(' ', "").lines().last().map(str::to_owned);
        let folder = |said: &str, at: usize| {
            said.replace(&pair.folders()[at].display().to_string(), "FOLDER")
        };
        assert_eq!(end(&folder(&ours.1, 1)), end(&folder(&helm.1, 0)));
    }
    let verify = ["verify", "c-1.0.0.tgz", "--keyring", "all.gpg"];
    let said = pair.helm_in(pair.folders()[1], &verify).await.success();
    assert!(said.starts_with("Signed by: Eve"), "{said}");

    // Two packages, one question.
    let both = [&["package", "c", "d"], &sign[2..]].concat();
    let (code, shown) = typing(&pair.commands(&both)[1], "secret").await;
    assert_eq!((code, shown.matches("Password for key").count()), (Some(0), 1), "{shown}");

    let [_, mut blind] = pair.commands(&sign);
    let said = blind.stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("give it with --passphrase-file"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_of_a_repository_are_verified() {
    let Some(pair) = pair() else { return };
    let repository = Repository::start();
    for version in ["1.0.0", "1.1.0"] {
        repository.publish_package(web(version, ""));
    }
    // Signed by ourselves: Helm verifies it below.
    let leadsman = Leadsman::new();
    leadsman.file("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 2.0.0\n");
    leadsman.file("web/templates/a.yaml", "kind: Signed\n");
    let keyring = keys().join("bob.gpg");
    let sign = ["package", "web", "--sign", "--key", "bob", "--keyring", keyring.to_str().unwrap()];
    leadsman.run(&sign).await.success();
    let package = leadsman.folder().join("web-2.0.0.tgz");
    repository.publish(&package);
    let signed = std::fs::read(leadsman.folder().join("web-2.0.0.tgz.prov")).unwrap();
    repository.put("web-2.0.0.tgz.prov", signed);
    let url = &repository.url();
    pair.same(&["repo", "add", "one", url]);
    let trust = ["--verify", "--keyring", "all.gpg"];
    let rows: [&[&str]; 7] = [
        &["pull", "one/web"],
        &["pull", "one/web", "-d", "c"],
        &["pull", "web", "--repo", url],
        &["pull", "one/web", "--untar", "--untardir", "out"],
        &["template", "r", "one/web"],
        &["template", "r", "web", "--repo", url],
        &["show", "chart", "one/web"],
    ];
    for row in rows {
        pair.same(&[row, &trust].concat());
        pair.same_error(&[row, &trust[..], &["--version", "1.0.0"]].concat());
        pair.same_error(&[row, &["--verify", "--keyring", "ann.pub.asc"]].concat());
    }
    pair.same_files("web-2.0.0.tgz.prov");
    for more in [&["--prov"][..], &["--prov", "--version", "1.0.0"], &["--prov", "-d", "out"]] {
        pair.same(&[&["pull", "one/web"], more].concat());
        pair.same(&[&["pull", "web", "--repo", url], more].concat());
    }
    for local in ["web-2.0.0.tgz", "c", "web-1.0.0.tgz"] {
        for command in [&["template", "r", local][..], &["show", "all", local]] {
            let arguments = [command, &trust].concat();
            let [helm, ours] = pair.both(&arguments).await;
            assert_eq!(ours, helm, "{arguments:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_are_verified() {
    let Some(pair) = pair() else { return };
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let url = &repository.url();
    pair.same(&["repo", "add", "one", url]);
    let chart = format!(
        "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- {{name: web, version: 1.x, repository: '{url}'}}\n"
    );
    pair.file("app/Chart.yaml", chart);
    let trust = ["--verify", "--keyring", "all.gpg"];
    pair.same_error(&[&["dependency", "update", "app"], &trust[..]].concat());
    pair.same(&["dependency", "update", "app"]);
    pair.same(&[&["dependency", "build", "app"], &trust[..]].concat());
    repository.put("web-1.0.0.tgz.prov", "no signature");
    pair.same_error(&[&["dependency", "build", "app"], &trust[..]].concat());
}
