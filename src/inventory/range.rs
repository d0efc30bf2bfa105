//! `gw[01:12].example.com:2222`: the host names a line stands for, and their port.

use crate::source::{Problem, Span};
use std::net::Ipv6Addr;

/// One range too many is a slip of the pen; hosts beyond this are not one cluster.
const MAX_NAMES: usize = 10_000;

#[derive(Debug, PartialEq)]
pub struct Address {
    pub names: Vec<String>,
    pub port: Option<u16>,
}

type Checked<T> = std::result::Result<T, Problem>;

pub fn expand(text: &str, span: &Span) -> Checked<Address> {
    let (host, port) = split_port(text, span)?;
    let names = product(&pieces(host, span)?, span)?;
    for name in &names {
        check_host_name(name, span)?;
    }
    Ok(Address { names, port })
}

/// Ansible warns about other names and then cannot select them in patterns.
pub fn check_group_name(name: &str, span: &Span) -> Checked<()> {
    let is_fine = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.is_empty() && !name.starts_with(['-', '.']) && name.chars().all(is_fine) {
        return Ok(());
    }
    Err(
        wrong(span, format!("`{name}` cannot be the name of a group"))
            .because("names are made of letters, digits, `_`, `-` and `.`"),
    )
}

fn check_host_name(name: &str, span: &Span) -> Checked<()> {
    if let Some((user, host)) = name.split_once('@') {
        return Err(wrong(span, format!("`{name}` is not the name of a host"))
            .because("the user is a variable of the host")
            .help(format!(
                "name the host `{host}` and set `ansible_user` to `{user}`"
            )));
    }
    let is_fine = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '%');
    // A leading `-` would be read as an option by programs that are given the name.
    if !name.is_empty() && !name.starts_with(['-', '.']) && name.chars().all(is_fine) {
        return Ok(());
    }
    Err(
        wrong(span, format!("`{name}` cannot be the name of a host"))
            .because("names are made of letters, digits, `_`, `-` and `.`"),
    )
}

fn split_port<'t>(text: &'t str, span: &Span) -> Checked<(&'t str, Option<u16>)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    if let Some((address, rest)) = bracketed_ipv6(text) {
        return match rest.strip_prefix(':') {
            Some(port) => Ok((address, Some(self::port(port, span)?))),
            None => Ok((address, None)),
        };
    }
    match colons_outside_brackets(text)[..] {
        [] => Ok((text, None)),
        [at] => Ok((&text[..at], Some(port(&text[at + 1..], span)?))),
        _ => Err(wrong(
            span,
            format!("`{text}` is neither `host:port` nor an IPv6 address"),
        )
        .help("write an IPv6 address with a port as `[address]:port`")),
    }
}

fn bracketed_ipv6(text: &str) -> Option<(&str, &str)> {
    let (address, rest) = text.strip_prefix('[')?.split_once(']')?;
    let is_whole = rest.is_empty() || rest.starts_with(':');
    (is_whole && address.parse::<Ipv6Addr>().is_ok()).then_some((address, rest))
}

fn colons_outside_brackets(text: &str) -> Vec<usize> {
    let mut inside = false;
    let mut found = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            ':' if !inside => found.push(at),
            _ => {}
        }
    }
    found
}

fn port(text: &str, span: &Span) -> Checked<u16> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ if text.is_empty() => Err(wrong(span, "a port is missing after this `:`")
            .because("a host's line does not end in `:` in INI")
            .help("if the file is YAML, give it a name that ends in `.yaml`")),
        _ => Err(wrong(span, format!("`{text}` is not a port")).because("1 to 65535")),
    }
}

/// What stands at one place of a name: one text, or one of several.
type Piece = Vec<String>;

fn pieces(mut text: &str, span: &Span) -> Checked<Vec<Piece>> {
    let mut pieces = Vec::new();
    while let Some((head, rest)) = text.split_once('[') {
        let Some((range, tail)) = rest.split_once(']') else {
            return Err(wrong(span, "a `[` is not closed").help("write a range as `[1:9]`"));
        };
        pieces.push(vec![head.to_owned()]);
        pieces.push(Range::parse(range, span)?.names());
        text = tail;
    }
    pieces.push(vec![text.to_owned()]);
    Ok(pieces)
}

fn product(pieces: &[Piece], span: &Span) -> Checked<Vec<String>> {
    let count = pieces
        .iter()
        .try_fold(1_usize, |count, piece| count.checked_mul(piece.len()));
    if count.is_none_or(|count| count > MAX_NAMES) {
        return Err(too_many(span));
    }
    Ok(pieces.iter().fold(vec![String::new()], |names, piece| {
        names
            .iter()
            .flat_map(|name| piece.iter().map(move |part| format!("{name}{part}")))
            .collect()
    }))
}

fn too_many(span: &Span) -> Problem {
    wrong(span, format!("this stands for more than {MAX_NAMES} hosts"))
        .help("check the range's bounds")
}

/// `01:10:2`, both ends included.
struct Range {
    first: u32,
    last: u32,
    step: usize,
    /// Digits to fill with zeros; `None` for letters.
    width: Option<usize>,
}

