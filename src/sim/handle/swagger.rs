//! A Swagger document as protobuf, which is how client-go asks for it.
//!
//! Source: google/gnostic-models openapiv2/OpenAPIv2.proto. What our documents do not have is left
//! out.

use serde_json::Map;

use crate::yaml::Value;

/// What clients name in `Accept`.
pub(super) const ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What the answer is called.
pub(super) const MEDIA: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// A message that is written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.number(field << 3 | 2);
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, inner: &Self) {
        self.bytes(field, &inner.0);
    }

    fn text(&mut self, field: u64, value: &Value) {
        if let Some(text) = value.as_str() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts(&mut self, field: u64, value: &Value) {
        value.as_array().into_iter().flatten().for_each(|text| self.text(field, text));
    }

    /// What has a name of its own: `{name = 1, value = 2}`.
    fn named(&mut self, field: u64, name: &str, value: &Self) {
        let mut named = Self::default();
        named.bytes(1, name.as_bytes());
        named.message(2, value);
        self.message(field, &named);
    }

    /// The extensions of an object, as YAML texts; JSON is YAML.
    fn extensions(&mut self, field: u64, object: &Value) {
        for (name, value) in entries(object).filter(|(name, _)| name.starts_with("x-")) {
            let mut any = Self::default();
            any.bytes(2, value.to_string().as_bytes());
            self.named(field, name, &any);
        }
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// Writes a document.
pub(super) fn write(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    let mut info = Message::default();
    info.text(1, &document["info"]["title"]);
    info.text(2, &document["info"]["version"]);
    out.message(2, &info);
    let mut paths = Message::default();
    for (path, item) in entries(&document["paths"]) {
        paths.named(2, path, &path_item(item));
    }
    out.message(8, &paths);
    let mut definitions = Message::default();
    for (name, one) in entries(&document["definitions"]) {
        definitions.named(1, name, &schema(one));
    }
    out.message(9, &definitions);
    out.0
}

fn path_item(item: &Value) -> Message {
    let mut out = Message::default();
    for (field, verb) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
        if item[verb].is_object() {
            out.message(field, &operation(&item[verb]));
        }
    }
    out
}

fn operation(operation: &Value) -> Message {
    let mut out = Message::default();
    out.texts(7, &operation["consumes"]);
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let mut query = Message::default();
        query.text(2, &parameter["in"]);
        query.text(4, &parameter["name"]);
        query.text(6, &parameter["type"]);
        // parametersItem → parameter → nonBodyParameter → queryParameterSubSchema
        let wrapped = [3, 2, 1].iter().fold(query, |inner, field| {
            let mut outer = Message::default();
            outer.message(*field, &inner);
            outer
        });
        out.message(8, &wrapped);
    }
    out.extensions(13, operation);
    out
}

fn schema(schema: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, &schema["$ref"]);
    out.text(2, &schema["format"]);
    out.text(4, &schema["description"]);
    out.texts(19, &schema["required"]);
    match &schema["additionalProperties"] {
        Value::Null => {}
        more => {
            let mut item = Message::default();
            match more.as_bool() {
                Some(may) => {
                    item.number(2 << 3);
                    item.number(u64::from(may));
                }
                None => item.message(1, &self::schema(more)),
            }
            out.message(21, &item);
        }
    }
    if schema["type"].is_string() {
        let mut item = Message::default();
        item.text(1, &schema["type"]);
        out.message(22, &item);
    }
    if schema["items"].is_object() {
        let mut item = Message::default();
        item.message(1, &self::schema(&schema["items"]));
        out.message(23, &item);
    }
    if schema["properties"].is_object() {
        let mut properties = Message::default();
        for (name, one) in entries(&schema["properties"]) {
            properties.named(1, name, &self::schema(one));
        }
        out.message(25, &properties);
    }
    out.extensions(31, schema);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_written_by_the_numbers_of_its_fields() {
        let document = json!({
            "swagger": "2.0", "info": {"title": "K", "version": "v1"}, "paths": {},
            "definitions": {"a": {"type": "object", "properties": {"b": {"$ref": "#/c"}}, "x-y": [1]}},
        });
        let want: &[u8] = b"\x0a\x032.0\x12\x07\x0a\x01K\x12\x02v1\x42\x00\x4a\x30\
            \x0a\x2e\x0a\x01a\x12\x29\
            \xb2\x01\x08\x0a\x06object\
            \xca\x01\x0c\x0a\x0a\x0a\x01b\x12\x05\x0a\x03#/c\
            \xfa\x01\x0c\x0a\x03x-y\x12\x05\x12\x03[1]";
        assert_eq!(write(&document), want);
    }

    #[test]
    fn long_texts_have_long_numbers() {
        let mut message = Message::default();
        message.bytes(16, &[b'x'; 300]);
        assert_eq!(message.0[..4], [0x82, 0x01, 0xac, 0x02]);
        assert_eq!(message.0.len(), 304);
    }
}
