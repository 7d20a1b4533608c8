//! A tree made into matchers, which are glued together where upstream has one matcher for several.
//!
//! Source: gobwas/glob v0.2.3 compiler/compiler.go. The separators are a constant here, which leaves
//! out what it does where there are none.

use super::lexer::Atom;
use super::matcher::{Matcher, Row, Split};
use super::tree::Node;
use super::{SEPARATOR, Stop, Work, common};

/// Makes a matcher of a tree.
pub(super) fn compile(node: Node, work: &mut Work) -> Result<Matcher, Stop> {
    match node {
        Node::Nothing => Ok(Matcher::Nothing),
        Node::Atom(atom) => Ok(optimized(of_atom(atom))),
        Node::Pattern(nodes) if nodes.is_empty() => Ok(Matcher::Nothing),
        Node::Pattern(nodes) => {
            let mut matchers = of_nodes(nodes, work)?;
            minimize(&mut matchers, work)?;
            Ok(optimized(joined(matchers, work)?))
        }
        Node::AnyOf(alternatives) => match common::factored(alternatives, work)? {
            Ok(pattern) => compile(pattern, work),
            Err(alternatives) => Ok(Matcher::AnyOf(of_nodes(alternatives, work)?)),
        },
    }
}

fn of_nodes(nodes: Vec<Node>, work: &mut Work) -> Result<Vec<Matcher>, Stop> {
    nodes.into_iter().map(|node| compile(node, work).map(optimized)).collect()
}

fn of_atom(atom: Atom) -> Matcher {
    match atom {
        Atom::Text(text) => Matcher::Text(text),
        Atom::Any => Matcher::Any,
        Atom::Super => Matcher::Super,
        Atom::Single => Matcher::Single,
        Atom::List { chars, not } => Matcher::List { chars, not },
        Atom::Range { low, high, not } => Matcher::Range { low, high, not },
    }
}

/// Returns one matcher for what another one spells out.
fn optimized(matcher: Matcher) -> Matcher {
    match matcher {
        Matcher::AnyOf(mut alternatives) if alternatives.len() == 1 => {
            alternatives.pop().unwrap_or(Matcher::Nothing)
        }
        Matcher::List { chars, not: false } if chars.len() == 1 => {
            Matcher::Text(chars.into_iter().collect())
        }
        Matcher::Split(split) => optimized_split(*split),
        other => other,
    }
}

fn optimized_split(mut split: Split) -> Matcher {
    let left = split.left.take().map(optimized);
    let right = split.right.take().map(optimized);
    match (left, split.value, right) {
        (Some(Matcher::Super), Matcher::Text(text), Some(Matcher::Super)) => {
            Matcher::Contains { text, not: false }
        }
        (Some(Matcher::Super), Matcher::Text(text), None) => Matcher::Suffix(text),
        (None, Matcher::Text(text), Some(Matcher::Super)) => Matcher::Prefix(text),
        (None, Matcher::Text(prefix), Some(Matcher::Suffix(suffix)))
        | (Some(Matcher::Prefix(prefix)), Matcher::Text(suffix), None) => {
            Matcher::PrefixSuffix { prefix, suffix }
        }
        (Some(Matcher::Any), Matcher::Text(text), None) => Matcher::SuffixAny(text),
        (None, Matcher::Text(text), Some(Matcher::Any)) => Matcher::PrefixAny(text),
        (left, value, right) => Matcher::Split(Box::new(Split { value, left, right, ..split })),
    }
}

