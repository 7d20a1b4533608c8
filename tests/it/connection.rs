//! Which cluster, as whom, and in which namespace: flags, variables and Pods, beside the real Helm.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::control_plane::ControlPlane;
use crate::support::helm::Helm;
use crate::support::leadsman::Leadsman;
use crate::support::pair::Pair;
use crate::support::parts::skip;
use crate::support::serve::Identity;

const CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";
const ASKING: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}\n\
    data: {found: {{ get (lookup \"v1\" \"Namespace\" \"\" \"default\") \"kind\" }}}\n";

/// What the control plane is told by: address, token, file of the authority.
struct Known {
    url: String,
    token: String,
    authority: String,
}

fn known(cluster: &ControlPlane) -> Known {
    let file = cluster.kubeconfig();
    let config: serde_json::Value =
        serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    Known {
        url: cluster.url().to_owned(),
        token: config["users"][0]["user"]["token"].as_str().unwrap().to_owned(),
        authority: file.with_file_name("authority.crt").display().to_string(),
    }
}

/// Both tools, in folders where there is no kubeconfig but what is given.
fn pair(kubeconfig: &Path) -> Option<Pair> {
    let pair = Pair::find()?.env("KUBECONFIG", &kubeconfig.display().to_string());
    pair.file("c/Chart.yaml", CHART);
    pair.file("c/templates/a.yaml", ASKING);
    Some(pair)
}

fn asking<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    [&["template", "r", "c", "--dry-run=server", "--disable-openapi-validation"], flags].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_and_variables_say_which_cluster_and_as_whom() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let Some(bare) = pair(Path::new("nowhere")) else { return };
    let known = known(cluster);
    let flags = ["--kube-apiserver", &known.url, "--kube-token", &known.token, "--kube-ca-file"];
    let flags = [&flags[..], &[&known.authority]].concat();
    let answered = bare.same(&asking(&flags));
    assert!(answered.contains("found: Namespace"), "{answered}");
    let ours = bare.folders()[1];
    let listed = bare.leadsman_in(ours, &[&["list"], &flags[..]].concat()).await.success();
    assert!(listed.starts_with("NAME"), "{listed}");

    let variables = pair(Path::new("nowhere"))
        .unwrap()
        .env("HELM_KUBEAPISERVER", &known.url)
        .env("HELM_KUBETOKEN", &known.token)
        .env("HELM_KUBECAFILE", &known.authority);
    assert_eq!(variables.same(&asking(&[])), answered);
    variables.same_error(&asking(&["--kube-as-user", "nobody"]));
    let nobody = variables.env("HELM_KUBEASUSER", "nobody");
    let refused = nobody.same_error(&asking(&[]));
    assert!(refused.contains("User \"nobody\" cannot"), "{refused}");
    let master = nobody.env("HELM_KUBEASGROUPS", " ,others,system:masters,");
    assert_eq!(master.same(&asking(&[])), answered);
    // What is typed replaces the groups of the variable.
    master.same_error(&asking(&["--kube-as-group", "system:masters,others"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_acts_as_somebody_must_be_told_whom() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let Some(pair) = pair(&cluster.kubeconfig()) else { return };
    let refused = pair.same_error(&asking(&["--kube-as-user", "nobody"]));
    assert!(refused.contains("User \"nobody\" cannot"), "{refused}");
    pair.same(&asking(&["--kube-as-user", "nobody", "--kube-as-group", "system:masters"]));
    let [helm, ours] = pair.both(&asking(&["--kube-as-group", "system:masters"])).await;
    assert_eq!((ours.0, &ours.1), (helm.0, &helm.1));
    assert!(ours.2.contains("give --kube-as-user or set HELM_KUBEASUSER"), "{}", ours.2);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_tokens_are_checked_as_by_helm() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let Some(pair) = pair(&cluster.kubeconfig()) else { return };
    pair.file("other.crt", Identity::new().authority);
    pair.file("none.crt", "no certificate\n");
    let known = known(cluster);
    let bare_url = known.url.trim_start_matches("https://");
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], Result<(), &str>)] = &[
        ("another token", &["--kube-token", "x"], Err("Unauthorized")),
        ("another authority", &["--kube-ca-file", "other.crt"], Err("certificate")),
        ("no such authority", &["--kube-ca-file", "gone.crt"], Err("gone.crt")),
        ("no authority", &["--kube-ca-file", "none.crt"], Err("none.crt")),
        ("any certificate", &["--kube-insecure-skip-tls-verify"], Ok(())),
        ("any certificate, said by value", &["--kube-insecure-skip-tls-verify=true"], Ok(())),
        ("not any certificate", &["--kube-insecure-skip-tls-verify=false", "--kube-ca-file", "other.crt"], Err("certificate")),
        ("the authority again", &["--kube-ca-file", &known.authority], Ok(())),
        ("another name", &["--kube-tls-server-name", "example.com"], Err("certificate")),
        ("its other name", &["--kube-tls-server-name", "localhost"], Ok(())),
        ("the server again", &["--kube-apiserver", &known.url], Ok(())),
        ("a server without TLS", &["--kube-apiserver", bare_url], Err("")),
        ("no server", &["--kube-apiserver", "https://127.0.0.1:1"], Err("unreachable")),
        ("no such context", &["--kube-context", "gone"], Err("gone")),
    ];
    let mut wrong = Vec::new();
    for (name, flags, want) in rows {
        let [helm, ours] = pair.both(&asking(flags)).await;
        let is_told = want.err().is_none_or(|word| ours.2.contains(word));
        if (ours.0, &ours.1) != (helm.0, &helm.1) || (ours.0 == Some(0)) != want.is_ok() || !is_told
        {
            wrong.push(format!("{name}: ours {ours:?}\nHelm's {helm:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a command where a service account is mounted, as in a Pod; `None` where nothing can be
/// mounted.
fn in_pod(inner: &Command, environment: &[(&str, &str)]) -> Option<Output> {
    const SCRIPT: &str = "mount -t tmpfs none /var/run || exit 99
        folder=/var/run/secrets/kubernetes.io/serviceaccount
        mkdir -p $folder && echo of-account > $folder/namespace && echo t > $folder/token
        exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"]);
    command.arg(inner.get_program()).args(inner.get_args());
    command.current_dir(inner.get_current_dir().unwrap());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    for (name, value) in
        [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")]
    {
        command.env(name, value);
    }
    command.envs(environment.iter().copied());
    let output = command.output().ok()?;
    (output.status.code() != Some(99)).then_some(output)
}

/// Flags, variables, and the namespace that is meant.
type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

#[test]
fn in_a_pod_its_namespace_is_meant() {
    const CONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: silent\ncontexts:\n\
        - {name: silent, context: {cluster: c}}\n\
        - {name: default, context: {cluster: c, namespace: default}}\n\
        - {name: own, context: {cluster: c, namespace: own}}\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n";
    let Some(helm) = Helm::find() else { return };
    let ours = Leadsman::new();
    let chart = ours.file("c/Chart.yaml", CHART);
    let chart = chart.parent().unwrap().display().to_string();
    ours.file("c/templates/a.yaml", "namespace: {{ .Release.Namespace }}\n");
    let config = ours.file("config", CONFIG).display().to_string();
    let in_file = [("KUBECONFIG", config.as_str())];
    #[rustfmt::skip]
    let rows: &[Row] = &[
        (&[], &[], "of-account"),
        (&[], &[("POD_NAMESPACE", "of-variable")], "of-variable"),
        (&[], &[("POD_NAMESPACE", "")], "of-account"),
        (&[], &[("HELM_NAMESPACE", "of-helm")], "of-helm"),
        (&["-n", "typed"], &[("HELM_NAMESPACE", "of-helm")], "typed"),
        (&[], &[("KUBERNETES_SERVICE_HOST", "")], "default"),
        (&[], &[("KUBERNETES_SERVICE_PORT", "")], "default"),
        (&[], &in_file, "of-account"),
        (&["--kube-context", "default"], &in_file, "default"),
        (&["--kube-context", "own"], &in_file, "own"),
        (&["--kube-context", "gone"], &in_file, "default"),
        (&["--kubeconfig", "gone"], &[], "default"),
    ];
    let mut wrong = Vec::new();
    for (flags, environment, want) in rows {
        let arguments = [&["template", "r", &chart], *flags].concat();
        let said = [helm.command(&arguments), ours.command(&arguments)]
            .map(|command| in_pod(&command, environment));
        let [Some(theirs), Some(ours)] = said else {
            skip::<()>("unshare", "nothing can be mounted here");
            return;
        };
        let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        let is_wanted = text(&ours).contains(&format!("namespace: {want}\n"));
        if text(&ours) != text(&theirs) || !is_wanted {
            wrong.push(format!("{flags:?} {environment:?}: ours {ours:?}\nHelm's {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
