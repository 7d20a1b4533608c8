//! The packed form of an index: what is asked for is read by its offset, nothing else is.
//!
//! ```text
//! file   = chart… table foot
//! chart  = the bytes of `rows`
//! table  = stamp count (name offset length crc content)…    sorted by name
//! foot   = offset of the table (8 bytes), its length (8), its CRC-32 (4), magic (8)
//! ```
//!
//! The table comes last because a chart is written as soon as it is read. Each part has a CRC-32:
//! damage is noticed, and the file is made again. The content (32 bytes) is the digest of what a
//! chart's bytes say. The magic ends in the version of the form.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::base::digest::Digest;
use crate::base::file::{Error, failed};
use crate::base::packed::{Reader, Writer};
use crate::base::spool::Spool;

const MAGIC: &[u8; 8] = b"lmindex2";
const FOOT: usize = 28;
/// Largest table: more names than any repository has.
const MOST_TABLE: u64 = 256 << 20;

/// Where a chart is in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    name: String,
    offset: u64,
    length: u64,
    check: u32,
    content: Digest,
}

/// Writes the packed form.
#[derive(Debug)]
pub(super) struct StoreWriter {
    out: Spool,
    slots: Vec<Slot>,
}

impl StoreWriter {
    pub(super) fn new(out: Spool) -> Self {
        Self { out, slots: Vec::new() }
    }

    /// Adds a chart.
    pub(super) fn chart(
        &mut self,
        name: String,
        packed: &[u8],
        content: Digest,
    ) -> Result<(), Error> {
        let (offset, length) = (self.out.length(), packed.len() as u64);
        self.slots.push(Slot { name, offset, length, check: crc32fast::hash(packed), content });
        self.out.write(packed)
    }

    /// Ends the file; `stamp` says of what it is the packed form. Returns it with the digest of what
    /// it says, whatever the order of the charts.
    pub(super) fn finish(mut self, stamp: &str) -> Result<(Spool, Digest), Error> {
        self.slots.sort_by(|a, b| a.name.cmp(&b.name));
        let mut content = Sha256::new();
        let mut table = Writer::default();
        table.bytes(stamp.as_bytes());
        table.size(self.slots.len());
        for slot in &self.slots {
            table.bytes(slot.name.as_bytes());
            table.number(slot.offset);
            table.number(slot.length);
            table.number(slot.check);
            table.plain(slot.content.as_bytes());
            content.update((slot.name.len() as u64).to_le_bytes());
            content.update(&slot.name);
            content.update(slot.content.as_bytes());
        }
        let (table, offset) = (table.into_bytes(), self.out.length());
        self.out.write(&table)?;
        let mut foot = Vec::with_capacity(FOOT);
        foot.extend(offset.to_le_bytes());
        foot.extend((table.len() as u64).to_le_bytes());
        foot.extend(crc32fast::hash(&table).to_le_bytes());
        foot.extend(MAGIC);
        self.out.write(&foot)?;
        Ok((self.out, Digest::from_bytes(content.finalize().into())))
    }
}

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It cannot be read.
    Unreadable(Error),
    /// It is not what was written.
    Damaged,
}

#[derive(Debug)]
enum Bytes {
    File(Mutex<File>),
    Memory(Vec<u8>),
}

/// Reads the packed form.
#[derive(Debug)]
pub(super) struct Store {
    bytes: Bytes,
    path: std::path::PathBuf,
    stamp: String,
    slots: Vec<Slot>,
    damaged: AtomicBool,
}

impl Store {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> Result<Self, Flaw> {
        let fail = |error| Flaw::Unreadable(failed("read", path)(error));
        let file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        Self::new(Bytes::File(Mutex::new(file)), length, path)
    }

    /// Uses what could not be written.
    pub(super) fn of(bytes: Vec<u8>) -> Result<Self, Flaw> {
        let length = bytes.len() as u64;
        Self::new(Bytes::Memory(bytes), length, Path::new("memory"))
    }

