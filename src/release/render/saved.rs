//! What was made of an archive, as bytes for a later process: its files, the values they hold, and
//! the trees of its templates.
//!
//! ```text
//! "LMC1"            4 bytes
//! checksum          4 bytes: CRC-32 of all that follows, lowest byte first
//! length of a list  4 bytes
//! list              of each file: name, whether and how much there is of content, values, tree
//! contents          of each file: content, values as JSON, tree
//! ```
//!
//! The digest of the archive and the build that wrote it are in the file's name.

use std::sync::Arc;

use bytes::Bytes;
use flate2::Crc;

use crate::base::content::Content;
use crate::base::packed::{Reader, Writer};
use crate::chart::{self, File, Unpacked};
use crate::yaml::Map;

const MAGIC: [u8; 4] = *b"LMC1";
/// Length of what stands before the list.
const HEAD_BYTES: usize = 12;

/// What is to be saved of a file.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: File,
    /// Its values, as JSON, if it is a values file.
    pub(super) values: Option<Vec<u8>>,
    /// Its tree, if it is a template.
    pub(super) tree: Option<Vec<u8>>,
}

impl Part {
    /// The content, the values and the tree, as far as there are any.
    fn pieces(&self) -> [Option<&[u8]>; 3] {
        let content = self.file.data.ready().map(|content| &content[..]);
        [content, self.values.as_deref(), self.tree.as_deref()]
    }
}

/// What was saved of an archive.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) unpacked: Unpacked,
    /// Texts of templates and their trees.
    pub(super) trees: Vec<(Bytes, Bytes)>,
}

/// Writes an archive's files, all of them in their order.
pub(super) fn write(parts: &[Part]) -> Vec<u8> {
    let mut list = Writer::default();
    list.size(parts.len());
    for part in parts {
        list.bytes(part.file.name.as_bytes());
        for piece in part.pieces() {
            // Zero is for what is not there.
            list.size(piece.map_or(0, |piece| piece.len() + 1));
        }
    }
    let list = list.into_bytes();
    let pieces = || parts.iter().flat_map(Part::pieces).flatten();
    let length = list.len() + pieces().map(<[u8]>::len).sum::<usize>();
    let mut out = Vec::with_capacity(HEAD_BYTES + length);
    out.extend_from_slice(&[0; HEAD_BYTES]);
    out.extend_from_slice(&list);
    pieces().for_each(|piece| out.extend_from_slice(piece));
    let list_bytes = u32::try_from(list.len()).unwrap_or(u32::MAX);
    out[8..HEAD_BYTES].copy_from_slice(&list_bytes.to_le_bytes());
    let sum = checksum(&out[8..]);
    out[..4].copy_from_slice(&MAGIC);
    out[4..8].copy_from_slice(&sum.to_le_bytes());
    out
}

/// Reads what [`write`] has written of an archive; `None` if it is damaged.
pub(super) fn read(kept: &Bytes, packed: &Bytes) -> Option<Saved> {
    let (magic, rest) = kept.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    if *magic != MAGIC || u32::from_le_bytes(*sum) != checksum(rest) {
        return None;
    }
    let (length, rest) = rest.split_first_chunk()?;
    let (list, _) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let mut at = HEAD_BYTES + list.len();
    let mut list = Reader::new(list);
    let later = chart::postponed(packed);
    let (mut files, mut values, mut trees) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..list.size()? {
        let name = std::str::from_utf8(list.bytes()?).ok()?.to_owned();
        let mut piece = || -> Option<Option<Bytes>> {
            let Some(length) = list.size()?.checked_sub(1) else { return Some(None) };
            let end = at.checked_add(length).filter(|end| *end <= kept.len())?;
            Some(Some(kept.slice(std::mem::replace(&mut at, end)..end)))
        };
        let [content, own_values, tree] = [piece()?, piece()?, piece()?];
        if let (Some(text), Some(json)) = (&content, own_values) {
            values.push((text.clone(), serde_json::from_slice::<Map>(&json).ok()?));
        }
        if let (Some(text), Some(tree)) = (&content, tree) {
            trees.push((text.clone(), tree));
        }
        let data = content.map_or_else(|| Content::later(Arc::clone(&later), index), Into::into);
        files.push(File { name, data });
    }
    Some(Saved { unpacked: Unpacked::again(files, values), trees })
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(bytes);
    sum.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Vec<Part> {
        let file = |name: &str, text: &str| File {
            name: name.to_owned(),
            data: Bytes::copy_from_slice(text.as_bytes()).into(),
        };
        vec![
            Part { file: file("Chart.yaml", "name: a"), values: None, tree: None },
            Part {
                file: file("values.yaml", "a: 1"),
                values: Some(b"{\"a\":1.0}".into()),
                tree: None,
            },
            Part { file: file("templates/a.yaml", "{{ 1 }}"), values: None, tree: Some(vec![]) },
            Part { file: file("empty", ""), values: None, tree: None },
            Part {
                file: File {
                    name: "crds/large.yaml".into(),
                    data: Content::later(chart::postponed(&Bytes::new()), 4),
                },
                values: None,
                tree: None,
            },
        ]
    }

    #[test]
    fn what_was_written_is_read() {
        let saved = read(&write(&parts()).into(), &Bytes::new()).unwrap();
        let files = saved.unpacked.files();
        let found: Vec<_> = files
            .iter()
            .map(|file| (&*file.name, file.data.ready().map(|text| &text[..])))
            .collect();
        assert_eq!(
            found,
            [
                ("Chart.yaml", Some(&b"name: a"[..])),
                ("values.yaml", Some(b"a: 1")),
                ("templates/a.yaml", Some(b"{{ 1 }}")),
                ("empty", Some(b"")),
                ("crds/large.yaml", None),
            ]
        );
        let values = saved.unpacked.values(&files[1].data, |values| values["a"].clone());
        assert_eq!(values, Some(1.0.into()));
        assert_eq!(saved.trees, [(Bytes::from_static(b"{{ 1 }}"), Bytes::new())]);
    }

    #[test]
    fn damage_is_noticed() {
        let whole = write(&parts());
        for at in 0..whole.len() {
            assert!(read(&whole[..at].to_vec().into(), &Bytes::new()).is_none(), "cut at {at}");
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged.into(), &Bytes::new()).is_none(), "damaged at {at}");
        }
    }
}
