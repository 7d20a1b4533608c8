//! Packs: the objects of a repository in one file, some of them as differences from others.
//!
//! The file is read once from end to end, which finds and names every object, and then wherever an
//! object is asked for. In memory are only places and names, and the objects used last.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::ZlibDecoder;

use super::object::{self, Id, Kind, Naming};

/// Most objects of all packs of a commit.
pub(super) const MOST: usize = 2_000_000;
/// Most bytes of all objects, unpacked: as much is worked through.
const ALL_BYTES: u64 = 8 << 30;
/// Most bytes that come of putting objects together, again and again where they are many.
const WORK_BYTES: u64 = 32 << 30;
/// How often objects are looked at that differ from later ones.
const ROUNDS: usize = 64;
/// Largest object that is ever in memory.
const OBJECT_BYTES: u64 = 64 << 20;
/// Most differences one upon another (Git itself makes 50).
const DEEPEST: usize = 4096;
/// As much of unpacked objects is kept.
const KEPT_BYTES: usize = 48 << 20;

/// Where an object is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Where its compressed bytes begin.
    at: u64,
    /// How many bytes come out.
    size: u64,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Whole(Kind),
    /// Different from another object, by its number.
    From(usize),
    /// Different from an object that was not met yet, by its name.
    FromNamed(Id),
}

/// A pack that was received.
#[derive(Debug)]
pub(super) struct Pack {
    file: BufReader<File>,
    places: Vec<Place>,
    names: HashMap<Id, usize>,
    kept: Vec<(usize, Kind, std::sync::Arc<[u8]>)>,
    kept_bytes: usize,
    left_work: u64,
}

type Result<T> = std::result::Result<T, String>;

fn broken(error: io::Error) -> String {
    format!("the pack cannot be read: {error}")
}

impl Pack {
    /// Reads a pack.
    ///
    /// # Errors
    /// It is broken, or too large: has more than `most` objects.
    pub(super) fn open(file: File, most: usize) -> Result<Self> {
        let mut file = BufReader::with_capacity(16 << 10, file);
        file.rewind().map_err(broken)?;
        let mut head = [0; 12];
        file.read_exact(&mut head).map_err(broken)?;
        let number =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if &head[..4] != b"PACK" || !matches!(number(4), 2 | 3) {
            return Err("it is no pack".to_owned());
        }
        let count = number(8);
        if count as usize > most {
            return Err(format!("it has more than {most} objects"));
        }
        let (places, names) = (Vec::new(), HashMap::new());
        let mut pack =
            Self { file, places, names, kept: Vec::new(), kept_bytes: 0, left_work: WORK_BYTES };
        pack.scan(count)?;
        pack.name_the_rest()?;
        Ok(pack)
    }

    /// Finds all objects, and names those that are whole.
    fn scan(&mut self, count: u32) -> Result<()> {
        // Where each entry begins, in the order of the file.
        let mut starts: Vec<u64> = Vec::new();
        let mut left_bytes = ALL_BYTES;
        for _ in 0..count {
            let start = self.file.stream_position().map_err(broken)?;
            let (kind, size) = self.entry_head().map_err(broken)?;
            let form = match kind {
                1 => Form::Whole(Kind::Commit),
                2 => Form::Whole(Kind::Tree),
                3 => Form::Whole(Kind::Blob),
                4 => Form::Whole(Kind::Tag),
                6 => {
                    let back = self.distance().map_err(broken)?;
                    let base = start.checked_sub(back);
                    let base = base.and_then(|base| starts.binary_search(&base).ok());
                    Form::From(base.ok_or("an object differs from none")?)
                }
                7 => {
                    let mut id = [0; 20];
                    self.file.read_exact(&mut id).map_err(broken)?;
                    Form::FromNamed(Id::from_bytes(&id).ok_or("a name is too short")?)
                }
                other => return Err(format!("an object is of kind {other}")),
            };
            starts.push(start);
            let too_much = || format!("it unpacks to more than {ALL_BYTES} bytes");
            left_bytes = left_bytes.checked_sub(size).ok_or_else(too_much)?;
            let at = self.file.stream_position().map_err(broken)?;
            let number = self.places.len();
            self.places.push(Place { at, size, form });
            let mut naming = match form {
                Form::Whole(kind) => Some(Naming::new(kind, size)),
                Form::From(_) | Form::FromNamed(_) => None,
            };
            self.pass(size, naming.as_mut())?;
            if let Some(naming) = naming {
                self.names.insert(naming.finish(), number);
            }
        }
        Ok(())
    }

