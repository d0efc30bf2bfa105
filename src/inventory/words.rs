//! The words of a host's line: quotes and backslashes as a shell reads them.

use crate::source::{File, Problem, Span};
use std::ops::Range;
use std::str::CharIndices;
use std::sync::Arc;

#[derive(Debug, PartialEq)]
pub struct Word {
    pub text: String,
    /// With its quotes, in the file.
    pub range: Range<usize>,
}

/// `at` is where the line starts in the file.
pub fn split(line: &str, at: usize, file: &Arc<File>) -> Result<Vec<Word>, Problem> {
    let mut words = Vec::new();
    let mut chars = line.char_indices();
    while let Some((start, c)) = chars.clone().next() {
        if c == '#' {
            break;
        }
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let text = word(&mut chars).map_err(|(place, why)| {
            let span = Span::new(file, at + place..at + line.len());
            why.problem().at(&span)
        })?;
        let end = line.len() - chars.as_str().len();
        words.push(Word {
            text,
            range: at + start..at + end,
        });
    }
    Ok(words)
}

enum Fault {
    Open,
    Remark,
}

impl Fault {
    fn problem(self) -> Problem {
        match self {
            Self::Open => Problem::new("a quote is opened and never closed")
                .help("close it; a `'` that belongs to the text stands in `\"`"),
            // Ansible cuts the value there, which has cost people their passwords.
            Self::Remark => Problem::new("`#` starts a remark, even inside a word")
                .help("quote the value, or put a space before the remark"),
        }
    }
}

fn word(chars: &mut CharIndices) -> Result<String, (usize, Fault)> {
    let mut text = String::new();
    while let Some((at, c)) = chars.clone().next() {
        if c.is_whitespace() {
            break;
        }
        chars.next();
        match c {
            '#' => return Err((at, Fault::Remark)),
            '\\' => text.extend(chars.next().map(|(_, c)| c)),
            '\'' | '"' => quoted(chars, c, &mut text).map_err(|()| (at, Fault::Open))?,
            c => text.push(c),
        }
    }
    Ok(text)
}

fn quoted(chars: &mut CharIndices, quote: char, text: &mut String) -> Result<(), ()> {
    loop {
        let (_, c) = chars.next().ok_or(())?;
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => {
                let (_, escaped) = chars.next().ok_or(())?;
                if !matches!(escaped, '"' | '\\') {
                    text.push('\\');
                }
                text.push(escaped);
            }
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Result<Vec<String>, String> {
        let file = File::new("hosts", line);
        match split(line, 0, &file) {
            Ok(words) => Ok(words.into_iter().map(|w| w.text).collect()),
            Err(problem) => Err(problem.message),
        }
    }

    #[test]
    fn words_are_a_shells() {
        for (line, words) in [
            ("web a=1 b='x y'", vec!["web", "a=1", "b=x y"]),
            (
                "web a=\"x \\\"y\\\" \\n\" # why",
                vec!["web", "a=x \"y\" \\n"],
            ),
            ("web a=x\\ y", vec!["web", "a=x y"]),
            ("web a='#1'", vec!["web", "a=#1"]),
            ("web a=\"[1, 'x']\"", vec!["web", "a=[1, 'x']"]),
        ] {
            assert_eq!(texts(line).unwrap(), words);
        }
        assert!(texts("web a='x").unwrap_err().contains("never closed"));
        assert!(texts("web a=x#y").unwrap_err().contains("remark"));
    }
}
