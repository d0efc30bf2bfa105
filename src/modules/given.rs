//! A task's parameters on their way into a module. serde's own complaints name types and no places; these say
//! which parameter is wrong, and what it takes.

use super::fault::{Fault, Faults, Part, Review};
use super::{Module, Ready};
use serde::de::{
    DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde_json::{Map, Number, Value};
use std::fmt;

/// A module from its parameters, or all that is wrong with them.
pub fn prepare<M: Module + 'static>(params: &Value) -> Result<Box<dyn Ready>, Faults> {
    let faults = match M::deserialize(Given(params)) {
        Err(wrong) => all_wrong::<M>(params, wrong),
        Ok(module) => match Review::of(&module, params) {
            faults if faults.is_empty() => return Ok(Box::new(module)),
            faults => faults,
        },
    };
    Err(Faults(faults))
}

/// serde stops at the first mistake; without the parameters that have one, it comes to the others.
fn all_wrong<M: Module>(params: &Value, first: Wrong) -> Vec<Fault> {
    let mut left = params.as_object().cloned().unwrap_or_default();
    let mut faults = Vec::new();
    let mut wrong = first;
    loop {
        let name = wrong.parameter().filter(|name| left.contains_key(name));
        if !wrong.misses_one_of(params, &left, M::ALIASES) {
            faults.push(wrong.fault(M::NAME));
        }
        let Some(name) = name else { return faults };
        left.shift_remove(&name);
        let rest = Value::Object(left.clone());
        match M::deserialize(Given(&rest)) {
            Err(next) => wrong = next,
            Ok(module) => {
                // What is missing now was there.
                let more = Review::of(&module, &rest).into_iter();
                faults.extend(more.filter(|fault| !fault.path.is_empty()));
                return faults;
            }
        }
    }
}

/// A mistake that serde found.
#[derive(Debug)]
pub struct Wrong {
    /// From the inside out.
    path: Vec<Part>,
    /// What stands there, if a line can show it.
    value: Option<String>,
    what: What,
}

