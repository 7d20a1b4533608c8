//! Literals put together at random, each of a certain kind: numbers, formats, expressions, dates.

use rand::prelude::*;

/// Takes one of some.
pub(super) fn pick<T: Copy>(random: &mut StdRng, of: &[T]) -> T {
    of[random.random_range(0..of.len())]
}

/// Puts up to so many of some together.
pub(super) fn some(random: &mut StdRng, of: &[&str], most: usize) -> String {
    (0..random.random_range(0..=most)).map(|_| pick(random, of)).collect()
}

fn chance(random: &mut StdRng, percent: u32) -> bool {
    random.random_range(0..100) < percent
}

/// A text as Go's templates have it: between double quotes, or raw, where that can be.
pub(super) fn quoted(random: &mut StdRng, text: &str, may_be_raw: bool) -> String {
    if may_be_raw && !text.contains(['`', '\r']) && chance(random, 30) {
        return format!("`{text}`");
    }
    let mut literal = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => literal.extend(['\\', c]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c if c.is_ascii() && chance(random, 2) => {
                literal.push_str(&match random.random_range(0..4) {
                    0 => format!("\\x{:02x}", c as u32),
                    1 => format!("\\{:03o}", c as u32),
                    2 => format!("\\u{:04X}", c as u32),
                    _ => format!("\\U{:08x}", c as u32),
                });
            }
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}

/// A number in any notation, sometimes in none.
pub(super) fn number(random: &mut StdRng) -> String {
    let sign = pick(random, &["", "", "", "-", "+"]);
    let digits = some(random, &["0", "1", "2", "7", "8", "9", "10", "_", "00"], 4);
    let hex = some(random, &["0", "1", "a", "F", "_", "e", "p", "x"], 3);
    let exponent = some(random, &["0", "1", "3", "-", "+", "2", "_"], 2);
    let body = match random.random_range(0..12) {
        0 => format!("0x{hex}"),
        1 => format!("0X{hex}.{hex}p{exponent}"),
        2 => format!("0b{}", some(random, &["0", "1", "2", "_"], 4)),
        3 => format!("0o{digits}"),
        4 => format!("0{digits}"),
        5 => format!("{digits}.{digits}"),
        6 => format!("1{digits}e{exponent}"),
        7 => format!(".{digits}"),
        8 => format!("{digits}i"),
        9 => format!("1{sign}{digits}i"),
        _ => format!("1{digits}"),
    };
    format!("{sign}{body}")
}

/// A number at the edge of what Go's types hold.
pub(super) fn edge(random: &mut StdRng) -> &'static str {
    pick(
        random,
        &[
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "0x7fffffffffffffff",
            "4294967296",
            "2147483647",
            "1e18",
            "1e19",
            "1e308",
            "1e309",
            "5e-324",
            "1e-400",
            "9007199254740993",
            "9007199254740993.0",
            "0.1e1",
            "123456789.125",
            "-1e20",
        ],
    )
}

/// A constant of one character.
pub(super) fn character(random: &mut StdRng) -> String {
    let inner = pick(
        random,
        &[
            "a",
            "é",
            "\\n",
            "\\'",
            "\\\"",
            "\\\\",
            "\\x41",
            "\\101",
            "\\u00e9",
            "\\U0001F600",
            "😀",
            "\"",
            "\\0",
            "\\400",
            "",
            "ab",
            " ",
            "\\ud800",
            "\\z",
        ],
    );
    format!("'{inner}'")
}

/// A format of `printf`, whose verbs print no addresses.
pub(super) fn format(random: &mut StdRng) -> String {
    let mut text = String::new();
    for _ in 0..random.random_range(1..4) {
        text.push_str(pick(random, &["", "", "x", "é|", "%%", " "]));
        text.push('%');
        text.push_str(&some(random, &["+", "-", "#", "0", " "], 2));
        text.push_str(pick(
            random,
            &["", "", "", "1", "5", "12", "*", "[1]", "[2]*", "[9]", "[x]"],
        ));
        text.push_str(pick(random, &["", "", "", ".0", ".2", ".", ".10", ".*", ".-1", ".[1]*"]));
        text.push_str(pick(random, &["", "", "", "", "[1]", "[2]", "[0]", "["]));
        text.push_str(pick(
            random,
            &[
                "v", "v", "d", "s", "q", "t", "T", "x", "X", "b", "c", "o", "O", "U", "e", "E",
                "f", "F", "g", "G", "w", "z", "!", "%", "é", "",
            ],
        ));
    }
    text
}

