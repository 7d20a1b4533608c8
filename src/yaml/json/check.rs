//! What Go says of a text that is not JSON.
//!
//! Source: go encoding/json scanner.go. A byte is shown as if it were a character.

const END: &str = "unexpected end of JSON input";

type Checked = Result<(), String>;

/// Returns Go's words for the first thing that is wrong, if anything is.
pub(super) fn complaint(text: &[u8]) -> Option<String> {
    let mut check = Check { bytes: text, at: 0 };
    let whole = check.value().and_then(|()| match check.after_space() {
        None => Ok(()),
        Some(_) => check.wrong("after top-level value"),
    });
    whole.err()
}

struct Check<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Check<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn after_space(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.peek()
    }

    fn wrong(&self, place: &str) -> Checked {
        // At the end Go tries a space, which only the inside of a token refuses.
        let inside = place.starts_with("in ") && place != "in string literal"
            || place.starts_with("after decimal point");
        Err(match self.peek().or(inside.then_some(b' ')) {
            Some(byte) => format!("invalid character {} {place}", quoted(byte)),
            None => END.to_owned(),
        })
    }

    /// Passes a byte that must be there.
    fn expect(&mut self, fits: impl Fn(u8) -> bool, place: &str) -> Checked {
        if !self.peek().is_some_and(fits) {
            return self.wrong(place);
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Checked {
        match self.after_space() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.wrong("looking for beginning of value"),
        }
    }

    fn object(&mut self) -> Checked {
        self.at += 1;
        if self.after_space() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.after_space() != Some(b'"') {
                return self.wrong("looking for beginning of object key string");
            }
            self.string()?;
            self.after_space();
            self.expect(|byte| byte == b':', "after object key")?;
            self.value()?;
            self.after_space();
            let ends = self.peek() == Some(b'}');
            self.expect(|byte| matches!(byte, b',' | b'}'), "after object key:value pair")?;
            if ends {
                return Ok(());
            }
        }
    }

    fn array(&mut self) -> Checked {
        self.at += 1;
        if self.after_space() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value()?;
            self.after_space();
            let ends = self.peek() == Some(b']');
            self.expect(|byte| matches!(byte, b',' | b']'), "after array element")?;
            if ends {
                return Ok(());
            }
        }
    }

    fn string(&mut self) -> Checked {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    let hexadecimal = self.peek() == Some(b'u');
                    self.expect(|byte| b"bfnrt\\/\"u".contains(&byte), "in string escape code")?;
                    for _ in 0..if hexadecimal { 4 } else { 0 } {
                        let place = "in \\u hexadecimal character escape";
                        self.expect(|byte| byte.is_ascii_hexdigit(), place)?;
                    }
                }
                _ => self.expect(|byte| byte >= b' ', "in string literal")?,
            }
        }
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Checked {
        self.at += usize::from(self.peek() == Some(b'-'));
        let zero = self.peek() == Some(b'0');
        self.expect(|byte| byte.is_ascii_digit(), "in numeric literal")?;
        if !zero {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            let place = "after decimal point in numeric literal";
            self.expect(|byte| byte.is_ascii_digit(), place)?;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.expect(|byte| byte.is_ascii_digit(), "in exponent of numeric literal")?;
            self.digits();
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Checked {
        self.at += 1;
        for wanted in word.bytes().skip(1) {
            let place = format!("in literal {word} (expecting '{}')", char::from(wanted));
            self.expect(|byte| byte == wanted, &place)?;
        }
        Ok(())
    }
}

fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".to_owned(),
        b'\\' => "'\\\\'".to_owned(),
        7 => "'\\a'".to_owned(),
        8 => "'\\b'".to_owned(),
        b'\t' => "'\\t'".to_owned(),
        b'\n' => "'\\n'".to_owned(),
        0xb => "'\\v'".to_owned(),
        0xc => "'\\f'".to_owned(),
        b'\r' => "'\\r'".to_owned(),
        0..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{:04x}'", u32::from(byte)),
        byte => format!("'{}'", char::from(byte)),
    }
}
