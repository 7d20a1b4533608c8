//! Names that were mistyped.

use std::cmp::Reverse;

/// Most names that are proposed.
const PROPOSED: usize = 3;

/// Returns names that are like the one that is not there, the most similar first.
pub fn similar<'a>(names: impl Iterator<Item = &'a str>, wanted: &str) -> Vec<String> {
    let mut found: Vec<(usize, Reverse<usize>, &str)> = names
        .filter_map(|name| {
            let steps = distance(name, wanted);
            let part = name.contains(wanted) || wanted.contains(name);
            let common = name.bytes().zip(wanted.bytes()).take_while(|(a, b)| a == b).count();
            (part || steps <= 1 + wanted.len() / 4).then_some((steps, Reverse(common), name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(PROPOSED).map(|(_, _, name)| name.to_owned()).collect()
}

/// Counts the letters to add, drop, change, or swap with their neighbor (Damerau's distance).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (index, letter) in left.iter().enumerate() {
        let mut row = vec![index + 1];
        for (column, other) in right.iter().enumerate() {
            let changed = rows[index][column] + usize::from(letter != other);
            let mut least = changed.min(rows[index][column + 1] + 1).min(row[column] + 1);
            let swapped = index > 0 && column > 0 && left[index - 1] == *other;
            if swapped && *letter == right[column - 1] {
                least = least.min(rows[index - 1][column - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_proposed() {
        let names =
            ["nginx", "nginx-ingress-controller", "kong", "podinfo", "redis-cluster", "redis"];
        let rows: [(&str, &[&str]); 5] = [
            ("ngnix", &["nginx"]),
            ("nginx-ingress", &["nginx", "nginx-ingress-controller"]),
            ("pod-info", &["podinfo"]),
            ("kogn", &["kong"]),
            ("zzz", &[]),
        ];
        for (wanted, expected) in rows {
            let mut found = similar(names.into_iter(), wanted);
            found.sort();
            assert_eq!(found, expected, "{wanted}");
        }
    }
}
