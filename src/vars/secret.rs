//! Which variables hold secrets, and what of their values must not be shown.

use serde_json::Value;
use std::collections::BTreeSet;

/// A variable with one of these endings holds a secret.
const ENDINGS: &[&str] = &[
    "password",
    "passwd",
    "_pass",
    "passphrase",
    "secret",
    "token",
    "encryption_key",
    "secret_key",
    "access_key",
    "api_key",
    "apikey",
];

/// Of a text of several lines, each line of this length is a secret too.
const LINE: usize = 16;

/// Whether a variable of this name holds a secret.
pub fn is_secret(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The secrets of a value, at least `shortest` characters long. `secret` says that all of it is one.
pub fn secrets_within(value: &Value, secret: bool, shortest: usize, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if secret => {
            // Keys and certificates come back line by line.
            let lines = text.lines().filter(|l| l.chars().count() >= LINE);
            found.extend(lines.map(str::to_owned));
            found.extend(Some(text.clone()).filter(|t| t.chars().count() >= shortest));
        }
        Value::Number(number) if secret => {
            found.extend(Some(number.to_string()).filter(|t| t.len() >= shortest));
        }
        Value::Array(list) => {
            for value in list {
                secrets_within(value, secret, shortest, found);
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                secrets_within(value, secret || is_secret(name), shortest, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in [
            "db_apim_password",
            "ansible_become_pass",
            "apim_encryption_key",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["password_rule", "lb_private_key", "public_key"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn whatever_lies_below_a_secret_is_one() {
        let value = serde_json::json!([{"user": "somebody", "password": "of mine", "pin_secret": [123456, 1]}]);
        let mut found = BTreeSet::new();
        secrets_within(&value, false, 4, &mut found);
        assert_eq!(Vec::from_iter(found), ["123456", "of mine"]);
    }
}
