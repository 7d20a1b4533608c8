//! `!format.dns1123Label().validate('Name').hasValue()`.

use std::borrow::Cow;
use std::sync::LazyLock;

use cel::common::types::{CelList, CelOptional, CelString};
use cel::common::value::Val;
use cel::{DeclarationError, Env, add_member_overload, add_overload};
use regex::Regex;

use super::{url, value};

/// What texts may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format(Shape);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Label,
    LabelPrefix,
    Subdomain,
    SubdomainPrefix,
    Label1035,
    Label1035Prefix,
    QualifiedName,
    LabelValue,
    Uri,
    Uuid,
    Byte,
    Date,
    DateTime,
}

value!(Format, FORMAT, "kubernetes.NamedFormat");

const NAMES: [(&str, Shape); 13] = [
    ("dns1123Label", Shape::Label),
    ("dns1123LabelPrefix", Shape::LabelPrefix),
    ("dns1123Subdomain", Shape::Subdomain),
    ("dns1123SubdomainPrefix", Shape::SubdomainPrefix),
    ("dns1035Label", Shape::Label1035),
    ("dns1035LabelPrefix", Shape::Label1035Prefix),
    ("qualifiedName", Shape::QualifiedName),
    ("labelValue", Shape::LabelValue),
    ("uri", Shape::Uri),
    ("uuid", Shape::Uuid),
    ("byte", Shape::Byte),
    ("date", Shape::Date),
    ("datetime", Shape::DateTime),
];

/// Declares functions that each name a format.
macro_rules! formats {
    ($env:expr, $($function:ident $name:literal $shape:ident;)*) => {$(
        fn $function() -> Format {
            Format(Shape::$shape)
        }
        add_overload!($env, fn $function: () -> Format, name = $name)?;
    )*};
}

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_type(FORMAT.to_owned())?;
    formats! { env,
        label "format.dns1123Label" Label;
        label_prefix "format.dns1123LabelPrefix" LabelPrefix;
        subdomain "format.dns1123Subdomain" Subdomain;
        subdomain_prefix "format.dns1123SubdomainPrefix" SubdomainPrefix;
        label_1035 "format.dns1035Label" Label1035;
        label_1035_prefix "format.dns1035LabelPrefix" Label1035Prefix;
        qualified_name "format.qualifiedName" QualifiedName;
        label_value "format.labelValue" LabelValue;
        uri "format.uri" Uri;
        uuid "format.uuid" Uuid;
        byte "format.byte" Byte;
        date "format.date" Date;
        datetime "format.datetime" DateTime;
    }
    add_overload!(env, fn named: (CelString) -> CelOptional, name = "format.named")?;
    add_member_overload!(env, fn validate: (Format, CelString) -> CelOptional)?;
    Ok(())
}

