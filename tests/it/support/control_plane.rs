//! A real Kubernetes control plane: etcd, kube-apiserver, controller-manager, scheduler, and kwok,
//! which plays a node whose Pods fare as `stages.yaml` says. All on loopback and in one temporary
//! folder; everything ends with the test process, even when that is killed (`supervisor.sh`).

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::json;

use super::api::{Api, condition};
use super::serve::Identity;
use super::wait::until;
use super::{parts, port};

const START: Duration = Duration::from_secs(120);
const NODE: &str = "/api/v1/nodes/node-1";

/// A running control plane.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    folder: PathBuf,
    url: String,
    supervisor: Mutex<Supervisor>,
}

#[derive(Debug)]
struct Supervisor {
    // Dropping it is what ends everything.
    orders: Option<ChildStdin>,
    shell: Child,
}

impl ControlPlane {
    /// Returns the one that all tests share, started by the first; `None` after saying that the
    /// test is skipped. A test makes namespaces of its own, never stops parts of it, and installs
    /// only definitions that all tests agree on.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
        let programs = parts::cluster()?;
        let shared = SHARED.get_or_init(|| {
            std::panic::catch_unwind(|| Self::launch(&programs)).map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                text.unwrap_or_else(|| "it did not start".to_owned())
            })
        });
        match shared {
            Ok(shared) => Some(shared),
            Err(why) => panic!("the shared control plane: {why}"),
        }
    }

    /// Starts one for this test alone, which may stop and start its parts.
    pub(crate) fn start() -> Option<Self> {
        Some(Self::launch(&parts::cluster()?))
    }

    /// Returns the kubeconfig of a user who may do everything.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Returns the address of the API server.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns a connection that belongs to the runtime of the caller.
    pub(crate) async fn api(&self) -> Api {
        Api::connect(&self.kubeconfig()).await
    }

    /// Kills a part: `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler`, `kwok`.
    pub(crate) fn stop_part(&self, name: &str) {
        self.order("stop", name);
    }

    /// Starts a part again.
    pub(crate) fn start_part(&self, name: &str) {
        self.order("start", name);
    }

    fn launch(programs: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("leadsman-cluster-").tempdir().unwrap().keep();
        // All are held until each is found.
        let held = [(); 3].map(|()| port::hold());
        let ports = held.each_ref().map(|listener| listener.local_addr().unwrap().port());
        drop(held);
        let [api, _, _] = ports;
        let url = format!("https://127.0.0.1:{api}");
        write_files(&folder, &url);
        write_commands(&folder, programs, ports);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/supervisor.sh");
        let mut command = Command::new("sh");
        command.arg(script).arg(&folder).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // Out of the terminal's group: Ctrl-C ends the tests, and their end ends this.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut shell = command.spawn().unwrap();
        let supervisor = Mutex::new(Supervisor { orders: shell.stdin.take(), shell });
        let started = Self { folder, url, supervisor };
        started.order("start", "etcd");
        started.order("start", "kube-apiserver");
        // On a thread of its own: the caller may stand in a runtime already.
        std::thread::scope(|scope| {
            let ready = scope.spawn(|| {
                let mut builder = tokio::runtime::Builder::new_current_thread();
                builder.enable_all().build().unwrap().block_on(started.make_ready());
            });
            if let Err(panic) = ready.join() {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                panic!("{text}\n{}", started.logs());
            }
        });
        started
    }

    async fn make_ready(&self) {
        let api = self.api().await;
        until("the API server is ready", START, async || {
            let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
            api.client().request_text(request).await.map_err(|error| error.to_string())
        })
        .await;
        for part in ["kube-controller-manager", "kube-scheduler", "kwok"] {
            self.order("start", part);
        }
        let size = json!({"cpu": "256", "memory": "1Ti", "pods": "10000"});
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": "node-1",
                "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {
                    "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                    "kubernetes.io/hostname": "node-1",
                },
            },
            "status": {"allocatable": size, "capacity": size},
        });
        api.create("/api/v1/nodes", &node).await.unwrap();
        // The node lifecycle controller, which would lift this taint, is off: on a busy machine it
        // takes a late heartbeat for a dead node and evicts.
        api.merge(NODE, &json!({"spec": {"taints": null}})).await;
        until("the node is ready", START, async || {
            let node = api.get(NODE).await?;
            condition(&node, "Ready").filter(|ready| ready["status"] == "True").cloned()
        })
        .await;
    }

    fn order(&self, verb: &str, name: &str) {
        let mut supervisor = self.supervisor.lock().unwrap();
        let orders = supervisor.orders.as_mut().expect("orders end with this value");
        writeln!(orders, "{verb} {name}").unwrap();
    }

    fn logs(&self) -> String {
        let mut text = String::new();
        for part in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"]
        {
            let log = std::fs::read(self.folder.join(format!("{part}.log"))).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<_> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(15)..];
            let _ = writeln!(text, "--- {part}\n{}", tail.join("\n"));
        }
        text
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let mut supervisor = self.supervisor.lock().unwrap();
        drop(supervisor.orders.take());
        let _ = supervisor.shell.wait();
    }
}

