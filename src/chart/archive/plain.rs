//! The way nearly every archive is read: one gzip stream of nothing but files and folders, as
//! `helm package` writes it. It inflates piece by piece into the same memory, which stays in the
//! processor's cache, and files are copied from there side by side: memory that was never used is
//! dearer than the copy, and most of many archives is passed over.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use flate2::{Decompress, FlushDecompress};
use tar::{EntryType, Header};

use super::{BELIEVED_BYTES, File, GZIP_MAGIC, Pass, inner_name, without_bom};
use crate::base::limit::{self, Limit};

/// As much is inflated at once: it stays in the processor's cache, and what the next piece needs of it
/// (32 KiB) is copied seldom.
const PIECE_BYTES: usize = 128 << 10;
/// Files up to this size share memory; who keeps one of them keeps so much.
const SHARED_BYTES: usize = 64 << 10;
/// Headers are one block; contents fill blocks, and pieces too, but for the last one.
const BLOCK_BYTES: usize = 512;
const _: () = assert!(PIECE_BYTES.is_multiple_of(BLOCK_BYTES));
/// Where a header holds the sum of its bytes.
const CHECKSUM: Range<usize> = 148..156;
/// Length of what begins every gzip stream.
const GZIP_HEAD_BYTES: usize = 10;

/// Reads an archive; `None` if it is of another kind, or damaged, which is for the general reader.
/// What was shown of it will be shown again then. A file that `pass` has something for is not shown.
///
/// The sum behind the stream is not compared: Go's reader, and so Helm, ends before it.
pub(super) fn read(
    packed: &[u8],
    seen: &mut dyn FnMut(&File),
    pass: Pass<'_>,
) -> Option<Vec<File>> {
    let limits = limit::current();
    let mut left = limits.of(Limit::Unpacked);
    let mut files = Vec::new();
    let mut tar = Inflated::new(stream(packed)?);
    loop {
        let block = tar.block()?;
        if *block == [0; BLOCK_BYTES] {
            break;
        }
        let (name, size) = entry(block)?;
        if size >= left || files.len() >= limits.size(Limit::Entries) {
            return None;
        }
        let size = usize::try_from(size).ok()?;
        // Only folders have no name here, and no content.
        let Some(name) = name else { continue };
        left -= size as u64;
        let filled = size.next_multiple_of(BLOCK_BYTES);
        if let Some(data) = pass(&name, size, files.len()) {
            tar.skip(filled)?;
            files.push(File { name, data });
            continue;
        }
        let data = tar.take(size)?;
        tar.skip(filled - size)?;
        let file = File { name, data: without_bom(data).into() };
        seen(&file);
        files.push(file);
    }
    (*tar.block()? == [0; BLOCK_BYTES] && !files.is_empty()).then_some(files)
}

/// Returns the name, if it is a file and not a folder, and the size that a header tells.
fn entry(block: &[u8]) -> Option<(Option<String>, u64)> {
    let header = Header::from_byte_slice(block);
    let kind = header.entry_type();
    let written = header.path_bytes();
    let is_folder = kind == EntryType::Directory || written.ends_with(b"/");
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let counted = sum(block) - sum(&block[CHECKSUM]) + u32::from(b' ') * 8;
    let size = header.entry_size().ok()?;
    let plain = (kind == EntryType::Regular || is_folder && size == 0)
        && header.cksum().ok()? == counted
        && size <= BELIEVED_BYTES;
    if !plain {
        return None;
    }
    let name = (!is_folder).then(|| inner_name(&String::from_utf8_lossy(&written)));
    Some((name.transpose().ok()?, size))
}

/// Returns the deflate stream of a gzip stream, and what follows it.
///
/// Source: RFC 1952, section 2.3.
fn stream(packed: &[u8]) -> Option<&[u8]> {
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    let (head, mut rest) = packed.split_at_checked(GZIP_HEAD_BYTES)?;
    let flags = head[GZIP_MAGIC.len()];
    if !head.starts_with(&GZIP_MAGIC) || flags & !(EXTRA | NAME | COMMENT) != 0 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            rest = &rest[memchr::memchr(0, rest)? + 1..];
        }
    }
    Some(rest)
}

/// What inflates, as far as it was needed.
struct Inflated<'a> {
    stream: &'a [u8],
    inflate: Decompress,
    piece: Vec<u8>,
    /// How much of the piece was taken.
    taken: usize,
    /// Room for the files that follow.
    room: BytesMut,
}

impl<'a> Inflated<'a> {
    fn new(stream: &'a [u8]) -> Self {
        let (inflate, piece) = (Decompress::new(false), Vec::with_capacity(PIECE_BYTES));
        Self { stream, inflate, piece, taken: 0, room: BytesMut::new() }
    }

    /// Returns the next block, which no two pieces share; `None` if it is not whole.
    fn block(&mut self) -> Option<&[u8]> {
        if self.taken == self.piece.len() {
            self.refill()?;
        }
        self.taken += BLOCK_BYTES;
        self.piece.get(self.taken - BLOCK_BYTES..self.taken)
    }

    /// Returns a copy of the next bytes; `None` if there are not so many.
    fn take(&mut self, size: usize) -> Option<Bytes> {
        if self.room.capacity() < size {
            self.room = BytesMut::with_capacity(size.max(SHARED_BYTES));
        }
        while self.room.len() < size {
            let part = self.next(size - self.room.len())?;
            self.room.extend_from_slice(&self.piece[part]);
        }
        Some(self.room.split().freeze())
    }

