//! Makes a name that is not defined an error wherever it is really asked for.
//!
//! Tera takes an undefined name for false in a condition and for unequal in a comparison, so a slip
//! of the pen would decide silently. Its parser can't be asked to be stricter, so the few texts that use a
//! name which does not exist are rewritten: the bare name becomes a call that complains. Tera still
//! decides what it evaluates, so `a and missing` complains only when `a` holds.

use super::engine::Form;
use super::reading::{allows_absence, is_variable, tags, words};
use std::ops::Range;
use tera::{Error, Kwargs, State, TeraResult, Value};

pub const FUNCTION: &str = "__missing";
const MARK: &str = "missing at ";

/// What Tera calls in place of the missing name.
pub fn complain(args: Kwargs, _: &State) -> TeraResult<Value> {
    Err(Error::message(format!(
        "{MARK}{}",
        args.must_get::<u64>("at")?
    )))
}

/// Where in the original text the complaint came from.
pub fn place_in(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once(MARK)?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// The text with every bare use of `names` replaced; `None` when there is none.
pub fn rewrite(source: &str, names: &[&str], shift: usize) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    for tag in tags(source, Form::Text) {
        for word in words(&source[tag.clone()]) {
            let word = tag.start + word.start..tag.start + word.end;
            if names.contains(&&source[word.clone()]) && is_bare(source, &word, &tag) {
                out.push_str(&source[copied..word.start]);
                out.push_str(&format!("{FUNCTION}(at={})", word.start - shift));
                copied = word.end;
            }
        }
    }
    out.push_str(&source[copied..]);
    (copied > 0).then_some(out)
}

/// Whether the word is a variable used by itself, with nothing around that allows for its absence.
fn is_bare(source: &str, word: &Range<usize>, tag: &Range<usize>) -> bool {
    let after = source[word.end..tag.end].trim_start();
    // Tera itself complains of a field of something undefined.
    let goes_on = after.starts_with(['.', '[', '?']);
    let complains = after
        .strip_prefix('|')
        .is_some_and(|filter| filter.trim_start().starts_with("mandatory"));
    is_variable(source, word, tag) && !goes_on && !complains && !allows_absence(after)
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    fn rewritten(source: &str) -> String {
        rewrite(source, &["x"], 0).unwrap_or_else(|| "as it was".into())
    }

    #[test]
    fn a_bare_name_complains() {
        assert_eq!(rewritten("{% if x %}"), "{% if __missing(at=6) %}");
        assert_eq!(
            rewritten("{{ a and x == 'x' }}"),
            "{{ a and __missing(at=9) == 'x' }}"
        );
        assert_eq!(rewritten("{{ f(v=x) }}"), "{{ f(v=__missing(at=7)) }}");
    }

    #[test]
    fn a_name_that_may_be_absent_is_left_alone() {
        for text in [
            "{{ x is defined }}",
            "{{ x is not defined }}",
            "{{ x | default(value=1) }}",
            "{{ x.y }}",
            "{{ a.x }}",
            "{{ 'x' }}",
            "x",
            "{# x #}",
            "{% raw %}{{ x }}{% endraw %}",
            "{% set x = 1 %}",
            "{{ f(x=1) }}",
        ] {
            assert_eq!(rewritten(text), "as it was", "{text}");
        }
    }
}
