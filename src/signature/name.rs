//! Distinguished names, as trust policies write them and as certificates hold them.
//!
//! Source: notaryproject/notation-go v1.3 internal/pkix/pkix.go; RFC 4514.

use std::collections::BTreeMap;

use x509_parser::x509::X509Name;

use super::error::{Error, refused, untrusted};

/// Attributes of a name: what they are, and what they say.
pub(super) type Attributes = BTreeMap<String, String>;

/// Names of attributes that have one.
const NAMES: [(&str, &str); 9] = [
    ("2.5.4.6", "C"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.17", "POSTALCODE"),
];

/// Reads a name such as `C=US, ST=WA, O=Acme`; country, state and organization are needed.
pub(super) fn parse(text: &str) -> Result<Attributes, Error> {
    let fail = |why: &str| untrusted(format!("distinguished name (DN) {text:?} {why}"));
    let mut all = Attributes::new();
    for part in split(text, ',').ok_or_else(|| fail("is not valid"))? {
        if split(&part, '+').is_none_or(|values| values.len() != 1) {
            return Err(fail("has multi-valued RDN attributes, which are not supported"));
        }
        let (kind, value) = part.split_once('=').ok_or_else(|| fail("is not valid"))?;
        let kind = match kind.trim().to_uppercase().as_str() {
            "S" => "ST".to_owned(),
            kind => kind.to_owned(),
        };
        let value = unescaped(value.trim()).ok_or_else(|| fail("is not valid"))?;
        if all.insert(kind.clone(), value).is_some() {
            return Err(fail(&format!("has duplicate RDN attribute for {kind:?}")));
        }
    }
    match ["C", "ST", "O"].into_iter().find(|needed| !all.contains_key(*needed)) {
        Some(missing) => Err(fail(&format!(
            "has no mandatory RDN attribute for {missing:?}, it must contain 'C', 'ST' or 'S', and 'O' RDN attributes at a minimum"
        ))),
        None => Ok(all),
    }
}

/// Returns the attributes of a certificate's name.
pub(super) fn of(name: &X509Name<'_>) -> Result<Attributes, Error> {
    let mut all = Attributes::new();
    for attribute in name.iter_attributes() {
        let oid = attribute.attr_type().to_id_string();
        let known = NAMES.iter().find(|(known, _)| *known == oid);
        let kind = known.map_or(oid.clone(), |(_, name)| (*name).to_owned());
        let value = attribute
            .as_str()
            .map_err(|_| refused(format!("the name {name} has a value that is no text")))?;
        if all.insert(kind.clone(), value.to_owned()).is_some() {
            return Err(refused(format!("the name {name} has {kind} more than once")));
        }
    }
    Ok(all)
}

/// Whether a name has all attributes that are asked for.
pub(super) fn has(name: &Attributes, wanted: &Attributes) -> bool {
    wanted.iter().all(|(kind, value)| name.get(kind) == Some(value))
}

/// Splits a text where a character is not escaped.
fn split(text: &str, at: char) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == at {
            parts.push(String::new());
            continue;
        }
        let last = parts.last_mut()?;
        last.push(character);
        if character == '\\' {
            last.push(characters.next()?);
        }
    }
    Some(parts)
}

/// Takes the escapes of special characters away; those by number are not read.
fn unescaped(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.push(characters.next().filter(|next| !next.is_ascii_hexdigit())?),
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let rows = [
            ("C=US, ST=WA, O=Acme", Ok("C=US O=Acme ST=WA")),
            ("o=Acme\\, Inc,S=WA,C=US,CN=a\\+b", Ok("C=US CN=a+b O=Acme, Inc ST=WA")),
            ("C=US, O=Acme", Err("mandatory RDN attribute for \"ST\"")),
            ("C=US, ST=WA, O=Acme, O=Other", Err("duplicate RDN attribute for \"O\"")),
            ("C=US, ST=WA, O=Acme+CN=x", Err("multi-valued")),
            ("C=US, ST=WA, Acme", Err("is not valid")),
            ("C=US, ST=WA, O=\\41", Err("is not valid")),
            ("C=US, ST=WA, O=Acme\\", Err("is not valid")),
        ];
        for (text, want) in rows {
            let got = parse(text).map(|all| {
                let all = all.into_iter().map(|(kind, value)| format!("{kind}={value}"));
                all.collect::<Vec<_>>().join(" ")
            });
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{got}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_name_may_say_more_than_is_asked_for() {
        let name = parse("C=US, ST=WA, O=Acme, CN=x").unwrap();
        assert!(has(&name, &parse("C=US, ST=WA, O=Acme").unwrap()));
        assert!(!has(&name, &parse("C=US, ST=WA, O=Acme, CN=y").unwrap()));
        assert!(!has(&name, &parse("C=US, ST=WA, O=Acme, OU=x").unwrap()));
    }
}
