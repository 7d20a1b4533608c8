//! gzip with sections: what was packed once may stand in several texts.
//!
//! A section is a stretch of whole deflate blocks that refers to nothing before it and ends at a
//! byte; any gzip reader takes it for a part of the stream. The chart of a record, which is most of
//! it and never changes, is packed once that way, and is in memory only so.
//!
//! Source: RFC 1951 and 1952; the empty block that ends a section is zlib's `Z_SYNC_FLUSH`.

use std::io::{self, BufWriter, Read, Write};

use crc32fast::Hasher;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// How hard Leadsman packs: the slowest level gains two in a hundred.
pub(super) const LEVEL: Compression = Compression::new(6);
/// Pieces in which text is packed and unpacked.
pub(super) const PIECE_BYTES: usize = 1 << 16;
/// gzip's first bytes: deflate, no name, no time, unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Text that was packed apart.
pub(super) struct Section {
    blocks: Vec<u8>,
    sum: Hasher,
    bytes: u64,
}

impl Section {
    /// Packs what is written.
    pub(super) fn of(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Self> {
        let mut packer = Packer::onto(Vec::new(), LEVEL);
        let mut buffer = BufWriter::with_capacity(PIECE_BYTES, &mut packer);
        write(&mut buffer)?;
        buffer.flush()?;
        drop(buffer);
        let mut blocks = packer.cut()?;
        blocks.shrink_to_fit();
        Ok(Self { blocks, sum: packer.sum, bytes: packer.bytes })
    }

    /// Returns what is in it.
    pub(super) fn text(&self) -> impl Read {
        // The length tells the end: no block says that it is the last.
        DeflateDecoder::new(&self.blocks[..]).take(self.bytes)
    }

    /// Length of what is in it.
    pub(super) fn len(&self) -> u64 {
        self.bytes
    }
}

/// Writes a gzip text.
pub(super) struct Packer {
    out: DeflateEncoder<Vec<u8>>,
    level: Compression,
    sum: Hasher,
    bytes: u64,
}

impl Packer {
    /// Begins a text.
    pub(super) fn new(level: Compression) -> Self {
        Self::onto(HEAD.to_vec(), level)
    }

    fn onto(out: Vec<u8>, level: Compression) -> Self {
        Self { out: DeflateEncoder::new(out, level), level, sum: Hasher::new(), bytes: 0 }
    }

    /// How hard it packs.
    pub(super) fn level(&self) -> Compression {
        self.level
    }

    /// Puts a section in.
    pub(super) fn section(&mut self, section: &Section) -> io::Result<()> {
        let mut out = self.cut()?;
        out.extend_from_slice(&section.blocks);
        // What comes after the section must not refer to what stands before it.
        self.out = DeflateEncoder::new(out, self.level);
        self.sum.combine(&section.sum);
        self.bytes += section.bytes;
        Ok(())
    }

    /// Ends the block at a byte, and takes what there is.
    fn cut(&mut self) -> io::Result<Vec<u8>> {
        self.out.flush()?;
        Ok(std::mem::take(self.out.get_mut()))
    }

    /// Returns the whole text.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        let mut out = self.out.finish()?;
        out.extend_from_slice(&self.sum.finalize().to_le_bytes());
        // gzip keeps the lower half of a length.
        out.extend_from_slice(&self.bytes.to_le_bytes()[..4]);
        Ok(out)
    }
}

impl Write for Packer {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let written = self.out.write(text)?;
        self.sum.update(&text[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;

    fn unpacked(packed: &[u8]) -> String {
        let mut text = String::new();
        GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_section_stands_in_any_text() {
        // What comes before and after is the same: nothing may refer across the section's ends.
        for middle in ["", "x", "chart ", &"chart templates values ".repeat(9000)] {
            let section = Section::of(|out| out.write_all(middle.as_bytes())).unwrap();
            let mut text = String::new();
            section.text().read_to_string(&mut text).unwrap();
            assert_eq!((text.as_str(), section.len()), (middle, middle.len() as u64));
            for (before, after) in
                [("", ""), ("chart templates ", "chart templates values "), ("{", "}")]
            {
                for level in [LEVEL, Compression::best()] {
                    let mut packer = Packer::new(level);
                    packer.write_all(before.as_bytes()).unwrap();
                    packer.section(&section).unwrap();
                    packer.write_all(after.as_bytes()).unwrap();
                    packer.section(&section).unwrap();
                    let packed = packer.finish().unwrap();
                    assert_eq!(unpacked(&packed), format!("{before}{middle}{after}{middle}"));
                    assert_eq!(packed[..4], [0x1f, 0x8b, 8, 0]);
                }
            }
        }
    }

    #[test]
    fn without_sections_it_is_plain_gzip() {
        let mut packer = Packer::new(LEVEL);
        packer.write_all(b"abcabc").unwrap();
        assert_eq!(unpacked(&packer.finish().unwrap()), "abcabc");
        assert_eq!(unpacked(&Packer::new(LEVEL).finish().unwrap()), "");
    }
}
