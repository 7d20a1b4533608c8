//! Packets: lines with their length before them, as all that is said to a Git server.

/// Most bytes in one packet.
const LONGEST: usize = 65_520;
/// Ends a message.
pub(super) const FLUSH: &[u8] = b"0000";
/// Parts of a message.
pub(super) const DELIMITER: &[u8] = b"0001";

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Data(&'a [u8]),
    Flush,
    Delimiter,
    End,
}

/// Adds a line.
pub(super) fn line(into: &mut Vec<u8>, text: &str) {
    into.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
}

/// Takes a packet off what came; none as long as it is not whole.
///
/// # Errors
/// It is no packet.
pub(super) fn take<'a>(bytes: &mut &'a [u8]) -> Result<Option<Packet<'a>>, String> {
    let Some(length) = bytes.get(..4) else { return Ok(None) };
    let wrong = || format!("{:?} is no length of a packet", String::from_utf8_lossy(length));
    let digits = std::str::from_utf8(length).ok().filter(|text| !text.starts_with('+'));
    let length = digits.and_then(|text| usize::from_str_radix(text, 16).ok()).ok_or_else(wrong)?;
    let (packet, size) = match length {
        0 => (Packet::Flush, 4),
        1 => (Packet::Delimiter, 4),
        2 => (Packet::End, 4),
        3 => return Err(wrong()),
        length if length > LONGEST => return Err(wrong()),
        length => match bytes.get(4..length) {
            Some(data) => (Packet::Data(data), length),
            None => return Ok(None),
        },
    };
    *bytes = &bytes[size..];
    Ok(Some(packet))
}

/// Returns a packet as a line of text.
pub(super) fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).trim_end_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_written_and_read() {
        let mut bytes = Vec::new();
        line(&mut bytes, "want x");
        bytes.extend_from_slice(DELIMITER);
        bytes.extend_from_slice(FLUSH);
        bytes.extend_from_slice(b"0004000bp");
        let mut rest = &bytes[..];
        assert_eq!(take(&mut rest), Ok(Some(Packet::Data(b"want x\n"))));
        assert_eq!(take(&mut rest), Ok(Some(Packet::Delimiter)));
        assert_eq!(take(&mut rest), Ok(Some(Packet::Flush)));
        assert_eq!(take(&mut rest), Ok(Some(Packet::Data(b""))));
        assert_eq!(take(&mut rest), Ok(None));
        for bad in ["0003", "zzzz", "+00a123456", "fff1", "<htm"] {
            assert!(take(&mut bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
