//! Values of INI inventories: a Python literal where the text is one, else the text itself.
//!
//! `5` is a number, `True` a boolean and `[1, 2]` a list; `true`, `yes` and `0644` are text.

use crate::source::{Entry, Mapping, Node, Span, Yaml};

const MAX_DEPTH: usize = 50;

pub fn read(text: &str, span: &Span) -> Node {
    let mut reader = Reader {
        rest: text,
        span,
        depth: 0,
    };
    let value = reader
        .value()
        .filter(|_| reader.is_at_end())
        .unwrap_or_else(|| Yaml::Text(text.to_owned()));
    reader.node(value)
}

struct Reader<'t> {
    rest: &'t str,
    span: &'t Span,
    depth: usize,
}

impl Reader<'_> {
    /// `None` wherever Python would see no literal.
    fn value(&mut self) -> Option<Yaml> {
        self.skip_blanks();
        match self.rest.chars().next()? {
            '[' => self.nested(|r| Some(Yaml::List(r.items(']')?.0))),
            '(' => self.nested(Self::tuple),
            '{' => self.nested(Self::braces),
            '"' | '\'' => self.text(),
            c if c.is_ascii_digit() || matches!(c, '.' | '+' | '-') => self.number(),
            _ => self.word(),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<Yaml>) -> Option<Yaml> {
        self.depth += 1;
        self.rest = &self.rest[1..];
        let value = (self.depth <= MAX_DEPTH).then(|| read(self))?;
        self.depth -= 1;
        value
    }

    /// The items up to the closing bracket, and whether a comma stood among them.
    fn items(&mut self, close: char) -> Option<(Vec<Node>, bool)> {
        let mut items = Vec::new();
        let mut has_comma = false;
        loop {
            if self.take(close) {
                return Some((items, has_comma));
            }
            let value = self.value()?;
            items.push(self.node(value));
            if self.take(',') {
                has_comma = true;
            } else if !self.take(close) {
                return None;
            } else {
                return Some((items, has_comma));
            }
        }
    }

    /// Brackets around one value without a comma only group it.
    fn tuple(&mut self) -> Option<Yaml> {
        let (mut items, has_comma) = self.items(')')?;
        match items.len() {
            1 if !has_comma => items.pop().map(|item| item.value),
            _ => Some(Yaml::List(items)),
        }
    }

    fn braces(&mut self) -> Option<Yaml> {
        if self.take('}') {
            return Some(Yaml::Map(Mapping::default()));
        }
        let first = self.value()?;
        if self.take(':') {
            return self.dict(first);
        }
        // A set.
        let mut items = vec![self.node(first)];
        if self.take(',') {
            items.extend(self.items('}')?.0);
        } else if !self.take('}') {
            return None;
        }
        Some(Yaml::List(items))
    }

    fn dict(&mut self, first: Yaml) -> Option<Yaml> {
        let mut map = Mapping::default();
        let mut key = first;
        loop {
            let value = self.value()?;
            self.enter(&mut map, key, value)?;
            let has_more = self.take(',');
            if self.take('}') {
                return Some(Yaml::Map(map));
            }
            key = has_more.then(|| self.value())??;
            if !self.take(':') {
                return None;
            }
        }
    }

    /// As in Python, the last of equal keys counts.
    fn enter(&self, map: &mut Mapping, key: Yaml, value: Yaml) -> Option<()> {
        let key = match key {
            Yaml::Text(text) => text,
            Yaml::Int(number) => number.to_string(),
            _ => return None,
        };
        map.entries.retain(|entry| entry.key != key);
        map.entries.push(Entry {
            key,
            key_span: self.span.clone(),
            value: self.node(value),
        });
        Some(())
    }

    fn word(&mut self) -> Option<Yaml> {
        let end = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if rest.starts_with(['"', '\'']) {
            return self.text();
        }
        self.rest = rest;
        match word {
            "None" => Some(Yaml::Null),
            "True" => Some(Yaml::Bool(true)),
            "False" => Some(Yaml::Bool(false)),
            _ => None,
        }
    }

    /// Texts that follow each other are one.
    fn text(&mut self) -> Option<Yaml> {
        let mut text = String::new();
        loop {
            self.one_text(&mut text)?;
            self.skip_blanks();
            let starts_text = |prefix: &str| {
                let rest = self.rest.strip_prefix(prefix)?;
                rest.starts_with(['"', '\'']).then_some(())
            };
            if ["", "r", "R", "u", "U"]
                .into_iter()
                .find_map(starts_text)
                .is_none()
            {
                return Some(Yaml::Text(text));
            }
        }
    }

    fn one_text(&mut self, text: &mut String) -> Option<()> {
        let quote_at = self.rest.find(['"', '\''])?;
        let (prefix, quoted) = self.rest.split_at(quote_at);
        let is_raw = match prefix {
            "" | "u" | "U" => false,
            "r" | "R" => true,
            _ => return None,
        };
        let quote = quoted.chars().next()?;
        let mut rest = &quoted[1..];
        loop {
            let c = rest.chars().next()?;
            rest = &rest[c.len_utf8()..];
            match c {
                c if c == quote => break,
                '\\' if is_raw => text.push('\\'),
                '\\' => rest = escape(rest, text)?,
                c => text.push(c),
            }
        }
        self.rest = rest;
        Some(())
    }

    fn number(&mut self) -> Option<Yaml> {
        let sign = match self.rest.strip_prefix(['+', '-']) {
            Some(rest) => {
                let is_minus = self.rest.starts_with('-');
                self.rest = rest.trim_start_matches(' ');
                if is_minus { "-" } else { "" }
            }
            None => "",
        };
        let digits = self.digits();
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        int(sign, digits)
            .map(Yaml::Int)
            .or_else(|| float(sign, digits).map(Yaml::Float))
    }

    /// Everything that may belong to a number, the sign of an exponent included.
    fn digits(&mut self) -> &str {
        let is_hex = self.rest.starts_with("0x") || self.rest.starts_with("0X");
        let mut before = ' ';
        let end = self.rest.find(|c: char| {
            let is_exponent_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !is_hex;
            before = c;
            !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.') || is_exponent_sign)
        });
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        digits
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Python reads a literal with a remark behind it.
    fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn node(&self, value: Yaml) -> Node {
        Node {
            value,
            span: self.span.clone(),
            tag: None,
        }
    }
}

fn int(sign: &str, text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((radix, lower.strip_prefix(prefix)?)))
        .unwrap_or((10, &lower));
    let is_octal_of_old =
        radix == 10 && digits.starts_with('0') && !digits.trim_matches(['0', '_']).is_empty();
    if is_octal_of_old || !is_separated_well(digits) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix).ok()
}

