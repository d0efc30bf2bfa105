//! Permission bits as people write them: `"0640"`, or `u=rw,g=r,o=`.

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// What a `mode` parameter asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permissions {
    Bits(u32),
    Clauses(Vec<Clause>),
}

/// One of the comma-separated parts, such as `go-w`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// The bits of user, group and others that it is about.
    whom: u32,
    operator: char,
    what: String,
}

const EVERYONE: u32 = 0o7777;

impl Permissions {
    /// The bits asked for, on something that has `before`.
    pub fn over(&self, before: u32, is_folder: bool) -> u32 {
        match self {
            Self::Bits(bits) => *bits,
            Self::Clauses(clauses) => clauses
                .iter()
                .fold(before, |bits, clause| clause.over(bits, is_folder)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            let bits = u32::from_str_radix(text, 8).ok()?;
            return (bits <= EVERYONE).then_some(Self::Bits(bits));
        }
        let clauses: Option<Vec<_>> = text.split(',').map(Clause::parse).collect();
        clauses.map(Self::Clauses)
    }
}

impl Clause {
    fn parse(text: &str) -> Option<Self> {
        let at = text.find(['=', '+', '-'])?;
        let (whom, rest) = text.split_at(at);
        let (operator, what) = rest.split_at(1);
        let whom = whom.chars().map(class).sum::<Option<u32>>()?;
        what.chars().all(|c| "rwxXst".contains(c)).then(|| Self {
            whom: if whom == 0 { EVERYONE } else { whom },
            operator: operator.chars().next().unwrap_or('='),
            what: what.to_owned(),
        })
    }

    fn over(&self, before: u32, is_folder: bool) -> u32 {
        let bits = self.whom
            & self
                .what
                .chars()
                .fold(0, |bits, c| bits | bit(c, before, is_folder));
        match self.operator {
            '+' => before | bits,
            '-' => before & !bits,
            _ => (before & !self.whom) | bits,
        }
    }
}

/// The bits of one class of people; special bits belong to the class that they act for.
fn class(letter: char) -> Option<u32> {
    match letter {
        'u' => Some(0o4700),
        'g' => Some(0o2070),
        'o' => Some(0o1007),
        'a' => Some(EVERYONE),
        _ => None,
    }
}

fn bit(letter: char, before: u32, is_folder: bool) -> u32 {
    match letter {
        'r' => 0o444,
        'w' => 0o222,
        'x' => 0o111,
        // Folders, and files that somebody may already execute.
        'X' if is_folder || before & 0o111 != 0 => 0o111,
        's' => 0o6000,
        't' => 0o1000,
        _ => 0,
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Permissions;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("four octal digits as text, such as \"0640\", or u=rw,g=r,o=")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Permissions, E> {
        Permissions::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    /// YAML drops the leading zero of 0640 or reads it as octal, depending on whom you ask.
    fn visit_u64<E: Error>(self, number: u64) -> Result<Permissions, E> {
        let written = match u32::from_str_radix(&number.to_string(), 8) {
            Ok(bits) if bits <= EVERYONE => format!("{number:04}"),
            _ => "0640".to_owned(),
        };
        Err(E::custom(format!(
            "it is a number; write it as text: \"{written}\""
        )))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Permissions, E> {
        self.visit_u64(number.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::Permissions;

    fn over(text: &str, before: u32) -> u32 {
        Permissions::parse(text).unwrap().over(before, false)
    }

    #[test]
    fn clauses_act_one_after_the_other() {
        assert_eq!(over("u=rw,g=r,o=", 0o777), 0o640);
        assert_eq!(over("go-w", 0o666), 0o644);
        assert_eq!(over("+x", 0o640), 0o751);
        assert_eq!(over("u+s", 0o755), 0o4755);
        assert_eq!(over("a=rX", 0o600), 0o444);
        assert_eq!(over("a=rX", 0o700), 0o555);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "rw", "0999", "u=q", "77777", "x+r"] {
            assert_eq!(Permissions::parse(text), None, "{text}");
        }
    }
}
