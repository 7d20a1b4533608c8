//! The one policy for answers that heal by themselves.

use std::time::Duration;

use super::Error;

/// Most times one request is sent.
pub const ATTEMPTS: u32 = 5;
/// Longest pause before a repetition; a longer `Retry-After` is left to the caller.
pub const LONGEST: Duration = Duration::from_secs(10);

/// Whether sending a request twice gives the same as sending it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeatable {
    /// Reading, applying, replacing, deleting.
    Yes,
    /// Creating: repeated only where the first attempt certainly did nothing.
    No,
}

/// Returns how long to wait before sending again, or `None` if the error is final.
/// `attempt` counts from 1, `random` is in `0.0..1.0`.
pub fn pause(error: &Error, repeatable: Repeatable, attempt: u32, random: f64) -> Option<Duration> {
    // A timeout has used up its time already.
    let timed_out = matches!(error, Error::Timeout { .. });
    if attempt >= ATTEMPTS || timed_out {
        return None;
    }
    patient_pause(error, repeatable, attempt, random)
}

/// The same for who would rather wait than fail: neither many attempts nor a timeout end it, only
/// the caller's own patience.
pub fn patient_pause(
    error: &Error,
    repeatable: Repeatable,
    attempt: u32,
    random: f64,
) -> Option<Duration> {
    if !error.is_transient() {
        return None;
    }
    let untouched = match error {
        Error::Unreachable { .. } => true,
        Error::Api { code, retry_after, .. } => {
            *code == 429 || (*code == 503 && retry_after.is_some())
        }
        _ => false,
    };
    if repeatable == Repeatable::No && !untouched {
        return None;
    }
    if let Error::Api { retry_after: Some(after), .. } = error {
        return (*after <= LONGEST).then_some(*after);
    }
    // 100, 200, 400, … 3200 ms, each spread by half so that many clients do not return together.
    let base = 0.1 * f64::from(1_u32 << (attempt - 1).min(5));
    Some(Duration::from_secs_f64(base * (0.75 + random / 2.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, after: Option<u64>) -> Error {
        Error::Api {
            code,
            reason: String::new(),
            message: String::new(),
            retry_after: after.map(Duration::from_secs),
            causes: Vec::new(),
        }
    }

    #[test]
    fn only_what_heals_by_itself_is_repeated() {
        let ms = |n| Some(Duration::from_millis(n));
        let cut = || Error::Broken { detail: String::new() };
        let refused = || Error::Unreachable { detail: String::new() };
        let timeout = Error::Timeout { method: "GET".into(), path: "/".into(), seconds: 1 };
        let rows = [
            ("404", api(404, None), Repeatable::Yes, 1, None),
            ("409", api(409, None), Repeatable::Yes, 1, None),
            ("500 read", api(500, None), Repeatable::Yes, 1, ms(100)),
            ("500 read, third", api(500, None), Repeatable::Yes, 3, ms(400)),
            ("500 read, last", api(500, None), Repeatable::Yes, 5, None),
            ("500 create", api(500, None), Repeatable::No, 1, None),
            ("429 create", api(429, Some(1)), Repeatable::No, 1, ms(1000)),
            ("429 too long", api(429, Some(60)), Repeatable::Yes, 1, None),
            ("503 create", api(503, None), Repeatable::No, 1, None),
            ("cut read", cut(), Repeatable::Yes, 2, ms(200)),
            ("cut create", cut(), Repeatable::No, 1, None),
            ("refused create", refused(), Repeatable::No, 1, ms(100)),
            ("timeout", timeout, Repeatable::Yes, 1, None),
            ("501", api(501, None), Repeatable::Yes, 1, None),
        ];
        for (name, error, repeatable, attempt, wanted) in rows {
            assert_eq!(pause(&error, repeatable, attempt, 0.5), wanted, "{name}");
        }
    }

    #[test]
    fn who_is_patient_goes_on_but_never_doubles_a_change() {
        let ms = |n| Some(Duration::from_millis(n));
        let timeout = || Error::Timeout { method: "GET".into(), path: "/".into(), seconds: 1 };
        let rows = [
            ("fifth", api(500, None), Repeatable::Yes, 5, ms(1600)),
            ("hundredth", api(503, None), Repeatable::Yes, 100, ms(3200)),
            ("timeout", timeout(), Repeatable::Yes, 1, ms(100)),
            ("timeout of a create", timeout(), Repeatable::No, 1, None),
            ("refusal", api(422, None), Repeatable::Yes, 1, None),
        ];
        for (name, error, repeatable, attempt, wanted) in rows {
            assert_eq!(patient_pause(&error, repeatable, attempt, 0.5), wanted, "{name}");
        }
    }
}
