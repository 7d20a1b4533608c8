//! A record with another status: most of its text only passes through, and is never in memory as a
//! whole. A record is some hundred KiB packed and many times that unpacked.

use std::io::{self, Read, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::Deserialize;

use super::pack::{LEVEL, PIECE_BYTES, Packer};
use super::record::{Front, GZIP, Info, LIMIT_BYTES, SEAM, UNPACKED_BYTES, write_front};
use super::split::{Lean, Reference, Stored};
use super::{Error, Head, Record, Storage};
use crate::base::clock::Clock;

impl Storage {
    /// Gives a record another status, and changes nothing else of it. Returns it without the files
    /// of its chart; nothing, if it is gone.
    ///
    /// # Errors
    /// As [`Storage::get`] and [`Storage::update`].
    pub async fn restate(
        &self,
        head: &Head,
        status: &str,
        holder: &str,
        clock: &dyn Clock,
    ) -> Result<Option<Record>, Error> {
        let Some((object, text)) = self.fetch(&head.name, head.version).await? else {
            return Ok(None);
        };
        let outline = self.read_record(&object, &text, Record::decode_outline)?;
        let is_whole = Reference::of(&outline).is_none();
        if let Some(restated) = is_whole.then(|| restated(&text, status)).flatten() {
            drop(text);
            let mut record = outline;
            status.clone_into(&mut record.info.status);
            let known = self.known(object.name());
            let stored = Stored::Whole(restated, Lean::No);
            self.overwrite(&record, stored, known.as_ref(), (holder, clock)).await?;
            return Ok(Some(record));
        }
        let Some(mut record) = self.get(&head.name, head.version).await? else { return Ok(None) };
        status.clone_into(&mut record.info.status);
        self.update(&record, holder, clock).await?;
        Ok(Some(record))
    }
}

/// Returns the text of a record with another status, all else being as it was. Nothing, if it is not
/// in Go's order, or if no object holds it then.
fn restated(text: &[u8], status: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        name: String,
        info: Info,
    }
    let bytes = STANDARD.decode(text).ok()?;
    if !bytes.starts_with(&GZIP) {
        return None;
    }
    let mut rest = GzDecoder::new(&bytes[..]).take(UNPACKED_BYTES);
    let (front, seam) = until_seam(&mut rest)?;
    let known = [&front[..seam], b"}"].concat();
    let Known { name, mut info } = serde_json::from_slice(&known).ok()?;
    status.clone_into(&mut info.status);
    let mut packer = Packer::new(LEVEL);
    write_front(&Front { name: &name, info: &info }, &mut packer).ok()?;
    packer.write_all(&front[seam..]).ok()?;
    io::copy(&mut rest, &mut packer).ok()?;
    // What is too long was not read to its end.
    let text = Some(STANDARD.encode(packer.finish().ok()?)).filter(|_| rest.limit() > 0)?;
    (text.len() <= LIMIT_BYTES).then_some(text)
}

/// Reads as far as the chart, and a little more; returns also where that begins.
fn until_seam(from: &mut impl Read) -> Option<(Vec<u8>, usize)> {
    let mut read = Vec::new();
    loop {
        let searched = read.len().saturating_sub(SEAM.len());
        if from.take(PIECE_BYTES as u64).read_to_end(&mut read).ok()? == 0 {
            return None;
        }
        if let Some(at) = memchr::memmem::find(&read[searched..], SEAM) {
            return Some((read, searched + at));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::go_json;

    /// Returns a record's JSON, packed as an object holds it.
    fn packed(json: &str) -> Vec<u8> {
        let mut packer = Packer::new(LEVEL);
        packer.write_all(json.as_bytes()).unwrap();
        STANDARD.encode(packer.finish().unwrap()).into_bytes()
    }

    fn unpacked(text: &str) -> String {
        let mut json = String::new();
        GzDecoder::new(&STANDARD.decode(text).unwrap()[..]).read_to_string(&mut json).unwrap();
        json
    }

    #[test]
    fn nothing_but_the_status_changes() {
        // Long enough that the seam lies across the border of two pieces.
        let notes = |length: usize| "\"chart\":, n".repeat(length);
        for length in [0, 1, 6_000].into_iter().chain(5_030..5_050) {
            let info = json!({"description": "d", "status": "deployed", "notes": notes(length)});
            let rest = r#","chart":{"a":1.50,"x":{"chart":  [2]}},"config":{"b":"<"},"version":3}"#;
            let json = |info: &serde_json::Value| {
                let info: Info = serde_json::from_value(info.clone()).unwrap();
                format!(r#"{{"name":"web","info":{}{rest}"#, go_json(&info))
            };
            let mut wanted = info.clone();
            wanted["status"] = "superseded".into();
            let restated = restated(&packed(&json(&info)), "superseded").unwrap();
            assert!(unpacked(&restated) == json(&wanted), "{length}");
        }
    }

    #[test]
    fn what_is_not_in_go_s_order_is_left_to_others() {
        let whole = r#"{"name":"a","info":{"status":"deployed"},"chart":{}}"#;
        assert!(restated(&packed(whole), "failed").is_some());
        for json in [
            "",
            "{}",
            r#"{"name":"a","info":{"status":"deployed"}}"#,
            r#"{"name":"a","chart":{},"info":{"status":"deployed"}}"#,
            r#"{"name":"a","version":1,"info":{"status":"deployed"},"chart":{}}"#,
        ] {
            assert_eq!(restated(&packed(json), "failed"), None, "{json}");
        }
        let cut = &packed(whole)[..40];
        assert_eq!(restated(cut, "failed"), None);
        assert_eq!(restated(STANDARD.encode(whole).as_bytes(), "failed"), None);
        assert_eq!(restated(b"!", "failed"), None);
    }
}
