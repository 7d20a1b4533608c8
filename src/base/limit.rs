//! Upper bounds of everything that comes from outside, and of what templates may do.
//!
//! Those that a large chart may meet can be raised: they are [`Limits`]. The command line installs
//! the user's once, before anything is read ([`install`]); whoever loads or renders charts asks for
//! them ([`current`]), and who is handed others uses those.

use std::fmt;
use std::sync::OnceLock;

/// Largest packed chart archive that is fetched.
pub const ARCHIVE_BYTES: u64 = 10 << 20;
/// Largest YAML file of a SOURCE folder, and largest file of a chart that is read by itself.
pub const SOURCE_FILE_BYTES: u64 = 5 << 20;
/// Largest answer to any other request.
pub const ANSWER_BYTES: u64 = 64 << 20;
/// Most redirects that are followed.
pub const REDIRECTS: usize = 10;

/// A bound that can be raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Work of one rendering: expressions and turns of loops; what is slow counts as many.
    Steps,
    /// Bytes that templates take in one rendering, all together.
    Memory,
    /// Bytes of a single text that a function makes.
    Text,
    /// Bytes that one file renders to.
    Output,
    /// Items of a list that a function makes.
    Items,
    /// Values that become YAML, JSON or TOML, or are copied, at once; shared ones count each time.
    Parts,
    /// Bytes of a compiled regular expression.
    Regex,
    /// Bytes of stack for templates inside templates.
    Stack,
    /// Bytes of all files of a chart, unpacked.
    Unpacked,
    /// Files of a chart archive.
    Entries,
    /// Bytes of a values file.
    Values,
    /// Bytes of an `index.yaml`.
    Index,
}

/// How a bound is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Count,
    Bytes,
}

/// Name, unit, default; in the order of [`Limit`].
const ROWS: [(Limit, &str, Unit, u64); 12] = [
    (Limit::Steps, "steps", Unit::Count, 500_000_000),
    (Limit::Memory, "memory", Unit::Bytes, 2 << 30),
    (Limit::Text, "text", Unit::Bytes, 256 << 20),
    (Limit::Output, "output", Unit::Bytes, 256 << 20),
    (Limit::Items, "items", Unit::Count, 10_000_000),
    (Limit::Parts, "parts", Unit::Count, 5_000_000),
    (Limit::Regex, "regex", Unit::Bytes, 16 << 20),
    (Limit::Stack, "stack", Unit::Bytes, 352 << 20),
    (Limit::Unpacked, "unpacked", Unit::Bytes, 100 << 20),
    (Limit::Entries, "entries", Unit::Count, 50_000),
    (Limit::Values, "values", Unit::Bytes, 5 << 20),
    (Limit::Index, "index", Unit::Bytes, 50 << 20),
];
/// Largest stack: the system refuses what is much larger.
const MOST_STACK: u64 = 16 << 30;

/// The bounds that can be raised.
///
/// ```
/// use leadsman::base::limit::{Limit, Limits};
/// let mut limits = Limits::default();
/// limits.set("output=1Gi")?;
/// limits.set("steps=2G")?;
/// assert_eq!(limits.of(Limit::Output), 1 << 30);
/// assert_eq!(limits.of(Limit::Steps), 2_000_000_000);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits([u64; ROWS.len()]);

impl Default for Limits {
    fn default() -> Self {
        Self(ROWS.map(|(_, _, _, default)| default))
    }
}

static INSTALLED: OnceLock<Limits> = OnceLock::new();

/// Makes the bounds those of the process; only the first call counts.
pub fn install(limits: Limits) {
    let _ = INSTALLED.set(limits);
}

/// Returns the bounds of the process.
#[must_use]
pub fn current() -> Limits {
    INSTALLED.get().copied().unwrap_or_default()
}

impl Limits {
    /// Returns a bound.
    #[must_use]
    pub fn of(&self, limit: Limit) -> u64 {
        self.0[limit as usize]
    }

    /// Returns a bound of something that is counted in memory.
    #[must_use]
    pub fn size(&self, limit: Limit) -> usize {
        usize::try_from(self.of(limit)).unwrap_or(usize::MAX)
    }

    /// Returns them with one changed.
    #[must_use]
    pub fn with(mut self, limit: Limit, value: u64) -> Self {
        self.0[limit as usize] = value;
        self
    }

