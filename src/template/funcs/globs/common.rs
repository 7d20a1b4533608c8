//! What alternatives have in common at their ends, taken out of the braces: `{ab*,ab?}`.
//!
//! Source: gobwas/glob v0.2.3 compiler/compiler.go (minimizeTreeAnyOf).

use super::tree::Node;
use super::{Stop, Work};

/// Returns alternatives with what they have in common around them, or as they were: they have
/// nothing, or were taken apart before.
pub(super) fn factored(
    alternatives: Vec<Node>,
    work: &mut Work,
) -> Result<Result<Node, Vec<Node>>, Stop> {
    let patterns: Option<Vec<&[Node]>> = alternatives.iter().map(children).collect();
    let (left, right) = patterns.map_or((0, 0), |patterns| ends(&patterns));
    if left + right == 0 {
        return Ok(Err(alternatives));
    }
    let mut around = None;
    let mut unique = Vec::new();
    for alternative in alternatives {
        let Node::Pattern(mut before) = alternative else { continue };
        let mut between = before.split_off(left);
        let behind = between.split_off(between.len() - right);
        around.get_or_insert((before, behind));
        let node = if between.is_empty() { Node::Nothing } else { Node::Pattern(between) };
        work.spend(unique.len())?;
        if !unique.contains(&node) {
            unique.push(node);
        }
    }
    let (before, behind) = around.unwrap_or_default();
    let between = match &unique[..] {
        [Node::Nothing] => None,
        [_] => unique.pop(),
        _ => Some(Node::AnyOf(unique)),
    };
    let ends = [before, behind].map(|nodes| (!nodes.is_empty()).then_some(Node::Pattern(nodes)));
    let [before, behind] = ends;
    Ok(Ok(Node::Pattern([before, between, behind].into_iter().flatten().collect())))
}

fn children(node: &Node) -> Option<&[Node]> {
    match node {
        Node::Pattern(nodes) => Some(nodes),
        Node::Atom(_) | Node::AnyOf(_) | Node::Nothing => None,
    }
}

/// Returns how many nodes all have in common at their start and at their end.
///
/// Both ends of the shortest are walked at once, so the longer one is not always found: where they
/// meet, the start takes all.
fn ends(patterns: &[&[Node]]) -> (usize, usize) {
    let Some(least) = (0..patterns.len()).min_by_key(|index| patterns[*index].len()) else {
        return (0, 0);
    };
    let shortest = patterns[least];
    let length = shortest.len();
    let others = || patterns.iter().enumerate().filter(|(index, _)| *index != least);
    if patterns.len() == 1 {
        return (0, 0);
    }
    let (mut left, mut right) = (0, 0);
    let (mut left_ends, mut right_ends) = (false, false);
    for at in 0..length {
        if left + right >= length || (left_ends && right_ends) {
            break;
        }
        let back = length - 1 - at;
        for (_, other) in others() {
            if left_ends && right_ends {
                break;
            }
            left_ends = left_ends || shortest[at] != other[at];
            right_ends = right_ends || (!left_ends && back <= at);
            right_ends = right_ends || shortest[back] != other[other.len() - 1 - at];
        }
        left += usize::from(!left_ends);
        right += usize::from(!right_ends);
    }
    (left, right)
}
