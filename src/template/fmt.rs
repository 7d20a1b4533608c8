//! Go's `fmt`: how values print, with and without verbs.
//!
//! Source: go fmt/print.go, fmt/format.go.

use std::cell::Cell;

use super::funcs::dates;
use super::funcs::moments::Zone;
use super::strconv::{self, Charset};
use super::value::{
    Files, IntKind, List, ListKind, Map, MapKind, Struct, UintKind, Value, VersionKind,
};
use crate::base::limit::{self, Limit};
use crate::base::version::Version;

/// Deepest value that is printed; Go would exhaust its stack on a map that holds itself.
const MAX_DEPTH: usize = 2_000;
/// Widths and precisions beyond this are refused, as in Go.
const MAX_NUMBER: usize = 1_000_000;

thread_local! {
    static MOST_BYTES: Cell<usize> = Cell::new(limit::current().size(Limit::Text));
}

/// Most bytes that one call prints: what is longer is refused by who asked for it.
fn most_bytes() -> usize {
    MOST_BYTES.get()
}

/// Sets how much a call prints on this thread, which is one of a rendering.
pub(super) fn set_most_bytes(most: usize) {
    MOST_BYTES.set(most);
}

/// Prints a value as an action or `%v` does.
pub(crate) fn print_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Str(text) => out.extend_from_slice(text),
        Value::Int(number, IntKind::Int | IntKind::Int64) => {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        _ => Printer::new(out).arg(value, 'v'),
    }
}

/// Prints what a pointer points at: without the `&` that `%v` puts before it.
pub(crate) fn print_pointee(out: &mut Vec<u8>, pointer: &Value) {
    Printer::new(out).value(pointer, 'v', 1);
}

/// Prints what a structure holds: that of a pointer as that of what it leads to.
pub(crate) fn print_fields(out: &mut Vec<u8>, fields: &Struct) {
    Printer::new(out).fields(fields, 'v', 1);
}

/// Prints what the place of UTC holds.
pub(crate) fn print_place(out: &mut Vec<u8>) {
    Printer::new(out).place('v');
}

/// Returns a value as `%v` prints it.
pub(crate) fn to_text(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    print_value(&mut out, value);
    out
}

/// `fmt.Sprint`: a space between operands when neither is a string.
pub(crate) fn sprint(args: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut was_string = false;
    for (index, arg) in args.iter().enumerate() {
        let is_string = matches!(arg, Value::Str(_));
        if index > 0 && !is_string && !was_string {
            out.push(b' ');
        }
        print_value(&mut out, arg);
        was_string = is_string;
        if out.len() > most_bytes() {
            break;
        }
    }
    out
}

/// `fmt.Sprintln`: spaces everywhere, a newline at the end.
pub(crate) fn sprintln(args: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        print_value(&mut out, arg);
        if out.len() > most_bytes() {
            break;
        }
    }
    out.push(b'\n');
    out
}

#[expect(clippy::struct_excessive_bools, reason = "the flags of a verb")]
#[derive(Clone, Copy, Default)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    plus_v: bool,
    sharp_v: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'a> {
    out: &'a mut Vec<u8>,
    flags: Flags,
    limit: usize,
    /// Whether it tells of a verb that does not fit: no value may print itself then.
    is_telling: bool,
}

/// Explicit argument indexes and the argument that is next.
struct Cursor<'a> {
    format: &'a [u8],
    at: usize,
    arg: usize,
    args: &'a [Value],
    reordered: bool,
    good: bool,
}

