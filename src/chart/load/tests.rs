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

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_loader_panic(bytes: Vec<u8>) {
        let _ = load_archive(&bytes);
        let file = File { name: "Chart.yaml".to_owned(), data: bytes.into() };
        let _ = load_files(vec![file]);
    }
}
