//! The keys of a rendered `rollout:`, one by one, so that a mistake names its key and stands at its place.

use crate::source::{Node, Problem, Problems, Result, Span, nearest};
use serde_json::{Map, Value};

/// A mapping that is read key by key.
pub struct Keys<'n> {
    node: &'n Node,
    values: Map<String, Value>,
}

impl<'n> Keys<'n> {
    /// `known` are all keys that it may have.
    pub fn new(node: &'n Node, value: Value, known: &[&str]) -> Result<Self> {
        let values = match value {
            Value::Object(values) => values,
            other => {
                return Err(Problem::new("`rollout` is no mapping")
                    .at(&node.span)
                    .because(format!("it is {other}"))
                    .help(HELP)
                    .into());
            }
        };
        let keys = Self { node, values };
        let mut problems = Problems::new();
        for key in keys
            .values
            .keys()
            .filter(|key| !known.contains(&key.as_str()))
        {
            problems.push(keys.unknown(key, known));
        }
        problems.or(keys)
    }

    fn unknown(&self, key: &str, known: &[&str]) -> Problem {
        let entry = self.node.as_map().and_then(|map| map.entry(key));
        let place = entry.map_or(&self.node.span, |entry| &entry.key_span);
        let problem = Problem::new(format!("`rollout` has no key `{key}`")).at(place);
        match nearest(key, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("it knows {}", known.join(", "))),
        }
    }

    /// `None` when the key is not there, or is null: that leaves it to its default.
    pub fn take<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| {
                Problem::new(format!("`{key}` of `rollout` cannot be {value}"))
                    .at(self.place(key))
                    .because(format!("it is {wanted}"))
                    .help(HELP)
                    .into()
            }),
        }
    }

    pub fn need<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        self.take(key, wanted, read)?.ok_or_else(|| {
            Problem::new(format!("`rollout` lacks `{key}`"))
                .at(&self.node.span)
                .because(format!("it is {wanted}"))
                .help(HELP)
                .into()
        })
    }

    /// Where the key's value stands; a mapping that came from a template stands as a whole.
    pub fn place(&self, key: &str) -> &'n Span {
        let value = self.node.as_map().and_then(|map| map.get(key));
        value.map_or(&self.node.span, |value| &value.span)
    }
}

const HELP: &str = "the variables `rollout_*` are explained in roles/rotation/defaults/main.yaml";

pub fn text(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

pub fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(text).collect()
}

/// Also as text: a variable given by `-e` is one.
pub fn number(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// Also as text, as [`number`].
pub fn truth(value: &Value) -> Option<bool> {
    value
        .as_bool()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

fn decimal(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// Also as text, as [`number`].
pub fn share(value: &Value) -> Option<f64> {
    decimal(value).filter(|share| (0.0..=1.0).contains(share))
}

/// Also as text, as [`number`].
pub fn factor(value: &Value) -> Option<f64> {
    decimal(value).filter(|factor| *factor >= 1.0 && factor.is_finite())
}
