//! The bytes of a file: there already, or made when somebody asks for them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// Makes the bytes of files that were postponed.
pub trait Later: fmt::Debug + Send + Sync {
    /// Returns the bytes of one of them, always the same.
    fn bytes(&self, index: usize) -> &Bytes;
}

/// Bytes that may be made late: most people never look into the large files of a chart.
///
/// ```
/// use leadsman::base::content::Content;
/// let content = Content::from(bytes::Bytes::from_static(b"kind: A"));
/// assert_eq!(&content[..4], b"kind");
/// ```
#[derive(Clone)]
pub struct Content(Kind);

#[derive(Clone)]
enum Kind {
    Ready(Bytes),
    Later(Arc<dyn Later>, usize),
}

impl Content {
    /// Returns bytes that are made when they are looked at.
    pub fn later(maker: Arc<dyn Later>, index: usize) -> Self {
        Self(Kind::Later(maker, index))
    }

    /// Returns the bytes if they are there already.
    #[must_use]
    pub fn ready(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Ready(bytes) => Some(bytes),
            Kind::Later(..) => None,
        }
    }

    /// Returns the bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Kind::Ready(bytes) => bytes,
            Kind::Later(maker, index) => maker.bytes(index).clone(),
        }
    }
}

impl Deref for Content {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        match &self.0 {
            Kind::Ready(bytes) => bytes,
            Kind::Later(maker, index) => maker.bytes(*index),
        }
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Ready(bytes))
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Content {}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Ready(bytes) => bytes.fmt(f),
            Kind::Later(..) => f.write_str("(not unpacked)"),
        }
    }
}
