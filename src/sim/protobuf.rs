//! Protobuf bodies, as client-go's typed clients send them, read into plain values by the table of
//! types: each field of the table carries its number. Answers are always JSON.

use base64::Engine as _;
use serde_json::Map;

use crate::shape::types::{Field, Form, Ty};
use crate::yaml::Value;

/// What is in front of every body.
const MAGIC: &[u8] = b"k8s\0";
/// Bodies that are nested deeper are refused.
const DEPTH: usize = 64;

/// A body that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

type Read<T> = Result<T, Malformed>;

/// Reads a body: its envelope tells `apiVersion` and `kind`, these tell the type.
pub(crate) fn read(body: &[u8]) -> Read<Value> {
    let body = body.strip_prefix(MAGIC).ok_or(Malformed("it does not begin with `k8s`"))?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for part in Parts(body) {
        match part? {
            (1, Wire::Bytes(meta)) => {
                for part in Parts(meta) {
                    match part? {
                        (1, Wire::Bytes(text)) => api_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let ty = type_of(&api_version, &kind).ok_or(Malformed("its kind is not known"))?;
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    message(raw, ty, &[], &mut object, DEPTH)?;
    Ok(Value::Object(object))
}

/// Returns the type of a kind. Groups are named in the table without what follows the first dot.
fn type_of(api_version: &str, kind: &str) -> Option<Ty<'static>> {
    if kind == "DeleteOptions" {
        return Ty::named("apimachinery.pkg.apis.meta.v1.DeleteOptions");
    }
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("core", api_version));
    let group = group.split('.').next().unwrap_or_default();
    let roots = ["api", "apiextensions-apiserver.pkg.apis", "kube-aggregator.pkg.apis"];
    roots.iter().find_map(|root| Ty::named(&format!("{root}.{group}.{version}.{kind}")))
}

/// A value as it stands in a message.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn varint(&mut self) -> Read<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or(Malformed("it ends in a number"))?;
            self.0 = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number is too long"))
    }

    fn take(&mut self, count: u64) -> Read<&'a [u8]> {
        let count = usize::try_from(count).map_err(|_| Malformed("a part is too long"))?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed("it ends in a part"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn part(&mut self) -> Read<(u32, Wire<'a>)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed("a field's number is wrong"))?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => {
                let bytes = self.take(8)?.try_into().map_err(|_| Malformed("it ends in a part"))?;
                Wire::Double(f64::from_le_bytes(bytes))
            }
            2 => {
                let count = self.varint()?;
                Wire::Bytes(self.take(count)?)
            }
            _ => return Err(Malformed("a field is of a kind that Kubernetes does not use")),
        };
        Ok((number, wire))
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Read<(u32, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_err() {
            self.0 = &[];
        }
        Some(part)
    }
}

fn utf8(bytes: &[u8]) -> Read<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed("a text is not UTF-8"))
}

/// Reads the fields of a message into `object`. `prefix` holds the numbers of messages that Go
/// embeds: their fields stand in JSON where the message would.
fn message(
    bytes: &[u8],
    ty: Ty<'static>,
    prefix: &[u32],
    object: &mut Map<String, Value>,
    depth: usize,
) -> Read<()> {
    let depth = depth.checked_sub(1).ok_or(Malformed("it is nested too deeply"))?;
    let def = ty.def().ok_or(Malformed("a message stands where none can be"))?;
    for part in Parts(bytes) {
        let (number, wire) = part?;
        let path: Vec<u32> = prefix.iter().copied().chain([number]).collect();
        let mut fields = def.fields.iter();
        if let Some((name, field)) = fields.clone().find(|(_, field)| field.numbers == path) {
            let place = object.entry((*name).to_owned()).or_insert(Value::Null);
            add(place, field, wire, depth)?;
        } else if fields.any(|(_, field)| field.numbers.starts_with(&path))
            && let Wire::Bytes(inner) = wire
        {
            message(inner, ty, &path, object, depth)?;
        }
    }
    Ok(())
}

/// Adds one occurrence of a field: lists and maps come item by item.
fn add(place: &mut Value, field: &'static Field, wire: Wire<'_>, depth: usize) -> Read<()> {
    match (&field.form, wire) {
        (Form::List(inner), wire) => {
            if place.is_null() {
                *place = Value::Array(Vec::new());
            }
            let item = single(inner, wire, depth)?;
            place.as_array_mut().into_iter().for_each(|list| list.push(item.clone()));
        }
        (Form::Map(inner), Wire::Bytes(entry)) => {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            let (mut key, mut value) = (String::new(), Value::Null);
            for part in Parts(entry) {
                match part? {
                    (1, Wire::Bytes(text)) => key = utf8(text)?,
                    (2, Wire::Bytes(items)) if matches!(inner.form, Form::List(_)) => {
                        // A list in a map is a message with one repeated field.
                        for part in Parts(items) {
                            add(&mut value, inner, part?.1, depth)?;
                        }
                    }
                    (2, wire) => value = single(inner, wire, depth)?,
                    _ => {}
                }
            }
            place.as_object_mut().into_iter().for_each(|map| {
                map.insert(key.clone(), value.clone());
            });
        }
        (_, wire) => *place = single(field, wire, depth)?,
    }
    Ok(())
}

