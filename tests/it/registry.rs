//! Charts in OCI registries, beside the real Helm on the same registry.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::chart::web;
use crate::support::pack::Package;
use crate::support::pair::Pair;
use crate::support::registry::{Auth, Registry};
use crate::support::token::TokenService;

const PLAIN: &str = "--plain-http";

/// Puts archives of the same age into both folders.
fn give(pair: &Pair, packages: &[Package]) {
    for package in packages {
        pair.file(&package.file, &package.bytes);
        for folder in pair.folders() {
            age(&folder.join(&package.file));
        }
    }
}

fn age(path: &Path) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A chart that says everything about itself that a manifest repeats.
fn told(version: &str) -> Package {
    let chart = format!(
        "apiVersion: v2\nname: told\nversion: {version}\nappVersion: '1 & <2>'\ndescription: \"a <b> & c\"\n\
         home: https://example.com/?a=1&b=2\nsources: [https://example.com/src, x]\nkeywords: [k]\n\
         maintainers:\n- {{name: Ann, email: ann@example.com, url: u}}\n- {{email: bob@example.com}}\n- {{name: Eve}}\n\
         annotations:\n  own: \"1\"\n  org.opencontainers.image.title: no\n  org.opencontainers.image.url: mine\n\
         dependencies: []\nkubeVersion: \">=1.20.0\"\ntype: application\n"
    );
    let text = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n";
    Package::files([
        ("Chart.yaml", chart.as_str()),
        ("templates/a.yaml", text),
        ("values.yaml", "a: 1\n"),
    ])
}

