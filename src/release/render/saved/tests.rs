use super::*;
use crate::base::file::write_atomic;
use crate::chart;

fn parts() -> Vec<Part> {
    let file = |name: &str, text: &str| File {
        name: name.to_owned(),
        data: Bytes::copy_from_slice(text.as_bytes()).into(),
    };
    let later = Postponed::new(&Bytes::new()).file("crds/x.yaml", 4);
    vec![
        Part { file: file("Chart.yaml", "name: a"), values: None, tree: None },
        Part { file: file("values.yaml", "a: 1"), values: Some(b"{\"a\":1.0}".into()), tree: None },
        Part { file: file("templates/a.yaml", "{{ 1 }}"), values: None, tree: Some(vec![7]) },
        Part { file: file("empty", ""), values: None, tree: None },
        Part { file: File { name: "crds/x.yaml".into(), data: later }, values: None, tree: None },
        Part { file: file("templates/b.yaml", ""), values: None, tree: Some(vec![]) },
    ]
}

fn read_back(bytes: &[u8], packed: &Bytes) -> Option<Saved> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept");
    write_atomic(&path, bytes).unwrap();
    read(Handle::open(path).unwrap(), packed)
}

#[test]
fn what_was_written_is_read() {
    let saved = read_back(&write(&parts()), &Bytes::new()).unwrap();
    let (templates, unpacked) = (Arc::clone(&saved.templates), saved.unpacked().unwrap());
    let files = unpacked.files();
    let found: Vec<_> = files.iter().map(|file| (&*file.name, file.data.clone())).collect();
    assert_eq!(found[0], ("Chart.yaml", Bytes::from("name: a").into()));
    assert_eq!(found[1], ("values.yaml", Bytes::from("a: 1").into()));
    assert!(found[2].1.ready().is_none(), "templates come later");
    assert_eq!(found[2], ("templates/a.yaml", Bytes::from("{{ 1 }}").into()));
    assert_eq!(found[3], ("empty", Bytes::new().into()));
    assert_eq!(found[4], ("crds/x.yaml", Bytes::new().into()));
    assert_eq!(found[5], ("templates/b.yaml", Bytes::new().into()));
    let values = unpacked.values(&files[1].data, |values| values["a"].clone());
    assert_eq!(values, Some(1.0.into()));
    let trees = templates.trees();
    assert_eq!(trees, [("{{ 1 }}".into(), vec![7].into()), (Bytes::new(), Bytes::new())]);
    let text = files[2].data.clone().into_bytes();
    assert_eq!(trees[0].0.as_ptr(), text.as_ptr(), "a tree is found by the place of its text");
}

#[test]
fn damage_is_noticed_and_the_archive_helps() {
    let files = [
        ("Chart.yaml", &b"name: a"[..]),
        ("values.yaml", b"a: 1"),
        ("templates/a.yaml", b"{{ 1 }}"),
    ];
    let packed = Bytes::from(chart::pack("a", files).unwrap());
    let whole = write(&parts());
    let mut helped = 0;
    for at in 0..whole.len() {
        assert!(read_back(&whole[..at], &packed).is_none(), "cut at {at}");
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        // What is not noticed at once is noticed when the templates are read.
        if let Some(saved) = read_back(&damaged, &packed) {
            let (templates, unpacked) = (Arc::clone(&saved.templates), saved.unpacked().unwrap());
            assert!(templates.trees().is_empty(), "damaged at {at}");
            assert_eq!(unpacked.files()[2].data[..], b"{{ 1 }}"[..]);
            helped += 1;
        }
    }
    assert!(helped >= 8 + 4, "the texts, the trees and their checksum: {helped}");
}
