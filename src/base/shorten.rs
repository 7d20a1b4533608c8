//! Texts that are too long.

/// Cuts a text that is longer than `most_bytes` in its middle, where ` ... ` then stands: what was
/// being done to which object is said at the beginning, and the cause at the end.
pub fn shorten(text: &str, most_bytes: usize) -> String {
    const GAP: &str = " ... ";
    if text.len() <= most_bytes {
        return text.to_owned();
    }
    let left = most_bytes.saturating_sub(GAP.len());
    let (mut head, mut tail) = (left / 2, text.len() - left / 2);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{}{GAP}{}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_and_end_stay() {
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("begin, then much, end", 15), "begin ... , end");
        let long = shorten(&"é".repeat(1000), 100);
        assert!(long.len() <= 100 && long.starts_with('é') && long.ends_with('é'), "{long}");
    }
}
