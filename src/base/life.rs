//! Whether another process of this machine still lives.
//!
//! A process is named by the boot of its machine, its space of process numbers, its user, its
//! number and the moment of its start, all of which Linux tells in `/proc`. Elsewhere there is no
//! such name, and nothing is ever proven.

use std::path::{Path, PathBuf};

use super::file::read_text;

/// Files of `/proc` are short.
const SHORT: u64 = 64 * 1024;

/// Names this process; empty where that cannot be done.
pub fn own() -> String {
    let number = std::fs::read_link("/proc/self").unwrap_or_default();
    name(Path::new("/proc"), &number.to_string_lossy()).unwrap_or_default()
}

/// Returns the name of this machine, for people.
pub fn machine() -> String {
    let name = read_text(Path::new("/proc/sys/kernel/hostname"), SHORT).unwrap_or_default();
    if name.trim().is_empty() { "an unnamed machine".to_owned() } else { name.trim().to_owned() }
}

/// Returns whether the named process is proven to be gone. A process that cannot be seen from
/// here (of another machine, another container, another user) is not.
pub fn is_gone(name: &str) -> bool {
    is_gone_in(Path::new("/proc"), name, &own())
}

fn is_gone_in(proc: &Path, other: &str, own: &str) -> bool {
    let (Some((place, number, _)), Some((mine, ..))) = (parts(other), parts(own)) else {
        return false;
    };
    place == mine && self::name(proc, number).is_none_or(|seen| seen != other)
}

/// Splits a name into the place where it can be checked, number and start.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (rest, start) = name.rsplit_once('/')?;
    let (place, number) = rest.rsplit_once('/')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(number) && is_number(start)).then_some((place, number, start))
}

fn name(proc: &Path, number: &str) -> Option<String> {
    let boot = read_text(&proc.join("sys/kernel/random/boot_id"), SHORT).ok()?;
    let own: PathBuf = proc.join(number);
    // Numbers are counted per namespace, and only processes of one's own user are sure to be seen.
    let space = std::fs::read_link(own.join("ns/pid")).ok()?;
    let user = user(&own)?;
    let start = started(&read_text(&own.join("stat"), SHORT).ok()?)?.to_owned();
    Some(format!("{}/{}/{user}/{number}/{start}", boot.trim(), space.to_string_lossy()))
}

#[cfg(unix)]
fn user(of: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(std::fs::metadata(of).ok()?.uid())
}

#[cfg(not(unix))]
fn user(_: &Path) -> Option<u32> {
    None
}

/// Returns the moment of the start from a `stat`, whose second field may hold anything.
fn started(stat: &str) -> Option<&str> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_only_where_that_can_be_seen() {
        let own = "boot/pid:[1]/0/1/5";
        let empty = Path::new("/nonexistent");
        let rows = [
            ("another number of this place", "boot/pid:[1]/0/7/5", true),
            ("another machine", "other/pid:[1]/0/7/5", false),
            ("another container", "boot/pid:[2]/0/7/5", false),
            ("another user", "boot/pid:[1]/9/7/5", false),
            ("no name", "", false),
            ("no number", "boot/pid:[1]/0/x/5", false),
        ];
        for (case, name, gone) in rows {
            assert_eq!(is_gone_in(empty, name, own), gone, "{case}");
            assert!(!is_gone_in(empty, name, ""), "{case}, seen from nowhere");
        }
    }

    #[test]
    fn starts_are_read_whatever_a_program_is_called() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(started(stat), Some("4711"));
        assert_eq!(started("7 (a"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_lives_until_it_is_reaped() {
        assert!(!is_gone(&own()));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let name = name(Path::new("/proc"), &child.id().to_string()).unwrap();
        assert!(!is_gone(&name));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&name));
    }
}
