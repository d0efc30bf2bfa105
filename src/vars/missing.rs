//! Makes a name that is not defined an error wherever it is really asked for.
//!
//! Tera takes an undefined name for false in a condition and for unequal in a comparison, so a slip
//! of the pen would decide silently. Its parser can't be asked to be stricter, so the few texts that use a
//! name which does not exist are rewritten: the bare name becomes a call that complains. Tera still
//! decides what it evaluates, so `a and missing` complains only when `a` holds.

use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;
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
    for tag in tags(source) {
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

/// The insides of `{{ }}` and `{% %}`; comments and raw blocks are passed over.
fn tags(source: &str) -> Vec<Range<usize>> {
    static TAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"(?s)\{#.*?#\}|\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}|\{\{(.*?)\}\}|\{%(.*?)%\}",
        )
        .ok()
    });
    let Some(tag) = TAG.as_ref() else {
        return vec![];
    };
    tag.captures_iter(source)
        .filter_map(|c| c.get(1).or_else(|| c.get(2)))
        .map(|inside| inside.range())
        .collect()
}

/// Names in an expression, with strings passed over.
fn words(expression: &str) -> Vec<Range<usize>> {
    static WORD: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#""[^"]*"|'[^']*'|`[^`]*`|([A-Za-z_]\w*)"#).ok());
    let Some(word) = WORD.as_ref() else {
        return vec![];
    };
    word.captures_iter(expression)
        .filter_map(|c| c.get(1))
        .map(|word| word.range())
        .collect()
}

/// Whether the word is a variable used by itself, with nothing around that allows for its absence.
fn is_bare(source: &str, word: &Range<usize>, tag: &Range<usize>) -> bool {
    let before = source[tag.start..word.start].trim_end();
    let after = source[word.end..tag.end].trim_start();
    let is_part_of_something = before.ends_with(['.', '|', '<', '@'])
        || ["for", "set", "set_global", "is", "block", "component"]
            .iter()
            .any(|keyword| {
                before.trim_start_matches('-').trim_start() == *keyword
                    || before.ends_with(&format!(" {keyword}"))
            });
    // Tera itself complains of a field of something undefined.
    let goes_on = after.starts_with(['.', '[', '(', '?'])
        || after.starts_with('=') && !after.starts_with("==");
    let may_be_absent = after
        .strip_prefix("is ")
        .map(|test| test.trim_start().trim_start_matches("not ").trim_start())
        .is_some_and(|test| test.starts_with("defined") || test.starts_with("undefined"))
        || after
            .strip_prefix('|')
            .map(str::trim_start)
            .is_some_and(|filter| filter.starts_with("default") || filter.starts_with("mandatory"));
    !is_part_of_something && !goes_on && !may_be_absent
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
