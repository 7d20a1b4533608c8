//! Which objects a patch means.
//!
//! Source: sigs.k8s.io/kustomize/api v0.21.1 types/selector.go, resmap/reswrangler.go (`Select`);
//! k8s.io/apimachinery v0.34.2 pkg/labels/selector.go.

use std::collections::BTreeMap;

use regex::bytes::Regex;

use super::error::Error;
use super::resource::Resource;
use crate::api::Selector;
use crate::template::go_regex;

/// Returns where the objects are that a selector means.
///
/// # Errors
/// An expression of it cannot be read.
pub(super) fn select(resources: &[Resource], wanted: &Selector) -> Result<Vec<usize>, Error> {
    let group = anchored(&wanted.group)?;
    let version = anchored(&wanted.version)?;
    let kind = anchored(&wanted.kind)?;
    let name = anchored(&wanted.name)?;
    let namespace = anchored(&wanted.namespace)?;
    let fits = |regex: &Option<Regex>, text: &str| {
        regex.as_ref().is_none_or(|r| r.is_match(text.as_bytes()))
    };
    let mut found = Vec::new();
    for (at, resource) in resources.iter().enumerate() {
        let (now, first) = (resource.id(), resource.first_id());
        let by_name = [&first, &now];
        if !by_name.iter().any(|id| fits(&namespace, id.effective_namespace()))
            || !by_name.iter().any(|id| fits(&name, &id.name))
            || !fits(&group, &now.group)
            || !fits(&version, &now.version)
            || !fits(&kind, &now.kind)
        {
            continue;
        }
        let labels = requirements(&wanted.label_selector)?;
        if !labels.iter().all(|one| one.is_met(&resource.texts("labels"))) {
            continue;
        }
        let annotations = requirements(&wanted.annotation_selector)?;
        if annotations.iter().all(|one| one.is_met(&resource.texts("annotations"))) {
            found.push(at);
        }
    }
    Ok(found)
}

/// Nothing matches everything.
fn anchored(text: &str) -> Result<Option<Regex>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    go_regex(&format!("^(?:{text})$")).map(Some).map_err(Error)
}

/// A condition on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Greater(String, i64),
    Less(String, i64),
}

impl Requirement {
    fn is_met(&self, texts: &BTreeMap<String, String>) -> bool {
        let number = |key: &String| texts.get(key).and_then(|text| text.parse::<i64>().ok());
        match self {
            Self::Exists(key) => texts.contains_key(key),
            Self::Absent(key) => !texts.contains_key(key),
            Self::In(key, values) => texts.get(key).is_some_and(|text| values.contains(text)),
            Self::NotIn(key, values) => !texts.get(key).is_some_and(|text| values.contains(text)),
            Self::Greater(key, than) => number(key).is_some_and(|number| number > *than),
            Self::Less(key, than) => number(key).is_some_and(|number| number < *than),
        }
    }
}

/// A word or sign of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
}

const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "<", ">", ",", "(", ")"];

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            found.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let is_end = |c: char| c.is_whitespace() || "=!<>,()".contains(c);
            let end = rest.find(is_end).unwrap_or(rest.len());
            found.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    found
}

/// `a=b, c!=d, e in (f, g), h notin (i), j, !k, l>5`
fn requirements(text: &str) -> Result<Vec<Requirement>, Error> {
    let mut reader = Reader { tokens: tokens(text), at: 0 };
    let mut found = Vec::new();
    while let Some(token) = reader.peek() {
        if !matches!(token, Token::Word(_) | Token::Sign("!")) {
            let text = written(token);
            let why = format!("found '{text}', expected: !, identifier, or 'end of string'");
            return Err(Error(why));
        }
        let one = reader.requirement();
        let wrong = |why| Error(format!("unable to parse requirement: {why}"));
        found.push(one.map_err(wrong)?);
        match reader.next() {
            None => break,
            Some(Token::Sign(","))
                if matches!(reader.peek(), Some(Token::Word(_) | Token::Sign("!"))) => {}
            Some(Token::Sign(",")) => {
                let text = reader.said();
                return Err(Error(format!("found '{text}', expected: identifier after ','")));
            }
            Some(token) => {
                let text = written(&token);
                return Err(Error(format!("found '{text}', expected: ',' or 'end of string'")));
            }
        }
    }
    Ok(found)
}

