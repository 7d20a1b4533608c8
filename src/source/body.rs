//! Bodies of answers, bounded while they come.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures::StreamExt as _;

use super::error::Error;
use super::http::connection;
use crate::base::secret::SafeUrl;

/// What takes a body while it comes.
pub(super) type Taker<'a> = &'a mut (dyn Write + Send);

/// Passes bytes on, but not beyond a limit.
struct Bounded<'a> {
    into: Taker<'a>,
    left: u64,
}

impl Write for Bounded<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(part.len() as u64);
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        self.into.write_all(part)?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Sink<'a> {
    Plain(Bounded<'a>),
    Packed(Box<MultiGzDecoder<Bounded<'a>>>),
}

impl Sink<'_> {
    fn take(&mut self, part: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(bounded) => bounded.write_all(part),
            Self::Packed(decoder) => decoder.write_all(part),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Packed(decoder) => decoder.finish().map(drop),
        }
    }
}

/// Reads the body into memory.
pub(super) async fn read(
    url: &SafeUrl,
    answer: reqwest::Response,
    limit_bytes: u64,
    packed: bool,
) -> Result<Bytes, Error> {
    let announced = answer.content_length().unwrap_or(0).min(limit_bytes);
    let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    pour(url, answer, (limit_bytes, packed), &mut bytes).await?;
    Ok(bytes.into())
}

/// Passes the body on while it comes; `packed` says that it is compressed by gzip. The limit holds for the bytes
/// that come out, while they come.
pub(super) async fn pour(
    url: &SafeUrl,
    answer: reqwest::Response,
    (limit_bytes, packed): (u64, bool),
    into: Taker<'_>,
) -> Result<(), Error> {
    let too_large = || Error::TooLarge { url: url.clone(), limit_bytes };
    let refuse = |source: io::Error| match source.kind() {
        io::ErrorKind::FileTooLarge => too_large(),
        _ => Error::Compressed { url: url.clone(), source },
    };
    if answer.content_length().unwrap_or(0) > limit_bytes {
        return Err(too_large());
    }
    let bounded = Bounded { into, left: limit_bytes };
    let mut sink = if packed {
        Sink::Packed(Box::new(MultiGzDecoder::new(bounded)))
    } else {
        Sink::Plain(bounded)
    };
    let mut stream = answer.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| connection(url, &error))?;
        sink.take(&part).map_err(refuse)?;
    }
    sink.finish().map_err(refuse)
}