fn named(name: &CelString<'_>) -> CelOptional<'static> {
    let found = NAMES.iter().find(|(known, _)| *known == name.inner());
    found.map_or_else(CelOptional::none, |(_, shape)| CelOptional::of(Box::new(Format(*shape))))
}

fn validate(format: &Format, text: &CelString<'_>) -> CelOptional<'static> {
    let wrong = format.0.wrong(text.inner());
    if wrong.is_empty() {
        return CelOptional::none();
    }
    let wrong = wrong.into_iter().map(|why| -> Box<dyn Val> { Box::new(CelString::from(why)) });
    CelOptional::of(Box::new(CelList::from(wrong.collect::<Vec<_>>())))
}

/// Texts of one kind, in the words of Kubernetes' own validation.
///
/// Source: kubernetes 1.34 apimachinery pkg/util/validation/validation.go.
struct Rule {
    regex: LazyLock<Regex>,
    pattern: &'static str,
    longest: usize,
    says: &'static str,
    examples: &'static [&'static str],
}

/// Makes a rule of a pattern.
macro_rules! rule {
    ($pattern:literal, $longest:literal, $says:expr, $examples:expr) => {
        Rule {
            regex: LazyLock::new(|| {
                Regex::new(concat!("^(?:", $pattern, ")$")).expect("a fixed pattern")
            }),
            pattern: $pattern,
            longest: $longest,
            says: $says,
            examples: &$examples,
        }
    };
}

static LABEL: Rule = rule!(
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    63,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character",
    ["my-name", "123-abc"]
);
static SUBDOMAIN: Rule = rule!(
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
    253,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character",
    ["example.com"]
);
static LABEL_1035: Rule = rule!(
    "[a-z]([-a-z0-9]*[a-z0-9])?",
    63,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character",
    ["my-name", "abc-123"]
);
static LABEL_VALUE: Rule = rule!(
    "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
    63,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
     and must start and end with an alphanumeric character",
    ["MyValue", "my_value", "12345"]
);
static NAME: Rule = rule!(
    "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]",
    63,
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character",
    ["MyName", "my.name", "123-abc"]
);

impl Rule {
    fn wrong(&self, text: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        if text.len() > self.longest {
            wrong.push(format!("must be no more than {} characters", self.longest));
        }
        if !self.regex.is_match(text) {
            wrong.push(self.explained());
        }
        wrong
    }

    fn explained(&self) -> String {
        let examples: Vec<_> = self.examples.iter().map(|one| format!("'{one}', ")).collect();
        let (examples, pattern) = (examples.join(" or "), self.pattern);
        format!("{} (e.g. {examples}regex used for validation is '{pattern}')", self.says)
    }
}

impl Shape {
    /// Returns what is wrong with a text.
    fn wrong(self, text: &str) -> Vec<String> {
        let unless = |good: bool, why: &str| if good { vec![] } else { vec![why.to_owned()] };
        match self {
            Self::Label => LABEL.wrong(text),
            Self::LabelPrefix => LABEL.wrong(&masked(text)),
            Self::Subdomain => SUBDOMAIN.wrong(text),
            Self::SubdomainPrefix => SUBDOMAIN.wrong(&masked(text)),
            Self::Label1035 => LABEL_1035.wrong(text),
            Self::Label1035Prefix => LABEL_1035.wrong(&masked(text)),
            Self::QualifiedName => qualified(text),
            Self::LabelValue => LABEL_VALUE.wrong(text),
            Self::Uri => url::wrong(text).into_iter().collect(),
            Self::Uuid => unless(UUID.is_match(text), "does not match the UUID format"),
            Self::Byte => unless(BASE64.is_match(text), "invalid base64"),
            Self::Date => unless(is_date(text), "invalid date"),
            Self::DateTime => unless(is_time(text), "invalid datetime"),
        }
    }
}

/// What a name that something is put behind could become.
fn masked(text: &str) -> Cow<'_, str> {
    let start = text.strip_suffix('-').filter(|start| !start.is_empty());
    start.map_or(text.into(), |start| {
        let mut signs = start.chars();
        signs.next_back();
        format!("{}a", signs.as_str()).into()
    })
}

fn qualified(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        ["", name] => {
            wrong.push("prefix part must be non-empty".to_owned());
            name
        }
        [prefix, name] => {
            let of_prefix = SUBDOMAIN.wrong(prefix);
            wrong.extend(of_prefix.into_iter().map(|why| format!("prefix part {why}")));
            name
        }
        _ => {
            return vec![format!(
                "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')",
                NAME.explained()
            )];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    }
    wrong.extend(NAME.wrong(name).into_iter().map(|why| format!("name part {why}")));
    wrong
}

/// Source: k8s.io/kube-openapi pkg/validation/strfmt (default.go, time.go), govalidator patterns.go.
static UUID: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    Regex::new(pattern).expect("a fixed pattern")
});
static BASE64: LazyLock<Regex> = LazyLock::new(|| {
    let pattern =
        "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$";
    Regex::new(pattern).expect("a fixed pattern")
});
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = "^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$";
    Regex::new(pattern).expect("a fixed pattern")
});

fn is_date(text: &str) -> bool {
    let shaped = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    shaped && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_time(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    let Some(found) = TIME.captures(time).filter(|_| is_date(date)) else { return false };
    &found[1] <= "23" && &found[2] <= "59" && &found[3] <= "59"
}
