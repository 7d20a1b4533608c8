//! The document: `{"leadsmanPlan": 3, "digest": "sha256:…", "plan": {…}}`.

use serde_json::json;

use super::Saved;
use crate::base::digest::Digest;
use crate::yaml::Value;

/// The format that is written and read.
const FORMAT: u64 = 3;
/// Largest document that is read: a chart, its values, and what it renders to.
pub const LIMIT_BYTES: u64 = 64 << 20;

/// Why a plan cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is something else.
    #[error("it is no plan ({0}); `leadsman plan RELEASE CHART --save FILE` makes one")]
    NoPlan(String),
    /// Another Leadsman made it.
    #[error(
        "it has format {found}{by}, and this leadsman reads format {FORMAT}: carry it out with the \
         leadsman that made it, or plan again"
    )]
    Format {
        /// Its format.
        found: u64,
        /// ` of leadsman 0.9.0`, where that is known.
        by: String,
    },
    /// It is not what was written.
    #[error("it is damaged ({0}); plan again")]
    Damaged(String),
    /// It would not be read as it is.
    #[error("the plan cannot be kept: {0}")]
    Unfit(String),
}

impl Saved {
    /// Returns the document.
    ///
    /// # Errors
    /// It could not be read again: values that nest deeper than JSON may.
    pub fn write(&self) -> Result<Vec<u8>, Error> {
        let unfit = |error: &dyn std::fmt::Display| Error::Unfit(error.to_string());
        let plan = serde_json::to_value(self).map_err(|error| unfit(&error))?;
        let digest = Digest::of(plan.to_string()).to_string();
        let whole = json!({"leadsmanPlan": FORMAT, "digest": digest, "plan": plan});
        let mut bytes = serde_json::to_vec(&whole).map_err(|error| unfit(&error))?;
        bytes.push(b'\n');
        if bytes.len() as u64 > LIMIT_BYTES {
            return Err(unfit(&format!("it would have more than {LIMIT_BYTES} bytes")));
        }
        let again = Self::read(&bytes).map_err(|error| unfit(&error))?;
        if again != *self {
            return Err(unfit(&"it would be read otherwise than it was written"));
        }
        Ok(bytes)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// It is none, of another format, or damaged.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut whole: Value =
            serde_json::from_slice(bytes).map_err(|error| match bytes.first() {
                Some(b'{') => Error::Damaged(error.to_string()),
                Some(_) | None => Error::NoPlan(error.to_string()),
            })?;
        let format = whole.get("leadsmanPlan").and_then(Value::as_u64);
        let Some(found) = format else {
            return Err(Error::NoPlan("it does not say `leadsmanPlan`".to_owned()));
        };
        if found != FORMAT {
            let by = whole.pointer("/plan/madeBy").and_then(Value::as_str);
            let by = by.map_or_else(String::new, |by| format!(" of leadsman {by}"));
            return Err(Error::Format { found, by });
        }
        let plan = whole.get_mut("plan").map(Value::take).unwrap_or_default();
        let (said, digest) =
            (whole["digest"].as_str().unwrap_or_default(), Digest::of(plan.to_string()));
        if said != digest.to_string() {
            let text = format!("its digest is {digest}, and it says `{said}`");
            return Err(Error::Damaged(text));
        }
        serde_json::from_value(plan).map_err(|error| Error::Damaged(error.to_string()))
    }
}