/// A pair with a registry that holds some versions of `web` and `told`, pushed by Helm.
async fn stocked() -> Option<(Pair, Registry)> {
    let pair = Pair::find()?;
    let registry = Registry::start()?;
    let versions = ["1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "1.2.0+build.5"];
    let mut packages: Vec<Package> = versions.iter().map(|version| web(version, "")).collect();
    packages.push(told("0.1.0"));
    give(&pair, &packages);
    let [theirs, _] = pair.folders();
    for package in &packages {
        let to = registry.oci("charts");
        pair.helm_in(theirs, &["push", &package.file, &to, PLAIN]).await.success();
    }
    Some((pair, registry))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_is_the_same_to_the_byte() {
    let Some(pair) = Pair::find() else { return };
    let Some(registry) = Registry::start() else { return };
    let packages = [web("1.0.0", ""), web("1.0.0+a.b", ""), told("1.2.3-rc.1")];
    give(&pair, &packages);
    let [theirs, ours] = pair.folders();
    for package in &packages {
        let to = |who: &str| registry.oci(&format!("{who}/deep"));
        let helm = pair.helm_in(theirs, &["push", &package.file, &to("helm"), PLAIN]).await;
        let mine = pair.leadsman_in(ours, &["push", &package.file, &to("ours"), PLAIN]).await;
        assert_eq!(mine.stderr, "");
        let (helm, mine) = (helm.success(), mine.success());
        assert_eq!(mine.replace("/ours/", "/helm/"), helm, "{}", package.file);
        // Again: it is there already.
        let again = pair.leadsman_in(ours, &["push", &package.file, &to("ours"), PLAIN]).await;
        assert_eq!(again.success(), mine);
    }
    // Each pulls what the other pushed.
    for (folder, who) in [(theirs, "ours"), (ours, "helm")] {
        for package in &packages {
            std::fs::remove_file(folder.join(&package.file)).unwrap();
            let name = package.metadata["name"].as_str().unwrap();
            let version = package.metadata["version"].as_str().unwrap();
            let at = registry.oci(&format!("{who}/deep/{name}"));
            let pull = ["pull", &at, "--version", version, PLAIN];
            let pulled = match who {
                "ours" => pair.helm_in(folder, &pull).await,
                _ => pair.leadsman_in(folder, &pull).await,
            };
            pulled.success();
            assert_eq!(std::fs::read(folder.join(&package.file)).unwrap(), package.bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_are_pulled_as_by_helm() {
    let Some((pair, registry)) = stocked().await else { return };
    let web = registry.oci("charts/web");
    let tagged = format!("{web}:1.0.0");
    let said = pair.same(&["pull", &web, PLAIN]);
    assert!(said.contains("charts/web:1.10.0\nDigest: sha256:"), "{said}");
    let digest = said.lines().last().unwrap().trim_start_matches("Digest: ").to_owned();
    let by_digest = format!("{web}@{digest}");
    let both = format!("{web}:1.10.0@{digest}");
    let good: &[&[&str]] = &[
        &[&web, "--version", "1.2.x", "-d", "."],
        &[&web, "--version", "^1.0 <1.10"],
        &[&web, "--version", "1.2.0+build.5"],
        &[&web, "--version", ">0.0.0-0"],
        &[&web, "--devel"],
        &[&web, "--version", "2.0.0-rc.1"],
        &[&tagged],
        &[&tagged, "--version", "1.0.0"],
        &[&by_digest],
        &[&both],
        &[&by_digest, "--version", "1.10.0"],
        &[&by_digest, "--version", "9.9.9"],
        &[&web, "--version", "1.0.0", "--prov"],
        &[&web, "--version", "1.0.0", "--untar", "--untardir", "un"],
    ];
    for arguments in good {
        pair.same(&[&["pull", PLAIN][..], arguments].concat());
    }
    pair.same_files("un");
    let bad: &[&[&str]] = &[
        &[&web, "--version", "9.9.9"],
        &[&web, "--version", ">9"],
        &[&web, "--version", "nonsense"],
        &[&tagged, "--version", "1.2.0"],
        &[&by_digest, "--version", "1.0.0"],
        &[&registry.oci("charts/none")],
        &[&registry.oci("charts/none"), "--version", "1.0.0"],
        &[&registry.oci("charts/Web"), "--version", "1.0.0"],
        &[&registry.oci("charts")],
        &[&format!("{web}:latest")],
        &["oci://a b/web", "--version", "1.0.0"],
        &[&web, "--version", "1.0.0", "--verify"],
    ];
    for arguments in bad {
        pair.same_error(&[&["pull", PLAIN][..], arguments].concat());
    }
    for file in ["web-1.10.0.tgz", "web-1.2.0+build.5.tgz"] {
        let [helm, ours] = pair.folders().map(|folder| std::fs::read(folder.join(file)).unwrap());
        assert_eq!(helm, ours, "{file}");
    }
    let name = format!("web@{}.tgz", digest.replace(':', "-"));
    assert!(pair.folders().iter().all(|folder| folder.join(&name).exists()), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_of_registries_are_shown_and_rendered() {
    let Some((pair, registry)) = stocked().await else { return };
    let (web, told) = (&registry.oci("charts/web"), &registry.oci("charts/told"));
    let commands: &[&[&str]] = &[
        &["template", "x", web, "--version", "1.x", PLAIN],
        &["template", "x", web, "--devel", PLAIN],
        &["show", "chart", told, PLAIN],
        &["show", "all", web, "--version", "1.2.0+build.5", PLAIN],
    ];
    for arguments in commands {
        let text = pair.same(arguments);
        assert!(!text.contains("Pulled:"), "{text}");
    }
    pair.same_error(&["template", "x", web, "--version", "7", PLAIN]);
    pair.same_error(&["show", "chart", web, "--version", "7.0", PLAIN]);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_a_chart_in_a_registry_are_searched() {
    let Some((pair, registry)) = stocked().await else { return };
    let [_, ours] = pair.folders();
    let (charts, at) = (registry.oci("charts"), registry.oci("charts/web"));
    let rows: [(&[&str], &[&str]); 7] = [
        (&[&at], &["1.10.0"]),
        (&["web", "--repo", &charts], &["1.10.0"]),
        (&[&at, "--versions"], &["1.10.0", "1.2.0+build.5", "1.2.0", "1.0.0"]),
        (&[&at, "--devel"], &["2.0.0-rc.1"]),
        (&[&at, "--version", "~1.2"], &["1.2.0"]),
        (&[&at, "--version", "<1.2", "--versions"], &["1.0.0"]),
        (&[&at, "--version", "9"], &[]),
    ];
    let search = async |arguments: &[&str]| {
        let fixed = ["search", "repo", PLAIN];
        pair.leadsman_in(ours, &[&fixed, arguments].concat()).await
    };
    for (arguments, versions) in rows {
        let output = search(&[arguments, &["-o", "json"]].concat()).await.success();
        let hits: Vec<serde_json::Value> = serde_json::from_str(&output).unwrap();
        let found: Vec<_> = hits.iter().map(|hit| hit["version"].as_str().unwrap()).collect();
        let mut sorted = found.clone();
        sorted.sort_unstable();
        let mut wanted = versions.to_vec();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted, "{arguments:?}");
        assert!(hits.iter().all(|hit| hit["name"] == "web"), "{arguments:?}");
    }
    let table = search(&["told", "--repo", &charts]).await.success();
    assert!(table.lines().nth(1).unwrap().contains("a <b> & c"), "{table}");
    assert!(table.lines().nth(1).unwrap().contains("1 & <2>"), "{table}");
    for (arguments, words) in [
        (&["--repo", &*charts][..], "a registry does not list its charts: name one"),
        (&[&*at, "-r"], "--regexp is not possible here"),
        (&[&*format!("{at}:1.0.0")], "names one version"),
        (&[&*at, "--version", "latest"], "improper constraint"),
        (&[&*at, "--version", "9", "--fail-on-no-result"], "no results found"),
    ] {
        let output = search(arguments).await;
        assert_eq!(output.code, Some(1), "{arguments:?}: {}", output.stdout);
        assert!(output.stderr.contains(words), "{arguments:?}: {}", output.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_pushed_is_refused_as_by_helm() {
    let Some(pair) = Pair::find() else { return };
    let Some(registry) = Registry::start() else { return };
    give(&pair, &[web("1.0.0", "")]);
    pair.file("broken.tgz", "no archive");
    pair.file("folder/Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\n");
    let to = &registry.oci("charts");
    let rows: &[&[&str]] = &[
        &["none.tgz", to],
        &["folder", to],
        &["broken.tgz", to],
        &["web-1.0.0.tgz", "charts"],
        &["web-1.0.0.tgz", "http://localhost/charts"],
        &["web-1.0.0.tgz", "oci://localhost:1/Upper"],
    ];
    for row in rows {
        pair.same_error(&[&["push", PLAIN][..], row].concat());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn provenance_travels_with_a_chart() {
    let Some(pair) = Pair::find() else { return };
    let Some(registry) = Registry::start() else { return };
    let keys = crate::support::fixtures().join("keys");
    for key in ["ann.gpg", "bob.gpg"] {
        pair.file(key, std::fs::read(keys.join(key)).unwrap());
    }
    pair.file("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
    pair.file("c/templates/a.yaml", "kind: A\n");
    let [theirs, ours] = pair.folders();
    let sign = ["package", "c", "--sign", "--key", "ann", "--keyring", "ann.gpg"];
    pair.helm_in(theirs, &sign).await.success();
    for file in ["c-1.0.0.tgz", "c-1.0.0.tgz.prov"] {
        std::fs::copy(theirs.join(file), ours.join(file)).unwrap();
        [theirs, ours].iter().for_each(|folder| age(&folder.join(file)));
    }
    let pushed = ["push", "c-1.0.0.tgz", &registry.oci("x"), PLAIN];
    let mine = pair.leadsman_in(ours, &pushed).await.success();
    assert_eq!(pair.helm_in(theirs, &pushed).await.success(), mine);
    let at = &registry.oci("x/c");
    for more in [&["--prov"][..], &["--verify", "--keyring", "ann.gpg"]] {
        pair.same(&[&["pull", at, PLAIN, "-d", "."][..], more].concat());
    }
    let [helm, mine] =
        [theirs, ours].map(|folder| std::fs::read(folder.join("c-1.0.0.tgz.prov")).unwrap());
    assert_eq!(helm, mine);
    pair.same_error(&["pull", at, PLAIN, "--verify", "--keyring", "bob.gpg"]);
    pair.same(&["show", "chart", at, PLAIN, "--verify", "--keyring", "ann.gpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_kept_and_forgotten_as_by_helm() {
    let Some(pair) = Pair::find() else { return };
    let Some(registry) = Registry::guarded(Auth::Password("me", "s3cret")) else { return };
    give(&pair, &[web("1.0.0", "")]);
    let (host, to) = (registry.address(), registry.oci("charts"));
    let at = &registry.oci("charts/web");
    pair.same_error(&["push", "web-1.0.0.tgz", &to, PLAIN]);
    pair.same_error(&["pull", at, PLAIN]);
    pair.same_error(&["pull", at, "--version", "1.0.0", PLAIN]);
    pair.same_error(&["registry", "login", host, "-u", "me", "-p", "wrong", PLAIN]);
    pair.same_error(&["registry", "login", &format!("{host}/a"), "-u", "me", "-p", "x", PLAIN]);
    let login = ["registry", "login", host, "-u", "me", "-p", "s3cret", PLAIN];
    assert_eq!(pair.same(&login), "Login Succeeded\n");
    pair.same_files("helm-config");
    pair.same(&["push", "web-1.0.0.tgz", &to, PLAIN]);
    pair.same(&["pull", at, PLAIN, "-d", "."]);
    pair.same_error(&["pull", at, PLAIN, "--username", "me", "--password", "wrong"]);
    pair.same(&["pull", at, PLAIN, "--username", "me", "--password", "s3cret"]);
    pair.same(&["registry", "logout", host]);
    pair.same(&["registry", "logout", host]);
    pair.same_files("helm-config");
    pair.same_error(&["pull", at, PLAIN]);
    // Docker's own file, and a program that keeps logins.
    let auth =
        "{\"auths\":{\"http://HOST/v1/\":{\"auth\":\"bWU6czNjcmV0\"}}}".replace("HOST", host);
    pair.file("home/.docker/config.json", auth);
    pair.same(&["pull", at, PLAIN]);
    let named = "{\"credsStore\":\"tests\"}";
    pair.file("home/.docker/config.json", named);
    pair.same_error(&["pull", at, PLAIN]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn programs_that_keep_logins_are_asked() {
    use std::os::unix::fs::PermissionsExt as _;

    let programs = tempfile::tempdir().unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let Some(pair) = Pair::find() else { return };
    let pair = pair.env("PATH", &path);
    let Some(registry) = Registry::guarded(Auth::Password("me", "s3cret")) else { return };
    let program = programs.path().join("docker-credential-tests");
    let script = "#!/bin/sh\nread -r server\necho \"$1 $server\" >>\"$HOME/asked\"\n\
                  test -e \"$HOME/unknown\" && echo 'credentials not found in native keychain' && exit 1\n\
                  test -e \"$HOME/locked\" && echo 'the keychain is locked' && exit 1\n\
                  test \"$1\" = get && echo '{\"ServerURL\":\"x\",\"Username\":\"me\",\"Secret\":\"s3cret\"}'\nexit 0\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    give(&pair, &[web("1.0.0", "")]);
    let host = registry.address();
    let helpers = format!("{{\"credHelpers\":{{\"{host}\":\"tests\"}}}}");
    pair.file("home/.docker/config.json", helpers);
    pair.same(&["push", "web-1.0.0.tgz", &registry.oci("charts"), PLAIN]);
    let at = &registry.oci("charts/web");
    pair.same(&["pull", at, PLAIN]);
    let [_, ours] = pair.folders();
    let asked = std::fs::read_to_string(ours.join("home/asked")).unwrap();
    assert!(asked.lines().all(|line| line == format!("get {host}")), "{asked}");
    pair.file("home/unknown", "");
    pair.same_error(&["pull", at, PLAIN]);
    for folder in pair.folders() {
        std::fs::remove_file(folder.join("home/unknown")).unwrap();
    }
    pair.file("home/locked", "");
    let said = pair.same_error(&["pull", at, PLAIN]);
    assert!(said.contains("the keychain is locked"), "{said}");
    // Helm's own file may name one, too; logins then go to it.
    for folder in pair.folders() {
        std::fs::remove_file(folder.join("home/locked")).unwrap();
    }
    pair.file("helm-config/registry/config.json", "{\"credsStore\":\"tests\"}");
    pair.same(&["registry", "login", host, "-u", "me", "-p", "s3cret", PLAIN]);
    pair.same(&["registry", "logout", host]);
    pair.same_files("helm-config");
    let asked = std::fs::read_to_string(ours.join("home/asked")).unwrap();
    assert!(asked.contains("store {") && asked.ends_with(&format!("erase {host}\n")), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_fetched_as_by_helm() {
    let Some(pair) = Pair::find() else { return };
    let service = TokenService::start("me", "s3cret");
    let auth = Auth::Token(service.realm(), service.certificate());
    let Some(registry) = Registry::guarded(auth) else { return };
    give(&pair, &[web("1.0.0", "")]);
    let (host, to) = (registry.address(), registry.oci("charts"));
    let at = &registry.oci("charts/web");
    pair.same_error(&["push", "web-1.0.0.tgz", &to, PLAIN]);
    pair.same_error(&["registry", "login", host, "-u", "me", "-p", "wrong", PLAIN]);
    pair.same(&["registry", "login", host, "-u", "me", "-p", "s3cret", PLAIN]);
    pair.same_files("helm-config");
    pair.same(&["push", "web-1.0.0.tgz", &to, PLAIN]);
    pair.same(&["pull", at, PLAIN, "-d", "."]);
    pair.same_error(&["pull", &registry.oci("charts/none"), "--version", "1.0.0", PLAIN]);
    pair.same(&["registry", "logout", host]);
    pair.same_error(&["pull", at, PLAIN]);
    // A token that gets other tokens.
    let kept = format!("{{\"auths\":{{\"{host}\":{{\"identitytoken\":\"refresh\"}}}}}}");
    pair.file("home/.docker/config.json", kept);
    pair.same(&["pull", at, PLAIN]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_come_from_registries() {
    let Some((pair, registry)) = stocked().await else { return };
    let charts = registry.oci("charts");
    let chart = |dependencies: &str| {
        format!("apiVersion: v2\nname: top\nversion: 1.0.0\ndependencies:\n{dependencies}")
    };
    let of = |name: &str, version: &str| {
        format!("- {{name: {name}, version: \"{version}\", repository: \"{charts}\"}}\n")
    };
    let good = of("web", "~1.2") + &of("told", "0.1.0");
    pair.file("top/Chart.yaml", chart(&good));
    pair.same(&["dependency", "update", "top", PLAIN]);
    pair.same(&["dependency", "list", "top"]);
    let lock = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("top/Chart.lock")).unwrap();
        text.lines().filter(|line| !line.starts_with("generated:")).collect::<Vec<_>>().join("\n")
    };
    let [theirs, ours] = pair.folders();
    assert_eq!(lock(ours), lock(theirs));
    for folder in pair.folders() {
        std::fs::remove_dir_all(folder.join("top/charts")).unwrap();
        std::fs::copy(theirs.join("top/Chart.lock"), folder.join("top/Chart.lock")).ok();
    }
    pair.same(&["dependency", "build", "top", PLAIN]);
    pair.same_files("top/charts");
    pair.same(&["package", "-u", "top", PLAIN, "-d", "."]);
    for bad in [of("web", "9.x"), of("web", "9.9.9"), of("none", "1.x"), of("none", "1.0.0")] {
        pair.file("bad/Chart.yaml", chart(&bad));
        pair.same_error(&["dependency", "update", "bad", PLAIN]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_with_tls_need_an_authority() {
    let Some(pair) = Pair::find() else { return };
    let Some(registry) = Registry::start_tls() else { return };
    give(&pair, &[web("1.0.0", "")]);
    pair.file("ca.crt", registry.authority().unwrap());
    let to = &registry.oci("charts");
    let [_, ours] = pair.folders();
    let refused = pair.leadsman_in(ours, &["push", "web-1.0.0.tgz", to]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    let insecure = ["push", "web-1.0.0.tgz", to, "--insecure-skip-tls-verify"];
    let refused = pair.leadsman_in(ours, &insecure).await;
    assert!(refused.stderr.contains("--ca-file"), "{}", refused.stderr);
    pair.same(&["push", "web-1.0.0.tgz", to, "--ca-file", "ca.crt"]);
    pair.same(&["pull", &registry.oci("charts/web"), "--ca-file", "ca.crt", "-d", "."]);
    let login = ["registry", "login", registry.address(), "-u", "a", "-p", "b"];
    pair.same(&[&login[..], &["--ca-file", "ca.crt"]].concat());
}
