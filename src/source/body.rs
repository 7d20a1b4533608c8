//! Reads the body of an answer within its limit.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures::StreamExt as _;

use super::error::Error;
use super::http::connection;
use crate::base::secret::SafeUrl;

/// A buffer that refuses to grow beyond its limit.
#[derive(Debug)]
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + part.len() > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
enum Sink {
    Plain(Bounded),
    Packed(Box<MultiGzDecoder<Bounded>>),
}

impl Sink {
    fn take(&mut self, part: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(buffer) => buffer.write_all(part),
            Self::Packed(decoder) => decoder.write_all(part),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(buffer) => Ok(buffer.bytes),
            Self::Packed(decoder) => decoder.finish().map(|buffer| buffer.bytes),
        }
    }
}

/// Reads the body; `packed` says that it is compressed by gzip. The limit holds for the bytes
/// that come out, while they come.
pub(super) async fn read(
    url: &SafeUrl,
    answer: reqwest::Response,
    limit_bytes: u64,
    packed: bool,
) -> Result<Bytes, Error> {
    let too_large = || Error::TooLarge { url: url.clone(), limit_bytes };
    let refuse = |source: io::Error| match source.kind() {
        io::ErrorKind::FileTooLarge => too_large(),
        _ => Error::Compressed { url: url.clone(), source },
    };
    let announced = answer.content_length().unwrap_or(0);
    if announced > limit_bytes {
        return Err(too_large());
    }
    let bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    let buffer = Bounded { bytes, limit: usize::try_from(limit_bytes).unwrap_or(usize::MAX) };
    let mut sink = if packed {
        Sink::Packed(Box::new(MultiGzDecoder::new(buffer)))
    } else {
        Sink::Plain(buffer)
    };
    let mut stream = answer.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| connection(url, &error))?;
        sink.take(&part).map_err(refuse)?;
    }
    sink.finish().map(Bytes::from).map_err(refuse)
}
