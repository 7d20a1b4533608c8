//! What was made of an archive, as a file for later processes: its files, the values they hold, and
//! the trees of its templates.
//!
//! ```text
//! "LMC1"
//! how long the first part is, how long the second   4 bytes each, lowest first
//! their checksums (CRC-32)                          4 bytes each, lowest first
//! first part    list: name, length of content, values and tree of each file
//!               contents and values, as JSON, of files that are no templates
//! second part   contents and trees of templates
//! ```
//!
//! The first part is needed to load the chart; the second is read meanwhile. The digest of the
//! archive and the build that wrote it are in the file's name.

use std::fs::File as Handle;
use std::io::Read as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use crate::base::content::{Content, Later};
use crate::base::packed::{Reader, Writer};
use crate::chart::{File, Postponed, Unpacked};
use crate::yaml::Map;

const MAGIC: [u8; 4] = *b"LMC1";
/// Length of what stands before the first part.
const HEAD_BYTES: usize = 20;
/// Largest file that is read.
const MOST_BYTES: u64 = 256 << 20;

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

/// What was saved of an archive, but for its values, which are still to be parsed.
#[derive(Debug)]
pub(super) struct Saved {
    files: Vec<File>,
    /// The files that are values files, and their values as JSON.
    values: Vec<(usize, Bytes)>,
    /// What is read by whoever asks first.
    pub(super) templates: Arc<Templates>,
}

impl Saved {
    /// Parses the values; `None` if they are damaged.
    pub(super) fn unpacked(self) -> Option<Unpacked> {
        let mut values = Vec::with_capacity(self.values.len());
        for (index, json) in self.values {
            let text = self.files[index].data.ready()?.clone();
            values.push((text, serde_json::from_slice::<Map>(&json).ok()?));
        }
        Some(Unpacked::again(self.files, values))
    }
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
    let pieces = |of_templates: bool| {
        let parts = parts.iter().filter(move |part| part.tree.is_some() == of_templates);
        parts.flat_map(Part::pieces).flatten()
    };
    let mut out = vec![0; HEAD_BYTES];
    out.extend_from_slice(&list.into_bytes());
    pieces(false).for_each(|piece| out.extend_from_slice(piece));
    let first = HEAD_BYTES..out.len();
    pieces(true).for_each(|piece| out.extend_from_slice(piece));
    let second = first.end..out.len();
    let numbers = [
        u32::try_from(first.len()).unwrap_or(u32::MAX),
        u32::try_from(second.len()).unwrap_or(u32::MAX),
        crc32fast::hash(&out[first]),
        crc32fast::hash(&out[second]),
    ];
    let head = MAGIC.into_iter().chain(numbers.into_iter().flat_map(u32::to_le_bytes));
    out.iter_mut().zip(head).for_each(|(byte, head)| *byte = head);
    out
}