/// `fmt.Sprintf`.
pub(crate) fn sprintf(format: &[u8], args: &[Value]) -> Vec<u8> {
    let mut out = Vec::with_capacity(format.len() + 16);
    let mut printer = Printer::new(&mut out);
    let mut cursor = Cursor { format, at: 0, arg: 0, args, reordered: false, good: true };
    while cursor.at < format.len() && printer.out.len() <= printer.limit {
        let rest = &format[cursor.at..];
        let plain = rest.iter().position(|&byte| byte == b'%').unwrap_or(rest.len());
        printer.out.extend_from_slice(&rest[..plain]);
        cursor.at += plain;
        if cursor.at < format.len() {
            cursor.at += 1;
            printer.verb(&mut cursor);
        }
    }
    if !cursor.reordered && cursor.arg < args.len() {
        printer.flags = Flags::default();
        printer.text("%!(EXTRA ");
        for (index, arg) in args[cursor.arg..].iter().enumerate() {
            if index > 0 {
                printer.text(", ");
            }
            if arg.is_nil() {
                printer.text("<nil>");
            } else {
                printer.text(arg.type_name());
                printer.text("=");
                printer.arg(arg, 'v');
            }
        }
        printer.text(")");
    }
    out
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            let so_far = number.unwrap_or(0);
            if so_far > MAX_NUMBER {
                // Go gives the rest of the format up then.
                self.at = self.format.len();
                return None;
            }
            number = Some(so_far * 10 + usize::from(digit - b'0'));
            self.at += 1;
        }
        number
    }

    /// Reads `[n]`; true if one was there.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(close) = rest.iter().position(|&byte| byte == b']').filter(|_| rest.len() >= 3)
        else {
            self.good = false;
            self.at += 1;
            return false;
        };
        let number =
            std::str::from_utf8(&rest[1..close]).ok().and_then(|n| n.parse::<usize>().ok());
        self.at += close + 1;
        match number {
            Some(number) if (1..=self.args.len()).contains(&number) => {
                self.arg = number - 1;
                true
            }
            number => {
                self.good = false;
                number.is_some()
            }
        }
    }

    /// Reads the argument of a `*`.
    fn star(&mut self) -> Option<i64> {
        let arg = self.args.get(self.arg)?;
        self.arg += 1;
        let number = match arg {
            Value::Int(number, _) | Value::Duration(number) => *number,
            Value::Uint(number, _) => i64::try_from(*number).ok()?,
            _ => return None,
        };
        let size = usize::try_from(number.unsigned_abs()).ok()?;
        (size <= MAX_NUMBER).then_some(number)
    }
}

