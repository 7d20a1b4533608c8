//! Where `leadsman run` keeps artifacts, and where it serves them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::args::duration;
use super::ui;
use crate::base::file::{env_var, read_text};
use crate::repo::{Retention, Storage};
use crate::web::{Served, bind, serve_artifacts};

/// Longest name of a host that is read.
const NAME_BYTES: u64 = 4096;

/// Flags of the storage, named as Flux's.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    /// Serve the artifacts of sources over HTTP, such as on :9090; nothing is served without it.
    #[arg(long, env = "STORAGE_ADDRESS", value_parser = address, value_name = "ADDR")]
    storage_addr: Option<SocketAddr>,
    /// Folder of the artifacts [default: artifacts-v1 in the folder of the cache].
    #[arg(long, env = "STORAGE_PATH", value_name = "DIR")]
    storage_path: Option<PathBuf>,
    /// The address by which others reach them [default: that of --storage-addr].
    #[arg(
        long,
        env = "STORAGE_ADV_ADDR",
        default_value = "",
        hide_default_value = true,
        value_name = "HOST"
    )]
    storage_adv_addr: String,
    /// How long artifacts are kept beside the newest one of an object.
    #[arg(long, value_parser = duration, default_value = "1m", value_name = "DURATION")]
    artifact_retention_ttl: Duration,
    /// How many artifacts of an object are kept, the newest one included.
    #[arg(long, default_value_t = Retention::default().records, value_name = "COUNT")]
    artifact_retention_records: usize,
}

impl Args {
    /// Begins to serve, if that is wanted; ends when the first part is dropped.
    pub(super) async fn serve(
        &self,
        cache: &Path,
    ) -> anyhow::Result<Option<(Served, Arc<Storage>)>> {
        let Some(address) = self.storage_addr else { return Ok(None) };
        let folder = self.storage_path.clone().unwrap_or_else(|| cache.join("artifacts-v1"));
        let (ttl, records) = (self.artifact_retention_ttl, self.artifact_retention_records);
        let retention = Retention { ttl, records };
        // Port 0 is known once it is listened on.
        let bound = bind(address).await?;
        let base = advertised(&self.storage_adv_addr, bound.address(), host());
        let storage = Arc::new(Storage::new(&folder, &base, retention));
        let served = serve_artifacts(Arc::clone(&storage), bound);
        ui::say(&format!("artifacts in {} are served at {base}", folder.display()));
        Ok(Some((served, storage)))
    }
}

/// Reads an address as Go does: one without a host means all of this machine.
fn address(text: &str) -> Result<SocketAddr, String> {
    let full = match text.split_once(':') {
        Some(("", port)) => format!("0.0.0.0:{port}"),
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        _ => text.to_owned(),
    };
    full.parse().map_err(|_| format!("`{text}` is not an address with a port, such as :9090"))
}

/// Returns the address that is told to others.
///
/// Source: fluxcd/pkg artifact/server/server.go (`determineAdvStorageAddr`).
fn advertised(given: &str, listening: SocketAddr, host: String) -> String {
    let given = given.trim_end_matches('/');
    if given.starts_with("http://") || given.starts_with("https://") {
        return given.to_owned();
    }
    if !given.is_empty() {
        return format!("http://{given}");
    }
    match listening.ip().is_unspecified() {
        true => format!("http://{host}:{}", listening.port()),
        false => format!("http://{listening}"),
    }
}

/// Returns the name of this machine.
fn host() -> String {
    let named = env_var("HOSTNAME").filter(|name| !name.is_empty());
    let system = || read_text(Path::new("/proc/sys/kernel/hostname"), NAME_BYTES).ok();
    let name = named.or_else(system).unwrap_or_default().trim().to_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_go_does() {
        let rows = [
            (":9090", Some("0.0.0.0:9090")),
            ("localhost:9090", Some("127.0.0.1:9090")),
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("[::1]:9090", Some("[::1]:9090")),
            ("9090", None),
            ("nowhere", None),
        ];
        for (text, want) in rows {
            let got = address(text).ok().map(|address| address.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn others_are_told_where_it_is() {
        let rows = [
            ("", "0.0.0.0:9090", "http://pod-1:9090"),
            ("", "127.0.0.1:9090", "http://127.0.0.1:9090"),
            ("", "[::]:9090", "http://pod-1:9090"),
            (
                "leadsman.shop.svc.cluster.local.",
                "0.0.0.0:9090",
                "http://leadsman.shop.svc.cluster.local.",
            ),
            ("https://a.example/", "0.0.0.0:9090", "https://a.example"),
        ];
        for (given, listening, want) in rows {
            let got = advertised(given, listening.parse().unwrap(), "pod-1".to_owned());
            assert_eq!(got, want, "{given} {listening}");
        }
    }
}
