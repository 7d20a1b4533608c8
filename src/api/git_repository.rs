//! `GitRepository`: the files of a commit of a Git repository.

use serde::{Deserialize, Serialize};

use super::helm_repository::{Artifact, LocalRef};
use super::{Condition, Meta};
use crate::base::duration::GoDuration;

/// A `source.toolkit.fluxcd.io/v1` `GitRepository`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct GitRepository {
    /// Name and bookkeeping.
    pub metadata: Meta,
    /// What the user wants.
    pub spec: GitRepositorySpec,
    /// What was seen.
    pub status: GitRepositoryStatus,
}

/// What the user wants of a repository.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitRepositorySpec {
    /// The repository, `http(s)://…` or `ssh://…`.
    pub url: String,
    /// Which commit of it (the branch `master` when absent).
    #[serde(rename = "ref")]
    pub reference: Option<GitReference>,
    /// How often the server is asked.
    pub interval: Option<GoDuration>,
    /// Limit of one operation (60s when absent).
    pub timeout: Option<GoDuration>,
    /// Secret with a login and certificates.
    pub secret_ref: Option<LocalRef>,
    /// Whose credentials are used without a login.
    pub provider: String,
    /// Account whose credentials are used.
    pub service_account_name: String,
    /// Signature check.
    pub verify: Option<GitVerification>,
    /// Secret with the address of a proxy.
    pub proxy_secret_ref: Option<LocalRef>,
    /// Files that are left out, in the notation of `.gitignore`.
    pub ignore: Option<String>,
    /// Whether nothing is fetched.
    pub suspend: bool,
    /// Whether repositories in the repository are fetched, too.
    pub recurse_submodules: bool,
    /// Other `GitRepository` objects whose files are added.
    pub include: Vec<GitInclude>,
    /// Folders that are taken; all when there are none.
    pub sparse_checkout: Vec<String>,
}

impl GitRepositorySpec {
    /// Returns the fields that are set and not supported.
    pub fn unsupported(&self) -> Vec<&'static str> {
        let set = [
            (!matches!(self.provider.as_str(), "" | "generic"), "spec.provider"),
            (!self.service_account_name.is_empty(), "spec.serviceAccountName"),
        ];
        set.into_iter().filter_map(|(is_set, field)| is_set.then_some(field)).collect()
    }
}

/// Another `GitRepository` of the same namespace whose files are added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitInclude {
    /// The other one.
    pub repository: LocalRef,
    /// What of it is added (all when empty).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from_path: String,
    /// Where it is put (at the name of the other one when empty).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub to_path: String,
}

impl GitInclude {
    /// Returns where it is put.
    pub fn place(&self) -> &str {
        if self.to_path.is_empty() { &self.repository.name } else { &self.to_path }
    }
}

/// Whose signature is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitVerification {
    /// What is to be signed: `HEAD` (also when empty), `Tag` or `TagAndHEAD`.
    pub mode: String,
    /// Secret with public keys.
    pub secret_ref: LocalRef,
}

/// What is to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerificationMode {
    /// The commit.
    Head,
    /// The tag that is of it.
    Tag,
    /// Both.
    TagAndHead,
}

impl VerificationMode {
    /// Reads a mode; none: there is no such one.
    pub fn of(text: &str) -> Option<Self> {
        match text {
            "" | "head" | "HEAD" => Some(Self::Head),
            "Tag" => Some(Self::Tag),
            "TagAndHEAD" => Some(Self::TagAndHead),
            _ => None,
        }
    }

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "HEAD",
            Self::Tag => "Tag",
            Self::TagAndHead => "TagAndHEAD",
        }
    }

    /// Whether the tag is to be signed.
    pub fn is_of_tag(self) -> bool {
        self != Self::Head
    }

    /// Whether the commit is.
    pub fn is_of_commit(self) -> bool {
        self != Self::Tag
    }
}

/// Which commit; a hash counts before a name, that before a tag, then a range, then a branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitReference {
    /// Branch.
    pub branch: String,
    /// Tag.
    pub tag: String,
    /// Range of versions, which tags are.
    pub semver: String,
    /// Whole name, such as `refs/pull/1/head`.
    pub name: String,
    /// Hash of a commit.
    pub commit: String,
}

/// What was seen of a repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitRepositoryStatus {
    /// Generation that was finished last; -1 at first.
    pub observed_generation: i64,
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The artifact that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The artifacts of others that are in it, in the order of `include`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub included_artifacts: Vec<Artifact>,
    /// The rules by which files of it were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// Whether repositories in the repository are in it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub observed_recurse_submodules: bool,
    /// The others whose files are in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_include: Vec<GitInclude>,
    /// The folders that are in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_sparse_checkout: Vec<String>,
    /// What was verified of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_verification_mode: Option<String>,
    /// Last request that was answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}
