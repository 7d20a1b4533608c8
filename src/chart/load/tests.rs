use super::*;
use crate::base::testing::corpus;

#[test]
fn every_chart_of_the_corpus_is_loaded() {
    let Some(corpus) = corpus() else { return };
    let (mut total, mut wrong) = (0, Vec::new());
    for file in crate::base::file::list_tree(&corpus.join("charts")).unwrap() {
        if !file.ends_with(".tgz") {
            continue;
        }
        total += 1;
        let path = corpus.join("charts").join(&file);
        let bytes = crate::base::file::read_bytes(&path, 1 << 26).unwrap();
        match load_archive(&bytes) {
            Ok(chart) => {
                let name = format!("{}-{}.tgz", chart.metadata.name, chart.metadata.version);
                if !file.ends_with(&name) {
                    wrong.push(format!("{file}: says that it is {name}"));
                }
            }
            Err(error) => wrong.push(format!("{file}: {}", crate::base::class::chain(&error))),
        }
    }
    assert!(total > 200, "{total} charts");
    assert!(wrong.is_empty(), "{} of {total}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn large_definitions_are_unpacked_when_they_are_looked_at() {
    let large = format!("kind: A\n# {}\n", "x".repeat(40_000));
    let files: &[(&str, &str)] = &[
        ("Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\n"),
        ("crds/large.yaml", &large),
        ("crds/small.yaml", "kind: B\n"),
        ("templates/crds/large.yaml", &large),
        ("charts/b/Chart.yaml", "apiVersion: v2\nname: b\nversion: 1.0.0\n"),
        ("charts/b/crds/large.yaml", &large),
        ("other.txt", &large),
    ];
    let packed = crate::chart::pack("a", files.iter().map(|(name, text)| (*name, text.as_bytes())));
    let packed = Bytes::from(packed.unwrap());
    let (mut shown, mut all) = (Vec::new(), 0);
    let lazy = Unpacked::of(&packed, &mut |file| shown.push(file.name.clone()))
        .and_then(Unpacked::load)
        .unwrap();
    let eager = load_archive_showing(&packed, &mut |_| all += 1).unwrap();
    let late = ["crds/large.yaml", "charts/b/crds/large.yaml"];
    assert_eq!((shown.len(), all), (files.len() - late.len(), files.len()));
    assert!(!shown.iter().any(|name| late.contains(&name.as_str())), "{shown:?}");
    assert_eq!(lazy.files, eager.files);
    assert_eq!(lazy.templates, eager.templates);
    assert_eq!(lazy.dependencies[0].files, eager.dependencies[0].files);
    assert_eq!(crate::chart::crds(&lazy), crate::chart::crds(&eager));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_loader_panic(bytes: Vec<u8>) {
        let _ = load_archive(&bytes);
        let _ = crate::chart::parse_values(&bytes);
        let file = File { name: "Chart.yaml".to_owned(), data: Bytes::from(bytes).into() };
        let _ = load_files(vec![file]);
    }
}

/// Files that a chart may have, with right and wrong contents.
fn files() -> impl proptest::prelude::Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    use proptest::prelude::*;
    let names = [
        "Chart.yaml",
        "values.yaml",
        "values.schema.json",
        "Chart.lock",
        "requirements.yaml",
        "templates/a.yaml",
        "templates/_h.tpl",
        "charts/b/Chart.yaml",
        "charts/c.tgz",
        "../x",
        "crds/d.yaml",
        "charts/_e/values.yaml",
        "",
        "/",
        "charts/",
        "templates",
    ];
    let texts = [
        "apiVersion: v2\nname: a\nversion: 1.0.0\n",
        "apiVersion: v1\nname: b\nversion: 0\n",
        "dependencies:\n- name: b\n  alias: c\n  condition: d\n",
        "a: {b: [1, 2]}\n",
        "- 1\n",
        "{{ define \"x\" }}",
        "{}",
        "null",
        "a: *b\n",
        "---\n---\n",
        "\u{feff}a: 1\n",
    ];
    let content = prop_oneof![
        prop::sample::select(texts.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        any::<Vec<u8>>(),
    ];
    prop::collection::vec((prop::sample::select(names.to_vec()), content), 0..6)
}

proptest::proptest! {
    #[test]
    fn no_files_make_the_loader_panic(files in files()) {
        let packed = crate::chart::pack("a", files.iter().map(|(name, data)| (*name, &data[..])));
        // Names that tar cannot hold are no chart.
        if let Ok(packed) = packed {
            let _ = load_archive(&packed);
        }
    }

    #[test]
    fn no_damage_makes_the_loader_panic(
        at in 0..4096_usize, byte: u8, length in 0..4096_usize, whole: bool, files in files(),
    ) {
        let chart = ("Chart.yaml", b"apiVersion: v2\nname: a\nversion: 1.0.0\n".to_vec());
        let files: Vec<_> = std::iter::once(chart).chain(files).collect();
        let packed = crate::chart::pack("a", files.iter().map(|(name, data)| (*name, &data[..])));
        let Ok(mut packed) = packed else { return Ok(()) };
        let last = packed.len() - 1;
        packed[at.min(last)] = byte;
        packed.truncate(if whole { packed.len() } else { length });
        let _ = load_archive(&packed);
        // The same inside: the tar is damaged, its wrapping is not.
        let mut tar = Vec::new();
        let read = std::io::Read::read_to_end(&mut flate2::bufread::GzDecoder::new(&packed[..]), &mut tar);
        if read.is_ok() && !tar.is_empty() {
            let last = tar.len() - 1;
            tar[at.min(last)] = byte;
            let mut again = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut again, &tar).unwrap();
            let _ = load_archive(&again.finish().unwrap());
        }
    }
}

#[test]
fn values_are_split_where_kubernetes_splits_them() {
    for (text, wanted) in [
        ("", Ok(&[][..])),
        ("a: 1", Ok(&["a: 1"])),
        ("---\na: 1\n", Ok(&["---\na: 1\n"])),
        ("a: 1\n---\nb: 1", Ok(&["a: 1\n", "b: 1"])),
        ("a: 1\n---\n", Ok(&["a: 1\n"])),
        ("a: 1\n---", Ok(&["a: 1\n"])),
        ("a: 1\n--- # b\nb: 1\n", Ok(&["a: 1\n", "b: 1\n"])),
        ("a: 1\r\n---\r\nb: 1\n", Ok(&["a: 1\r\n", "b: 1\n"])),
        ("a: 1\n---\n---\nb: 1\n", Ok(&["a: 1\n", "---\nb: 1\n"])),
        ("a: |\n ---\nb: x---\n", Ok(&["a: |\n ---\nb: x---\n"])),
        ("a: 1\n---b: 1\n", Err("b: 1")),
        ("--- a: 1\n", Err("a: 1")),
        ("a: 1\n----\n", Err("-")),
    ] {
        let got = documents(text).map_err(|error| error.to_string());
        let wanted = wanted.map(<[&str]>::to_vec).map_err(|behind: &str| {
            format!("error reading yaml document: invalid Yaml document separator: {behind}")
        });
        match (got, wanted) {
            (Err(got), Err(wanted)) => assert!(got.contains(&wanted), "{text:?}: {got}"),
            (got, wanted) => assert_eq!(got, wanted, "{text:?}"),
        }
    }
}
