//! Bytes that are no text, marked in a text, for functions that work on characters.

use std::borrow::Cow;

/// What a byte that is not UTF-8 is added to by [`lossless`].
const NO_TEXT: u32 = 0x10_ff00;

/// Returns a text in which a byte that is not UTF-8 is a character of private use.
pub(super) fn lossless(text: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(text) {
        return Cow::Borrowed(text);
    }
    let mut marked = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        marked.push_str(chunk.valid());
        let private = |byte: &u8| char::from_u32(NO_TEXT | u32::from(*byte));
        marked.extend(chunk.invalid().iter().filter_map(private));
    }
    Cow::Owned(marked)
}

/// Returns the bytes of what [`lossless`] gave.
pub(super) fn restored(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match lost(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// Returns the byte that a character of [`lossless`] stands for.
pub(super) fn lost(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(NO_TEXT)?).ok().filter(|byte| *byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        for bytes in [&b"plain"[..], b"", b"a\xffb", b"\xe2\x82", "\u{fffd}é\u{10ff41}".as_bytes()]
        {
            assert_eq!(restored(&lossless(bytes)), bytes);
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(restored(&lossless(&all)), all);
    }
}
