//! What an unquoted word means: the rules of YAML 1.1 as PyYAML, and so Ansible, applies them.
//!
//! `yes` and `on` are booleans, `y` is not; `0644` is octal; a time, a date and `22:22` stay text.
//! A number that would lose digits or has no JSON form (`.inf`) stays text as well.

use super::Yaml;

/// The value of a plain scalar.
pub fn resolve(text: &str) -> Yaml {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Yaml::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Yaml::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Yaml::Bool(false)
        }
        _ => int(text)
            .map(Yaml::Int)
            .or_else(|| float(text).map(Yaml::Float))
            .unwrap_or_else(|| Yaml::Text(text.to_owned())),
    }
}

fn int(text: &str) -> Option<i64> {
    let (sign, digits) = split_sign(text);
    let (radix, digits) = radix(digits)?;
    // `_` separates digits, as in `1_000`.
    let digits = digits.replace('_', "");
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// The radix a number's prefix states, and the digits after it.
fn radix(digits: &str) -> Option<(u32, &str)> {
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = digits.strip_prefix(prefix) {
            return Some((radix, rest));
        }
    }
    match digits.as_bytes() {
        [b'0', _, ..] => Some((8, &digits[1..])),
        [first, ..] if first.is_ascii_digit() => Some((10, digits)),
        _ => None,
    }
}

fn float(text: &str) -> Option<f64> {
    let (sign, number) = split_sign(text);
    if !is_float(number, !sign.is_empty() || text.starts_with('+')) {
        return None;
    }
    let value: f64 = format!("{sign}{}", number.replace('_', "")).parse().ok()?;
    value.is_finite().then_some(value)
}

/// A point is required, and an exponent states its sign: `1e3` is text, `1.0e+3` is a thousand.
fn is_float(number: &str, signed: bool) -> bool {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        None => (number, None),
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
    };
    let Some((whole, fraction)) = mantissa.split_once('.') else {
        return false;
    };
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let starts_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let starts_well = if whole.is_empty() {
        !signed && starts_with_digit(fraction)
    } else {
        starts_with_digit(whole)
    };
    starts_well && is_digits(whole) && is_digits(fraction) && exponent.is_none_or(is_exponent)
}

fn is_exponent(text: &str) -> bool {
    text.strip_prefix(['+', '-'])
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn split_sign(text: &str) -> (&'static str, &str) {
    match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_pyyaml_says() {
        let text = |t: &str| Yaml::Text(t.to_owned());
        for (written, meant) in [
            ("~", Yaml::Null),
            ("", Yaml::Null),
            ("yes", Yaml::Bool(true)),
            ("Off", Yaml::Bool(false)),
            ("y", text("y")),
            ("yEs", text("yEs")),
            ("0", Yaml::Int(0)),
            ("-12", Yaml::Int(-12)),
            ("+7", Yaml::Int(7)),
            ("0644", Yaml::Int(0o644)),
            ("0o644", Yaml::Int(0o644)),
            ("0x1F", Yaml::Int(31)),
            ("0b101", Yaml::Int(5)),
            ("089", text("089")),
            ("1_000", Yaml::Int(1000)),
            ("_1", text("_1")),
            ("4.10", Yaml::Float(4.1)),
            (".5", Yaml::Float(0.5)),
            ("-.5", text("-.5")),
            ("1.", Yaml::Float(1.0)),
            ("1e3", text("1e3")),
            ("1.0e3", text("1.0e3")),
            ("1.0e+3", Yaml::Float(1000.0)),
            (".inf", text(".inf")),
            ("22:22", text("22:22")),
            ("2026-01-31", text("2026-01-31")),
            ("9223372036854775808", text("9223372036854775808")),
            ("4.7.0", text("4.7.0")),
            ("-", text("-")),
            (".", text(".")),
        ] {
            assert_eq!(resolve(written), meant, "{written}");
        }
    }
}
