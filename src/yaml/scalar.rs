//! What a text allows: the emitter's analysis of a scalar.
//!
//! Source: go.yaml.in/yaml/v2 v2.4.4 emitterc.go (yaml_emitter_analyze_scalar).

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// What a text allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the upstream's analysis, flag by flag")]
pub(crate) struct Analysis {
    pub(crate) multiline: bool,
    pub(crate) plain_allowed: bool,
    pub(crate) single_allowed: bool,
    pub(crate) block_allowed: bool,
    /// Characters that must be escaped (tabs apart).
    pub(crate) special: bool,
    pub(crate) tabs: bool,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "the upstream's analysis, flag by flag")]
struct Flags {
    indicators: bool,
    breaks: bool,
    special: bool,
    tabs: bool,
    edge: bool,
    trailing_space: bool,
    break_space: bool,
    space_break: bool,
}

/// Analyzes a text.
pub(crate) fn analyze(text: &str) -> Analysis {
    let mut flags = Flags {
        indicators: text.starts_with("---") || text.starts_with("..."),
        ..Flags::default()
    };
    let (mut after_blank, mut after_space, mut after_break) = (true, false, false);
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let before_blank = next.is_none_or(|c| c == ' ' || c == '\t' || is_break(c));
        flags.indicators |= is_indicator(c, first, after_blank, before_blank);
        flags.tabs |= c == '\t';
        flags.special |= c != '\t' && !is_printable(c);
        let last = next.is_none();
        if c == ' ' {
            flags.edge |= first || last;
            flags.trailing_space |= last;
            flags.break_space |= after_break;
            (after_space, after_break) = (true, false);
        } else if is_break(c) {
            flags.breaks = true;
            flags.edge |= first || last;
            flags.space_break |= after_space;
            (after_space, after_break) = (false, true);
        } else {
            (after_space, after_break) = (false, false);
        }
        after_blank = c == ' ' || c == '\t' || is_break(c);
        first = false;
    }
    Analysis {
        multiline: flags.breaks,
        plain_allowed: !(flags.edge
            || flags.break_space
            || flags.space_break
            || flags.special
            || flags.breaks
            || flags.indicators),
        single_allowed: !(flags.break_space || flags.space_break || flags.special),
        block_allowed: !(text.is_empty()
            || flags.trailing_space
            || flags.space_break
            || flags.special),
        special: flags.special,
        tabs: flags.tabs,
    }
}

#[expect(clippy::fn_params_excessive_bools, reason = "where it stands, as in libyaml")]
fn is_indicator(c: char, first: bool, after_blank: bool, before_blank: bool) -> bool {
    if first {
        match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
            | '@' | '`' => true,
            '?' | ':' | '-' => before_blank,
            _ => false,
        }
    } else {
        match c {
            ':' => before_blank,
            '#' => after_blank,
            _ => false,
        }
    }
}

/// Returns whether a character ends a line for YAML 1.1.
pub(crate) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
}

/// Returns whether a character needs an escape between double quotes.
pub(crate) fn must_escape(c: char) -> bool {
    !is_printable(c) || is_break(c) || c == '"' || c == '\\'
}

/// Returns the escape of a character.
pub(crate) fn escape(c: char) -> String {
    let short = match c {
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{a0}' => "\\_",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        _ => "",
    };
    if !short.is_empty() {
        return short.to_owned();
    }
    match u32::from(c) {
        code @ ..=0xff => format!("\\x{code:02X}"),
        code @ ..=0xffff => format!("\\u{code:04X}"),
        code => format!("\\U{code:08X}"),
    }
}
