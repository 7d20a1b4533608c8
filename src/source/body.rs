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
        // What our side cannot take is no fault of what came.
        self.into.write_all(part).map_err(|error| io::Error::other(Untaken(error)))?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why our side could not take what came.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Untaken(io::Error);

/// Says what is wrong with a body, or with where it goes.
fn refusal(url: &SafeUrl, limit_bytes: u64, error: io::Error) -> Error {
    let url = url.clone();
    if error.kind() == io::ErrorKind::FileTooLarge {
        return Error::TooLarge { url, limit_bytes };
    }
    match error.downcast::<Untaken>() {
        Ok(Untaken(source)) => Error::Untaken { url, source },
        Err(source) => Error::Compressed { url, source },
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
    if answer.content_length().unwrap_or(0) > limit_bytes {
        return Err(Error::TooLarge { url: url.clone(), limit_bytes });
    }
    let refuse = |error| refusal(url, limit_bytes, error);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as many bytes, then the disk is full.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, part: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(part.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(part.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn each_fault_of_a_body_is_told_from_the_others() {
        let zeros = gzip(&vec![0; 1 << 20]);
        let whole = gzip(b"hello");
        let mut bent = whole.clone();
        let at = bent.len() - 6;
        bent[at] ^= 1;
        let half = &whole[..whole.len() / 2];
        type Row<'a> = (&'a str, &'a [u8], bool, u64, usize, &'a str);
        let rows: [Row<'_>; 9] = [
            ("whole", b"hello", false, 5, 5, ""),
            ("too large", b"hello!", false, 5, 9, "larger than 5 bytes"),
            ("full disk", b"hello", false, 9, 4, "cannot be kept"),
            ("packed", &whole, true, 5, 5, ""),
            ("gzip bomb", &zeros, true, 1000, 1 << 21, "larger than 1000 bytes"),
            ("packed, full disk", &whole, true, 9, 4, "cannot be kept"),
            ("packed, bent", &bent, true, 9, 9, "compressed answer is broken"),
            ("packed, half", half, true, 9, 9, "compressed answer is broken"),
            ("not packed", b"hello", true, 9, 9, "compressed answer is broken"),
        ];
        for (name, bytes, packed, limit_bytes, room, want) in rows {
            let mut disk = Disk(room);
            let bounded = Bounded { into: &mut disk, left: limit_bytes };
            let mut sink = match packed {
                true => Sink::Packed(Box::new(MultiGzDecoder::new(bounded))),
                false => Sink::Plain(bounded),
            };
            let took = bytes.chunks(7).try_for_each(|part| sink.take(part));
            let got = took.and_then(|()| sink.finish());
            let url = "https://a.example".parse().unwrap();
            let got = got.map_err(|error| refusal(&url, limit_bytes, error).to_string());
            match (got, want) {
                (Ok(()), "") => {}
                (Err(got), want) => {
                    assert!(!want.is_empty() && got.contains(want), "{name}: {got}");
                }
                (Ok(()), _) => panic!("{name}: it passed"),
            }
        }
    }
}
