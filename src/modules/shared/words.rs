//! Parameters that may be written as one word or as a list of them.

use serde::{Deserialize, Deserializer};

/// `a`, `a, b` or `[a, b]`, as Ansible reads a list of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "it takes a name or a list of names")]
enum Written {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = match Written::deserialize(deserializer)? {
            // A list may turn out to hold nothing; a name may not.
            Written::One(text) if text.trim().is_empty() => {
                return Err(serde::de::Error::invalid_value(
                    serde::de::Unexpected::Str(&text),
                    &"a name or a list of names",
                ));
            }
            Written::One(text) => text.split(',').map(ToOwned::to_owned).collect(),
            Written::Many(list) => list,
        };
        let trimmed = written.iter().map(|w| w.trim());
        Ok(Self(
            trimmed
                .filter(|w| !w.is_empty())
                .map(ToOwned::to_owned)
                .collect(),
        ))
    }
}

/// `200` or `[200, 202]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(pub Vec<u16>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "it takes an HTTP status or a list of them")]
enum WrittenStatuses {
    One(Number<u16>),
    Many(Vec<Number<u16>>),
}

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![200])
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = match WrittenStatuses::deserialize(deserializer)? {
            WrittenStatuses::One(status) => vec![status],
            WrittenStatuses::Many(list) => list,
        };
        let statuses: Result<_, _> = written.into_iter().map(Number::value).collect();
        statuses.map(Self).map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for Statuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(" or "))
    }
}

/// A number, also as text: what a template or a command line gave is text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "it takes a number")]
enum Number<T> {
    Plain(T),
    Text(String),
}

impl<T: std::str::FromStr> Number<T> {
    fn value(self) -> Result<T, String> {
        match self {
            Self::Plain(number) => Ok(number),
            Self::Text(text) => text.trim().parse().map_err(|_| {
                "it takes a number that is neither too large nor too small".to_owned()
            }),
        }
    }
}

/// Seconds, whole or not; for `#[serde(deserialize_with)]`.
pub fn seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<std::time::Duration, D::Error> {
    let number = Number::<f64>::deserialize(deserializer)?
        .value()
        .map_err(serde::de::Error::custom)?;
    std::time::Duration::try_from_secs_f64(number)
        .map_err(|_| serde::de::Error::custom("it takes a number of seconds, 0 or more"))
}

/// A number, also as text; for `#[serde(deserialize_with)]`.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Number::<f64>::deserialize(deserializer)?
        .value()
        .map_err(serde::de::Error::custom)
}

/// Everything but the letters that a form, or a query, leaves alone.
pub fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte.into())
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn one_or_many_numbers_or_text() {
        let words = |v| from_value::<Words>(v).unwrap().0;
        assert_eq!(words(json!("a, b,")), ["a", "b"]);
        assert_eq!(words(json!(["a ", "b"])), ["a", "b"]);
        let statuses = |v| from_value::<Statuses>(v).map(|s| s.0);
        assert_eq!(statuses(json!(200)).unwrap(), [200]);
        assert_eq!(statuses(json!(["200", 404])).unwrap(), [200, 404]);
        assert!(statuses(json!("fine")).is_err());
        assert_eq!(seconds(json!("1.5")).unwrap().as_millis(), 1500);
        assert!(seconds(json!(-1)).is_err());
    }
}