    /// Passes over the bytes of an object.
    fn pass(&mut self, size: u64, mut naming: Option<&mut Naming>) -> Result<()> {
        // One byte more: the end must be where it is said to be.
        let mut data = ZlibDecoder::new(&mut self.file).take(size.saturating_add(1));
        let mut part = [0; 16 << 10];
        let mut got = 0;
        loop {
            let count = data.read(&mut part).map_err(broken)?;
            if count == 0 {
                break;
            }
            got += count as u64;
            if let Some(naming) = &mut naming {
                naming.update(&part[..count]);
            }
        }
        if got == size { Ok(()) } else { Err("an object has another size than it says".to_owned()) }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let byte = *self.file.fill_buf()?.first().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.file.consume(1);
        Ok(byte)
    }

    /// Reads kind and size of an entry.
    fn entry_head(&mut self) -> io::Result<(u8, u64)> {
        let mut byte = self.byte()?;
        let kind = byte >> 4 & 7;
        let mut size = u64::from(byte & 15);
        let mut shift = 4;
        while byte & 0x80 != 0 {
            byte = self.byte()?;
            if shift > 57 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            size |= u64::from(byte & 0x7f) << shift;
            shift += 7;
        }
        Ok((kind, size))
    }

    /// Reads how far back the object is that another differs from.
    fn distance(&mut self) -> io::Result<u64> {
        let mut byte = self.byte()?;
        let mut distance = u64::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = self.byte()?;
            if distance > 1 << 54 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            distance = ((distance + 1) << 7) | u64::from(byte & 0x7f);
        }
        Ok(distance)
    }

    /// Names the objects that are differences. Those whose objects are named later wait for them;
    /// those too large for memory have no name, and whoever asks for them hears of it.
    fn name_the_rest(&mut self) -> Result<()> {
        let is_difference = |form: Form| !matches!(form, Form::Whole(_));
        let mut waiting: Vec<usize> =
            (0..self.places.len()).filter(|n| is_difference(self.places[*n].form)).collect();
        for _ in 0..ROUNDS {
            let waiting_before = waiting.len();
            let mut still = Vec::new();
            for number in waiting {
                match self.unpacked(number)? {
                    Unpacked::Data(kind, data) => {
                        self.names.insert(object::name(kind, &data), number);
                    }
                    Unpacked::Unknown => still.push(number),
                    Unpacked::TooLarge => {}
                }
            }
            let none = still.len() == waiting_before;
            waiting = still;
            if waiting.is_empty() || none {
                break;
            }
        }
        match waiting.is_empty() {
            true => Ok(()),
            false => Err("objects differ from some that did not come".to_owned()),
        }
    }

    /// Returns how many objects there are.
    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// Lets go of the objects used last: another pack is read now.
    pub(super) fn rest(&mut self) {
        self.kept.clear();
        self.kept_bytes = 0;
    }

    /// Returns an object of this kind.
    ///
    /// # Errors
    /// It is not in the pack, is of another kind, or too large.
    pub(super) fn object(&mut self, id: Id, wanted: Kind) -> Result<std::sync::Arc<[u8]>> {
        let number = *self.names.get(&id).ok_or_else(|| format!("object {id} is missing"))?;
        match self.unpacked(number)? {
            Unpacked::Data(kind, data) if kind == wanted => Ok(data),
            Unpacked::Data(..) => Err(format!("object {id} is of another kind")),
            Unpacked::Unknown => Err(format!("object {id} is missing")),
            Unpacked::TooLarge => Err(format!("object {id} is larger than {OBJECT_BYTES} bytes")),
        }
    }

    /// Returns how large a file is; none where it is a difference, which says it only when it is
    /// unpacked.
    pub(super) fn size(&self, id: Id) -> Option<u64> {
        let place = self.places[*self.names.get(&id)?];
        matches!(place.form, Form::Whole(_)).then_some(place.size)
    }

    fn unpacked(&mut self, number: usize) -> Result<Unpacked> {
        // Differences from the last to the first.
        let mut chain = Vec::new();
        let mut at = number;
        let (kind, mut data) = loop {
            if let Some((kind, data)) = self.recalled(at) {
                break (kind, data);
            }
            let place = self.places[at];
            if place.size > OBJECT_BYTES {
                return Ok(Unpacked::TooLarge);
            }
            at = match place.form {
                Form::Whole(kind) => {
                    let data: std::sync::Arc<[u8]> = self.inflated(place)?.into();
                    self.keep(at, kind, &data);
                    break (kind, data);
                }
                Form::From(base) => base,
                Form::FromNamed(id) => match self.names.get(&id) {
                    Some(base) => *base,
                    None => return Ok(Unpacked::Unknown),
                },
            };
            chain.push(place);
            if chain.len() > DEEPEST {
                return Err("differences upon differences have no end".to_owned());
            }
        };
        let differs = !chain.is_empty();
        while let Some(place) = chain.pop() {
            let difference = self.inflated(place)?;
            match changed(&data, &difference)? {
                Some(new) => {
                    let left = self.left_work.checked_sub(new.len() as u64);
                    self.left_work = left.ok_or("its objects are too much work")?;
                    data = new.into();
                }
                None => return Ok(Unpacked::TooLarge),
            }
        }
        if differs {
            self.keep(number, kind, &data);
        }
        Ok(Unpacked::Data(kind, data))
    }

    fn recalled(&mut self, number: usize) -> Option<(Kind, std::sync::Arc<[u8]>)> {
        let at = self.kept.iter().rposition(|(known, ..)| *known == number)?;
        let found = self.kept.remove(at);
        let result = (found.1, found.2.clone());
        self.kept.push(found);
        Some(result)
    }

    fn keep(&mut self, number: usize, kind: Kind, data: &std::sync::Arc<[u8]>) {
        self.kept_bytes += data.len();
        self.kept.push((number, kind, data.clone()));
        while self.kept_bytes > KEPT_BYTES || self.kept.len() > 256 {
            self.kept_bytes -= self.kept.remove(0).2.len();
        }
    }

    fn inflated(&mut self, place: Place) -> Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(place.at)).map_err(broken)?;
        let mut data = Vec::with_capacity(usize::try_from(place.size).unwrap_or(0));
        let unpacked = ZlibDecoder::new(&mut self.file);
        unpacked.take(place.size.saturating_add(1)).read_to_end(&mut data).map_err(broken)?;
        if data.len() as u64 == place.size {
            Ok(data)
        } else {
            Err("an object has another size than it says".to_owned())
        }
    }
}

