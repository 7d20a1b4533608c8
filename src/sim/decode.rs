//! Bodies read through their type, as Go's structs read them: unknown fields are dropped and
//! reported, empty optional fields vanish, quantities get one spelling.

use serde_json::Map;

use super::value::is_empty;
use crate::base::quantity;
use crate::shape::types::{Form, Ty};
use crate::yaml::Value;

/// What a body held beyond its type.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Paths of unknown fields, as strict decoding names them: `spec.template.spec.foo`.
    pub(crate) unknown: Vec<String>,
}

/// A value of a wrong JSON type, in the words of Go's decoder (without the kind in front).
#[derive(Debug)]
pub(crate) struct WrongType(pub(crate) String);

/// Reads a value through its type. Custom resources are only cleaned in `metadata`; their schema
/// prunes the rest.
pub(crate) fn decode(value: Value, ty: Ty<'_>, report: &mut Report) -> Result<Value, WrongType> {
    let reader = Reader { owner: "", path: String::new() };
    reader.value(value, ty, report)
}

const QUANTITY: &str = "quantities must match the regular expression \
                        '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// Returns where a text stops to be base64.
fn bad_base64(text: &str) -> Option<usize> {
    use base64::Engine as _;
    match base64::engine::general_purpose::STANDARD.decode(text) {
        Ok(_) => None,
        Err(
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _),
        ) => Some(at),
        Err(_) => Some(text.len()),
    }
}

struct Reader<'a> {
    /// The innermost struct, as Go's errors name it.
    owner: &'a str,
    path: String,
}

impl Reader<'_> {
    fn value(&self, value: Value, ty: Ty<'_>, report: &mut Report) -> Result<Value, WrongType> {
        let Ty::Known(field) = ty else {
            return match (ty, value) {
                (Ty::Custom(_), Value::Object(mut map)) => {
                    if let Some(metadata) = map.remove("metadata") {
                        let path = "metadata".to_owned();
                        let reader = Reader { owner: "ObjectMeta", path };
                        let metadata = reader.value(metadata, Ty::metadata(), report)?;
                        map.insert("metadata".to_owned(), metadata);
                    }
                    Ok(Value::Object(map))
                }
                (_, value) => Ok(value),
            };
        };
        match (&field.form, value) {
            (_, Value::Null) => Ok(Value::Null),
            (Form::Struct(_), Value::Object(map)) => self.structure(map, ty, report),
            (Form::Map(_), Value::Object(map)) => self.map(map, ty, report),
            (Form::List(_), Value::Array(list)) => {
                let items = list.into_iter().filter(|item| !item.is_null());
                let items = items.map(|item| self.value(item, ty.item(), report));
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            (Form::Quantity, Value::Number(number)) => Ok(canonical(&number.to_string())),
            (Form::MicroTime, Value::String(text)) if text.len() > 19 && !text.contains('.') => {
                Err(WrongType(format!(
                    "parsing time \"{text}\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \
                     \"{}\" as \".000000\"",
                    text.get(19..).unwrap_or_default()
                )))
            }
            (Form::Quantity, Value::String(text)) if !quantity::is_one(&text) => {
                Err(WrongType(QUANTITY.to_owned()))
            }
            (Form::Quantity, Value::String(text)) => Ok(canonical(&text)),
            (Form::Bytes, Value::String(text)) => match bad_base64(&text) {
                Some(at) => Err(WrongType(format!("illegal base64 data at input byte {at}"))),
                None => Ok(Value::String(text)),
            },
            (Form::IntOrText, value @ (Value::Number(_) | Value::String(_)))
            | (Form::Any, value)
            | (Form::Text | Form::Time | Form::MicroTime, value @ Value::String(_))
            | (Form::Number, value @ Value::Number(_))
            | (Form::Bool, value @ Value::Bool(_)) => Ok(value),
            (Form::Int, Value::Number(number)) => self.int(&number),
            (form, value) => Err(self.wrong(json_type(&value), go_type(form))),
        }
    }

    fn int(&self, number: &serde_json::Number) -> Result<Value, WrongType> {
        if number.is_i64() || number.is_u64() {
            return Ok(Value::Number(number.clone()));
        }
        let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15);
        match whole.and_then(|float| format!("{float:.0}").parse::<i64>().ok()) {
            Some(whole) => Ok(whole.into()),
            None => Err(self.wrong(&format!("number {number}"), "int32")),
        }
    }

    fn wrong(&self, found: &str, wanted: &str) -> WrongType {
        let field = if self.path.is_empty() {
            "value".to_owned()
        } else {
            format!("struct field {}.{}", self.owner, self.path)
        };
        WrongType(format!("json: cannot unmarshal {found} into Go {field} of type {wanted}"))
    }

    fn structure(
        &self,
        map: Map<String, Value>,
        ty: Ty<'_>,
        report: &mut Report,
    ) -> Result<Value, WrongType> {
        let owner = ty.def().map_or("", |def| def.name.rsplit('.').next().unwrap_or_default());
        let mut kept = Map::new();
        for (key, inner) in map {
            let path =
                if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            let Some(child @ Ty::Known(field)) = ty.field(&key) else {
                report.unknown.push(path);
                continue;
            };
            let read = Reader { owner, path }.value(inner, child, report)?;
            let dropped = match &read {
                Value::Null => true,
                _ if field.required || field.kept => false,
                Value::String(text) => text.is_empty(),
                Value::Bool(on) => !on,
                Value::Number(number) => field.form == Form::Int && number.as_i64() == Some(0),
                Value::Array(_) => is_empty(&read),
                Value::Object(_) => is_empty(&read) && matches!(field.form, Form::Map(_)),
            };
            if !dropped {
                kept.insert(key, read);
            }
        }
        Ok(Value::Object(kept))
    }

    fn map(
        &self,
        map: Map<String, Value>,
        ty: Ty<'_>,
        report: &mut Report,
    ) -> Result<Value, WrongType> {
        let values = ty.values().unwrap_or(Ty::Any);
        let text = matches!(values, Ty::Known(field) if field.form == Form::Text);
        let mut kept = Map::new();
        for (key, inner) in map {
            // A null in a map of texts is Go's zero value.
            let read = match self.value(inner, values, report)? {
                Value::Null if text => Value::String(String::new()),
                read => read,
            };
            kept.insert(key, read);
        }
        Ok(Value::Object(kept))
    }
}