    /// Passes over the next bytes; `None` if there are not so many.
    fn skip(&mut self, mut size: usize) -> Option<()> {
        while size > 0 {
            size -= self.next(size)?.len();
        }
        Some(())
    }

    /// Takes some of the next bytes, at most so many; returns where in the piece they are.
    fn next(&mut self, size: usize) -> Option<Range<usize>> {
        if self.taken == self.piece.len() {
            self.refill()?;
        }
        let start = self.taken;
        self.taken = self.piece.len().min(start + size);
        Some(start..self.taken)
    }

    /// Inflates the next piece; `None` if there is none.
    fn refill(&mut self) -> Option<()> {
        self.piece.clear();
        self.taken = 0;
        let mut known = None;
        while self.piece.len() < PIECE_BYTES && known != Some(self.piece.len()) {
            known = Some(self.piece.len());
            let read = usize::try_from(self.inflate.total_in()).ok()?;
            let rest = self.stream.get(read..)?;
            self.inflate.decompress_vec(rest, &mut self.piece, FlushDecompress::None).ok()?;
        }
        (!self.piece.is_empty()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::chart::archive;

    /// Packs files, as they are named in an archive.
    fn packed(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, data) in files {
            let mut header = Header::new_ustar();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, format!("web/{name}"), &data[..]).unwrap();
        }
        gzip(flate2::GzBuilder::new(), &tar.into_inner().unwrap())
    }

    fn gzip(head: flate2::GzBuilder, tar: &[u8]) -> Vec<u8> {
        let mut out = head.write(Vec::new(), flate2::Compression::fast());
        out.write_all(tar).unwrap();
        out.finish().unwrap()
    }

    fn both(packed: &[u8]) -> (Option<Vec<File>>, Result<Vec<File>, super::super::ArchiveError>) {
        let tar = flate2::read::MultiGzDecoder::new(packed);
        (read(packed, &mut |_| {}, &|_, _, _| None), archive::read_tar(tar, &mut |_| {}))
    }

    proptest! {
        #[test]
        fn files_are_those_of_the_general_reader(
            sizes in prop::collection::vec(0..200_000_usize, 1..12),
        ) {
            let fill = |(at, size): (usize, &usize)| {
                let data = (0..*size).map(|byte| (byte * byte + at) as u8).collect();
                (format!("templates/{at}.yaml"), data)
            };
            let files: Vec<_> = sizes.iter().enumerate().map(fill).collect();
            let (plain, general) = both(&packed(&files));
            let (plain, general) = (plain.unwrap(), general.unwrap());
            prop_assert_eq!(plain.len(), files.len());
            for ((plain, general), (name, data)) in plain.iter().zip(&general).zip(&files) {
                prop_assert_eq!((&plain.name, &plain.data[..]), (name, &data[..]));
                prop_assert_eq!((&general.name, &general.data[..]), (name, &data[..]));
            }
        }

        #[test]
        fn any_damage_is_for_the_general_reader(
            at in 0..2_000_usize,
            byte: u8,
            length in 0..2_000_usize,
        ) {
            let files = [("Chart.yaml".to_owned(), b"name: web".repeat(40))];
            let mut damaged = packed(&files);
            let at = at % damaged.len();
            damaged[at] = byte;
            damaged.truncate(length);
            let (plain, general) = both(&damaged);
            if let Some(plain) = plain {
                let general = general.unwrap();
                prop_assert_eq!(plain.len(), general.len());
                for (plain, general) in plain.iter().zip(general) {
                    prop_assert_eq!((&plain.name, &plain.data[..]), (&general.name, &general.data[..]));
                }
            }
        }
    }

    #[test]
    fn what_stands_before_the_stream_is_passed() {
        let files = [("Chart.yaml".to_owned(), b"name: web".to_vec())];
        let tar = {
            let mut text = Vec::new();
            let packed = packed(&files);
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text)
                .unwrap();
            text
        };
        let new = flate2::GzBuilder::new;
        for head in [
            new(),
            new().extra("+aHR0cHM6Ly95b3V0dS5iZS96OVV6MWljandyTQo="),
            new().comment("Helm"),
            new().extra("").filename("web.tar").comment("Helm"),
        ] {
            let told = format!("{head:?}");
            let packed = gzip(head, &tar);
            assert_eq!(both(&packed).0.map(|files| files.len()), Some(1), "{told}");
            assert!((0..packed.len() / 2).all(|end| both(&packed[..end]).0.is_none()));
        }
    }

    #[test]
    fn large_definitions_of_kinds_are_passed_over() {
        let large = vec![b'#'; 300_000];
        let files = [
            ("Chart.yaml".to_owned(), b"name: web".to_vec()),
            ("crds/a.yaml".to_owned(), large.clone()),
            ("templates/b.yaml".to_owned(), large.clone()),
            ("README.md".to_owned(), vec![b'-'; 20_000]),
            ("charts/c/README.md".to_owned(), b"small".to_vec()),
        ];
        let packed = Bytes::from(packed(&files));
        let postponed = archive::Postponed::new(&packed);
        let mut seen = Vec::new();
        let read = read(&packed, &mut |file| seen.push(file.name.clone()), &|name, size, index| {
            postponed.large(name, size, index)
        });
        let read = read.unwrap();
        assert_eq!(seen, ["Chart.yaml", "templates/b.yaml", "charts/c/README.md"]);
        for (read, (name, data)) in read.iter().zip(&files) {
            assert_eq!((&read.name, &read.data[..]), (name, &data[..]));
        }
    }
}
