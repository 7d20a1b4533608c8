//! The entries of a map: sorted by key, found by the first bytes of the key.

use std::sync::Arc;

use super::frozen::FrozenMap;
use super::value::{Str, Value, Watch};

/// Keys and values in bytewise key order.
///
/// The first bytes of all keys lie side by side, so that nearly every search reads them only, and
/// the one key that is found.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// What the entries will be made of when somebody asks for them; there are none before.
    frozen: Option<Arc<FrozenMap>>,
    heads: Vec<u64>,
    entries: Vec<(Str, Value)>,
}

/// The first eight bytes of a key as a number, which sorts as they do.
pub(super) fn head(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    // Two numbers that may overlap take less time than as many bytes as there are.
    if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
        let [first, last] = [first, last].map(|four| u64::from(u32::from_be_bytes(*four)));
        return first << 32 | last << (64 - 8 * key.len());
    }
    let place = |(at, byte): (usize, &u8)| u64::from(*byte) << (56 - 8 * at);
    key.iter().enumerate().map(place).sum()
}

/// Whether keys with the same head are the same.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (one.len() <= size_of::<u64>() || one == other)
}

impl Entries {
    /// Returns entries that are in order already.
    pub(super) fn from_sorted(entries: Vec<(Str, Value)>) -> Self {
        debug_assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "keys are sorted and unique");
        let heads = entries.iter().map(|(key, _)| head(key)).collect();
        Self { frozen: None, heads, entries }
    }

    /// Returns the entries of a frozen map, none of which is there yet.
    pub(super) fn of_frozen(frozen: Arc<FrozenMap>) -> Self {
        Self { frozen: Some(frozen), heads: Vec::new(), entries: Vec::new() }
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Makes the entries that are not there yet; the maps in them tell `watch` what changes.
    pub(super) fn unfreeze(&mut self, watch: Option<&Watch>) {
        if let Some(frozen) = self.frozen.take() {
            (self.heads, self.entries) = frozen.unfrozen(watch);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.frozen.as_ref().map_or(self.entries.len(), |frozen| frozen.len())
    }

    /// Returns all of them.
    pub(super) fn all(&self) -> &[(Str, Value)] {
        &self.entries
    }

    /// Where a key is, or where it belongs.
    fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let head = head(key);
        let from = self.heads.partition_point(|known| *known < head);
        let alike = self.heads[from..].partition_point(|known| *known == head);
        let found =
            self.entries[from..from + alike].binary_search_by(|(known, _)| (**known).cmp(key));
        found.map(|at| from + at).map_err(|at| from + at)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Value> {
        let head = head(key);
        let from = self.heads.partition_point(|known| *known < head);
        // Few keys begin alike.
        let alike = self.heads[from..].iter().take_while(|known| **known == head);
        let mut known = self.entries[from..].iter().zip(alike);
        known.find(|((known, _), _)| is_same(known, key)).map(|((_, value), _)| value)
    }

    pub(super) fn put(&mut self, key: Str, value: Value) {
        // Keys often come in order.
        let last = self.entries.last().is_none_or(|(last, _)| *last < key);
        let found = if last { Err(self.entries.len()) } else { self.search(&key) };
        match found {
            Ok(at) => self.entries[at].1 = value,
            Err(at) => {
                self.heads.insert(at, head(&key));
                self.entries.insert(at, (key, value));
            }
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        if let Ok(at) = self.search(key) {
            self.heads.remove(at);
            self.entries.remove(at);
        }
    }

    /// Takes all values out.
    pub(super) fn take_values(&mut self) -> impl Iterator<Item = Value> {
        self.frozen = None;
        self.heads.clear();
        std::mem::take(&mut self.entries).into_iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_the_first_bytes_as_they_sort() {
        let key = b"abc\0\xffdefgh";
        for (from, to) in (0..key.len()).flat_map(|to| (0..=to).map(move |from| (from, to))) {
            let mut first = [0; 8];
            let key = &key[from..to];
            first.iter_mut().zip(key).for_each(|(first, byte)| *first = *byte);
            assert_eq!(head(key), u64::from_be_bytes(first), "{key:?}");
        }
    }

    #[test]
    fn entries_stay_in_order_whatever_their_keys() {
        let keys =
            ["", "a", "a\0", "a\0b", "abcdefgh", "abcdefghi", "abcdefgh\0", "b", "\u{e9}", "abc"];
        let mut entries = Entries::default();
        for (at, key) in keys.iter().enumerate() {
            entries.put(key.as_bytes().into(), Value::size(at));
        }
        let mut sorted: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        sorted.sort_unstable();
        let seen: Vec<&[u8]> = entries.all().iter().map(|(key, _)| &**key).collect();
        assert_eq!(seen, sorted);
        for (at, key) in keys.iter().enumerate() {
            assert!(
                matches!(entries.get(key.as_bytes()), Some(Value::Int(n, _)) if *n == at as i64)
            );
            entries.remove(key.as_bytes());
            assert!(entries.get(key.as_bytes()).is_none(), "{key:?}");
        }
        assert_eq!(entries.len(), 0);
    }
}