/// A regular expression.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn regex(random: &mut StdRng, depth: usize) -> String {
    const ATOMS: &[&str] = &[
        "a",
        "b",
        "ab",
        "é",
        ".",
        "^",
        "$",
        "[a-c]",
        "[^a]",
        "[]a]",
        "[a-]",
        "[^\\d]",
        "[[:alpha:]]",
        "[[:^space:]x]",
        "[[:nope:]]",
        "\\d",
        "\\D",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "\\b",
        "\\B",
        "\\A",
        "\\z",
        "\\Z",
        "\\pL",
        "\\p{Lu}",
        "\\PN",
        "\\p{Greek}",
        "\\p{^Greek}",
        "\\pX",
        "\\x41",
        "\\x{e9}",
        "\\x{110000}",
        "\\x{",
        "\\x4",
        "\\012",
        "\\8",
        "\\Q.*\\E",
        "\\Qa",
        "\\.",
        "\\-",
        "\\é",
        "\\",
        "\\a",
        "\\f\\t\\n\\r\\v",
        "\\C",
        "[b-a]",
        "[a",
        "[\\w-z]",
        "[a-\\d]",
        "x",
        "1",
        " ",
        "-",
        "/",
        "{",
        "}",
        "{,2}",
        "{1",
        "]",
        "\\E",
        "[\\x{61}-\\x63]",
        "[\\pL]",
    ];
    let mut text = String::new();
    for _ in 0..random.random_range(1..4) {
        if depth < 2 && chance(random, 25) {
            let inner = regex(random, depth + 1);
            let open = pick(
                random,
                &[
                    "(", "(", "(?:", "(?i)(", "(?i:", "(?s-m:", "(?U)(", "(?P<n>", "(?<m>",
                    "(?P<n", "(?=", "(?", "(?P=n", "(?P<1a>", "(?-:", "(?x:", "(?im",
                ],
            );
            text.push_str(open);
            text.push_str(&inner);
            text.push_str(pick(random, &[")", ")", ")", ")", ")", ")", ""]));
        } else {
            text.push_str(pick(random, ATOMS));
        }
        if chance(random, 35) {
            text.push_str(pick(
                random,
                &[
                    "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,}", "{2}?", "{2,1}",
                    "{1001}", "**", "+*", "{1000}", "{2}{3}", "|", "|b",
                ],
            ));
        }
    }
    text
}

/// What a regular expression's match is replaced with.
pub(super) fn replacement(random: &mut StdRng) -> String {
    some(
        random,
        &["$1", "${1}", "$0", "$n", "${n}", "$$", "$", "${", "${}", "$1x", "x", "\\1", "$é", "${1"],
        4,
    )
}

/// What regular expressions are looked for in, and other texts are made of.
pub(super) fn subject(random: &mut StdRng) -> String {
    some(
        random,
        &[
            "a", "b", "ab", "aab", "é", " ", "1", "22", "\n", ".", "-", "x", "A", "Σ", "_", "/",
            "\t", "ſ",
        ],
        6,
    )
}

