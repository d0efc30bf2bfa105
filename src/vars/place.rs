//! From a position in a text to the position in the file that holds it.

use crate::source::Span;
use std::ops::Range;

/// The part `range` of `text`, which is the value of the node at `span`.
///
/// The file holds the text with quotes, indentation and escapes. Where it stands there unchanged, or at
/// least the line in question does, the place is exact; otherwise it is the whole node.
pub fn of(text: &str, span: &Span, range: Option<Range<usize>>) -> Span {
    let Some(range) = range else {
        return span.clone();
    };
    let written = span.file.text.get(span.range.clone()).unwrap_or_default();
    let (line_start, line) = line_at(text, range.start);
    let found = only(written, text)
        .map(|at| at + range.start)
        .or_else(|| only(written, line).map(|at| at + range.start - line_start));
    match found {
        None => span.clone(),
        Some(at) => {
            let start = span.range.start + at;
            let end = start + range.len().min(line.len() - (range.start - line_start));
            Span::new(&span.file, start..end)
        }
    }
}

/// The line around a byte, and where it starts.
fn line_at(text: &str, at: usize) -> (usize, &str) {
    let at = at.min(text.len());
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
    (start, &text[start..end])
}

/// Where `part` stands in `whole`, when it stands there once.
fn only(whole: &str, part: &str) -> Option<usize> {
    let at = whole.find(part)?;
    let after = at + part.chars().next()?.len_utf8();
    (!whole[after..].contains(part)).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::File;

    fn shown(file: &str, text: &str, range: Range<usize>) -> String {
        let file = File::new("f", file);
        let span = Span::new(&file, 0..file.text.len());
        let found = of(text, &span, Some(range));
        file.text[found.range].to_owned()
    }

    #[test]
    fn quotes_and_blocks_are_seen_through() {
        assert_eq!(shown("'{{ abc }}'", "{{ abc }}", 3..6), "abc");
        assert_eq!(
            shown("|\n  one\n  {{ abc }}\n", "one\n{{ abc }}\n", 7..10),
            "abc"
        );
    }

    #[test]
    fn what_cannot_be_found_is_the_whole_node() {
        assert_eq!(
            shown(r#""\t{{ abc }}""#, "\t{{ abc }}", 4..7),
            r#""\t{{ abc }}""#
        );
    }
}
