//! JSON lines: one object a line, with the fields of a row.
//!
//! `serde_json`'s own errors quote the input, so none of them is handed on.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::draft::{Draft, Purpose, evidence};
use super::field::{Field, may_be_shown};
use crate::domain::limits::MAX_EVIDENCE;
use crate::domain::{FieldError, IdentifierKind};
use crate::rpc::proto;

/// What a line says.
///
/// # Errors
/// Where it is no JSON object, or a field is unknown, given twice or of the wrong type or word.
pub(super) fn draft(line: &str, purpose: Purpose) -> Result<Draft, FieldError> {
    let mut draft = Draft::new(purpose);
    for (name, value) in object(parse(line)?, "")? {
        let field = match name.as_str() {
            "identifiers" => {
                identifiers(&mut draft, value)?;
                continue;
            }
            "goods_value" => Field::Amount,
            "amount" | "currency" | "count" | "goods_reference" | "goods_state" => {
                let message = "give goods_value with amount_minor, currency, count, reference and state";
                return Err(FieldError::new("FIELD_UNKNOWN", name, message));
            }
            other => Field::named(other).ok_or_else(|| unknown(other))?,
        };
        if purpose.uses(field) {
            set(&mut draft, field, value)?;
        }
    }
    Ok(draft)
}

fn set(draft: &mut Draft, field: Field, value: Value) -> Result<(), FieldError> {
    match field {
        Field::Evidence => draft.set_evidence(pieces(value)?),
        Field::Actions => draft.set_actions(&strings(value, field.as_str())?)?,
        Field::DerivedFrom => draft.set(field, &strings(value, field.as_str())?.join("|"))?,
        Field::Amount => goods_value(draft, value)?,
        Field::HsChapter | Field::NiceClass | Field::RetentionDays | Field::Count => {
            draft.set(field, &digits(field, &value)?)?
        }
        _ => draft.set(field, &string(value, field.as_str())?)?,
    }
    Ok(())
}

fn parse(line: &str) -> Result<Value, FieldError> {
    serde_json::from_str::<Unique>(line).map(|value| value.0).map_err(|e| {
        let (code, message) = match e.classify() {
            serde_json::error::Category::Data => ("FIELD_REPEATED", "an object has the same field twice, up to column"),
            _ => ("JSON_INVALID", "this line is no valid JSON at column"),
        };
        FieldError::new(code, "", format!("{message} {}", e.column()))
    })
}

fn identifiers(draft: &mut Draft, value: Value) -> Result<(), FieldError> {
    for (name, values) in object(value, "identifiers")? {
        let Some(kind) = IdentifierKind::ALL.iter().find(|kind| kind.as_str() == name) else {
            let known: Vec<_> = IdentifierKind::ALL.iter().map(|kind| kind.as_str()).collect();
            let message = format!("one of these is no kind of identifier; give {}", known.join(", "));
            return Err(FieldError::new("IDENTIFIER_KIND_UNKNOWN", "identifiers", message));
        };
        for value in strings(values, &format!("identifiers.{name}"))? {
            draft.identify(*kind, &value);
        }
    }
    Ok(())
}

fn pieces(value: Value) -> Result<Vec<proto::Evidence>, FieldError> {
    let pieces = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(pieces) => pieces,
        _ => return Err(FieldError::new("TYPE_WRONG", "evidence", "give an array")),
    };
    let pieces = pieces.into_iter().take(MAX_EVIDENCE + 1).enumerate();
    pieces.map(|(i, value)| piece(value).map_err(|e| e.inside(format!("evidence[{i}]")))).collect()
}

fn piece(value: Value) -> Result<proto::Evidence, FieldError> {
    let (mut kind, mut grade, mut digests) = (String::new(), String::new(), Vec::new());
    for (name, value) in object(value, "")? {
        match name.as_str() {
            "kind" => kind = string(value, "kind")?,
            "grade" => grade = string(value, "grade")?,
            "sha256" => digests = strings(value, "sha256")?,
            other => return Err(unknown(other)),
        }
    }
    evidence(kind.trim(), grade.trim(), digests.iter().map(String::as_str))
}

fn goods_value(draft: &mut Draft, value: Value) -> Result<(), FieldError> {
    let outer = "goods_value";
    for (name, value) in object(value, outer)? {
        match name.as_str() {
            _ if value.is_null() => Ok(()),
            "amount_minor" => match value.as_i64() {
                Some(minor) if minor > 0 => {
                    draft.set_amount_minor(minor);
                    Ok(())
                }
                _ => Err(FieldError::new("AMOUNT_INVALID", "amount_minor", "give minor units, a whole number above 0")),
            },
            "currency" => set(draft, Field::Currency, value),
            "count" => set(draft, Field::Count, value),
            "reference" => set(draft, Field::GoodsReference, value),
            "state" => set(draft, Field::GoodsState, value),
            other => Err(unknown(other)),
        }
        .map_err(|e| e.inside(outer))?;
    }
    Ok(())
}

/// The digits of a whole number; none for `null`.
fn digits(field: Field, value: &Value) -> Result<String, FieldError> {
    match value {
        Value::Null => Ok(String::new()),
        Value::Number(number) if number.is_u64() => Ok(number.to_string()),
        _ => Err(field.error("NUMBER_INVALID", "give a whole number above 0, not as a string")),
    }
}

/// The fields of an object; none for `null`.
fn object(value: Value, field: &str) -> Result<Map<String, Value>, FieldError> {
    match value {
        Value::Object(map) => Ok(map),
        Value::Null if !field.is_empty() => Ok(Map::new()),
        _ => Err(FieldError::new("TYPE_WRONG", field, "give an object")),
    }
}

/// A string; empty for `null`.
fn string(value: Value, field: &str) -> Result<String, FieldError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        _ => Err(FieldError::new("TYPE_WRONG", field, "give a string")),
    }
}

/// A string or an array of strings; none for `null`.
fn strings(value: Value, field: &str) -> Result<Vec<String>, FieldError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text]),
        Value::Array(values) => {
            let item = |(i, value): (usize, Value)| match value {
                Value::String(text) => Ok(text),
                _ => Err(FieldError::new("TYPE_WRONG", format!("{field}[{i}]"), "give a string")),
            };
            values.into_iter().enumerate().map(item).collect()
        }
        _ => Err(FieldError::new("TYPE_WRONG", field, "give a string or an array of strings")),
    }
}

/// An error about a field that there is not. Its name could be a value in the wrong place and is shown only if it cannot.
fn unknown(name: &str) -> FieldError {
    let name = if may_be_shown(name) { name } else { "?" };
    FieldError::new("FIELD_UNKNOWN", name, "there is no such field here; see `submit --help` for the fields")
}

/// A JSON value none of whose objects has a field twice: the second would replace the first in silence.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Unique(value))) = fields.next_entry::<String, Unique>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("repeated field"));
            }
        }
        Ok(Value::Object(map))
    }
}
