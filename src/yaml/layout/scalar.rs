//! How a scalar may be written.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.5 emitterc.go (`yaml_emitter_analyze_scalar`,
//! `yaml_emitter_select_scalar_style`).

use super::Style;

/// What the text of a scalar allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one answer a style")]
pub(super) struct Allows {
    pub(super) multiline: bool,
    flow_plain: bool,
    block_plain: bool,
    single: bool,
    block: bool,
}

/// Where a scalar stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) in_flow: bool,
    pub(super) is_key: bool,
}

impl Allows {
    pub(super) fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self {
                multiline: false,
                flow_plain: false,
                block_plain: true,
                single: true,
                block: false,
            };
        }
        let (flow, block) = indicators(text);
        let has = |wanted: fn(char) -> bool| text.chars().any(wanted);
        let pair = |a: fn(char) -> bool, b: fn(char) -> bool| {
            text.chars().zip(text.chars().skip(1)).any(|(x, y)| a(x) && b(y))
        };
        let is_space = |c: char| c == ' ';
        let (first, last) = (text.chars().next(), text.chars().next_back());
        let ends_in =
            |wanted: fn(char) -> bool| first.is_some_and(wanted) || last.is_some_and(wanted);
        let edge = ends_in(is_space) || ends_in(is_break);
        let (break_space, space_break) = (pair(is_break, is_space), pair(is_space, is_break));
        let special = has(|c| c != '\t' && !is_printable(c));
        let odd = space_break || special || has(|c| c == '\t');
        let multiline = has(is_break);
        let plain = !(edge || break_space || odd || multiline);
        Self {
            multiline,
            flow_plain: plain && !flow,
            block_plain: plain && !block,
            single: !(break_space || odd),
            block: !(last == Some(' ') || space_break || special),
        }
    }

    /// Returns the style that is taken for the one that is wanted.
    pub(super) fn style(self, wanted: Style, is_empty: bool, place: Place) -> Style {
        let mut style = if wanted == Style::Flow { Style::Plain } else { wanted };
        if place.is_key && self.multiline {
            style = Style::Double;
        }
        if style == Style::Plain {
            let allowed = if place.in_flow { self.flow_plain } else { self.block_plain };
            if !allowed || is_empty && (place.in_flow || place.is_key) {
                style = Style::Single;
            }
        }
        if style == Style::Single && !self.single {
            style = Style::Double;
        }
        if matches!(style, Style::Literal | Style::Folded)
            && (!self.block || place.in_flow || place.is_key)
        {
            style = Style::Double;
        }
        style
    }
}

/// Whether a text has what means something in flow and in block context.
fn indicators(text: &str) -> (bool, bool) {
    let start = text.starts_with("---") || text.starts_with("...");
    let (mut flow, mut block) = (start, start);
    let mut after_blank = true;
    let mut letters = text.char_indices().peekable();
    while let Some((at, c)) = letters.next() {
        let before_blank = letters.peek().is_none_or(|(_, c)| matches!(c, ' ' | '\t'));
        match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
            | '@' | '`'
                if at == 0 =>
            {
                (flow, block) = (true, true);
            }
            '?' | ':' if at == 0 => {
                flow = true;
                block |= before_blank;
            }
            '-' if at == 0 && before_blank => (flow, block) = (true, true),
            ',' | '?' | '[' | ']' | '{' | '}' => flow = true,
            ':' => {
                flow = true;
                block |= before_blank;
            }
            '#' if after_blank => (flow, block) = (true, true),
            _ => {}
        }
        after_blank = matches!(c, ' ' | '\t' | '\0') || is_break(c);
    }
    (flow, block)
}

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a character is written as it is.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c,
        '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_those_that_a_text_allows() {
        let block = Place { in_flow: false, is_key: false };
        let flow = Place { in_flow: true, is_key: false };
        let key = Place { in_flow: false, is_key: true };
        let rows = [
            ("a b", Style::Plain, block, Style::Plain),
            ("", Style::Plain, block, Style::Plain),
            ("", Style::Plain, flow, Style::Single),
            ("", Style::Plain, key, Style::Single),
            ("a: b", Style::Plain, block, Style::Single),
            ("a:b", Style::Plain, block, Style::Plain),
            ("a,b", Style::Plain, block, Style::Plain),
            ("a,b", Style::Plain, flow, Style::Single),
            ("a #b", Style::Plain, block, Style::Single),
            ("a#b", Style::Plain, block, Style::Plain),
            ("- a", Style::Plain, block, Style::Single),
            ("-a", Style::Plain, block, Style::Plain),
            ("a\tb", Style::Plain, block, Style::Double),
            ("a\tb", Style::Literal, block, Style::Literal),
            ("a\nb\n", Style::Literal, block, Style::Literal),
            ("a \nb\n", Style::Literal, block, Style::Double),
            ("a\nb ", Style::Literal, block, Style::Double),
            ("a\nb", Style::Literal, key, Style::Double),
            ("a\nb", Style::Single, block, Style::Single),
            ("a\n b", Style::Single, block, Style::Double),
        ];
        for (text, wanted, place, style) in rows {
            assert_eq!(Allows::of(text).style(wanted, text.is_empty(), place), style, "{text:?}");
        }
    }
}
