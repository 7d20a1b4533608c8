//! Whatever a server says, nothing panics.

use std::io::Write as _;

use proptest::prelude::*;

use super::pack::{self, Pack};
use super::receive::Receiver;
use super::{object, refs};
use crate::source::ignore::Ignore;

/// Bytes that begin as packets do, with something behind.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let packet = prop::collection::vec(any::<u8>(), 0..60)
        .prop_map(|data| [format!("{:04x}", data.len() + 4).as_bytes(), &data].concat());
    (prop::collection::vec(packet, 0..8), prop::collection::vec(any::<u8>(), 0..8))
        .prop_map(|(packets, rest)| [packets.concat(), rest].concat())
}

/// A pack of objects whose kinds, sizes and bytes need not fit.
fn packs() -> impl Strategy<Value = Vec<u8>> {
    let entry = (0_u8..8, 0_u8..16, prop::collection::vec(any::<u8>(), 0..24), any::<bool>());
    prop::collection::vec(entry, 0..6).prop_map(|entries| {
        let mut bytes = b"PACK\0\0\0\x02\0\0\0".to_vec();
        bytes.push(u8::try_from(entries.len()).unwrap());
        for (kind, size, data, fits) in entries {
            let size = if fits { u8::try_from(data.len().min(15)).unwrap() } else { size };
            bytes.push(kind << 4 | size);
            if kind == 6 {
                bytes.push(14);
            }
            let mut packed =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(&data[..data.len().min(15)]).unwrap();
            bytes.extend(packed.finish().unwrap());
        }
        bytes
    })
}

proptest! {
    #[test]
    fn what_is_said_is_read_or_refused(bytes in packets(), cut in 1_usize..9) {
        let _ = refs::greeting(&bytes);
        let _ = refs::answer(&bytes);
        let mut receiver = Receiver::new(tempfile::tempfile().unwrap(), 100);
        for part in bytes.chunks(cut) {
            if receiver.write_all(part).is_err() {
                break;
            }
        }
        let _ = receiver.finish();
    }

    #[test]
    fn objects_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = object::tree(&bytes);
        let _ = object::commit(&bytes);
    }

    #[test]
    fn packs_are_read_or_refused(bytes in packs()) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let _ = Pack::open(file, pack::MOST);
    }

    #[test]
    fn rules_are_read_or_passed_over(text in "[*?/a-c!#\\[\\]\\\\ -]{0,12}", path in "[a-c]{1,3}(/[a-c]{1,3}){0,3}") {
        let _ = Ignore::new(&[("", &text), ("a", &text)], Some(&text)).drops(&path, false);
    }
}