const LAYOUT_PARTS: &[(&str, &[&str])] = &[
    ("2006", &["2024", "1999", "0001", "24", "x"]),
    ("06", &["24", "69", "99", "6"]),
    ("01", &["02", "12", "13", "1"]),
    ("1", &["2", "12", "02", "0"]),
    ("Jan", &["Feb", "dec", "Foo"]),
    ("January", &["February", "march", "Mar"]),
    ("02", &["29", "31", "7"]),
    ("2", &["29", "07", "32"]),
    ("_2", &[" 9", "29", "9"]),
    ("002", &["060", "366", "400"]),
    ("__2", &[" 60", "366", "  1"]),
    ("15", &["23", "00", "24", "7"]),
    ("03", &["12", "01", "13"]),
    ("3", &["12", "3", "0"]),
    ("PM", &["PM", "AM", "pm"]),
    ("pm", &["pm", "am", "xm"]),
    ("04", &["59", "60", "5"]),
    ("4", &["7", "59", "60"]),
    ("05", &["59", "07.125", "61"]),
    ("5", &["7", "59,5", "61"]),
    (".000", &[".125", ".12", ",125"]),
    (".999999", &[".5", "", ".123456789"]),
    (",000000000", &[",123456789", ".000000001"]),
    ("Mon", &["Thu", "fri", "Xxx"]),
    ("Monday", &["Thursday", "FRIDAY", "Thu"]),
    ("MST", &["UTC", "EST", "GMT+3", "PST", "CEST", "+03", "abc"]),
    ("-0700", &["-0500", "+0530", "-2500", "Z"]),
    ("-07:00", &["+02:00", "-03:30", "+2:00"]),
    ("-07", &["-05", "+14", "05"]),
    ("Z07:00", &["Z", "+01:00", "z"]),
    ("Z0700", &["Z", "-0800", "0800"]),
    ("Z07", &["Z", "+09"]),
    ("-07:00:00", &["+01:02:03"]),
    ("Z070000", &["Z", "-010203"]),
    ("_2006", &["_2024"]),
    ("Month", &["Month", "Febth"]),
    ("Janet", &["Janet"]),
    (".0000000000", &[".1234567890", ".1"]),
    (".0001", &[".0001"]),
    ("T", &["T"]),
    (" ", &[" ", "  ", ""]),
    ("-", &["-"]),
    ("/", &["/"]),
    (":", &[":"]),
    ("x", &["x"]),
    ("é", &["é"]),
];

/// A layout of dates and a text, which mostly fits to it.
pub(super) fn date(random: &mut StdRng) -> (String, String) {
    let known = [
        ("2006-01-02", "2024-02-29"),
        ("2006-01-02 15:04:05 -0700", "2019-12-31 23:59:59 -0500"),
        ("2006-01-02T15:04:05Z07:00", "2024-02-29T12:34:56+02:00"),
        ("2006-01-02T15:04:05.999999999Z07:00", "1969-07-20T20:17:40.123456789Z"),
        ("Mon Jan _2 15:04:05 MST 2006", "Thu Feb 29 12:00:00 UTC 2024"),
    ];
    if chance(random, 30) {
        let (layout, text) = pick(random, &known);
        return (layout.to_owned(), text.to_owned());
    }
    let (mut layout, mut text) = (String::new(), String::new());
    for _ in 0..random.random_range(1..8) {
        let (part, values) = pick(random, LAYOUT_PARTS);
        let value = if chance(random, 80) { values[0] } else { pick(random, values) };
        layout.push_str(part);
        text.push_str(value);
    }
    if chance(random, 5) {
        text.push_str(pick(random, &[" ", "x", "1"]));
    }
    (layout, text)
}

/// A duration.
pub(super) fn duration(random: &mut StdRng) -> String {
    let mut text = pick(random, &["", "", "-", "+"]).to_owned();
    for _ in 0..random.random_range(1..4) {
        text.push_str(pick(
            random,
            &["1", "0", "90", "1.5", ".5", "1.", "24", "3600", "0.000001", "9999999", "", "007"],
        ));
        text.push_str(pick(
            random,
            &["h", "m", "s", "ms", "us", "µs", "μs", "ns", "", "d", " ", "H"],
        ));
    }
    text
}