impl<'a> Printer<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        let limit = out.len().saturating_add(most_bytes());
        Self { out, flags: Flags::default(), limit, is_telling: false }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn verb(&mut self, cursor: &mut Cursor<'_>) {
        cursor.good = true;
        self.flags = Flags::default();
        while let Some(byte) = cursor.peek() {
            match byte {
                b'#' => self.flags.sharp = true,
                b'0' => self.flags.zero = true,
                b'+' => self.flags.plus = true,
                b'-' => self.flags.minus = true,
                b' ' => self.flags.space = true,
                _ => break,
            }
            cursor.at += 1;
        }
        let mut after_index = cursor.index();
        if cursor.peek() == Some(b'*') {
            cursor.at += 1;
            let width = cursor.star();
            match width {
                None => self.text("%!(BADWIDTH)"),
                Some(width) if width < 0 => {
                    self.flags.minus = true;
                    self.flags.zero = false;
                }
                Some(_) => {}
            }
            self.flags.width = width.and_then(|width| usize::try_from(width.unsigned_abs()).ok());
            after_index = false;
        } else {
            self.flags.width = cursor.number();
            if after_index && self.flags.width.is_some() {
                cursor.good = false;
            }
        }
        if cursor.peek() == Some(b'.') && cursor.at + 1 < cursor.format.len() {
            cursor.at += 1;
            if after_index {
                cursor.good = false;
            }
            after_index = cursor.index();
            if cursor.peek() == Some(b'*') {
                cursor.at += 1;
                let precision = cursor.star().filter(|precision| *precision >= 0);
                if precision.is_none() {
                    self.text("%!(BADPREC)");
                }
                self.flags.precision = precision.and_then(|number| usize::try_from(number).ok());
                after_index = false;
            } else {
                self.flags.precision = Some(cursor.number().unwrap_or(0));
            }
        }
        if !after_index {
            cursor.index();
        }
        self.finish_verb(cursor);
    }

    fn finish_verb(&mut self, cursor: &mut Cursor<'_>) {
        let Some((verb, width)) = strconv::decode_rune(&cursor.format[cursor.at..]) else {
            return self.text("%!(NOVERB)");
        };
        cursor.at += width;
        if verb == '%' {
            return self.text("%");
        }
        if !cursor.good {
            return self.text(&format!("%!{verb}(BADINDEX)"));
        }
        let Some(arg) = cursor.args.get(cursor.arg) else {
            return self.text(&format!("%!{verb}(MISSING)"));
        };
        if verb == 'v' || verb == 'w' {
            self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
            self.flags.plus_v = std::mem::take(&mut self.flags.plus);
        }
        self.arg(arg, verb);
        cursor.arg += 1;
    }

    fn pad(&mut self, text: &[u8]) {
        let Some(width) = self.flags.width else { return self.out.extend_from_slice(text) };
        let missing = width.saturating_sub(strconv::runes(text).count());
        if self.flags.minus {
            self.out.extend_from_slice(text);
            self.out.resize(self.out.len() + missing, b' ');
        } else {
            let fill = if self.flags.zero { b'0' } else { b' ' };
            self.out.resize(self.out.len() + missing, fill);
            self.out.extend_from_slice(text);
        }
    }

    fn pad_without_zeros(&mut self, text: &[u8]) {
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text);
        self.flags.zero = zero;
    }

    fn bad_verb(&mut self, verb: char, value: &Value) {
        self.text(&format!("%!{verb}("));
        if value.is_nil() {
            self.text("<nil>");
        } else {
            self.text(value.type_name());
            self.text("=");
            let was = std::mem::replace(&mut self.is_telling, true);
            self.arg(value, 'v');
            self.is_telling = was;
        }
        self.text(")");
    }

    fn arg(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Invalid | Value::Nil, 'T' | 'v') => self.pad(b"<nil>"),
            (Value::Invalid | Value::Nil, _) => self.bad_verb(verb, value),
            (_, 'T') => self.string(value.type_name().as_bytes(), 's', value),
            (_, 'p') if value.kind_name() == "struct" => self.bad_verb(verb, value),
            _ => self.value(value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if depth > MAX_DEPTH || self.out.len() > self.limit {
            return self.text("%!v(DEPTH)");
        }
        let is_text = matches!(verb, 'v' | 's' | 'x' | 'X' | 'q');
        if is_text
            && !self.flags.sharp_v
            && !self.is_telling
            && let Some(text) = stringer(value)
        {
            return self.string(text.as_bytes(), verb, value);
        }
        // Errors are wrapped by another function of Go's only.
        if verb == 'w' && !matches!(value, Value::Bytes(_) | Value::Time(_)) && !value.is_nil() {
            return self.bad_verb(verb, value);
        }
        match value {
            // Inside a list or a map: an interface that holds nothing.
            Value::Invalid | Value::Nil if self.flags.sharp_v => self.text("interface {}(nil)"),
            Value::Invalid | Value::Nil => self.text("<nil>"),
            Value::Bool(flag) => match verb {
                't' | 'v' => self.pad(flag.to_string().as_bytes()),
                _ => self.bad_verb(verb, value),
            },
            Value::Int(number, _) | Value::Duration(number) => {
                self.integer(number.unsigned_abs(), *number < 0, true, verb, value);
            }
            Value::Uint(number, _) => self.integer(*number, false, false, verb, value),
            Value::Float(number) => self.float(*number, verb, value),
            Value::Complex(real, imaginary) => self.complex(*real, *imaginary, verb, value),
            Value::Str(text) => self.string(text, verb, value),
            Value::Bytes(bytes) => self.bytes(bytes, verb, value),
            Value::List(list) => self.list(list, verb, depth, value),
            Value::Map(kind, map) => self.map(*kind, map, verb, depth, value),
            Value::Files(files) => self.files(files, verb),
            Value::Time(time) if self.flags.sharp_v && verb == 'v' && !self.is_telling => {
                self.string(time.go_string().as_bytes(), 's', value);
            }
            Value::Location(Zone::Utc) if depth == 0 && verb != 'p' => {
                self.text("&");
                self.place(verb);
            }
            Value::Location(_) => self.opaque(verb, value),
            Value::Version(VersionKind::Pointer, _) if depth > 0 => self.opaque(verb, value),
            Value::Version(_, version) => {
                self.fields(&inside(version, value.type_name()), verb, depth);
            }
            Value::Time(time) => match time.inside() {
                Some(_) if matches!(verb, 'w' | 'p') => self.bad_verb(verb, value),
                Some(fields) => self.moment(fields, verb),
                None => self.opaque(verb, value),
            },
            Value::Struct(fields) => self.fields(fields, verb, depth),
        }
    }

    fn files(&mut self, files: &Files, verb: char) {
        self.text("map[");
        for (index, (name, content)) in files.iter().enumerate() {
            if index > 0 {
                self.text(" ");
            }
            self.string(name.as_bytes(), verb, &Value::str(name));
            self.text(":");
            self.bytes(content, verb, &Value::Bytes(content.to_vec().into()));
        }
        self.text("]");
    }

    /// The fields of a moment in UTC, whose zone is a nil pointer.
    fn moment(&mut self, (nanoseconds, seconds): (u64, i64), verb: char) {
        let wall = Value::Uint(nanoseconds, UintKind::Uint64);
        let ext = Value::int64(seconds);
        let parts = [
            ("wall", Part::Value(&wall)),
            ("ext", Part::Value(&ext)),
            ("loc", Part::NilPointer("*time.Location")),
        ];
        self.parts("time.Time", parts.into_iter(), (verb, 0));
    }

    /// The place of UTC, the only one without an address inside.
    ///
    /// Source: go1.26 time/zoneinfo.go (Location).
    fn place(&mut self, verb: char) {
        let (name, extend, zero) = (Value::str("UTC"), Value::str(""), Value::int64(0));
        let parts = [
            ("name", Part::Value(&name)),
            ("zone", Part::NilList("[]time.zone")),
            ("tx", Part::NilList("[]time.zoneTrans")),
            ("extend", Part::Value(&extend)),
            ("cacheStart", Part::Value(&zero)),
            ("cacheEnd", Part::Value(&zero)),
            ("cacheZone", Part::NilPointer("*time.zone")),
        ];
        self.parts("time.Location", parts.into_iter(), (verb, 0));
    }

    fn parts<'p>(
        &mut self,
        type_name: &str,
        parts: impl Iterator<Item = (&'p str, Part<'p>)>,
        (verb, depth): (char, usize),
    ) {
        let sharp = self.flags.sharp_v;
        self.text(if sharp { type_name } else { "" });
        self.text("{");
        for (index, (name, part)) in parts.enumerate() {
            if index > 0 {
                self.text(if sharp { ", " } else { " " });
            }
            if self.flags.plus_v || sharp {
                self.text(name);
                self.text(":");
            }
            match part {
                Part::Value(value) => self.value(value, verb, depth + 1),
                Part::NilList(name) if sharp => self.text(&format!("{name}(nil)")),
                Part::NilList(_) => self.text("[]"),
                Part::NilPointer(name) => self.nil_pointer(name, verb),
            }
        }
        self.text("}");
    }

    /// A nil pointer inside a structure.
    fn nil_pointer(&mut self, type_name: &str, verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.text(&format!("({type_name})(nil)")),
            'v' => self.pad(b"<nil>"),
            'b' | 'd' | 'o' => self.value(&Value::Uint(0, UintKind::Uint64), verb, 1),
            _ => {
                self.text(&format!("%!{verb}({type_name}="));
                self.pad(b"<nil>");
                self.text(")");
            }
        }
    }

    /// A value with an address inside, in whose place stands what it is.
    fn opaque(&mut self, verb: char, value: &Value) {
        let text = stringer(value).unwrap_or_default();
        self.text(&format!("%!{verb}({}={text})", value.type_name()));
    }

    fn fields(&mut self, value: &Struct, verb: char, depth: usize) {
        let (name, pointer) = match value.type_name.strip_prefix('*') {
            Some(name) => (name, true),
            None => (value.type_name, false),
        };
        if pointer && depth == 0 {
            self.text("&");
        }
        let parts = value.fields.iter().map(|(field, inner)| (*field, Part::Value(inner)));
        self.parts(name, parts, (verb, depth));
    }

    fn list(&mut self, list: &List, verb: char, depth: usize, value: &Value) {
        if verb == 'p' {
            return self.bad_verb(verb, value);
        }
        let (open, separator, close) =
            if self.flags.sharp_v { ("{", ", ", "}") } else { ("[", " ", "]") };
        if self.flags.sharp_v {
            self.text(value.type_name());
            if list.nil {
                return self.text("(nil)");
            }
        }
        self.text(open);
        for (index, item) in list.items.iter().enumerate() {
            if index > 0 {
                self.text(separator);
            }
            if list.kind == ListKind::Any && item.is_nil() {
                self.value(&Value::Nil, verb, depth + 1);
            } else {
                self.value(item, verb, depth + 1);
            }
        }
        self.text(close);
    }

    fn map(&mut self, kind: MapKind, map: &Map, verb: char, depth: usize, value: &Value) {
        if verb == 'p' {
            return self.bad_verb(verb, value);
        }
        if self.flags.sharp_v {
            self.text(value.type_name());
            if map.nil {
                return self.text("(nil)");
            }
            self.text("{");
        } else {
            self.text("map[");
        }
        let _ = kind;
        map.with_entries(|entries| {
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    self.text(if self.flags.sharp_v { ", " } else { " " });
                }
                self.string(key, verb, &Value::Nil);
                self.text(":");
                self.value(item, verb, depth + 1);
            }
        });
        self.text(if self.flags.sharp_v { "}" } else { "]" });
    }

    fn string(&mut self, text: &[u8], verb: char, value: &Value) {
        match verb {
            'v' if self.flags.sharp_v => {
                let text = self.truncate(text);
                self.quoted(text);
            }
            'v' | 's' => {
                let text = self.truncate(text);
                self.pad(text);
            }
            'q' => {
                let text = self.truncate(text);
                if self.flags.sharp && strconv::can_backquote(text) {
                    self.pad(&[b"`", text, b"`"].concat());
                } else {
                    self.quoted(text);
                }
            }
            'x' | 'X' => self.hex(text, verb == 'X'),
            _ => {
                // A key of a map: its value is not at hand, its text is.
                let owned = Value::str(text);
                self.bad_verb(verb, if value.is_nil() { &owned } else { value });
            }
        }
    }

    fn quoted(&mut self, text: &[u8]) {
        let charset = if self.flags.plus { Charset::Ascii } else { Charset::Printable };
        let mut quoted = Vec::with_capacity(text.len() + 2);
        strconv::push_quoted(&mut quoted, text, charset);
        self.pad(&quoted);
    }

    fn truncate<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else { return text };
        let mut end = 0;
        for _ in 0..precision {
            let Some((_, width)) = strconv::decode_rune(&text[end..]) else { break };
            end += width;
        }
        &text[..end]
    }

    fn hex(&mut self, text: &[u8], upper: bool) {
        let length = self.flags.precision.map_or(text.len(), |most| most.min(text.len()));
        let prefix = if upper { "0X" } else { "0x" };
        let mut digits = String::new();
        for (index, byte) in text[..length].iter().enumerate() {
            if self.flags.space && index > 0 {
                digits.push(' ');
            }
            if self.flags.sharp && (index == 0 || self.flags.space) {
                digits.push_str(prefix);
            }
            digits.push_str(&if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        }
        self.pad(digits.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8], verb: char, value: &Value) {
        match verb {
            's' | 'q' | 'x' | 'X' => self.string(bytes, verb, value),
            'p' => self.bad_verb(verb, value),
            _ => {
                let sharp = self.flags.sharp_v;
                let (open, separator, close) =
                    if sharp { ("{", ", ", "}") } else { ("[", " ", "]") };
                self.text(match verb {
                    _ if !sharp => "",
                    'v' => "[]byte",
                    _ => value.type_name(),
                });
                if sharp && value.is_nil_bytes() {
                    return self.text("(nil)");
                }
                self.text(open);
                for (index, &byte) in bytes.iter().enumerate() {
                    if index > 0 {
                        self.text(separator);
                    }
                    let item = Value::Uint(u64::from(byte), UintKind::Uint8);
                    self.integer(u64::from(byte), false, false, verb, &item);
                }
                self.text(close);
            }
        }
    }

    #[expect(clippy::fn_params_excessive_bools, reason = "as in Go")]
    fn integer(&mut self, number: u64, negative: bool, signed: bool, verb: char, value: &Value) {
        let text = match verb {
            'v' if self.flags.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(format!("{number:x}"), number, negative, 'x');
                self.flags.sharp = sharp;
                return;
            }
            'v' | 'd' => number.to_string(),
            'b' => format!("{number:b}"),
            'o' | 'O' => format!("{number:o}"),
            'x' => format!("{number:x}"),
            'X' => format!("{number:X}"),
            'c' => {
                let text = rune(number, negative).to_string();
                return self.pad(text.as_bytes());
            }
            'q' => {
                let charset = if self.flags.plus { Charset::Ascii } else { Charset::Printable };
                let mut quoted = Vec::new();
                strconv::push_quoted_rune(&mut quoted, rune(number, negative), charset);
                return self.pad(&quoted);
            }
            'U' => return self.unicode(number, negative),
            _ => return self.bad_verb(verb, value),
        };
        self.digits(text, number, negative, verb);
    }

    fn unicode(&mut self, number: u64, negative: bool) {
        let number = if negative { number.wrapping_neg() } else { number };
        let width = self.flags.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{number:0width$X}");
        let printable = u32::try_from(number).ok().and_then(char::from_u32);
        if let Some(c) = printable.filter(|&c| self.flags.sharp && strconv::is_print(c)) {
            text.push_str(&format!(" '{c}'"));
        }
        self.pad_without_zeros(text.as_bytes());
    }

    fn digits(&mut self, mut text: String, number: u64, negative: bool, verb: char) {
        let signed = negative || self.flags.plus || self.flags.space;
        let wanted = match (self.flags.precision, self.flags.width) {
            (Some(0), _) if number == 0 => {
                return self.pad_without_zeros(b"");
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if self.flags.zero && !self.flags.minus => {
                width - usize::from(signed && width > 0)
            }
            _ => 0,
        };
        if text.len() < wanted {
            text.insert_str(0, &"0".repeat(wanted - text.len()));
        }
        if self.flags.sharp {
            match verb {
                'b' => text.insert_str(0, "0b"),
                'o' | 'O' if !text.starts_with('0') => text.insert(0, '0'),
                'x' => text.insert_str(0, "0x"),
                'X' => text.insert_str(0, "0X"),
                _ => {}
            }
        }
        if verb == 'O' {
            text.insert_str(0, "0o");
        }
        if negative {
            text.insert(0, '-');
        } else if self.flags.plus {
            text.insert(0, '+');
        } else if self.flags.space {
            text.insert(0, ' ');
        }
        self.pad_without_zeros(text.as_bytes());
    }

    fn float(&mut self, number: f64, verb: char, value: &Value) {
        let (format, default) = match verb {
            'v' | 'g' => (b'g', -1),
            'G' => (b'G', -1),
            'b' => (b'b', -1),
            'x' => (b'x', -1),
            'X' => (b'X', -1),
            'f' | 'F' => (b'f', 6),
            'e' => (b'e', 6),
            'E' => (b'E', 6),
            _ => return self.bad_verb(verb, value),
        };
        let precision =
            self.flags.precision.map_or(default, |most| i32::try_from(most).unwrap_or(i32::MAX));
        let mut text = strconv::format_float(number, format, precision);
        let special = number.is_nan() || number.is_infinite();
        if !text.starts_with(['-', '+']) {
            text.insert(0, '+');
        }
        if self.flags.space && text.starts_with('+') && !self.flags.plus {
            text.replace_range(..1, " ");
        }
        if special {
            let bare = number.is_nan() && !self.flags.space && !self.flags.plus;
            let shown = if bare { &text[1..] } else { &text };
            return self.pad_without_zeros(shown.as_bytes());
        }
        if self.flags.sharp && format != b'b' {
            text = keep_zeros(&text, verb, precision);
        }
        if !self.flags.plus && text.starts_with('+') {
            return self.pad(&text.as_bytes()[1..]);
        }
        match self.flags.width {
            Some(width) if self.flags.zero && !self.flags.minus && width > text.len() => {
                self.out.push(text.as_bytes()[0]);
                self.out.resize(self.out.len() + width - text.len(), b'0');
                self.out.extend_from_slice(&text.as_bytes()[1..]);
            }
            _ => self.pad(text.as_bytes()),
        }
    }

    fn complex(&mut self, real: f64, imaginary: f64, verb: char, value: &Value) {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') {
            return self.bad_verb(verb, value);
        }
        let plus = self.flags.plus;
        self.text("(");
        self.float(real, verb, value);
        self.flags.plus = true;
        self.float(imaginary, verb, value);
        self.text("i)");
        self.flags.plus = plus;
    }
}

