//! Where the real parts are: the control plane, Helm, the registry and the object store that
//! `tests/parts/build` builds.

use std::io::Write as _;
use std::path::PathBuf;

/// Says that the running test is skipped, and why; panics when `LEADSMAN_REQUIRE` names the part.
pub(crate) fn skip<T>(part: &str, why: &str) -> Option<T> {
    let required = std::env::var("LEADSMAN_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name.trim() == part), "{part} is required: {why}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Written past the capture of the test runner, which would hide it for a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
    None
}

/// Returns the folder of the control plane's programs, or `None` after saying so.
pub(crate) fn cluster() -> Option<PathBuf> {
    let key =
        format!("k8s-{}-etcd-{}-kwok-{}", version("KUBERNETES"), version("ETCD"), version("KWOK"));
    let folder = folder().join(key);
    if folder.is_dir() {
        return Some(folder);
    }
    skip("cluster", "no control plane (build it with: tests/parts/build cluster)")
}

/// Returns the real Helm, or `None` after saying so.
pub(crate) fn helm() -> Option<PathBuf> {
    let program = folder().join("helm/helm");
    if program.is_file() {
        return Some(program);
    }
    skip("helm", "no Helm (build it with: tests/parts/build helm)")
}

/// Returns the real Helm 3, or `None` after saying so.
pub(crate) fn helm_three() -> Option<PathBuf> {
    let program = folder().join("helm3/helm");
    if program.is_file() {
        return Some(program);
    }
    skip("helm", "no Helm 3 (build it with: tests/parts/build helm3)")
}

/// Returns the program of a registry, or `None` after saying so.
pub(crate) fn registry() -> Option<PathBuf> {
    let program = folder().join(format!("registry-{}/registry", version("REGISTRY")));
    if program.is_file() {
        return Some(program);
    }
    skip("registry", "no registry (build it with: tests/parts/build registry)")
}

/// Returns the program of an object store, or `None` after saying so.
pub(crate) fn store() -> Option<PathBuf> {
    let program = folder().join(format!("versitygw-{}/versitygw", version("VERSITYGW")));
    if program.is_file() {
        return Some(program);
    }
    skip("s3", "no object store (build it with: tests/parts/build s3)")
}

/// Returns the folder of Flux's controllers and their definitions, or `None` after saying so.
pub(crate) fn flux() -> Option<PathBuf> {
    let key = format!(
        "flux-helm-controller-{}-source-controller-{}",
        version("HELM_CONTROLLER"),
        version("SOURCE_CONTROLLER")
    );
    let folder = folder().join(key);
    if folder.is_dir() {
        return Some(folder);
    }
    skip("flux", "no controllers of Flux (build them with: tests/parts/build flux)")
}

/// Returns Helm's engine in a program of our own, or `None` after saying so.
pub(crate) fn judge() -> Option<PathBuf> {
    let program = folder().join("judge/judge");
    if program.is_file() {
        return Some(program);
    }
    skip("helm", "no judge (build it with: tests/parts/build judge)")
}

/// Returns the version of a part, as `tests/parts/versions` pins it.
pub(crate) fn version(part: &str) -> &'static str {
    include_str!("../../parts/versions")
        .lines()
        .find_map(|line| line.strip_prefix(part)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {part} in tests/parts/versions"))
}

fn folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("LEADSMAN_PARTS").unwrap_or_else(|| {
        let cache = set("XDG_CACHE_HOME")
            .or_else(|| Some(set("HOME")?.join(".cache")))
            .unwrap_or_else(|| PathBuf::from(".cache"));
        cache.join("leadsman/parts")
    })
}