fn float(sign: &str, text: &str) -> Option<f64> {
    let is_float = text.contains(['.', 'e', 'E']) && is_separated_well(text);
    let is_decimal = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-' | '_');
    if !is_float || !text.chars().all(is_decimal) {
        return None;
    }
    let value: f64 = format!("{sign}{}", text.replace('_', "")).parse().ok()?;
    value.is_finite().then_some(value)
}

/// `_` only between digits.
fn is_separated_well(digits: &str) -> bool {
    !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__")
}

/// Reads what follows a backslash; an unknown escape stands for itself.
fn escape<'t>(rest: &'t str, text: &mut String) -> Option<&'t str> {
    let c = rest.chars().next()?;
    let after = &rest[c.len_utf8()..];
    let width = match c {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        '0'..='7' => return octal(rest, text),
        _ => {
            match simple_escape(c) {
                Some(meant) => text.push(meant),
                None => text.extend(['\\', c]),
            }
            return Some(after);
        }
    };
    let code = u32::from_str_radix(after.get(..width)?, 16).ok()?;
    text.push(char::from_u32(code)?);
    Some(&after[width..])
}

fn simple_escape(c: char) -> Option<char> {
    Some(match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '\\' | '\'' | '"' => c,
        _ => return None,
    })
}

fn octal<'t>(rest: &'t str, text: &mut String) -> Option<&'t str> {
    let digits = rest
        .bytes()
        .take(3)
        .take_while(|b| matches!(b, b'0'..=b'7'))
        .count();
    text.push(char::from_u32(
        u32::from_str_radix(&rest[..digits], 8).ok()?,
    )?);
    Some(&rest[digits..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::File;
    use serde_json::json;

    #[test]
    fn literals_are_pythons() {
        let file = File::new("hosts", "");
        let span = Span::new(&file, 0..0);
        for (text, meant) in [
            ("5", json!(5)),
            ("-5", json!(-5)),
            ("+5", json!(5)),
            ("1_000", json!(1000)),
            ("1__0", json!("1__0")),
            ("0644", json!("0644")),
            ("0o644", json!(420)),
            ("0x1F", json!(31)),
            ("00", json!(0)),
            ("1e3", json!(1000.0)),
            ("1.5e-1", json!(0.15)),
            ("4.10", json!(4.1)),
            ("10.0.0.1", json!("10.0.0.1")),
            ("True", json!(true)),
            ("true", json!("true")),
            ("yes", json!("yes")),
            ("None", json!(null)),
            ("", json!("")),
            ("'a' \"b\"", json!("ab")),
            ("r'\\d'", json!("\\d")),
            ("'\\t\\x41\\u00e4\\q\\101'", json!("\tAä\\qA")),
            ("\"a\" # why", json!("a")),
            ("5 # why", json!(5)),
            ("text # why", json!("text # why")),
            ("[1, 'x', [True,]]", json!([1, "x", [true]])),
            ("(1, 2)", json!([1, 2])),
            ("(1)", json!(1)),
            ("()", json!([])),
            (
                "{'a': 1, 'b': {2: None}}",
                json!({"a": 1, "b": {"2": null}}),
            ),
            ("{1, 2}", json!([1, 2])),
            ("{}", json!({})),
            ("[1, b]", json!("[1, b]")),
            ("[1", json!("[1")),
            ("'open", json!("'open")),
            ("5-3", json!("5-3")),
            ("--5", json!("--5")),
            ("{{ x }}", json!("{{ x }}")),
            ("a=b", json!("a=b")),
            (".", json!(".")),
        ] {
            assert_eq!(read(text, &span).to_value(), meant, "{text}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(read(&deep, &span).to_value(), json!(deep));
    }
}