enum Unpacked {
    Data(Kind, std::sync::Arc<[u8]>),
    /// It differs from one that has no name yet.
    Unknown,
    TooLarge,
}

/// Applies a difference; none if what comes out would be too large.
fn changed(base: &[u8], difference: &[u8]) -> Result<Option<Vec<u8>>> {
    let wrong = || "a difference is broken".to_owned();
    let mut rest = difference;
    let old = number(&mut rest).ok_or_else(wrong)?;
    let new = number(&mut rest).ok_or_else(wrong)?;
    if old != base.len() as u64 {
        return Err(wrong());
    }
    if new > OBJECT_BYTES {
        return Ok(None);
    }
    let new = usize::try_from(new).map_err(|_| wrong())?;
    let mut out = Vec::with_capacity(new);
    while let Some((&command, after)) = rest.split_first() {
        rest = after;
        let part = if command & 0x80 == 0 {
            // As many bytes as it says follow; none would be no command.
            let (part, after) = rest
                .split_at_checked(usize::from(command))
                .filter(|_| command > 0)
                .ok_or_else(wrong)?;
            rest = after;
            part
        } else {
            let (at, size) = copied(command, &mut rest).ok_or_else(wrong)?;
            base.get(at..at.saturating_add(size)).ok_or_else(wrong)?
        };
        if out.len() + part.len() > new {
            return Err(wrong());
        }
        out.extend_from_slice(part);
    }
    if out.len() == new { Ok(Some(out)) } else { Err(wrong()) }
}

