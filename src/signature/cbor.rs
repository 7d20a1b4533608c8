//! As much of CBOR as envelopes of COSE need: definite lengths, no floats.
//!
//! Source: RFC 8949.

use super::error::{Error, refused};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Number(i128),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Tagged(u64, Box<Self>),
    /// `false`, `true`, `null` and the like.
    Simple(u64),
}

/// Deepest nesting.
const DEPTH: usize = 8;

impl Item {
    /// Reads the one value that bytes are.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let none = || refused("the envelope is no CBOR of the kind that COSE needs");
        let mut reader = Reader { rest: bytes };
        let item = reader.item(DEPTH).ok_or_else(none)?;
        if reader.rest.is_empty() { Ok(item) } else { Err(none()) }
    }

    /// Returns what a map has under a key.
    pub(super) fn of<'a>(map: &'a [(Self, Self)], key: &Self) -> Option<&'a Self> {
        map.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(count).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    /// Reads the kind of a value, and its number or length.
    fn head(&mut self) -> Option<(u8, u64)> {
        let first = self.take(1)?[0];
        let count = match first & 0x1f {
            short @ 0..24 => u64::from(short),
            long @ 24..28 => {
                let bytes = self.take(1 << (long - 24))?;
                bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
            }
            _ => return None,
        };
        Some((first >> 5, count))
    }

    fn item(&mut self, depth: usize) -> Option<Item> {
        let depth = depth.checked_sub(1)?;
        let (kind, count) = self.head()?;
        Some(match kind {
            0 => Item::Number(i128::from(count)),
            1 => Item::Number(-1 - i128::from(count)),
            2 => Item::Bytes(self.take(count)?.to_vec()),
            3 => Item::Text(String::from_utf8(self.take(count)?.to_vec()).ok()?),
            4 => Item::List((0..count).map(|_| self.item(depth)).collect::<Option<_>>()?),
            5 => {
                let pair = |_| Some((self.item(depth)?, self.item(depth)?));
                let pairs: Vec<_> = (0..count).map(pair).collect::<Option<_>>()?;
                // What is there twice says two things.
                let twice = pairs
                    .iter()
                    .enumerate()
                    .any(|(at, (key, _))| pairs[..at].iter().any(|(other, _)| other == key));
                if twice {
                    return None;
                }
                Item::Map(pairs)
            }
            6 => Item::Tagged(count, Box::new(self.item(depth)?)),
            _ => Item::Simple(count),
        })
    }
}

/// Writes the length of bytes or of a text.
pub(super) fn head(kind: u8, count: usize) -> Vec<u8> {
    let bytes = (count as u64).to_be_bytes();
    let (mark, kept) = match count {
        0..24 => return vec![kind << 5 | bytes[7]],
        24..0x100 => (24, 1),
        0x100..0x1_0000 => (25, 2),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 8),
    };
    [&[kind << 5 | mark], &bytes[8 - kept..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let text = |text: &str| Item::Text(text.to_owned());
        let rows: [(&[u8], Option<Item>); 9] = [
            (&[0x17], Some(Item::Number(23))),
            (&[0x38, 0x22], Some(Item::Number(-35))),
            (&[0x42, 1, 2], Some(Item::Bytes(vec![1, 2]))),
            (&[0x82, 0x61, b'a', 0xf6], Some(Item::List(vec![text("a"), Item::Simple(22)]))),
            (&[0xa1, 0x01, 0x61, b'x'], Some(Item::Map(vec![(Item::Number(1), text("x"))]))),
            (&[0xc1, 0x1a, 0, 0, 1, 0], Some(Item::Tagged(1, Box::new(Item::Number(256))))),
            (&[0xa2, 0x01, 0x02, 0x01, 0x03], None),
            (&[0x5f, 0x41, 0, 0xff], None),
            (&[0x01, 0x02], None),
        ];
        for (bytes, want) in rows {
            assert_eq!(Item::read(bytes).ok(), want, "{bytes:x?}");
        }
        assert!(Item::read(&[0x81; 64]).is_err(), "nesting has an end");
        assert!(Item::read(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn lengths_are_written_as_they_are_read() {
        for count in [0, 23, 24, 255, 256, 65_536] {
            let bytes = [head(2, count), vec![7; count]].concat();
            assert_eq!(Item::read(&bytes).unwrap(), Item::Bytes(vec![7; count]));
        }
    }
}