#[derive(Debug)]
enum What {
    Word(&'static [&'static str]),
    Unknown(String, &'static [&'static str]),
    Missing(&'static str),
    /// What it takes, and what it is instead when that is of another kind.
    Kind(String, Option<&'static str>),
    /// In the words of whoever refuses it.
    Other(String),
}

impl Wrong {
    fn new(what: What, value: Option<String>) -> Self {
        Self {
            path: vec![],
            value,
            what,
        }
    }

    fn within(mut self, part: Part, value: &Value) -> Self {
        if self.path.is_empty() && self.value.is_none() {
            self.value = shown(value);
        }
        self.path.push(part);
        self
    }

    /// The outermost name.
    fn parameter(&self) -> Option<String> {
        match (self.path.last(), &self.what) {
            (Some(Part::Key(name)), _) => Some(name.clone()),
            (None, What::Unknown(name, _)) => Some(name.clone()),
            _ => None,
        }
    }

    /// Whether it misses what was only taken out because it was wrong.
    fn misses_one_of(
        &self,
        params: &Value,
        left: &Map<String, Value>,
        aliases: &[(&str, &str)],
    ) -> bool {
        let (What::Missing(name), true) = (&self.what, self.path.is_empty()) else {
            return false;
        };
        let taken_out = |key: &str| params.get(key).is_some() && !left.contains_key(key);
        let mut aliases = aliases.iter().filter(|(_, of)| of == name);
        taken_out(name) || aliases.any(|(alias, _)| taken_out(alias))
    }

    fn fault(self, module: &str) -> Fault {
        let path: Vec<Part> = self.path.into_iter().rev().collect();
        let place = Fault::default().at(path.clone()).place();
        let value = self.value.unwrap_or_default();
        let owner = match place.as_str() {
            "" => module.to_owned(),
            place => place.to_owned(),
        };
        match self.what {
            What::Word(choices) => Fault::of("", value, "").one_of(choices).at(path),
            What::Unknown(name, known) => {
                let mut path = path;
                path.push(Part::Key(name.clone()));
                Fault::new(format!("`{owner}` has no parameter `{name}`"))
                    .because(format!("it takes {}", known.join(", ")))
                    .at(path)
            }
            What::Missing(name) => Fault::new(format!("`{owner}` needs `{name}`")).at(path),
            What::Kind(wanted, Some(kind @ ("a list" | "a mapping" | "nothing"))) => {
                Fault::new(format!("`{owner}` cannot be {kind}"))
                    .because(format!("it takes {wanted}"))
                    .at(path)
            }
            What::Kind(wanted, kind) => {
                let kind = kind.map(|kind| format!(", not {kind}")).unwrap_or_default();
                Fault::of("", value, format!("it takes {wanted}{kind}")).at(path)
            }
            What::Other(text) if text.starts_with('`') => Fault::new(text).at(path),
            What::Other(text) if value.is_empty() => {
                Fault::new(format!("`{owner}`: {text}")).at(path)
            }
            What::Other(text) => Fault::of("", value, text).at(path),
        }
    }
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What stands there, and what kind of thing that is.
fn unexpected(found: Unexpected<'_>) -> (Option<String>, Option<&'static str>) {
    match found {
        Unexpected::Bool(it) => (Some(it.to_string()), Some("true or false")),
        Unexpected::Unsigned(it) => (Some(it.to_string()), Some("a number")),
        Unexpected::Signed(it) => (Some(it.to_string()), Some("a number")),
        Unexpected::Float(it) => (Some(it.to_string()), Some("a number")),
        Unexpected::Str(it) => (Some(it.to_owned()), Some("text")),
        Unexpected::Seq => (None, Some("a list")),
        Unexpected::Map => (None, Some("a mapping")),
        Unexpected::Unit | Unexpected::Option => (None, Some("nothing")),
        _ => (None, None),
    }
}

/// serde's word for a type, in ours.
fn wanted(expected: &dyn Expected) -> String {
    let word = expected.to_string();
    let ours = match word.as_str() {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i32" | "i64" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" => "text",
        "a sequence" => "a list",
        "a map" => "a mapping",
        word if word.starts_with("struct ") => "a mapping",
        word => word,
    };
    ours.to_owned()
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Wrong {}

impl Error for Wrong {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(What::Other(text.to_string()), None)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (value, kind) = unexpected(found);
        Self::new(What::Kind(wanted(expected), kind), value)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (value, _) = unexpected(found);
        Self::new(What::Kind(wanted(expected), None), value)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::Word(known), Some(word.to_owned()))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::Unknown(name.to_owned(), known), None)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(What::Missing(name), None)
    }
}

/// A value that knows where it stands, when asked.
struct Given<'de>(&'de Value);

fn number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, Wrong> {
    if let Some(it) = number.as_u64() {
        return visitor.visit_u64(it);
    }
    match number.as_i64() {
        Some(it) => visitor.visit_i64(it),
        None => visitor.visit_f64(number.as_f64().unwrap_or_default()),
    }
}

impl<'de> Deserializer<'de> for Given<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(it) => visitor.visit_bool(*it),
            Value::Number(it) => number(it, visitor),
            Value::String(it) => visitor.visit_borrowed_str(it),
            Value::Array(list) => visitor.visit_seq(Items(list.iter().enumerate())),
            Value::Object(map) => visitor.visit_map(Entries {
                rest: map.iter(),
                now: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    /// A list is no mapping, although serde would take its items in order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Array(_) => Err(Wrong::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::String(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            Value::Object(_) => self
                .0
                .deserialize_enum(name, variants, visitor)
                .map_err(Wrong::custom),
            Value::Number(_) | Value::Bool(_) => {
                Err(Wrong::new(What::Word(variants), shown(self.0)))
            }
            Value::Null => Err(Wrong::invalid_type(Unexpected::Unit, &visitor)),
            Value::Array(_) => Err(Wrong::invalid_type(Unexpected::Seq, &visitor)),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Value>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        let Some((at, value)) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(Given(value))
            .map(Some)
            .map_err(|wrong| wrong.within(Part::At(at), value))
    }
}

struct Entries<'de> {
    rest: serde_json::map::Iter<'de>,
    now: Option<(&'de String, &'de Value)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        self.now = self.rest.next();
        let Some((key, _)) = self.now else {
            return Ok(None);
        };
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Wrong> {
        let Some((key, value)) = self.now.take() else {
            return Err(Wrong::custom("a value without a name"));
        };
        seed.deserialize(Given(value))
            .map_err(|wrong| wrong.within(Part::Key(key.clone()), value))
    }
}