fn rune(number: u64, negative: bool) -> char {
    let code = u32::try_from(number).ok().filter(|_| !negative);
    code.and_then(char::from_u32).unwrap_or('\u{fffd}')
}

/// `%#g` and the like: the point and trailing zeros stay.
fn keep_zeros(text: &str, verb: char, precision: i32) -> String {
    let mut digits = match verb {
        'v' | 'g' | 'G' | 'x' => usize::try_from(precision).unwrap_or(6),
        _ => 0,
    };
    let hex = matches!(verb, 'x' | 'X');
    let markers: &[char] = if hex { &['p', 'P'] } else { &['e', 'E', 'p', 'P'] };
    let split = text.find(markers).unwrap_or(text.len());
    let (number, tail) = text.split_at(split);
    let mut number = number.to_owned();
    // Behind the sign; what stands before a hexadecimal number counts, too, as in Go.
    let significant: String = number.chars().skip(1).filter(|&c| c != '.').collect();
    digits = digits.saturating_sub(significant.trim_start_matches('0').len());
    if !number.contains('.') {
        if number.len() == 2 && number.ends_with('0') {
            digits = digits.saturating_sub(1);
        }
        number.push('.');
    }
    number.push_str(&"0".repeat(digits));
    number.push_str(tail);
    number
}

