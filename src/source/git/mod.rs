//! Git servers: which commit a branch, tag or range means now, and the files of a commit.
//!
//! Version 2 of Git's protocol is spoken, and the first one where a server knows no other. Asking
//! what something means is one request; of the commit itself its own files alone are fetched, not
//! its history. HTTP(S) is asked by the same client as all else, SSH by the program `ssh`. A pack is
//! written down while it comes, and never in memory as a whole.
//!
//! Invariants: nothing that comes is trusted: sizes, counts and depths have limits, names stay in
//! their folders, every object is named by its own content; a credential goes only to the host it
//! is for; symbolic links are left out. Knows nothing of charts.
//!
//! Source: git Documentation/gitprotocol-{v2,pack,http}.adoc, gitformat-pack.adoc.

mod client;
mod error;
mod fetch;
mod forest;
mod modules;
mod object;
mod pack;
mod packet;
mod receive;
mod refs;
mod signed;
mod ssh;
mod ssh_signature;
mod tree;
mod wanted;

#[cfg(test)]
mod tests;

pub(crate) use modules::rooted;

pub use client::{Access, Login, Remote, Servers};
pub use error::Error;
pub use object::{Commit, Id, IdError};
pub use refs::Ref;
pub use signed::{Form, Signed, Tag};
pub use ssh::Key;
pub use ssh_signature::{SshKey, SshSignature};
pub use tree::{Added, AddedFile, Checkout, Selection, TreeFile};
pub use wanted::{Found, Wanted};
