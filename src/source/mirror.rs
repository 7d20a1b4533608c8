//! Other addresses for a repository: for air-gapped clusters.

use std::path::PathBuf;
use std::str::FromStr;

use crate::base::secret::SafeUrl;

/// Sends what begins with one address to another address or to a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    from: String,
    to: Place,
}

/// Where a mirror leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Url(SafeUrl),
    Folder(PathBuf),
    /// A mirror fits, but the address has no place in it.
    Unusable(&'static str),
}

/// A text that is no mirror.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not FROM=TO (FROM an address, TO an address or a folder)")]
pub struct MirrorError(String);

impl FromStr for Mirror {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, MirrorError> {
        let fail = || MirrorError(text.to_owned());
        let (from, to) = text.split_once('=').ok_or_else(fail)?;
        if !from.contains("://") || to.is_empty() {
            return Err(fail());
        }
        let to = match to.strip_prefix("file://") {
            Some(path) => Place::Folder(path.into()),
            None if to.contains("://") => Place::Url(to.parse().map_err(|_| fail())?),
            None => Place::Folder(to.into()),
        };
        Ok(Self { from: from.trim_end_matches('/').to_owned(), to })
    }
}

/// Mirrors, the first that fits is taken.
#[derive(Debug, Clone, Default)]
pub struct Mirrors(pub Vec<Mirror>);

impl Mirrors {
    /// Returns where an address leads.
    pub(super) fn place(&self, url: &SafeUrl) -> Place {
        let text = url.expose().as_str();
        for mirror in &self.0 {
            let Some(rest) = text.strip_prefix(&mirror.from) else { continue };
            if !rest.is_empty() && !rest.starts_with(['/', '?']) {
                continue;
            }
            let path = rest.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
            match &mirror.to {
                Place::Folder(folder) => {
                    return inside(path).map_or(
                        Place::Unusable("its path would leave the mirror's folder"),
                        |path| Place::Folder(folder.join(path)),
                    );
                }
                // A query of the mirror's own address, such as a token, stays.
                Place::Url(to) => {
                    let mut to = to.expose().clone();
                    let joined = format!("{}/{path}", to.path().trim_end_matches('/'));
                    to.set_path(&joined);
                    return Place::Url(to.into());
                }
                Place::Unusable(_) => {}
            }
        }
        Place::Url(url.clone())
    }
}

/// Decodes the path of an address for a folder; none if a part of it is no plain name.
fn inside(path: &str) -> Option<PathBuf> {
    let mut decoded = PathBuf::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let part = unescape(part)?;
        if part == ".." || part.contains(['/', '\\', '\0']) {
            return None;
        }
        decoded.push(part);
    }
    Some(decoded)
}

fn unescape(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mirror_that_fits_is_taken() {
        let mirrors = Mirrors(vec![
            "https://a.example/charts=/srv/a".parse().unwrap(),
            "https://b.example=http://127.0.0.1:1/x".parse().unwrap(),
        ]);
        let place = |url: &str| mirrors.place(&url.parse().unwrap());
        let folder = Place::Folder("/srv/a/index.yaml".into());
        assert_eq!(place("https://a.example/charts/index.yaml?x=1"), folder);
        let kept = "https://a.example/charts2/i";
        assert_eq!(place(kept), Place::Url(kept.parse().unwrap()));
        let moved = Place::Url("http://127.0.0.1:1/x/i.tgz".parse().unwrap());
        assert_eq!(place("https://b.example/i.tgz"), moved);
        assert!("a=b".parse::<Mirror>().is_err());
        let plus = Place::Folder("/srv/a/x-1.0.0+b.tgz".into());
        assert_eq!(place("https://a.example/charts/x-1.0.0%2Bb.tgz"), plus);
        for outside in ["..%2f..%2fetc%2fpasswd", "a%00b", "x%5c..%5cy", "%zz"] {
            let place = place(&format!("https://a.example/charts/{outside}"));
            assert!(matches!(place, Place::Unusable(_)), "{outside}: {place:?}");
        }
    }
}
