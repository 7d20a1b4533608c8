//! Archives that are not what they should be.

use std::io::Write as _;

use serde_json::json;

use super::site::{Ground, Row, Site, release};
use crate::support::pack::Package;

const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n";

/// One entry of an archive: its path as written, and a file's content or where a link points.
enum Entry<'a> {
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// Packs entries under their names as they are, which a careful packer would refuse.
fn pack(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        let (path, content) = match entry {
            Entry::File(path, content) => (path, *content),
            Entry::Link(path, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name_literal(target).unwrap();
                (path, &b""[..])
            }
        };
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }
    gzip(&tar.into_inner().unwrap())
}

/// Publishes a chart whose archive is other bytes than they should be.
fn publish(site: &Site, name: &str, bytes: Option<Vec<u8>>) {
    let metadata = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
    let package =
        Package::files([("Chart.yaml", metadata.as_str()), ("templates/t.yaml", TEMPLATE)]);
    let file = package.file.clone();
    site.repository.publish_package(package);
    let Some(bytes) = bytes else { return };
    // Without a digest nothing but the bytes themselves can be at fault.
    site.repository.edit_entry(&file, |entry| entry["digest"] = "".into());
    site.repository.put(&file, bytes);
}

fn good(name: &str) -> Vec<u8> {
    let metadata = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
    Package::files([("Chart.yaml", metadata.as_str()), ("templates/t.yaml", TEMPLATE)]).bytes
}

fn chart<'a>(name: &'a str, rest: Vec<Entry<'a>>) -> Vec<u8> {
    let metadata = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
    let path = format!("{name}/Chart.yaml");
    let mut entries = vec![Entry::File(&path, metadata.as_bytes())];
    entries.extend(rest);
    pack(&entries)
}

fn charts() -> Vec<(&'static str, Vec<u8>)> {
    let cut = |name: &str| {
        let whole = good(name);
        whole[..whole.len() - whole.len() / 3].to_vec()
    };
    let bent = |name: &str| {
        let mut bytes = good(name);
        let middle = bytes.len() / 2;
        bytes[middle..middle + 8].fill(0xff);
        bytes
    };
    let yaml = |text: &str| pack(&[Entry::File("x/Chart.yaml", text.as_bytes())]);
    let zeros = vec![0; 101 << 20];
    vec![
        ("corrupt", b"this is no archive".to_vec()),
        ("truncated", cut("truncated")),
        ("bent", bent("bent")),
        ("nothing", pack(&[])),
        ("no-chart-yaml", pack(&[Entry::File("no-chart-yaml/values.yaml", b"a: 1\n")])),
        ("upward", chart("upward", vec![Entry::File("upward/../../evil", b"x")])),
        ("absolute", chart("absolute", vec![Entry::File("absolute//etc/evil", b"x")])),
        ("linked-yaml", pack(&[Entry::Link("linked-yaml/Chart.yaml", "/etc/hostname")])),
        ("bomb", chart("bomb", vec![Entry::File("bomb/files/zeros", &zeros)])),
        ("yaml", yaml("name: [\n")),
        ("nameless", yaml("apiVersion: v2\nversion: 1.0.0\n")),
        ("versionless", yaml("apiVersion: v2\nname: versionless\n")),
        ("future", yaml("apiVersion: v9\nname: future\nversion: 1.0.0\n")),
        (
            "linked",
            chart(
                "linked",
                vec![
                    Entry::Link("linked/secret", "/etc/passwd"),
                    Entry::File(
                        "linked/templates/t.yaml",
                        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: linked}\ndata: {secret: {{ .Files.Get \"secret\" | quote }}}\n",
                    ),
                ],
            ),
        ),
    ]
}

fn rows() -> Vec<Row> {
    let another = "publish the chart anew as another version";
    let bad = |name, parts| release(name, "ArtifactFailed", parts, another);
    vec![
        bad("corrupt", &["/corrupt-1.0.0.tgz", "gzip: invalid header"]),
        bad("truncated", &["/truncated-1.0.0.tgz", "unexpected EOF"]),
        bad("bent", &["/bent-1.0.0.tgz", "unable to load chart archive"]),
        bad("nothing", &["no files in chart archive"]),
        bad("no-chart-yaml", &["Chart.yaml"]),
        bad("upward", &["/upward-1.0.0.tgz", "illegally references parent directory"]),
        bad("absolute", &["/absolute-1.0.0.tgz", "illegally contains absolute paths"]),
        bad("linked-yaml", &["/linked-yaml-1.0.0.tgz"]),
        bad("bomb", &["/bomb-1.0.0.tgz", "larger than the maximum size 104857600"]),
        bad("yaml", &["cannot load Chart.yaml", "yaml: "]),
        bad("nameless", &["validation: chart.metadata.name is required"]),
        bad("versionless", &["validation: chart.metadata.version"]),
        bad("future", &["/future-1.0.0.tgz", "unsupported chart version"]),
        release(
            "lied",
            "ArtifactFailed",
            &["/lied-1.0.0.tgz", "the index says", "the repository is inconsistent"],
            "have the index made afresh",
        ),
        release(
            "gone",
            "ArtifactFailed",
            &["/gone-1.0.0.tgz", "404 Not Found"],
            "check the address",
        ),
    ]
}

async fn table(ground: &Ground) {
    let site = Site::new(ground, "badchart").await;
    for (name, bytes) in charts() {
        publish(&site, name, Some(bytes));
        site.release(name, name, "1.x", "");
    }
    for name in ["lied", "gone"] {
        publish(&site, name, None);
        site.release(name, name, "1.x", "");
    }
    site.repository.edit_entry("lied-1.0.0.tgz", |entry| entry["digest"] = "00".repeat(32).into());
    let gone = |entry: &mut serde_json::Value| entry["urls"] = json!(["else/gone-1.0.0.tgz"]);
    site.repository.edit_entry("gone-1.0.0.tgz", gone);
    let running = site.run();
    site.check(&running, &rows()).await;
    // A link is an empty file, as in Helm: what it points to is never read.
    site.runs("linked", "1.0.0").await;
    assert_eq!(site.data("linked").await, json!({"secret": ""}));
    // Nothing was written outside the folder of the cache.
    let files = leadsman::base::file::list_tree(&site.leadsman.cache()).unwrap();
    assert!(files.iter().all(|name| !name.contains("evil")), "{files:?}");
    // A good archive in place of the bad one is taken.
    site.repository.put("corrupt-1.0.0.tgz", good("corrupt"));
    site.runs("corrupt", "1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_refused_in_the_simulated_cluster() {
    table(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_refused_on_a_real_api_server() {
    let Some(ground) = Ground::real() else { return };
    table(&ground).await;
}