/// Reads what [`write`] has written of an archive; `None` if it is damaged. Whether the part of the
/// templates is will be seen when it is read.
pub(super) fn read(mut file: Handle, packed: &Bytes) -> Option<Saved> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact(&mut head).ok()?;
    let (magic, numbers) = head.split_first_chunk()?;
    let number = |index: usize| -> Option<u32> {
        Some(u32::from_le_bytes(*numbers.get(index * 4..)?.first_chunk()?))
    };
    let lengths = [number(0)?, number(1)?];
    let length = file.metadata().ok()?.len();
    let said = lengths.iter().map(|length| u64::from(*length)).sum::<u64>() + HEAD_BYTES as u64;
    if *magic != MAGIC || length != said || length > MOST_BYTES {
        return None;
    }
    let first = read_part(&mut file, lengths[0], number(2)?, false)?;
    let mut list = Reader::new(&first);
    let count = list.size()?;
    let mut entries = Vec::with_capacity(count.min(list.left()));
    for _ in 0..count {
        let name = std::str::from_utf8(list.bytes()?).ok()?;
        entries.push((name, [list.size()?, list.size()?, list.size()?]));
    }
    let mut at = first.len() - list.left();
    let (mut second_at, mut pieces) = (0, Vec::new());
    for (_, lengths) in &entries {
        let is_template = lengths[2] > 0;
        let place = if is_template { &mut second_at } else { &mut at };
        let mut ranges = [const { None }; 3];
        for (range, length) in ranges.iter_mut().zip(lengths) {
            if let Some(length) = length.checked_sub(1) {
                *range = Some(*place..place.checked_add(length)?);
                *place += length;
            }
        }
        pieces.push(ranges);
    }
    if at != first.len() || second_at != lengths[1] as usize {
        return None;
    }
    let archive = Postponed::new(packed);
    let postponed = entries.iter().enumerate().map(|(at, (name, _))| archive.file(name, at));
    let templates = pieces.iter().map(|[content, _, tree]| content.clone().zip(tree.clone()));
    let templates = Arc::new(Templates {
        ranges: templates.collect(),
        source: Mutex::new(Some((file, lengths[1], number(3)?))),
        texts: OnceLock::new(),
        archive: postponed.collect(),
    });
    let (mut files, mut values) = (Vec::with_capacity(count), Vec::new());
    for (index, ((name, _), [content, json, tree])) in entries.iter().zip(pieces).enumerate() {
        let json = json.filter(|_| tree.is_none());
        let data = match (content, tree) {
            (Some(_), Some(_)) => Content::later(Arc::clone(&templates) as Arc<dyn Later>, index),
            (Some(range), None) => first.slice(range).into(),
            (None, _) => archive.file(name, index),
        };
        if let Some(json) = json {
            values.push((index, first.slice(json)));
        }
        files.push(File { name: (*name).to_owned(), data });
    }
    Some(Saved { files, values, templates })
}

/// Reads a part; the last one is read to the end of the file, which takes fewer calls.
fn read_part(file: &mut Handle, length: u32, wanted: u32, is_last: bool) -> Option<Bytes> {
    let mut bytes = Vec::with_capacity(length as usize);
    if is_last {
        file.read_to_end(&mut bytes).ok()?;
    } else {
        file.take(length.into()).read_to_end(&mut bytes).ok()?;
    }
    (bytes.len() == length as usize && crc32fast::hash(&bytes) == wanted).then(|| bytes.into())
}

type Range = std::ops::Range<usize>;

/// The texts and trees of templates, read when somebody asks first; whoever asks meanwhile waits.
#[derive(Debug)]
pub(super) struct Templates {
    /// Of each file of the archive, where its text and its tree are, if it is a template.
    ranges: Vec<Option<(Range, Range)>>,
    /// The file, how much there is to read and its checksum.
    source: Mutex<Option<(Handle, u32, u32)>>,
    texts: OnceLock<Option<Texts>>,
    /// What helps if the file is damaged.
    archive: Vec<Content>,
}

#[derive(Debug)]
struct Texts {
    /// By the index of the file.
    texts: Vec<Bytes>,
    trees: Vec<(Bytes, Bytes)>,
}

impl Templates {
    fn texts(&self) -> Option<&Texts> {
        self.texts.get_or_init(|| self.read()).as_ref()
    }

    fn read(&self) -> Option<Texts> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut file, length, sum) = source.take()?;
        let part = read_part(&mut file, length, sum, true)?;
        let slice = |range: &Range| part.slice(range.clone());
        let texts = self
            .ranges
            .iter()
            .map(|ranges| ranges.as_ref().map(|(text, _)| slice(text)).unwrap_or_default());
        let texts: Vec<Bytes> = texts.collect();
        let trees = self
            .ranges
            .iter()
            .zip(&texts)
            .filter_map(|(ranges, text)| Some((text.clone(), slice(&ranges.as_ref()?.1))));
        Some(Texts { trees: trees.collect(), texts })
    }

    /// Returns the texts with their trees; none if the file is damaged.
    pub(super) fn trees(&self) -> Vec<(Bytes, Bytes)> {
        self.texts().map(|texts| texts.trees.clone()).unwrap_or_default()
    }
}

impl Later for Templates {
    fn bytes(&self, index: usize) -> &Bytes {
        match self.texts() {
            Some(texts) => &texts.texts[index],
            None => &self.archive[index],
        }
    }
}

#[cfg(test)]
mod tests;