impl Range {
    fn parse(text: &str, span: &Span) -> Checked<Self> {
        let bounds: Vec<&str> = text.split(':').collect();
        let (first, last, step) = match bounds[..] {
            [first, last] => (first, last, "1"),
            [first, last, step] => (first, last, step),
            _ => return Err(not_a_range(text, span)),
        };
        let first = if first.is_empty() { "0" } else { first };
        let step = match step.parse() {
            Ok(step) if step > 0 => step,
            _ => return Err(not_a_range(text, span)),
        };
        let range = letters(first, last, step)
            .or_else(|| numbers(first, last, step))
            .ok_or_else(|| not_a_range(text, span))?;
        range.check(text, (first, last), span)
    }

    fn check(self, text: &str, (first, last): (&str, &str), span: &Span) -> Checked<Self> {
        if self.first > self.last {
            let help = format!("write `[{last}:{first}]`");
            return Err(wrong(span, format!("the range `[{text}]` runs backwards")).help(help));
        }
        if self
            .width
            .is_some_and(|width| width > 1 && width != last.len())
        {
            return Err(
                wrong(span, format!("the ends of `[{text}]` differ in length"))
                    .because("with a leading zero, both ends have the same number of digits"),
            );
        }
        if (self.last - self.first) as usize / self.step >= MAX_NAMES {
            return Err(too_many(span));
        }
        Ok(self)
    }

    fn names(&self) -> Vec<String> {
        (self.first..=self.last)
            .step_by(self.step)
            .map(|n| match self.width {
                Some(width) => format!("{n:0width$}"),
                None => char::from_u32(n).map(String::from).unwrap_or_default(),
            })
            .collect()
    }
}

fn letters(first: &str, last: &str, step: usize) -> Option<Range> {
    let letter = |text: &str| {
        let mut chars = text.chars();
        chars
            .next()
            .filter(|c| c.is_ascii_alphabetic() && chars.next().is_none())
    };
    let (first, last) = (letter(first)?, letter(last)?);
    (first.is_ascii_lowercase() == last.is_ascii_lowercase()).then_some(Range {
        first: first.into(),
        last: last.into(),
        step,
        width: None,
    })
}

fn numbers(first: &str, last: &str, step: usize) -> Option<Range> {
    let number = |text: &str| {
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse().ok())?
    };
    let is_filled = first.len() > 1 && first.starts_with('0');
    Some(Range {
        first: number(first)?,
        last: number(last)?,
        step,
        width: Some(if is_filled { first.len() } else { 1 }),
    })
}

fn not_a_range(text: &str, span: &Span) -> Problem {
    wrong(span, format!("`[{text}]` is not a range"))
        .help("write `[1:9]`, `[01:12]`, `[a:f]`, or with a step `[1:9:2]`")
}

fn wrong(span: &Span, message: impl Into<String>) -> Problem {
    Problem::new(message).at(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::File;

    fn read(text: &str) -> Checked<Address> {
        let file = File::new("hosts", text);
        expand(text, &Span::new(&file, 0..text.len()))
    }

    #[test]
    fn names_and_ports() {
        for (text, names, port) in [
            ("web", vec!["web"], None),
            ("web:2222", vec!["web"], Some(2222)),
            ("gw[01:03]", vec!["gw01", "gw02", "gw03"], None),
            ("gw[8:10]", vec!["gw8", "gw9", "gw10"], None),
            ("gw[:2]", vec!["gw0", "gw1", "gw2"], None),
            (
                "gw[01:06:2].x:22",
                vec!["gw01.x", "gw03.x", "gw05.x"],
                Some(22),
            ),
            ("db-[a:c]", vec!["db-a", "db-b", "db-c"], None),
            ("r[1:2]n[a:b]", vec!["r1na", "r1nb", "r2na", "r2nb"], None),
            ("::1", vec!["::1"], None),
            ("[fe80::1]:22", vec!["fe80::1"], Some(22)),
        ] {
            let address = read(text).unwrap_or_else(|p| panic!("{}", p.render(false)));
            assert_eq!(
                (address.names, address.port),
                (names.iter().map(|n| n.to_string()).collect(), port),
                "{text}"
            );
        }
    }

    #[test]
    fn slips_are_refused() {
        for (text, part) in [
            ("gw[01:0x]", "is not a range"),
            ("gw[3:1]", "runs backwards"),
            ("gw[1:1000000000]", "more than 10000"),
            ("gw[1:500][1:500]", "more than 10000"),
            ("gw[01:100]", "differ in length"),
            ("gw[1:5:0]", "is not a range"),
            ("gw[1,3]", "is not a range"),
            ("gw[a:C]", "is not a range"),
            ("gw[1:3", "is not closed"),
            ("web:", "a port is missing"),
            ("web:70000", "is not a port"),
            ("a:b:c", "neither"),
            ("root@web", "set `ansible_user` to `root`"),
            ("-oProxyCommand=x", "cannot be the name"),
        ] {
            let said = read(text).expect_err(text).render(false);
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}