/// A JSON text, or nearly one.
pub(super) fn json(random: &mut StdRng, depth: usize) -> String {
    if depth > 2 || chance(random, 45) {
        return pick(
            random,
            &[
                "1",
                "-0",
                "1.5e3",
                "1E400",
                "01",
                "1.",
                ".5",
                "-",
                "+1",
                "12345678901234567890",
                "true",
                "fals",
                "null",
                "nul",
                "\"a\"",
                "\"é\\n\\u00e9\\/\"",
                "\"\\ud83d\\ude00\"",
                "\"\\ud83d\"",
                "\"\\x\"",
                "\"\\u12\"",
                "\"a",
                "\"\t\"",
                "'a'",
                "{}",
                "[]",
                "",
                "NaN",
                "1e5",
                "0x1",
                "\"a\" ",
                "1 2",
            ],
        )
        .to_owned();
    }
    let count = random.random_range(0..4);
    let is_map = chance(random, 60);
    let mut parts = Vec::new();
    for _ in 0..count {
        let value = json(random, depth + 1);
        if is_map {
            let key = pick(
                random,
                &["\"a\"", "\"b\"", "\"k\"", "\"é\"", "\"\"", "a", "1", "\"a\\u0062\""],
            );
            parts.push(format!("{key}{}{value}", pick(random, &[":", ":", ": ", "", "="])));
        } else {
            parts.push(value);
        }
    }
    let inner = parts.join(pick(random, &[",", ",", ", ", " ,", ",,", " "]));
    let (open, close) = if is_map { ("{", "}") } else { ("[", "]") };
    let close = if chance(random, 95) { close } else { pick(random, &["", ",", "]", "}"]) };
    let space = pick(random, &["", "", " ", "\n"]);
    format!("{open}{space}{inner}{space}{close}")
}

/// A TOML text, or nearly one.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn toml(random: &mut StdRng) -> String {
    const VALUES: &[&str] = &[
        "1",
        "-1",
        "+5",
        "1_000",
        "0x1F",
        "0o17",
        "0b11",
        "017",
        "1.5",
        "1e3",
        "-0.0",
        "inf",
        "-inf",
        "nan",
        "true",
        "\"a\\n\\u00e9\"",
        "'raw\\'",
        "\"\"\"a\nb\"\"\"",
        "'''a\nb'''",
        "[1, 2]",
        "[1, \"a\"]",
        "[[1], [\"x\"]]",
        "[1,\n 2,]",
        "{a = 1, b = \"x\"}",
        "{}",
        "{a.b = 1}",
        "2024-02-29",
        "2024-02-29T12:34:56Z",
        "2024-02-29T12:34:56.5+02:00",
        "12:34:56",
        "2024-02-29 12:34:56",
        "2024-02-29T12:34Z",
        "2024-02-29 12:34",
        "12:34",
        "x",
        "\"a",
        "",
        "[1",
        "9223372036854775807",
        "9223372036854775808",
        ".5",
        "1.",
        "True",
        "\"\\x41\"",
        "\"\\z\"",
        "[{a = 1}, {b = 2}]",
    ];
    let mut lines = Vec::new();
    for _ in 0..random.random_range(0..5) {
        let key = pick(
            random,
            &["a", "b", "c", "d", "a.b", "\"q r\"", "'s'", "1", "a-b", "é", "\"\"", "a b", "c . d"],
        );
        lines.push(match random.random_range(0..8) {
            0 => format!("[{key}]"),
            1 => format!("[[{key}]]"),
            2 => pick(random, &["# c", "", "  ", "[a", "= 1", "a"]).to_owned(),
            _ => {
                format!("{key} = {}{}", pick(random, VALUES), pick(random, &["", "", " # c", " x"]))
            }
        });
    }
    lines.join("\n")
}

/// A pattern of file names.
pub(super) fn glob(random: &mut StdRng) -> String {
    some(
        random,
        &[
            "*",
            "**",
            "?",
            "[a-c]",
            "[!a]",
            "[^a]",
            "[ab]",
            "{a,b}",
            "{a.txt,conf/*}",
            "{",
            "}",
            "\\",
            "\\*",
            "conf",
            "/",
            "a",
            "b",
            ".txt",
            ".",
            "c.yaml",
            "empty",
            "[",
            "]",
            ",",
            "é",
            "{a,{b,c}}",
        ],
        5,
    )
}

/// A path.
pub(super) fn path(random: &mut StdRng) -> String {
    some(random, &["/", "/", "..", ".", "a", "b.c", "é", "//", "a.tar.gz", " ", "\\", ".d"], 6)
}

/// An identifier in some way to write it.
pub(super) fn word(random: &mut StdRng) -> String {
    some(
        random,
        &[
            "foo", "Bar", "HTTP", "x", "X", "1", "20", "-", "_", " ", "é", "É", ".", "ID", "v2",
            "ß", "日",
        ],
        6,
    )
}
