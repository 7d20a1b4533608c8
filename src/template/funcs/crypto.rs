//! Random texts.
//!
//! Source: sprig v3.3.0 crypto.go, strings.go.

use base64::Engine as _;
use rand::Rng as _;

use super::super::eval::Machine;
use super::super::value::Value;
use super::{Func, Outcome, Ty};

/// What a hash costs: about 100 ms.
const HASH_STEPS: usize = 4_000_000;

pub(super) const TABLE: &[Func] = &[
    Func::varying("randAlphaNum", &[Ty::Int], |m, a| {
        random(m, a.int(0), b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    }),
    Func::varying("randAlpha", &[Ty::Int], |m, a| {
        random(m, a.int(0), b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    }),
    Func::varying("randNumeric", &[Ty::Int], |m, a| random(m, a.int(0), b"0123456789")),
    Func::varying("randAscii", &[Ty::Int], |m, a| {
        let printable: Vec<u8> = (32..127).collect();
        random(m, a.int(0), &printable)
    }),
    Func::varying("randBytes", &[Ty::Int], |m, a| {
        if a.int(0) < 0 {
            return Err("runtime error: makeslice: len out of range".into());
        }
        let mut bytes = vec![0; bounded(m, a.int(0))?];
        rand::rng().fill(&mut bytes[..]);
        Ok(Value::str(base64::engine::general_purpose::STANDARD.encode(bytes)))
    }),
    Func::varying("bcrypt", &[Ty::Str], |m, a| hashed(m, a.str(0)).map(Value::str)),
    Func::varying("htpasswd", &[Ty::Str, Ty::Str], |m, a| {
        let user = super::lossy(a.str(0));
        if user.contains(':') {
            return Ok(Value::str(format!("invalid username: {user}")));
        }
        Ok(Value::str(format!("{user}:{}", hashed(m, a.str(1))?)))
    }),
    Func::varying("uuidv4", &[], |_, _| {
        let random = rand::random::<u128>();
        let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{bits:032x}");
        Ok(Value::str([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")))
    }),
];

fn hashed(machine: &mut Machine<'_>, password: &[u8]) -> Result<String, super::Fail> {
    machine.spend(HASH_STEPS)?;
    let hash = bcrypt::hash_with_result(password, 10).map_err(|error| error.to_string())?;
    // Go's prefix: both mean the same today.
    Ok(hash.format_for_version(bcrypt::Version::TwoA))
}

fn bounded(machine: &mut Machine<'_>, count: i64) -> Result<usize, super::Fail> {
    let count = usize::try_from(count).unwrap_or(0);
    machine.room_for_text(count)?;
    machine.spend(count)?;
    Ok(count)
}

fn random(machine: &mut Machine<'_>, count: i64, letters: &[u8]) -> Outcome {
    let mut rng = rand::rng();
    let pick = (0..bounded(machine, count)?).map(|_| letters[rng.random_range(0..letters.len())]);
    Ok(Value::str(pick.collect::<Vec<u8>>()))
}
