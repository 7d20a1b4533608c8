//! The little of DER that is read by hand: what a certificate log signed is a certificate without
//! one of its parts.

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With its tag and length.
    pub(super) whole: &'a [u8],
}

/// A UTF-8 string.
pub(super) const UTF8: u8 = 0x0c;
/// An object identifier.
pub(super) const OID: u8 = 0x06;
/// What has elements.
pub(super) const SEQUENCE: u8 = 0x30;

/// Reads an element; returns what follows it, too.
pub(super) fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = &bytes[..bytes.len() - rest.len()];
    Some((Element { tag, content, whole }, rest))
}

/// Reads elements that stand one after another.
pub(super) fn elements(mut bytes: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (one, rest) = element(bytes)?;
        all.push(one);
        bytes = rest;
    }
    Some(all)
}

/// Writes an element.
pub(super) fn written(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match content.len() {
        0..=0x7f => out.push(length.first().copied().unwrap_or_default()),
        #[expect(clippy::cast_possible_truncation, reason = "eight bytes at most")]
        _ => {
            out.push(0x80 | length.len() as u8);
            out.extend(length);
        }
    }
    out.extend(content);
    out
}

/// Returns the text of a UTF-8 string that is all there is.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let (found, rest) = element(bytes)?;
    let whole = found.tag == UTF8 && rest.is_empty();
    whole.then(|| String::from_utf8(found.content.to_vec()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_and_written() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let bytes = written(SEQUENCE, &content);
            let (read, rest) = element(&bytes).unwrap();
            assert_eq!((read.tag, read.content.len(), rest.len()), (SEQUENCE, length, 0));
            assert_eq!(read.whole, bytes);
            assert!(element(&bytes[..bytes.len() - 1]).is_none());
        }
        assert!(element(&[0x30, 0x80, 0, 0]).is_none(), "a length that is not told");
        assert_eq!(text(&written(UTF8, b"x")).as_deref(), Some("x"));
        assert_eq!(text(&[0x0c, 1, b'x', 0]), None);
    }
}