/// Makes one matcher of several: the longest of a fixed length, the last of those, is looked for,
/// and the others are asked about what is on its sides.
fn joined(mut matchers: Vec<Matcher>, work: &mut Work) -> Result<Matcher, Stop> {
    work.spend(matchers.len())?;
    let length = matchers.len();
    let single = if length == 1 { matchers.pop() } else { None };
    if let Some(single) = single {
        return Ok(single);
    }
    let all = runs(&matchers).into_iter().find(|run| (run.start, run.end) == (0, length));
    if let Some(all) = all {
        return Ok(glued(all.glue, matchers));
    }
    let fixed = matchers.iter().enumerate().filter_map(|(at, one)| Some((at, one.length()?)));
    let Some((at, _)) = fixed.max_by_key(|(_, length)| *length) else {
        let right = joined(matchers.split_off(1), work)?;
        let first = matchers.pop().unwrap_or(Matcher::Nothing);
        return Ok(Matcher::split(first, None, Some(right)));
    };
    let right = matchers.split_off(at + 1);
    let value = matchers.pop().unwrap_or(Matcher::Nothing);
    let mut side = |matchers: Vec<Matcher>| {
        if matchers.is_empty() { Ok(None) } else { joined(matchers, work).map(Some) }
    };
    let left = side(matchers)?;
    Ok(Matcher::split(value, left, side(right)?))
}

/// How several matchers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Glue {
    /// Each stands for characters other than the same ones: they are counted.
    Every,
    /// All have a fixed length.
    Row,
}

/// The longest run that can be glued from some matcher on.
struct Run {
    start: usize,
    end: usize,
    glue: Glue,
    /// Of a row, in characters.
    length: Option<usize>,
}

/// Returns the runs of two and more.
fn runs(matchers: &[Matcher]) -> Vec<Run> {
    let mut found = Vec::new();
    let (mut every, mut row, mut row_length) = (matchers.len(), matchers.len(), 0);
    for start in (0..matchers.len()).rev() {
        let own = others(&matchers[start]);
        let goes_on = matchers.get(start + 1).is_some_and(|next| others(next) == own);
        every = match own {
            None => start,
            Some(_) if goes_on => every,
            Some(_) => start + 1,
        };
        match matchers[start].length() {
            Some(length) => row_length += length,
            None => (row, row_length) = (start, 0),
        }
        let (end, glue) = if row > every { (row, Glue::Row) } else { (every, Glue::Every) };
        if end >= start + 2 {
            let length = (glue == Glue::Row).then_some(row_length);
            found.push(Run { start, end, glue, length });
        }
    }
    found.reverse();
    found
}

/// Returns the characters that a matcher does not stand for; none where that is not all it says.
fn others(matcher: &Matcher) -> Option<&[char]> {
    match matcher {
        Matcher::Super => Some(&[]),
        Matcher::Any | Matcher::Single => Some(&[SEPARATOR as char]),
        Matcher::List { chars, not: true } => Some(chars),
        _ => None,
    }
}

/// Glues what can be, over and over: the run of most matchers, or a longer row than the last.
fn minimize(matchers: &mut Vec<Matcher>, work: &mut Work) -> Result<(), Stop> {
    loop {
        work.spend(matchers.len())?;
        let mut best: Option<Run> = None;
        for run in runs(matchers) {
            let is_better = best.as_ref().is_none_or(|best| {
                let is_longer = best.length.is_some() && run.length > best.length;
                is_longer || run.end - run.start > best.end - best.start
            });
            if is_better {
                best = Some(run);
            }
        }
        let Some(Run { start, end, glue, .. }) = best else { return Ok(()) };
        let run = matchers.drain(start..end).collect();
        matchers.insert(start, glued(glue, run));
    }
}

fn glued(glue: Glue, matchers: Vec<Matcher>) -> Matcher {
    match glue {
        Glue::Row => Matcher::Row(Row::new(matchers)),
        Glue::Every => every(&matchers),
    }
}

/// Characters are counted, and none may be one of the others – or, where these are several, no text
/// may hold them one behind the other.
fn every(matchers: &[Matcher]) -> Matcher {
    let count = matchers.iter().filter(|one| one.length().is_some()).count();
    let is_open = count < matchers.len();
    if count == 0 && matchers.contains(&Matcher::Super) {
        return Matcher::Super;
    }
    if count == 0 {
        return Matcher::Any;
    }
    let text = matchers.first().and_then(others).into_iter().flatten().collect();
    let most = (!is_open).then_some(Matcher::Max(count));
    let parts = [Some(Matcher::Min(count)), most, Some(Matcher::Contains { text, not: true })];
    Matcher::EveryOf(parts.into_iter().flatten().collect())
}
