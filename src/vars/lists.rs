//! Makes a loop over a text an error.
//!
//! Tera goes through the letters of a text where somebody forgot the brackets of a list. What loops are
//! over is handed through a function that looks at it first.

use super::engine::Form;
use super::reading::loops;
use std::ops::Range;
use tera::{Error, Kwargs, State, TeraResult, Value};

pub const FUNCTION: &str = "__list";
const MARK: &str = "no list at ";

/// Gives what it is given, unless that is text.
pub fn look(args: Kwargs, _: &State) -> TeraResult<Value> {
    let value = args.get::<Value>("v")?.unwrap_or_else(Value::undefined);
    if value.as_str().is_none() {
        return Ok(value);
    }
    let (from, to) = (args.must_get::<u64>("from")?, args.must_get::<u64>("to")?);
    Err(Error::message(format!("{MARK}{from}-{to} ")))
}

/// Which part of the original text is text and no list.
pub fn place_in(message: &str) -> Option<Range<usize>> {
    let (_, rest) = message.split_once(MARK)?;
    let (from, to) = rest.split(' ').next()?.split_once('-')?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

/// The text with everything that loops are over looked at; `None` without a loop.
pub fn rewrite(source: &str, shift: usize) -> Option<String> {
    if !source.contains("for") {
        return None;
    }
    let mut marks: Vec<(usize, String)> = Vec::new();
    for Range { start, end } in loops(source, Form::Text).into_iter().map(|each| each.over) {
        let (from, to) = (start.checked_sub(shift)?, end.checked_sub(shift)?);
        marks.push((start, format!("{FUNCTION}(from={from}, to={to}, v=(")));
        marks.push((end, "))".to_owned()));
    }
    marks.sort_by_key(|(at, _)| *at);
    let mut out = String::new();
    let mut copied = 0;
    for (at, mark) in &marks {
        out.push_str(source.get(copied..*at)?);
        out.push_str(mark);
        copied = *at;
    }
    out.push_str(source.get(copied..)?);
    (!marks.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loops_are_over_is_looked_at() {
        assert_eq!(
            rewrite("{% for a in b.c -%}", 0).as_deref(),
            Some("{% for a in __list(from=12, to=15, v=(b.c)) -%}")
        );
        assert_eq!(
            rewrite("{{ [a for a in b if a] }}", 0).as_deref(),
            Some("{{ [a for a in __list(from=15, to=16, v=(b)) if a] }}")
        );
        assert_eq!(rewrite("{{ before }}", 0), None);
    }
}
