//! Where Helm keeps its files, and where we keep ours, by the environment.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::chart_args::Places;
use crate::base::file::env_var;
use crate::release::Renderer;
use crate::repo::HelmFiles;

/// Returns where Helm's files are: as the arguments say, as Helm's variables say, as XDG says, or
/// where Helm puts them by itself.
///
/// Source: helm v4.3.1 pkg/cli/environment.go (`New`), pkg/helmpath/lazypath.go.
pub(super) fn helm_files(places: &Places) -> HelmFiles {
    let of = |given: &Option<PathBuf>, name: &str| {
        given.clone().or_else(|| env_var(name).map(PathBuf::from))
    };
    HelmFiles {
        config: of(&places.repository_config, "HELM_REPOSITORY_CONFIG")
            .unwrap_or_else(|| folder(&CONFIG).join("repositories.yaml")),
        cache: of(&places.repository_cache, "HELM_REPOSITORY_CACHE")
            .unwrap_or_else(|| folder(&CACHE).join("repository")),
        packed: ours().unwrap_or_else(|| Path::new(CACHE.below).join("leadsman")),
    }
}

/// What `--registry-config` says, which may stand before any command.
static REGISTRY_CONFIG: OnceLock<PathBuf> = OnceLock::new();

/// Notes what `--registry-config` says; only the first call counts.
pub(super) fn install_registry_config(path: PathBuf) {
    let _ = REGISTRY_CONFIG.set(path);
}

/// Returns the files of logins to OCI registries: Helm's own, and Docker's, which is only read.
///
/// Source: helm v4.3.2 pkg/cli/environment.go (`New`); oras-go v2.6.2
/// registry/remote/credentials/store.go (`getDockerConfigPath`).
pub(super) fn registry_files() -> Vec<PathBuf> {
    let own = REGISTRY_CONFIG.get().cloned().or_else(|| set("HELM_REGISTRY_CONFIG"));
    let own = own.unwrap_or_else(|| folder(&CONFIG).join("registry/config.json"));
    let docker = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")));
    [own].into_iter().chain(docker.map(|folder| folder.join("config.json"))).collect()
}

/// One of Helm's folders: its variable, XDG's, and its place below the user's folder.
struct Home {
    own: &'static str,
    xdg: &'static str,
    below: &'static str,
}

const CONFIG: Home = Home {
    own: "HELM_CONFIG_HOME",
    xdg: "XDG_CONFIG_HOME",
    below: if cfg!(target_os = "macos") { "Library/Preferences" } else { ".config" },
};
const CACHE: Home = Home {
    own: "HELM_CACHE_HOME",
    xdg: "XDG_CACHE_HOME",
    below: if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" },
};

const DATA: Home = Home {
    own: "HELM_DATA_HOME",
    xdg: "XDG_DATA_HOME",
    below: if cfg!(target_os = "macos") { "Library" } else { ".local/share" },
};

/// Returns the renderer of a command that runs once: it uses what earlier ones have made of the same
/// archives, and leaves what it makes of others, unless `LEADSMAN_COMPILED` is `off`.
pub(super) fn renderer() -> Renderer {
    if env_var("LEADSMAN_COMPILED").as_deref() == Some("off") {
        return Renderer::default();
    }
    ours().map_or_else(Renderer::default, |folder| Renderer::with_store(folder.join("compiled-v1")))
}

/// Returns the folder of what commands that run once leave to each other; none if there is no user.
fn ours() -> Option<PathBuf> {
    set("LEADSMAN_CACHE").or_else(|| base(&CACHE).map(|base| base.join("leadsman")))
}

/// Returns the folders of Helm's plugins.
pub(super) fn plugins() -> Vec<PathBuf> {
    match env_var("HELM_PLUGINS") {
        Some(list) => {
            std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect()
        }
        None => vec![folder(&DATA).join("plugins")],
    }
}

/// Returns the file of GnuPG's public keys: the older one, if it is there.
///
/// Source: helm v4.3.1 pkg/cmd/dependency_build.go (`defaultKeyring`).
pub(super) fn keyring() -> PathBuf {
    let own = || PathBuf::from(env_var("HOME").unwrap_or_default()).join(".gnupg");
    let home = env_var("GNUPGHOME").map_or_else(own, PathBuf::from);
    let (ring, keybox) = (home.join("pubring.gpg"), home.join("pubring.kbx"));
    if !ring.exists() && keybox.exists() { keybox } else { ring }
}

fn folder(home: &Home) -> PathBuf {
    set(home.own).unwrap_or_else(|| base(home).unwrap_or_else(|| home.below.into()).join("helm"))
}

/// Returns the folder in which each program has one of its own; none if there is no user.
fn base(home: &Home) -> Option<PathBuf> {
    set(home.xdg).or_else(|| Some(set("HOME")?.join(home.below)))
}

fn set(name: &str) -> Option<PathBuf> {
    env_var(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
