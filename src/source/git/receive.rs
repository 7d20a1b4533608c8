//! What is asked for to fetch a commit, and the pack that comes.

use std::fs::File;
use std::io::{self, Write};

use super::object::Id;
use super::packet::{self, DELIMITER, FLUSH, Packet};
use super::refs::{AGENT, Manner};

/// How much of the history is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The commit alone.
    One,
    /// All that it came from.
    All,
}

/// Asks for an object with all that belongs to it.
pub(super) fn question(manner: &Manner, want: Id, depth: Depth) -> Vec<u8> {
    let shallow = depth == Depth::One && manner.can_be_shallow();
    let mut bytes = Vec::new();
    if manner.second {
        packet::line(&mut bytes, "command=fetch");
        packet::line(&mut bytes, AGENT);
        bytes.extend_from_slice(DELIMITER);
        for option in ["ofs-delta", "no-progress"] {
            packet::line(&mut bytes, option);
        }
        packet::line(&mut bytes, &format!("want {want}"));
        if shallow {
            packet::line(&mut bytes, "deepen 1");
        }
        packet::line(&mut bytes, "done");
        bytes.extend_from_slice(FLUSH);
    } else {
        let abilities = ["side-band-64k", "ofs-delta", "no-progress"];
        let abilities: Vec<_> = abilities.into_iter().filter(|one| manner.can(one)).collect();
        packet::line(&mut bytes, &format!("want {want} {} {AGENT}", abilities.join(" ")));
        if shallow {
            packet::line(&mut bytes, "deepen 1");
        }
        bytes.extend_from_slice(FLUSH);
        packet::line(&mut bytes, "done");
    }
    bytes
}

/// Takes the answer while it comes, and writes the pack in it to a file.
#[derive(Debug)]
pub(super) struct Receiver {
    file: File,
    /// What is no whole packet yet.
    rest: Vec<u8>,
    state: State,
    left: u64,
    /// Why nothing more is taken.
    refusal: Option<Refusal>,
}

/// Why an answer is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server, or its manner, is at fault.
    Said(String),
    /// The pack is larger than its limit.
    TooLarge,
    /// Our side cannot keep it.
    Unkept(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the pack.
    Head,
    /// In the pack, which comes in packets with a channel before each.
    Channels,
    /// In the pack, which comes as it is.
    Plain,
    Done,
}

impl Receiver {
    /// Returns a receiver of at most so many bytes.
    pub(super) fn new(file: File, limit_bytes: u64) -> Self {
        Self { file, rest: Vec::new(), state: State::Head, left: limit_bytes, refusal: None }
    }

    /// Returns the file.
    ///
    /// # Errors
    /// Why there is no whole pack in it.
    pub(super) fn finish(self) -> Result<File, Refusal> {
        match (self.refusal, self.state) {
            (Some(refusal), _) => Err(refusal),
            (None, State::Done | State::Plain) if self.rest.is_empty() => Ok(self.file),
            (None, _) => Err(Refusal::Said("the answer broke off".to_owned())),
        }
    }

    /// Whether the pack came as a whole, as far as the packets say it.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn take(&mut self, part: &[u8]) -> Result<(), Refusal> {
        self.rest.extend_from_slice(part);
        let all = std::mem::take(&mut self.rest);
        let mut rest = &all[..];
        while self.state != State::Done {
            // Without channels the pack begins where a packet would, which no packet does so.
            if rest.starts_with(b"PACK") {
                self.state = State::Plain;
            }
            if self.state == State::Plain {
                self.store(std::mem::take(&mut rest))?;
                break;
            }
            let Some(packet) = packet::take(&mut rest).map_err(Refusal::Said)? else { break };
            self.packet(packet)?;
        }
        self.rest = rest.to_vec();
        Ok(())
    }

    fn packet(&mut self, packet: Packet<'_>) -> Result<(), Refusal> {
        match (self.state, packet) {
            (State::Head, Packet::Data(data)) => {
                let line = packet::text(data);
                if let Some(why) = line.strip_prefix("ERR ") {
                    return Err(Refusal::Said(why.to_owned()));
                }
                if line == "packfile" || line == "NAK" {
                    self.state = State::Channels;
                }
                Ok(())
            }
            (State::Channels, Packet::Data([1, data @ ..])) => self.store(data),
            (State::Channels, Packet::Data([3, why @ ..])) => Err(Refusal::Said(packet::text(why))),
            (State::Channels, Packet::Data(data)) if data.starts_with(b"ACK") => Ok(()),
            (State::Channels, Packet::Flush | Packet::End) => {
                self.state = State::Done;
                Ok(())
            }
            // Progress, and parts of an answer that are of no use here.
            _ => Ok(()),
        }
    }

    fn store(&mut self, data: &[u8]) -> Result<(), Refusal> {
        self.left = self.left.checked_sub(data.len() as u64).ok_or(Refusal::TooLarge)?;
        let stored = self.file.write_all(data);
        stored.map_err(|error| Refusal::Unkept(error.to_string()))
    }
}

impl Write for Receiver {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.refusal.is_none() {
            self.refusal = self.take(part).err();
        }
        // Nothing more is read of an answer that is refused.
        match self.refusal {
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
            None => Ok(part.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    fn line(data: &[u8]) -> Vec<u8> {
        [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
    }

    fn received(parts: &[&[u8]], limit: u64) -> Result<String, Refusal> {
        let mut receiver = Receiver::new(tempfile::tempfile().unwrap(), limit);
        for part in parts {
            if receiver.write(part).is_err() {
                break;
            }
        }
        let mut file = receiver.finish()?;
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn the_pack_is_taken_out_of_its_packets() {
        let pack = [&line(b"\x01PACK"), &line(b"\x02slow"), &line(b"\x01more"), FLUSH].concat();
        let second =
            [&line(b"shallow-info\n"), &line(b"shallow x"), DELIMITER, &line(b"packfile\n"), &pack]
                .concat();
        let first = [&line(b"shallow x"), FLUSH, &line(b"NAK\n"), &pack].concat();
        let plain = [&line(b"NAK\n")[..], b"PACKmore"].concat();
        let good = Ok("PACKmore".to_owned());
        assert_eq!(received(&[&second], 8), good);
        assert_eq!(received(&[&first], 8), good);
        assert_eq!(received(&[&plain], 8), good);
        // However it is cut.
        let bytes: Vec<&[u8]> = second.chunks(1).collect();
        assert_eq!(received(&bytes, 8), good);
        assert_eq!(received(&[&second], 7), Err(Refusal::TooLarge));
        let said = |text: &str| Err(Refusal::Said(text.to_owned()));
        assert_eq!(received(&[&second[..second.len() - 4]], 8), said("the answer broke off"));
        assert_eq!(
            received(&[&line(b"ERR upload-pack: not our ref x")], 8),
            said("upload-pack: not our ref x")
        );
        let fatal = [line(b"packfile\n"), line(b"\x03fatal")].concat();
        assert_eq!(received(&[&fatal], 8), said("fatal"));
        let read_only = File::open("/dev/null").unwrap();
        let mut receiver = Receiver::new(read_only, 8);
        assert!(receiver.write(&second).is_err());
        assert!(matches!(receiver.finish(), Err(Refusal::Unkept(_))));
        assert_eq!(received(&[b"<html>"], 8), said("\"<htm\" is no length of a packet"));
    }
}
