//! Archive → chart, while its templates are parsed; or both as an earlier process has left them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::saved::{self, Part, Saved};
use super::store::Store;
use crate::base::digest::Digest;
use crate::chart::{self, Chart, Unpacked};
use crate::template::{ParseAhead, Parsed};

/// What was made of the archive that was loaded last.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    store: Option<Store>,
    /// Its templates, until a chart is compiled.
    ahead: Mutex<Option<ParseAhead>>,
    /// What the store does not have yet.
    unsaved: Mutex<Option<Unsaved>>,
}

/// What is to be left in the store.
#[derive(Debug)]
enum Unsaved {
    /// Word that this archive was seen.
    Mark(Bytes),
    /// What was made of the archive of this digest.
    Parts(Digest, Vec<Part>),
}

impl Loaded {
    pub(super) fn with_store(folder: PathBuf) -> Self {
        Self { store: Some(Store::new(folder)), ..Self::default() }
    }

    fn ahead(&self) -> MutexGuard<'_, Option<ParseAhead>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsaved(&self) -> MutexGuard<'_, Option<Unsaved>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads a chart, and begins to parse its templates.
    pub(super) fn load(&self, packed: &Bytes) -> Result<Chart, chart::Error> {
        let Some(store) = &self.store else { return self.unpack(packed)?.load() };
        if !store.was_seen(packed) {
            let unpacked = self.unpack(packed)?;
            *self.unsaved() = Some(Unsaved::Mark(packed.clone()));
            return unpacked.load();
        }
        let digest = Digest::of(packed);
        let saved = store.find(&digest).and_then(|file| saved::read(file, packed));
        if let Some(unpacked) = saved.and_then(|saved| self.take_up(saved)) {
            return unpacked.load();
        }
        let unpacked = self.unpack(packed)?;
        *self.unsaved() = Some(Unsaved::Parts(digest, parts(&unpacked)));
        unpacked.load()
    }

    /// Takes up what was saved; its templates are restored while its values are parsed.
    fn take_up(&self, saved: Saved) -> Option<Unpacked> {
        let mut ahead = ParseAhead::start();
        let templates = Arc::clone(&saved.templates);
        ahead.give_saved(move || templates.trees());
        let unpacked = saved.unpacked()?;
        *self.ahead() = Some(ahead);
        *self.unsaved() = None;
        Some(unpacked)
    }

    /// Unpacks an archive; its templates are parsed meanwhile.
    fn unpack(&self, packed: &Bytes) -> Result<Unpacked, chart::Error> {
        let mut ahead = ParseAhead::start();
        let unpacked = Unpacked::of(packed, &mut |file| {
            if is_template(&file.name) {
                ahead.give(file.data.clone().into_bytes());
            }
        })?;
        *self.ahead() = Some(ahead);
        Ok(unpacked)
    }

    /// Returns the templates that were parsed, for the chart that was loaded.
    pub(super) fn parsed(&self) -> Parsed {
        let parsed = self.ahead().take().map(ParseAhead::finish).unwrap_or_default();
        if let Some(Unsaved::Parts(_, parts)) = &mut *self.unsaved() {
            for part in parts.iter_mut().filter(|part| is_template(&part.file.name)) {
                part.tree = part.file.data.ready().and_then(|text| parsed.save(text));
            }
        }
        parsed
    }

    /// Writes what is new into the store.
    pub(super) fn keep(&self) {
        match (&self.store, self.unsaved().take()) {
            (Some(store), Some(Unsaved::Mark(packed))) => store.note(&packed),
            (Some(store), Some(Unsaved::Parts(digest, parts))) => {
                store.write(&digest, &saved::write(&parts));
            }
            (None, _) | (_, None) => {}
        }
    }
}

fn is_template(name: &str) -> bool {
    name.starts_with("templates/") || name.contains("/templates/")
}

/// Returns what is to be saved of an archive, but for its trees.
fn parts(unpacked: &Unpacked) -> Vec<Part> {
    let part = |file: &chart::File| Part {
        values: file.data.ready().filter(|_| !is_template(&file.name)).and_then(|text| {
            unpacked.values(text, |values| serde_json::to_vec(values).ok()).flatten()
        }),
        file: file.clone(),
        tree: None,
    };
    unpacked.files().iter().map(part).collect()
}