    fn new(bytes: Bytes, length: u64, path: &Path) -> Result<Self, Flaw> {
        let mut store = Self {
            bytes,
            path: path.to_owned(),
            stamp: String::new(),
            slots: Vec::new(),
            damaged: AtomicBool::new(false),
        };
        let start = length.checked_sub(FOOT as u64).ok_or(Flaw::Damaged)?;
        let foot = store.read(start, FOOT as u64)?;
        let (offset, size, sum) = read_foot(&foot).ok_or(Flaw::Damaged)?;
        if size > MOST_TABLE || offset.checked_add(size) != Some(start) {
            return Err(Flaw::Damaged);
        }
        let table = store.read(offset, size)?;
        if crc32fast::hash(&table) != sum {
            return Err(Flaw::Damaged);
        }
        (store.stamp, store.slots) = read_table(&table).ok_or(Flaw::Damaged)?;
        Ok(store)
    }

    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, Flaw> {
        let size = usize::try_from(length).map_err(|_| Flaw::Damaged)?;
        match &self.bytes {
            Bytes::Memory(bytes) => {
                let start = usize::try_from(offset).map_err(|_| Flaw::Damaged)?;
                let end = start.checked_add(size).ok_or(Flaw::Damaged)?;
                bytes.get(start..end).map(<[u8]>::to_vec).ok_or(Flaw::Damaged)
            }
            Bytes::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let mut read = || {
                    let mut part = Vec::with_capacity(size.min(16 << 20));
                    file.seek(SeekFrom::Start(offset))?;
                    (&mut *file).take(length).read_to_end(&mut part)?;
                    Ok(part)
                };
                let fail = |error: io::Error| Flaw::Unreadable(failed("read", &self.path)(error));
                let part = read().map_err(fail)?;
                if part.len() == size { Ok(part) } else { Err(Flaw::Damaged) }
            }
        }
    }

    /// Returns of what this is the packed form.
    pub(super) fn stamp(&self) -> &str {
        &self.stamp
    }

    /// Returns the names of the charts, sorted.
    pub(super) fn charts(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| slot.name.as_str())
    }

    fn slot(&self, name: &str) -> Option<&Slot> {
        let at = self.slots.binary_search_by(|slot| slot.name.as_str().cmp(name));
        at.ok().map(|at| &self.slots[at])
    }

    /// Returns the digest of what the bytes of a chart say; none if it is not there.
    pub(super) fn content(&self, name: &str) -> Option<Digest> {
        self.slot(name).map(|slot| slot.content)
    }

    /// Returns the bytes of a chart; none if it is not there.
    pub(super) fn chart(&self, name: &str) -> Result<Option<Vec<u8>>, Flaw> {
        let Some(slot) = self.slot(name) else { return Ok(None) };
        let packed = self.read(slot.offset, slot.length)?;
        if crc32fast::hash(&packed) == slot.check {
            return Ok(Some(packed));
        }
        // It is made again by the next one who needs it.
        self.damaged.store(true, Ordering::Relaxed);
        if let Bytes::File(_) = self.bytes {
            tracing::warn!(path = %self.path.display(), "cached index is damaged: making it anew");
            let _ = std::fs::remove_file(&self.path);
        }
        Err(Flaw::Damaged)
    }

    /// Whether damage was met.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Whether there is a chart.
    pub(super) fn has(&self, name: &str) -> bool {
        self.slot(name).is_some()
    }
}

fn read_foot(foot: &[u8]) -> Option<(u64, u64, u32)> {
    let offset = u64::from_le_bytes(foot.get(..8)?.try_into().ok()?);
    let size = u64::from_le_bytes(foot.get(8..16)?.try_into().ok()?);
    let sum = u32::from_le_bytes(foot.get(16..20)?.try_into().ok()?);
    (foot.get(20..)? == MAGIC).then_some((offset, size, sum))
}

fn read_table(table: &[u8]) -> Option<(String, Vec<Slot>)> {
    let mut read = Reader::new(table);
    let text = |read: &mut Reader<'_>| std::str::from_utf8(read.bytes()?).ok().map(str::to_owned);
    let stamp = text(&mut read)?;
    let count = read.size()?;
    let mut slots = Vec::with_capacity(count.min(read.left()));
    for _ in 0..count {
        let (name, offset, length, check) =
            (text(&mut read)?, read.number()?, read.number()?, read.small()?);
        let content = Digest::from_bytes(read.plain(32)?.try_into().ok()?);
        slots.push(Slot { name, offset, length, check, content });
    }
    Some((stamp, slots))
}