    /// Returns what each of some threads may do that share one rendering.
    #[must_use]
    pub fn shared_by(mut self, threads: u64) -> Self {
        for limit in [Limit::Steps, Limit::Memory] {
            self.0[limit as usize] /= threads.max(1);
        }
        self
    }

    /// Changes one by its name: `NAME=VALUE`, a count such as `500M` or a size such as `256Mi`.
    ///
    /// # Errors
    /// Says which names there are, or how a value is written.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let Some((limit, ..)) = ROWS.iter().find(|(_, known, ..)| *known == name.trim()) else {
            let known: Vec<_> = ROWS.iter().map(|(_, name, ..)| *name).collect();
            return Err(format!("no limit is called `{name}`; there are {}", known.join(", ")));
        };
        let value = parse(value.trim())
            .ok_or_else(|| format!("`{value}` is no count or size, such as 500M or 256Mi"))?;
        if *limit == Limit::Stack && value > MOST_STACK {
            return Err(format!(
                "the limit stack is at most {}",
                Quantity(Unit::Bytes, MOST_STACK)
            ));
        }
        self.0[*limit as usize] = value;
        Ok(())
    }

    /// Says that something is beyond a bound, and what raises it.
    #[must_use]
    pub fn refusal(&self, limit: Limit, what: impl fmt::Display) -> String {
        format!("{what}: {}", self.hint(limit))
    }

    /// Names a bound and what raises it.
    #[must_use]
    pub fn hint(&self, limit: Limit) -> String {
        let (_, name, unit, _) = ROWS[limit as usize];
        let value = Quantity(unit, self.of(limit));
        format!("the limit {name} is {value} (--limit {name}=VALUE raises it)")
    }
}

/// A bound as people write it: the largest unit that leaves no rest.
struct Quantity(Unit, u64);

const DECIMAL: &[(&str, u64)] = &[("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)];
const BINARY: &[(&str, u64)] = &[("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = if self.0 == Unit::Bytes { BINARY } else { DECIMAL };
        let fitting =
            units.iter().find(|(_, size)| self.1 >= *size && self.1.is_multiple_of(*size));
        match fitting {
            Some((unit, size)) => write!(f, "{}{unit}", self.1 / size),
            None => write!(f, "{}", self.1),
        }
    }
}

fn parse(text: &str) -> Option<u64> {
    let units = BINARY.iter().chain(DECIMAL);
    let found = units.into_iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    let (digits, size) = found.unwrap_or((text, 1));
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| number)?.checked_mul(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_stand_in_the_order_of_their_names() {
        assert!(ROWS.iter().enumerate().all(|(index, (limit, ..))| *limit as usize == index));
    }

    #[test]
    fn bounds_are_read_and_written() {
        let rows: &[(&str, Result<&str, &str>)] = &[
            ("steps=7", Ok("the limit steps is 7 (")),
            ("steps=2G", Ok("the limit steps is 2G (")),
            ("output=1536Ki", Ok("the limit output is 1536Ki (")),
            ("output=1000000", Ok("the limit output is 1000000 (")),
            ("memory= 3Gi ", Ok("the limit memory is 3Gi (")),
            ("stack=17Gi", Err("the limit stack is at most 16Gi")),
            ("step=1", Err("no limit is called `step`; there are steps, memory,")),
            ("steps", Err("`` is no count or size")),
            ("steps=1.5M", Err("`1.5M` is no count")),
            ("steps=+1", Err("`+1` is no count")),
            ("steps=99999999999999999999", Err("`99999999999999999999` is no count")),
            ("steps=99999999999999G", Err("is no count or size")),
        ];
        for (text, want) in rows {
            let mut limits = Limits::default();
            let set = limits.set(text);
            let name = text.split('=').next().unwrap_or_default();
            let row = ROWS.iter().find(|(_, known, ..)| *known == name);
            let got = match (set, row) {
                (Ok(()), Some((limit, ..))) => Ok(limits.hint(*limit)),
                (Ok(()), None) => Ok(String::new()),
                (Err(error), _) => Err(error),
            };
            let same = match (&got, want) {
                (Ok(got), Ok(want)) | (Err(got), Err(want)) => got.contains(want),
                _ => false,
            };
            assert!(same, "{text}: {got:?}, not {want:?}");
        }
    }
}
