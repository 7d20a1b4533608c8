//! Text of rules → what is done about a field.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Policy;
use super::pattern::{Match, Pattern, Weight};
use super::place::{self, Step};
use crate::cluster::ObjectId;

/// What is done about fields that others manage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rules {
    /// Where no rule speaks.
    usual: Policy,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// Which objects; empty: all.
    object: Which,
    path: Pattern,
    policy: Policy,
    /// Object and path, as they were written.
    text: String,
}

/// The objects that a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    All,
    Kind(String),
    One(String, String),
}

/// A rule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule of conflicts `{rule}`: {why}")]
pub struct RuleError {
    rule: String,
    why: String,
}

impl Default for Rules {
    fn default() -> Self {
        Self::just(Policy::Force)
    }
}

impl Rules {
    /// Returns the same for all fields.
    pub fn just(usual: Policy) -> Self {
        Self { usual, rules: Vec::new() }
    }

    /// Reads rules; `usual` is what is done where none speaks and the text does not say.
    ///
    /// # Errors
    /// Names the rule, and what is allowed.
    pub fn parse(text: &str, usual: Policy) -> Result<Self, RuleError> {
        let mut found = Self::just(usual);
        let mut said = None;
        for rule in split(text) {
            let wrong = |why: String| RuleError { rule: rule.to_owned(), why };
            match Self::one(rule).map_err(wrong)? {
                Given::Usual(policy) if said.is_some_and(|said| said != policy) => {
                    return Err(wrong("another rule without a path says otherwise".to_owned()));
                }
                Given::Usual(policy) => (found.usual, said) = (policy, Some(policy)),
                Given::Rule(rule) => {
                    let same = |one: &&Rule| (&one.object, &one.path) == (&rule.object, &rule.path);
                    match found.rules.iter().find(same).map(|one| one.policy) {
                        Some(policy) if policy != rule.policy => {
                            return Err(wrong(format!("another one says {}", policy.word())));
                        }
                        Some(_) => {}
                        None => found.rules.push(rule),
                    }
                }
            }
        }
        Ok(found)
    }

    fn one(rule: &str) -> Result<Given, String> {
        if let Some(policy) = policy(rule) {
            return Ok(Given::Usual(policy));
        }
        let Some(at) = outside(rule, '=').last() else {
            return Err(
                "it is neither force, fail or leave nor PATH=force, PATH=fail or PATH=leave"
                    .to_owned(),
            );
        };
        let (left, word) = (rule[..at].trim(), rule[at + 1..].trim());
        let policy = policy(word).ok_or_else(|| format!("`{word}` is not force, fail or leave"))?;
        let (object, path) = match outside(left, ':').next() {
            Some(at) => (Which::parse(left[..at].trim())?, left[at + 1..].trim()),
            None => (Which::All, left),
        };
        if path.is_empty() {
            return Err("it has no path: `*` is all fields, `spec.replicas` is one".to_owned());
        }
        Ok(Given::Rule(Rule { object, path: Pattern::parse(path)?, policy, text: left.to_owned() }))
    }

    /// Returns what is done where no rule speaks.
    pub fn usual(&self) -> Policy {
        self.usual
    }

    /// Whether the same is done about all fields of all objects.
    pub fn is_just(&self, policy: Policy) -> bool {
        self.usual == policy && self.rules.iter().all(|rule| rule.policy == policy)
    }

    /// Whether any field may be left to others.
    pub fn leaves(&self) -> bool {
        let mut all = self.rules.iter().map(|rule| rule.policy).chain([self.usual]);
        all.any(|policy| policy == Policy::Leave)
    }

    /// Says why they cannot be kept where we compute what changes.
    pub fn without_owners(&self) -> String {
        format!(
            "the rules of conflicts `{self}` need server-side apply: client-side apply knows no \
             managers of fields"
        )
    }

    /// Returns the strictest that may be done about a field of an object.
    pub(crate) fn strictest(&self, id: &ObjectId) -> Policy {
        let ruling = self.rules.iter().filter(|rule| rule.object.is(id));
        ruling.map(|rule| rule.policy).fold(self.usual, Policy::max)
    }

    /// Returns what is done about a field.
    pub(super) fn policy(&self, id: &ObjectId, place: &[Step]) -> Policy {
        let speaking = self.rules.iter().filter(|rule| rule.object.is(id)).filter_map(|rule| {
            let weight: Weight = match rule.path.of(place)? {
                Match::Covers(weight) => weight,
                // What is owned as a whole can be left as a whole only; but it is not taken because
                // a part of it may be.
                Match::Within(weight) if rule.policy != Policy::Force => weight,
                Match::Within(_) => return None,
            };
            Some((weight, rule.object.weight(), rule.policy))
        });
        speaking.max().map_or(self.usual, |(_, _, policy)| policy)
    }
}

enum Given {
    Usual(Policy),
    Rule(Rule),
}

impl Which {
    fn parse(text: &str) -> Result<Self, String> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind, Some(name)),
            None => (text, None),
        };
        let is_kind = kind.starts_with(|c: char| c.is_ascii_alphabetic())
            && kind.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_kind {
            return Err(format!("`{kind}` is no kind, such as Deployment"));
        }
        match name {
            None => Ok(Self::Kind(kind.to_owned())),
            Some("") => Err(format!("`{text}` has no name behind the `/`")),
            Some(name) => Ok(Self::One(kind.to_owned(), name.to_owned())),
        }
    }

    fn is(&self, id: &ObjectId) -> bool {
        match self {
            Self::All => true,
            Self::Kind(kind) => kind.eq_ignore_ascii_case(&id.kind),
            Self::One(kind, name) => kind.eq_ignore_ascii_case(&id.kind) && *name == id.name,
        }
    }

    fn weight(&self) -> u8 {
        match self {
            Self::All => 0,
            Self::Kind(_) => 1,
            Self::One(..) => 2,
        }
    }
}

fn policy(word: &str) -> Option<Policy> {
    [Policy::Force, Policy::Leave, Policy::Fail].into_iter().find(|policy| policy.word() == word)
}

/// Splits rules at commas outside of brackets and quotes.
fn split(text: &str) -> Vec<&str> {
    let mut rules = Vec::new();
    let mut begin = 0;
    for at in outside(text, ',').chain([text.len()]) {
        rules.push(text[begin..at].trim());
        begin = at + 1;
    }
    rules
}

/// Returns where a letter stands outside of brackets.
fn outside(text: &str, wanted: char) -> impl Iterator<Item = usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].find([wanted, '[']) {
        at += next;
        if text[at..].starts_with('[') {
            let Some((_, rest)) = place::split_bracket(&text[at + 1..]) else { break };
            at = text.len() - rest.len();
        } else {
            found.push(at);
            at += wanted.len_utf8();
        }
    }
    found.into_iter()
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.usual.word())?;
        self.rules.iter().try_for_each(|rule| write!(f, ",{}={}", rule.text, rule.policy.word()))
    }
}

impl From<Rules> for String {
    fn from(rules: Rules) -> Self {
        rules.to_string()
    }
}

impl TryFrom<String> for Rules {
    type Error = RuleError;

    fn try_from(text: String) -> Result<Self, RuleError> {
        Self::parse(&text, Policy::Fail)
    }
}
