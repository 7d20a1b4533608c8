use super::*;
use crate::base::testing::corpus;
use crate::source::Mirrors;

fn spec() -> RepositorySpec {
    RepositorySpec {
        url: "https://charts.example/stable".parse().unwrap(),
        timeout: Duration::from_secs(5),
        credentials: None,
        tls: None,
        registry: None,
    }
}

fn mirrored(folder: &Path, cache: &Path) -> Repositories {
    let mirror = format!("https://charts.example/stable={}", folder.display());
    let mirrors = Mirrors(vec![mirror.parse().unwrap()]);
    Repositories::new(Fetcher::new(mirrors).unwrap(), cache)
}

#[tokio::test]
async fn a_repository_is_fetched_resolved_and_pulled_once() {
    let Some(corpus) = corpus() else { return };
    let cache = tempfile::tempdir().unwrap();
    let spec = spec();
    let repositories = mirrored(&corpus.join("charts/podinfo"), cache.path());
    assert!(matches!(repositories.versions(&spec.url, "podinfo"), Err(Error::Unfetched(_))));
    assert!(repositories.refresh(&spec).await.unwrap().changed);
    assert!(!repositories.refresh(&spec).await.unwrap().changed);
    let found = repositories.resolve(&spec.url, "podinfo", "6.7.x").unwrap();
    let texts: Vec<_> = found.iter().map(|entry| entry.text.as_str()).collect();
    assert_eq!(texts, ["6.7.1", "6.7.0"]);
    let pulled = repositories.pull(&spec, &found[0]).await.unwrap();
    assert_eq!(pulled.chart.metadata.version, "6.7.1");
    let again = repositories.pull(&spec, &found[0]).await.unwrap();
    assert!(Arc::ptr_eq(&pulled.chart, &again.chart));
    // A second process finds everything in the cache, even when the repository is gone.
    let other = mirrored(Path::new("/nowhere"), cache.path());
    assert_eq!(other.resolve(&spec.url, "podinfo", "6.7.x").unwrap().len(), 2);
    assert!(other.pull(&spec, &found[0]).await.is_ok());
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let Some(corpus) = corpus() else { return };
    let cache = tempfile::tempdir().unwrap();
    let spec = spec();
    let repositories = mirrored(&corpus.join("charts/podinfo"), cache.path());
    repositories.refresh(&spec).await.unwrap();
    let say = |wanted: &str, chart: &str| {
        repositories.resolve(&spec.url, chart, wanted).unwrap_err().to_string()
    };
    assert_eq!(
        say("9.x", "podinfo"),
        "no `podinfo` chart with version matching `9.x` in `https://charts.example/stable`: \
         the nearest are 6.9.0, 6.8.0, 6.7.1"
    );
    assert!(say("*", "pod").contains("it has podinfo"));
    assert!(say("not a range", "podinfo").starts_with("improper constraint"));
}

#[tokio::test]
async fn a_wrong_digest_is_refused() {
    let Some(corpus) = corpus() else { return };
    let cache = tempfile::tempdir().unwrap();
    let spec = spec();
    let repositories = mirrored(&corpus.join("charts/podinfo"), cache.path());
    repositories.refresh(&spec).await.unwrap();
    let mut entry = repositories.resolve(&spec.url, "podinfo", "6.7.1").unwrap().remove(0);
    entry.digest = Digest::of("other").to_hex();
    let error = repositories.pull(&spec, &entry).await.unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
    entry.digest.clear();
    entry.urls = vec!["podinfo-0.0.0.tgz".to_owned()];
    let error = repositories.pull(&spec, &entry).await.unwrap_err();
    assert!(matches!(error, Error::Fetch(crate::source::Error::NotFound { .. })), "{error}");
}

#[test]
fn the_index_is_below_the_repository() {
    let rows = [
        ("https://c.example", "https://c.example/index.yaml"),
        ("https://c.example/", "https://c.example/index.yaml"),
        ("https://c.example/stable", "https://c.example/stable/index.yaml"),
        ("https://c.example/stable/", "https://c.example/stable/index.yaml"),
        ("https://c.example/stable?t=1&u=a/b", "https://c.example/stable/index.yaml?t=1&u=a/b"),
        ("https://c.example/stable/?t=1", "https://c.example/stable/index.yaml?t=1"),
        ("https://c.example/?t=1", "https://c.example/index.yaml?t=1"),
        ("https://c.example/a%20b", "https://c.example/a%20b/index.yaml"),
    ];
    for (root, want) in rows {
        let got = below(&root.parse().unwrap(), "index.yaml");
        assert_eq!(got.expose().as_str(), want, "{root}");
    }
}

#[test]
fn addresses_of_archives_are_whole_or_beside_the_repository() {
    let rows = [
        ("https://c.example/stable", "web-1.tgz", "https://c.example/stable/web-1.tgz"),
        ("https://c.example/stable/", "web-1.tgz", "https://c.example/stable/web-1.tgz"),
        ("https://c.example/stable", "../web-1.tgz", "https://c.example/web-1.tgz"),
        ("https://c.example/stable", "/web-1.tgz", "https://c.example/web-1.tgz"),
        ("https://c.example/stable?t=1", "web-1.tgz", "https://c.example/stable/web-1.tgz?t=1"),
        ("https://c.example/a%20b", "web-1.tgz", "https://c.example/a%20b/web-1.tgz"),
        ("https://c.example/stable", "http://d.example/x.tgz?y=1", "http://d.example/x.tgz?y=1"),
    ];
    for (root, reference, want) in rows {
        let got = chart_url(&root.parse().unwrap(), reference).unwrap();
        assert_eq!(got.expose().as_str(), want, "{root} {reference}");
    }
}