/// Reads which bytes of the other object are taken.
fn copied(command: u8, rest: &mut &[u8]) -> Option<(usize, usize)> {
    let mut field = |bits: std::ops::Range<u8>| {
        let mut value = 0;
        for (shift, bit) in bits.enumerate() {
            if command & (1 << bit) != 0 {
                let (&byte, after) = rest.split_first()?;
                *rest = after;
                value |= usize::from(byte) << (8 * shift);
            }
        }
        Some(value)
    };
    let at = field(0..4)?;
    let size = field(4..7)?;
    Some((at, if size == 0 { 0x10000 } else { size }))
}

/// Reads a number in pieces of seven bits, the smallest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        if shift > 56 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn differences_are_applied() {
        let base = b"hello world";
        type Row = (&'static str, &'static [u8], Option<&'static [u8]>);
        let rows: &[Row] = &[
            ("copy and add", &[11, 8, 0x91, 6, 5, 3, b'!', b'!', b'!'], Some(b"world!!!")),
            ("copy from the start", &[11, 5, 0x90, 5], Some(b"hello")),
            ("another base", &[10, 5, 0x90, 5], None),
            ("beyond the base", &[11, 5, 0x91, 8, 5], None),
            ("too short", &[11, 6, 0x90, 5], None),
            ("too long", &[11, 4, 0x90, 5], None),
            ("no command", &[11, 0, 0], None),
            ("broken off", &[11, 5, 0x91], None),
            ("added bytes that are missing", &[11, 5, 5, b'a'], None),
        ];
        for (name, difference, want) in rows {
            let got = changed(base, difference).ok().flatten();
            assert_eq!(got.as_deref(), *want, "{name}");
        }
        // What would be too large is not made.
        assert_eq!(changed(base, &[11, 0xff, 0xff, 0xff, 0xff, 0x7f]), Ok(None));
    }

    fn pack(entries: &[(u8, &[u8], &[u8])]) -> Result<Pack> {
        let mut bytes = b"PACK\0\0\0\x02\0\0\0".to_vec();
        bytes.push(u8::try_from(entries.len()).unwrap());
        for (kind, before, data) in entries {
            let size = u8::try_from(data.len()).unwrap();
            assert!(size < 16);
            bytes.push(kind << 4 | size);
            bytes.extend_from_slice(before);
            let mut packed =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(data).unwrap();
            bytes.extend(packed.finish().unwrap());
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        Pack::open(file, MOST)
    }

    #[test]
    fn objects_are_found_whole_or_as_differences() {
        let whole = object::name(Kind::Blob, b"hello world");
        let hello = object::name(Kind::Blob, b"hello");
        let name = |id: Id| -> [u8; 20] {
            let text = id.to_string();
            std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        };
        let difference: &[u8] = &[11, 5, 0x90, 5];
        // The difference comes before what it differs from.
        let mut both = pack(&[(7, &name(whole), difference), (3, &[], b"hello world")]).unwrap();
        assert_eq!(&*both.object(hello, Kind::Blob).unwrap(), b"hello");
        assert_eq!(&*both.object(whole, Kind::Blob).unwrap(), b"hello world");
        assert!(both.object(whole, Kind::Tree).is_err());
        assert!(both.object(object::name(Kind::Blob, b""), Kind::Blob).is_err());
        assert_eq!((both.size(whole), both.size(hello)), (Some(11), None));
        assert!(pack(&[(7, &name(hello), difference)]).unwrap_err().contains("did not come"));
        assert!(pack(&[(6, &[5], difference)]).unwrap_err().contains("differs from none"));
        assert!(pack(&[(5, &[], b"")]).unwrap_err().contains("kind 5"));
    }

    #[test]
    fn broken_packs_are_refused() {
        for bytes in [
            &b""[..],
            b"PACK",
            b"PACK\0\0\0\x02\xff\xff\xff\xff",
            b"PACK\0\0\0\x02\0\0\0\x01\x31zz",
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            assert!(Pack::open(file, MOST).is_err(), "{bytes:?}");
        }
    }
}