/// What a structure of Go's own holds.
enum Part<'p> {
    Value(&'p Value),
    /// The nil slice of a type that no template gets hold of.
    NilList(&'static str),
    NilPointer(&'static str),
}

/// The fields of a version.
///
/// Source: Masterminds/semver v3.5.0 version.go (Version).
fn inside(version: &Version, type_name: &'static str) -> Struct {
    let number = |number| Value::Uint(number, UintKind::Uint64);
    let fields = vec![
        ("major", number(version.major())),
        ("minor", number(version.minor())),
        ("patch", number(version.patch())),
        ("pre", Value::str(version.pre())),
        ("metadata", Value::str(version.build())),
        ("original", Value::str(version.original())),
    ];
    Struct { type_name, is_addressable: false, fields }
}

/// Returns the text of types that have a `String` method.
pub(crate) fn stringer(value: &Value) -> Option<String> {
    match value {
        Value::Time(time) => Some(time.to_string()),
        Value::Location(zone) => Some(zone.location().to_owned()),
        Value::Duration(nanos) => Some(dates::duration_text(*nanos)),
        Value::Version(_, version) => Some(version.to_string()),
        Value::Int(number, IntKind::Month) => Some(dates::month_name(*number)),
        Value::Int(number, IntKind::Weekday) => Some(dates::weekday_name(*number)),
        Value::Struct(value) => value.error_text().map(|text| strconv::lossy(text).into_owned()),
        _ => None,
    }
}
