//! The order in which go-yaml writes the keys of a map: "natural", numbers by their size.
//!
//! The comparison is not transitive, so upstream's order is random for some sets of keys; ours is
//! the most frequent one, by insertion into bytewise order.
//!
//! Source: go.yaml.in/yaml/v2 v2.4.4 and v3 v3.0.4 sorter.go (keyList.Less).

/// Sorts keys that come in bytewise order. `modern` is version 3's repaired comparison.
pub(crate) fn sort<T>(keys: &mut [(&String, T)], modern: bool) {
    // The standard sorts may panic for a comparison that is no order.
    for end in 1..keys.len() {
        let mut at = end;
        while at > 0 && less(keys[at].0, keys[at - 1].0, modern) {
            keys.swap(at, at - 1);
            at -= 1;
        }
    }
}

fn less(a: &str, b: &str, modern: bool) -> bool {
    let (mut left, mut right) = (a.char_indices(), b.char_indices());
    let mut after_digit = false;
    loop {
        let (Some((at, x)), Some((_, y))) = (left.next(), right.next()) else {
            return a.chars().count() < b.chars().count();
        };
        if x == y {
            after_digit = x.is_numeric();
            continue;
        }
        return match (x.is_alphabetic(), y.is_alphabetic()) {
            (true, true) => x < y,
            (false, false) => by_number(a, b, at, (x, y)),
            (x_letter, y_letter) => {
                if modern && after_digit {
                    x_letter
                } else {
                    y_letter
                }
            }
        };
    }
}

/// Compares the numbers that begin where the keys differ first.
fn by_number(a: &str, b: &str, at: usize, (x, y): (char, char)) -> bool {
    let digits_before = a[..at].chars().rev().take_while(char::is_ascii_digit);
    let zero = x == '0' || y == '0';
    let start = i64::from(zero && digits_before.clone().any(|digit| digit != '0'));
    let number = |text: &str| {
        let digits = text.chars().take_while(char::is_ascii_digit);
        digits.fold((start, 0_usize), |(number, count), digit| {
            let digit = i64::from(digit.to_digit(10).unwrap_or(0));
            (number.wrapping_mul(10).wrapping_add(digit), count + 1)
        })
    };
    let (x_number, y_number) = (number(&a[at..]), number(&b[at..]));
    if x_number == y_number { x < y } else { x_number < y_number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_natural_order() {
        for (modern, want) in [
            (
                false,
                "-y .z _x 9 10 B K3 a a-b a.b a/b a_b a1 a01 a001 aB ab k1 k2 k10 v1 v1.9 v1.10 v10 é",
            ),
            (false, "a10 a1b a2"),
            (false, "v1 v1.9 v1.10 v10 v1alpha1 v1beta1 v2"),
            (true, "1 1a 1-a 1.0 1_ 10 k1 k1a k1. k01 k001 k2 k10"),
        ] {
            let mut keys: Vec<String> = want.split(' ').map(str::to_owned).collect();
            keys.sort();
            let mut pairs: Vec<_> = keys.iter().map(|key| (key, ())).collect();
            sort(&mut pairs, modern);
            let got: Vec<_> = pairs.iter().map(|(key, ())| key.as_str()).collect();
            assert_eq!(got.join(" "), want);
        }
    }
}