fn written(token: &Token) -> &str {
    match token {
        Token::Word(text) => text,
        Token::Sign(sign) => sign,
    }
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    /// What stands here, for who expected something else.
    fn said(&self) -> String {
        self.peek().map_or("", written).to_owned()
    }

    fn word(&mut self) -> Result<String, String> {
        let said = self.said();
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            _ => Err(format!("found '{said}', expected: identifier")),
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let is_absent = self.peek() == Some(&Token::Sign("!"));
        self.at += usize::from(is_absent);
        let key = self.word()?;
        let ends = matches!(self.peek(), None | Some(Token::Sign(",")));
        if is_absent || ends {
            let found = if is_absent { Requirement::Absent } else { Requirement::Exists };
            return Ok(found(key));
        }
        let said = self.said();
        match self.next() {
            Some(Token::Sign("=" | "==")) => Ok(Requirement::In(key, vec![self.value()?])),
            Some(Token::Sign("!=")) => Ok(Requirement::NotIn(key, vec![self.value()?])),
            Some(Token::Sign(">")) => Ok(Requirement::Greater(key, self.number()?)),
            Some(Token::Sign("<")) => Ok(Requirement::Less(key, self.number()?)),
            Some(Token::Word(word)) if word == "in" => Ok(Requirement::In(key, self.list()?)),
            Some(Token::Word(word)) if word == "notin" => Ok(Requirement::NotIn(key, self.list()?)),
            _ => Err(format!("found '{said}', expected: '=', '!=', '==', 'in', notin'")),
        }
    }

    /// One value; nothing is the empty one.
    fn value(&mut self) -> Result<String, String> {
        if matches!(self.peek(), None | Some(Token::Sign(","))) {
            return Ok(String::new());
        }
        self.word()
    }

    fn number(&mut self) -> Result<i64, String> {
        let why = "for 'Gt', 'Lt' operators, the value must be an integer";
        self.value()?.parse().map_err(|_| why.to_owned())
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        let said = self.said();
        if self.next() != Some(Token::Sign("(")) {
            return Err(format!("found '{said}' expected: '('"));
        }
        let mut values = Vec::new();
        loop {
            let value = match self.peek() {
                Some(Token::Word(word)) => word.clone(),
                _ => String::new(),
            };
            self.at += usize::from(!value.is_empty());
            values.push(value);
            let said = self.said();
            match self.next() {
                Some(Token::Sign(",")) => {}
                Some(Token::Sign(")")) => return Ok(values),
                _ => return Err(format!("found '{said}', expected: ',' or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_selected_as_kubernetes_does() {
        let labels = [("app", "web"), ("tier", ""), ("size", "7")];
        let labels: BTreeMap<_, _> =
            labels.into_iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        for (selector, wanted) in [
            ("", Ok(true)),
            ("app=web", Ok(true)),
            ("app == web , size", Ok(true)),
            ("app!=web", Ok(false)),
            ("other!=web", Ok(true)),
            ("tier=", Ok(true)),
            ("!other,app in (db, web)", Ok(true)),
            ("app notin (web)", Ok(false)),
            ("tier in ()", Ok(true)),
            ("size>6,size<8", Ok(true)),
            ("size>7", Ok(false)),
            (
                "app web",
                Err(
                    "unable to parse requirement: found 'web', expected: '=', '!=', '==', 'in', notin'",
                ),
            ),
            ("app,", Err("found '', expected: identifier after ','")),
            ("app in web", Err("unable to parse requirement: found 'web' expected: '('")),
        ] {
            let got = requirements(selector);
            let got = got.map(|all| all.iter().all(|one| one.is_met(&labels)));
            assert_eq!(got.map_err(|error| error.0), wanted.map_err(str::to_owned), "{selector}");
        }
    }
}
