//! `leadsman repo index`.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use crate::base::clock::{Clock as _, SystemClock};
use crate::base::file;
use crate::base::limit::{self, Limit};
use crate::repo::Listing;

#[derive(Debug, ClapArgs)]
pub(super) struct RepoIndex {
    /// Folder of packages.
    pub(super) folder: PathBuf,
    /// Address that the folder is served from.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) url: String,
    /// Index whose versions are kept, unless the folder has them.
    #[arg(long, value_name = "FILE")]
    pub(super) merge: Option<PathBuf>,
    /// Write JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Source: helm v4.3.1 pkg/cmd/repo_index.go.
pub(super) fn run(args: &RepoIndex) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let mut listing = Listing::of_folder(&args.folder, &args.url, now)?;
    if let Some(path) = &args.merge {
        if path.exists() {
            let text = file::read_text(path, limit::current().of(Limit::Index))?;
            let other = Listing::parse(&text).map_err(|why| {
                anyhow::anyhow!("merge failed: error loading {}: {why}", path.display())
            })?;
            listing.merge(other);
        } else {
            write(path, &Listing::new(now), args.json)?;
        }
    }
    write(&args.folder.join("index.yaml"), &listing, args.json)
}

fn write(path: &Path, listing: &Listing, as_json: bool) -> anyhow::Result<()> {
    file::write_atomic(path, listing.print(as_json)?.as_bytes())?;
    Ok(())
}