/// Returns the text of a kubeconfig.
pub(crate) fn kubeconfig(url: &str, authority: Option<&Path>, token: &str) -> String {
    let mut cluster = json!({"server": url});
    if let Some(authority) = authority {
        cluster["certificate-authority"] = json!(authority);
    }
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    });
    serde_yaml::to_string(&config).unwrap()
}

fn write_files(folder: &Path, url: &str) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let identity = Identity::new();
    write("authority.crt", &identity.authority);
    write("apiserver.crt", &identity.certificate);
    write("apiserver.key", &identity.key);
    let accounts = rcgen::KeyPair::generate().unwrap();
    write("accounts.key", &accounts.serialize_pem());
    write("accounts.pub", &accounts.public_key_pem());
    let mut tokens = String::new();
    for (file, user) in [
        ("kubeconfig", "admin"),
        ("controller-manager.kubeconfig", "system:kube-controller-manager"),
        ("scheduler.kubeconfig", "system:kube-scheduler"),
    ] {
        let token = format!("{:032x}", rand::random::<u128>());
        let _ = writeln!(tokens, "{token},{user},{user},\"system:masters\"");
        write(file, &kubeconfig(url, Some(&folder.join("authority.crt")), &token));
    }
    write("tokens.csv", &tokens);
    write("stages.yaml", include_str!("stages.yaml"));
}

fn write_commands(folder: &Path, programs: &Path, [api, client, peer]: [u16; 3]) {
    let etcd = format!("http://127.0.0.1:{client}");
    let peer = format!("http://127.0.0.1:{peer}");
    let part = |name: &str, arguments: String| {
        let program = programs.join(name);
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let arguments: Vec<_> = arguments.split_whitespace().map(quoted).collect();
        let text = format!(
            "cd {} && exec {} {}\n",
            quoted(&folder.to_string_lossy()),
            quoted(&program.to_string_lossy()),
            arguments.join(" ")
        );
        std::fs::write(folder.join(format!("{name}.cmd")), text).unwrap();
    };
    part(
        "etcd",
        format!(
            "--data-dir etcd --log-level warn --unsafe-no-fsync
             --listen-client-urls {etcd} --advertise-client-urls {etcd}
             --listen-peer-urls {peer} --initial-advertise-peer-urls {peer}
             --initial-cluster default={peer}"
        ),
    );
    part(
        "kube-apiserver",
        format!(
            "--etcd-servers {etcd} --bind-address 127.0.0.1 --secure-port {api}
             --tls-cert-file apiserver.crt --tls-private-key-file apiserver.key
             --service-account-key-file accounts.pub --service-account-signing-key-file accounts.key
             --service-account-issuer https://kubernetes.default.svc
             --token-auth-file tokens.csv --authorization-mode RBAC
             --service-cluster-ip-range 10.0.0.0/16 --allow-privileged=true
             --disable-admission-plugins ServiceAccount"
        ),
    );
    part(
        "kube-controller-manager",
        "--kubeconfig controller-manager.kubeconfig --leader-elect=false --secure-port 0
         --service-account-private-key-file accounts.key --use-service-account-credentials=false
         --controllers=*,-node-lifecycle-controller,-taint-eviction-controller"
            .to_owned(),
    );
    part(
        "kube-scheduler",
        "--kubeconfig scheduler.kubeconfig --leader-elect=false --secure-port 0".to_owned(),
    );
    part(
        "kwok",
        "--kubeconfig kubeconfig --manage-all-nodes --node-lease-duration-seconds 40
         --config stages.yaml"
            .to_owned(),
    );
}