#[expect(clippy::cast_possible_wrap, reason = "a negative number is sent as its two's complement")]
fn single(field: &'static Field, wire: Wire<'_>, depth: usize) -> Read<Value> {
    Ok(match (&field.form, wire) {
        (Form::Text, Wire::Bytes(bytes)) => utf8(bytes)?.into(),
        (Form::Bytes, Wire::Bytes(bytes)) => {
            base64::engine::general_purpose::STANDARD.encode(bytes).into()
        }
        (Form::Int, Wire::Number(number)) => (number as i64).into(),
        (Form::Number, Wire::Double(number)) => number.into(),
        (Form::Bool, Wire::Number(number)) => (number != 0).into(),
        (Form::Quantity, Wire::Bytes(bytes)) => match first(bytes, 1)? {
            Some(Wire::Bytes(text)) => utf8(text)?.into(),
            _ => "0".into(),
        },
        (Form::IntOrText, Wire::Bytes(bytes)) => match (first(bytes, 1)?, first(bytes, 3)?) {
            (Some(Wire::Number(1)), Some(Wire::Bytes(text))) => utf8(text)?.into(),
            _ => match first(bytes, 2)? {
                Some(Wire::Number(number)) => (number as i64).into(),
                _ => 0.into(),
            },
        },
        (Form::Time, Wire::Bytes(bytes)) => time(bytes, 0)?,
        (Form::MicroTime, Wire::Bytes(bytes)) => time(bytes, 6)?,
        // Managed fields and embedded objects travel as JSON.
        (Form::Any, Wire::Bytes(bytes)) => match first(bytes, 1)? {
            Some(Wire::Bytes(json)) => serde_json::from_slice(json)
                .map_err(|_| Malformed("an embedded object is not JSON"))?,
            _ => Value::Null,
        },
        (Form::Struct(_), Wire::Bytes(bytes)) => {
            let mut object = Map::new();
            message(bytes, Ty::Known(field), &[], &mut object, depth)?;
            Value::Object(object)
        }
        _ => return Err(Malformed("a field is of another type")),
    })
}

/// Returns the last value of a field of a message.
fn first(bytes: &[u8], wanted: u32) -> Read<Option<Wire<'_>>> {
    let mut found = None;
    for part in Parts(bytes) {
        let (number, wire) = part?;
        if number == wanted {
            found = Some(wire);
        }
    }
    Ok(found)
}

#[expect(clippy::cast_possible_wrap, reason = "a negative number is sent as its two's complement")]
fn time(bytes: &[u8], digits: u8) -> Read<Value> {
    let Some(Wire::Number(seconds)) = first(bytes, 1)? else { return Ok(Value::Null) };
    let nanoseconds = match first(bytes, 2)? {
        Some(Wire::Number(number)) => number as i64,
        _ => 0,
    };
    let nanoseconds = i32::try_from(nanoseconds).unwrap_or_default();
    let time = jiff::Timestamp::new(seconds as i64, nanoseconds)
        .map_err(|_| Malformed("a time is out of range"))?;
    Ok(format!("{time:.*}", usize::from(digits)).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        assert!(length < 0x80);
        let tag = u16::from(number) << 3 | 2;
        let low = u8::try_from(tag & 0x7f).unwrap();
        let mut part =
            if tag < 0x80 { vec![low] } else { vec![low | 0x80, u8::try_from(tag >> 7).unwrap()] };
        part.push(length);
        part.extend(bytes);
        part
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [part(1, api_version.as_bytes()), part(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), part(1, &meta), part(2, raw)].concat()
    }

    #[test]
    fn messages_become_objects() {
        let metadata =
            part(1, &[part(1, b"s"), part(11, &[part(1, b"a"), part(2, b"b")].concat())].concat());
        let data = part(2, &[part(1, b"k"), part(2, b"\x00\x01")].concat());
        let raw = [metadata, data, part(3, b"Opaque")].concat();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "s", "labels": {"a": "b"}}, "data": {"k": "AAE="}});
        assert_eq!(read(&body("v1", "Secret", &raw)), Ok(secret));
        // A volume's source is embedded; a port is a number or a text.
        let volume =
            part(1, &[part(1, b"v"), part(2, &part(19, &part(1, &part(1, b"c"))))].concat());
        let pod = body("v1", "Pod", &part(2, &volume));
        let volumes = json!([{"name": "v", "configMap": {"name": "c"}}]);
        assert_eq!(read(&pod).unwrap().pointer("/spec/volumes"), Some(&volumes));
        let options = [8, 0, 34, 10].iter().chain(b"Foreground").copied().collect::<Vec<u8>>();
        let options = read(&body("apps/v1", "DeleteOptions", &options)).unwrap();
        assert_eq!(options["gracePeriodSeconds"], 0);
        assert_eq!(options["propagationPolicy"], "Foreground");
        let lease = body("coordination.k8s.io/v1", "Lease", &part(2, &part(4, &[8, 1, 16, 1])));
        assert_eq!(read(&lease).unwrap()["spec"]["renewTime"], "1970-01-01T00:00:01.000000Z");
    }

    #[test]
    fn broken_bodies_are_refused() {
        let whole = body("v1", "Secret", &part(1, &part(1, b"s")));
        assert!(read(&whole).is_ok());
        for end in 0..whole.len() {
            // Cut anywhere, it is refused or read in part, and never more than that.
            let _ = read(&whole[..end]);
        }
        assert_eq!(read(b"{}"), Err(Malformed("it does not begin with `k8s`")));
        assert!(read(&body("v1", "Secret", &[0xff; 11])).is_err());
        assert!(read(&body("ex.io/v1", "Foo", &[])).is_err());
    }

    #[test]
    fn every_field_of_the_table_has_a_number() {
        for def in crate::shape::types::all() {
            for (name, field) in &def.fields {
                let untold = field.numbers.is_empty() && !["apiVersion", "kind"].contains(name);
                assert!(!untold, "{} {name}", def.name);
            }
        }
    }
}