fn canonical(text: &str) -> Value {
    quantity::canonical(text).unwrap_or_else(|| text.to_owned()).into()
}

/// Returns the name that Go's decoder gives to a JSON type.
pub(crate) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn go_type(form: &Form) -> &'static str {
    match form {
        Form::Text => "string",
        Form::Int => "int32",
        Form::Number => "float64",
        Form::Bool => "bool",
        Form::Quantity => "resource.Quantity",
        Form::IntOrText => "intstr.IntOrString",
        Form::Time => "v1.Time",
        Form::MicroTime => "v1.MicroTime",
        Form::Bytes => "[]uint8",
        Form::Any => "interface {}",
        Form::Struct(_) => "struct",
        Form::List(_) => "[]struct",
        Form::Map(_) => "map[string]string",
    }
}

/// Returns the object as Go holds it with no field set: the structs that are always there, and
/// `null` for lists that are always written.
pub(crate) fn zero(ty: Ty<'_>) -> Value {
    let mut map = Map::new();
    for (name, field) in ty.def().into_iter().flat_map(|def| &def.fields) {
        if field.zero && matches!(field.form, Form::Struct(_)) {
            map.insert((*name).to_owned(), zero(Ty::Known(field)));
        } else if field.required && matches!(field.form, Form::List(_)) {
            map.insert((*name).to_owned(), Value::Null);
        }
    }
    if matches!(ty, Ty::Custom(_)) {
        map.insert("metadata".to_owned(), Value::Object(Map::new()));
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: &str, value: Value) -> (Result<Value, String>, Vec<String>) {
        let mut report = Report::default();
        let read = decode(value, Ty::named(kind).unwrap(), &mut report).map_err(|error| error.0);
        (read, report.unknown)
    }

    #[test]
    fn bodies_are_read_as_go_reads_them() {
        let (read_back, unknown) = read(
            "api.core.v1.ConfigMap",
            json!({"kind": "ConfigMap", "datax": {}, "data": {"a": null, "b": "x"}, "metadata": {"labels": {}}}),
        );
        let data = json!({"kind": "ConfigMap", "data": {"a": "", "b": "x"}, "metadata": {}});
        assert_eq!(read_back.unwrap(), data);
        assert_eq!(unknown, ["datax"]);
        let (error, _) = read("api.core.v1.ConfigMap", json!({"data": {"a": 1}}));
        let text =
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string";
        assert_eq!(error.unwrap_err(), text);
        let pod = json!({"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": ""}],
            "args": [], "resources": {"limits": {"cpu": 1, "memory": "1024Mi"}}}], "hostNetwork": false}});
        let (read_back, _) = read("api.core.v1.Pod", pod);
        let stored = json!({"spec": {"containers": [{"name": "c", "env": [{"name": "A"}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]}});
        assert_eq!(read_back.unwrap(), stored);
    }

    #[test]
    fn the_zero_object_holds_what_go_always_holds() {
        let zero = zero(Ty::named("api.apps.v1.Deployment").unwrap());
        assert_eq!(zero.pointer("/spec/template/spec/containers"), Some(&Value::Null));
        assert_eq!(zero.pointer("/spec/strategy"), Some(&json!({})));
        assert_eq!(zero.pointer("/spec/replicas"), None);
    }
}
