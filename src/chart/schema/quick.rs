//! Whether values certainly fit a schema: the plain ones, that say types and names, are read once
//! and compared on the way. Nothing is built of them, which is what takes long.
//!
//! Every keyword that is not understood here, every value that does not fit and every schema that
//! may be none is left to the general reader: it knows all drafts, and says what is wrong.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::yaml::{Map, Value};

/// Whole numbers below this are integers to every reader.
const MOST_WHOLE: f64 = 9e15;

/// Whether values fit a schema for certain.
pub(super) fn fits(schema: &[u8], values: &Map) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(schema);
    Schema(&[Place::Object(values)]).deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

/// A value that a schema speaks of.
#[derive(Clone, Copy)]
enum Place<'a> {
    Object(&'a Map),
    Other(&'a Value),
}

impl<'a> Place<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Object(map) => Self::Object(map),
            other => Self::Other(other),
        }
    }

    fn map(self) -> Option<&'a Map> {
        match self {
            Self::Object(map) => Some(map),
            Self::Other(_) => None,
        }
    }

    fn list(self) -> &'a [Value] {
        match self {
            Self::Other(Value::Array(list)) => list,
            _ => &[],
        }
    }

    fn number(self) -> Option<f64> {
        match self {
            Self::Other(Value::Number(number)) => number.as_f64(),
            _ => None,
        }
    }

    /// Length of a text in characters.
    fn length(self) -> Option<u64> {
        match self {
            Self::Other(Value::String(text)) => Some(text.chars().count() as u64),
            _ => None,
        }
    }

    fn is(self, kind: Type) -> bool {
        match (kind, self) {
            (Type::Object, Self::Object(_))
            | (Type::Array, Self::Other(Value::Array(_)))
            | (Type::String, Self::Other(Value::String(_)))
            | (Type::Boolean, Self::Other(Value::Bool(_)))
            | (Type::Null, Self::Other(Value::Null))
            | (Type::Number, Self::Other(Value::Number(_))) => true,
            (Type::Integer, place) => {
                place.number().is_some_and(|n| n.fract() == 0.0 && n.abs() < MOST_WHOLE)
            }
            _ => false,
        }
    }
}

/// A type of JSON Schema.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    Array,
    Boolean,
    Integer,
    Null,
    Number,
    Object,
    String,
}

/// What a member of a schema is.
#[derive(Clone, Copy)]
enum Keyword {
    Schema,
    Type,
    Properties,
    AdditionalProperties,
    Items,
    Required,
    Enum,
    Minimum,
    Maximum,
    MinLength,
    MaxLength,
    /// Only for readers: a text.
    Text,
    /// Means nothing in any draft, or may be anything.
    Free,
    /// Means something that is not understood here.
    Other,
}

impl Keyword {
    fn of(name: &str) -> Self {
        match name {
            "$schema" => Self::Schema,
            "type" => Self::Type,
            "properties" => Self::Properties,
            "additionalProperties" => Self::AdditionalProperties,
            "items" => Self::Items,
            "required" => Self::Required,
            "enum" => Self::Enum,
            "minimum" => Self::Minimum,
            "maximum" => Self::Maximum,
            "minLength" => Self::MinLength,
            "maxLength" => Self::MaxLength,
            "title" | "description" | "$comment" => Self::Text,
            "default" => Self::Free,
            name if name.starts_with('$') || MEANINGFUL.contains(&name) => Self::Other,
            _ => Self::Free,
        }
    }

    /// Whether a number is within a limit: the least one or the most.
    fn allows<N: PartialOrd>(self, number: &N, limit: &N) -> bool {
        match self {
            Self::Minimum | Self::MinLength => limit <= number,
            _ => number <= limit,
        }
    }
}

/// What drafts 3 to 2020-12 know beside the keywords of [`Keyword`].
const MEANINGFUL: [&str; 48] = [
    "additionalItems",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "disallow",
    "divisibleBy",
    "else",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "extends",
    "format",
    "formatMaximum",
    "formatMinimum",
    "id",
    "if",
    "links",
    "maxContains",
    "maxItems",
    "maxProperties",
    "media",
    "minContains",
    "minItems",
    "minProperties",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "propertyDependencies",
    "propertyNames",
    "readOnly",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "vocabulary",
    "writeOnly",
];

/// Drafts in which all that is understood here means the same.
const DRAFTS: [&str; 6] = [
    "json-schema.org/schema",
    "json-schema.org/draft-04/schema",
    "json-schema.org/draft-06/schema",
    "json-schema.org/draft-07/schema",
    "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft/2020-12/schema",
];

/// A schema that some values fit: all those that are at its place.
struct Schema<'a, 'p>(&'p [Place<'a>]);

