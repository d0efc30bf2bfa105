//! Parameters that may be written as one word or as a list of them.

use serde::{Deserialize, Deserializer};

/// `a`, `a, b` or `[a, b]`, as Ansible reads a list of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a name or a list of names")]
enum Written {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = match Written::deserialize(deserializer)? {
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
#[serde(untagged, expecting = "an HTTP status or a list of them")]
enum WrittenStatuses {
    One(u16),
    Many(Vec<u16>),
}

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![200])
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match WrittenStatuses::deserialize(deserializer)? {
            WrittenStatuses::One(status) => vec![status],
            WrittenStatuses::Many(list) => list,
        }))
    }
}

impl std::fmt::Display for Statuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(" or "))
    }
}

/// Seconds, whole or not, as YAML numbers; for `#[serde(deserialize_with)]`.
pub fn seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<std::time::Duration, D::Error> {
    let number = f64::deserialize(deserializer)?;
    std::time::Duration::try_from_secs_f64(number)
        .map_err(|_| serde::de::Error::custom(format!("{number} is no number of seconds")))
}
