//! Numbers and texts, one after the other as bytes: for files that only we read.
//!
//! ```
//! use leadsman::base::packed::{Reader, Writer};
//! let mut out = Writer::default();
//! out.number(300_u32);
//! out.signed(-1);
//! out.bytes(b"text");
//! let packed = out.into_bytes();
//! let mut read = Reader::new(&packed);
//! assert_eq!((read.number(), read.signed()), (Some(300), Some(-1)));
//! assert_eq!(read.bytes(), Some(&b"text"[..]));
//! assert_eq!(read.number(), None);
//! ```

/// Writes. Small numbers take few bytes: seven bits each, the lowest first.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Adds a byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Adds a number.
    pub fn number(&mut self, number: impl Into<u64>) {
        let mut rest = number.into();
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    /// Adds a number that may be negative.
    pub fn signed(&mut self, number: i64) {
        self.number((number.wrapping_shl(1) ^ (number >> 63)).cast_unsigned());
    }

    /// Adds a length.
    pub fn size(&mut self, size: usize) {
        self.number(size as u64);
    }

    /// Adds a text of any length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.size(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Adds bytes whose length the reader knows.
    pub fn plain(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Returns all of it.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what was written, in the same order; `None` where there is no more of it.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the beginning.
    #[must_use]
    pub fn new(packed: &'a [u8]) -> Self {
        Self(packed)
    }

    /// Reads a byte.
    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// Reads a number.
    #[inline]
    pub fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(first.into());
        }
        let mut number = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// Reads a number of 32 bits.
    #[inline]
    pub fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// Reads a number that may be negative.
    #[inline]
    pub fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// Reads a length.
    #[inline]
    pub fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// Reads a text.
    #[inline]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = self.size()?;
        self.plain(size)
    }

    /// Reads so many bytes.
    pub fn plain(&mut self, size: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(bytes)
    }

    /// How many bytes are left: nothing can have more parts than this.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(numbers: Vec<(u64, i64)>, texts: Vec<Vec<u8>>) {
            let mut out = Writer::default();
            for (number, signed) in &numbers {
                out.number(*number);
                out.signed(*signed);
            }
            texts.iter().for_each(|text| out.bytes(text));
            let packed = out.into_bytes();
            let mut read = Reader::new(&packed);
            for (number, signed) in &numbers {
                prop_assert_eq!(read.number(), Some(*number));
                prop_assert_eq!(read.signed(), Some(*signed));
            }
            for text in &texts {
                prop_assert_eq!(read.bytes(), Some(&text[..]));
            }
            prop_assert_eq!(read.left(), 0);
        }

        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            let mut read = Reader::new(&bytes);
            while read.number().is_some() || read.bytes().is_some() {}
        }
    }
}
