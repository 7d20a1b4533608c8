//! What was made of texts before anybody asked, found by the text itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Things that were made of texts, each for one use. A text is known by its place in memory, which
/// is kept with what was made of it: its equals elsewhere are other texts.
///
/// ```
/// use bytes::Bytes;
/// use leadsman::base::by_text::ByText;
/// let text = Bytes::from(b"a: 1".to_vec());
/// let made: ByText<usize> = [(text.clone(), 4)].into_iter().collect();
/// assert_eq!(made.look(&text, |length| length + 1), Some(5));
/// assert!(made.knows(&text));
/// assert_eq!(made.take(&Bytes::from(b"a: 1".to_vec())), None);
/// assert_eq!(made.take(&text), Some(4));
/// assert_eq!(made.take(&text), None);
/// ```
#[derive(Debug)]
pub struct ByText<T>(Mutex<HashMap<(usize, usize), (Bytes, T)>>);

fn place(text: &Bytes) -> (usize, usize) {
    (text.as_ptr().addr(), text.len())
}

impl<T> ByText<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<(usize, usize), (Bytes, T)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something was made of this very text, and not taken.
    pub fn knows(&self, text: &Bytes) -> bool {
        self.lock().contains_key(&place(text))
    }

    /// Looks at what was made of this very text.
    pub fn look<R>(&self, text: &Bytes, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.lock().get(&place(text)).map(|(_, made)| look(made))
    }

    /// Takes what was made of this very text.
    pub fn take(&self, text: &Bytes) -> Option<T> {
        self.lock().remove(&place(text)).map(|(_, made)| made)
    }
}

impl<T> Default for ByText<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> FromIterator<(Bytes, T)> for ByText<T> {
    fn from_iter<I: IntoIterator<Item = (Bytes, T)>>(made: I) -> Self {
        let made = made.into_iter().map(|(text, made)| (place(&text), (text, made)));
        Self(Mutex::new(made.collect()))
    }
}
