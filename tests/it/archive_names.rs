//! Archives whose files are called what no chart's files may be, beside the real Helm.

use crate::support::pair::Pair;

/// An archive of files with any names.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        // The library would not write some of them.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        let kind =
            if name.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular };
        header.set_entry_type(kind);
        header.set_cksum();
        tar.append(&header, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

const CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_archive_have_names_inside_of_the_chart() {
    let Some(pair) = Pair::find() else { return };
    for (index, names) in [
        &["/abs/templates/a.yaml"][..],
        &["c/../../x"],
        &["../x"],
        &["c/.."],
        &["c/."],
        &["c/"],
        &["c/c:/x"],
        &["c:/x"],
        &["d/d:x"],
        &["Chart.yaml"],
        &["x"],
        &["c/a/../b"],
        &["c/a//b"],
        &["c/./b"],
        &["/"],
        &["."],
        &["c\\..\\..\\x"],
    ]
    .into_iter()
    .enumerate()
    {
        let files: Vec<_> =
            names.iter().map(|name| (*name, "x: 1\n")).chain([("c/Chart.yaml", CHART)]).collect();
        let name = format!("{index}.tgz");
        pair.file(&name, archive(&files));
        let [helm, ours] = pair.both(&["template", "r", &name]).await;
        assert_eq!((ours.0, &ours.1), (helm.0, &helm.1), "{names:?}: {} {}", ours.2, helm.2);
        // Ours says why.
        assert!(ours.2.starts_with(helm.2.trim_end()), "{names:?}: {} {}", ours.2, helm.2);
    }
    for (name, files) in [
        ("empty.tgz", &[][..]),
        ("folders.tgz", &[("c/", ""), ("c/templates/", "")]),
        ("backslashes.tgz", &[("c\\Chart.yaml", CHART), ("c\\templates\\a.yaml", "a: 1\n")]),
        ("other.tgz", &[("c/Chart.yaml", CHART), ("other/templates/a.yaml", "a: 1\n")]),
    ] {
        pair.file(name, archive(files));
        let [helm, ours] = pair.both(&["template", "r", name]).await;
        assert_eq!((ours.0, &ours.1), (helm.0, &helm.1), "{name}: {} {}", ours.2, helm.2);
        assert!(ours.2.starts_with(helm.2.trim_end()), "{name}: {} {}", ours.2, helm.2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_is_no_file_of_a_chart() {
    let Some(pair) = Pair::find() else { return };
    pair.file("c/Chart.yaml", CHART);
    for folder in pair.folders() {
        let made = std::process::Command::new("mkfifo").arg(folder.join("c/pipe")).status();
        assert!(made.unwrap().success());
    }
    let [helm, ours] = pair.both(&["template", "r", "c"]).await;
    assert_eq!(ours, helm);
    assert!(helm.2.contains("irregular file"), "{}", helm.2);
}