impl<'de> DeserializeSeed<'de> for Schema<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Schema<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a plain schema")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let places = self.0;
        let mut named = Named::of(places);
        let (mut only_named, mut has_names) = (false, false);
        while let Some(Text(name)) = members.next_key()? {
            let keyword = Keyword::of(&name);
            match keyword {
                Keyword::Schema => {
                    let Text(draft) = members.next_value()?;
                    let plain = draft.strip_suffix('#').unwrap_or(&draft);
                    let plain = ["http://", "https://"].iter().find_map(|s| plain.strip_prefix(s));
                    sure::<A>(plain.is_some_and(|plain| DRAFTS.contains(&plain)))?;
                }
                Keyword::Type => {
                    let Types(types) = members.next_value()?;
                    sure::<A>(!types.is_empty() && are_different(&types, PartialEq::eq))?;
                    let is = |place: &Place<'_>| types.iter().any(|kind| place.is(*kind));
                    sure::<A>(places.iter().all(is))?;
                }
                Keyword::Properties => {
                    // Of two members of one name only the last counts.
                    sure::<A>(!std::mem::replace(&mut has_names, true))?;
                    members.next_value_seed(Properties(&mut named))?;
                }
                Keyword::AdditionalProperties => only_named |= !members.next_value::<bool>()?,
                Keyword::Items => {
                    let items = places.iter().flat_map(|place| place.list()).map(Place::of);
                    members.next_value_seed(Schema(&items.collect::<Vec<_>>()))?;
                }
                Keyword::Required => {
                    let names: Vec<Text<'_>> = members.next_value()?;
                    sure::<A>(!names.is_empty() && are_different(&names, |a, b| a.0 == b.0))?;
                    let has = |map: &Map| names.iter().all(|name| map.contains_key(&*name.0));
                    sure::<A>(places.iter().filter_map(|place| place.map()).all(has))?;
                }
                Keyword::Enum => {
                    let options: Vec<Value> = members.next_value()?;
                    sure::<A>(!options.is_empty() && options.iter().all(is_simple))?;
                    sure::<A>(are_different(&options, equal))?;
                    sure::<A>(places.iter().all(|place| is_one_of(*place, &options)))?;
                }
                Keyword::Minimum | Keyword::Maximum => {
                    let limit: f64 = members.next_value()?;
                    // Others are not the same number to every reader.
                    sure::<A>(limit.fract() == 0.0 && limit.abs() < MOST_WHOLE)?;
                    let within = |number| keyword.allows(&number, &limit);
                    sure::<A>(places.iter().filter_map(|place| place.number()).all(within))?;
                }
                Keyword::MinLength | Keyword::MaxLength => {
                    let limit: u64 = members.next_value()?;
                    let within = |length| keyword.allows(&length, &limit);
                    sure::<A>(places.iter().filter_map(|place| place.length()).all(within))?;
                }
                Keyword::Text => drop(members.next_value::<Text<'_>>()?),
                Keyword::Free => drop(members.next_value::<IgnoredAny>()?),
                Keyword::Other => return Err(A::Error::custom("not a plain schema")),
            }
        }
        sure::<A>(!only_named || named.are_all())
    }
}

/// Ends the comparison unless this is so.
fn sure<'de, A: MapAccess<'de>>(is_so: bool) -> Result<(), A::Error> {
    if is_so { Ok(()) } else { Err(A::Error::custom("not certain")) }
}

/// Whether no two of some things are the same.
fn are_different<T>(things: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    things.iter().enumerate().all(|(at, thing)| !things[..at].iter().any(|one| same(one, thing)))
}

/// Whether a value is one of the texts, booleans, nulls or numbers of a list.
fn is_one_of(place: Place<'_>, options: &[Value]) -> bool {
    matches!(place, Place::Other(value) if options.iter().any(|option| equal(option, value)))
}

/// Whether a value is equal to the same others to every reader.
fn is_simple(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.as_f64().is_some_and(|number| number.abs() < MOST_WHOLE),
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether two values are equal, the first of them a simple one.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

/// The maps that a schema speaks of, and which of their members it names.
struct Named<'a> {
    maps: Vec<(&'a Map, Vec<&'a str>)>,
}

impl<'a> Named<'a> {
    fn of(places: &[Place<'a>]) -> Self {
        let maps = places.iter().filter_map(|place| place.map());
        Self { maps: maps.map(|map| (map, Vec::new())).collect() }
    }

    /// Returns the members of a name.
    fn members(&mut self, name: &str) -> Vec<Place<'a>> {
        let mut found = Vec::new();
        for (map, seen) in &mut self.maps {
            if let Some((name, value)) = map.get_key_value(name) {
                seen.push(name);
                found.push(Place::of(value));
            }
        }
        found
    }

    fn are_all(self) -> bool {
        self.maps.into_iter().all(|(map, mut seen)| {
            seen.sort_unstable();
            seen.dedup();
            seen.len() == map.len()
        })
    }
}

/// The schemas of members by name.
struct Properties<'a, 'n>(&'n mut Named<'a>);

impl<'de> DeserializeSeed<'de> for Properties<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Properties<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("schemas by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = members.next_key()? {
            let places = self.0.members(&name);
            members.next_value_seed(Schema(&places))?;
        }
        Ok(())
    }
}

/// A text, borrowed if it is written as it is.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One type or more.
struct Types(Vec<Type>);

impl<'de> Deserialize<'de> for Types {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Types;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a type or types")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Types, E> {
                let name = serde::de::value::StrDeserializer::new(name);
                Type::deserialize(name).map(|kind| Types(vec![kind]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Types, A::Error> {
                let mut types = Vec::new();
                while let Some(kind) = list.next_element()? {
                    types.push(kind);
                }
                Ok(Types(types))
            }
        }
        reader.deserialize_any(OneOrMore)
    }
}

#[cfg(test)]
mod tests;
