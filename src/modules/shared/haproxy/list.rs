//! A cluster's file for HAProxy: its servers, and the word `disabled` on the lines of one that is out.
//!
//! The word is for whoever has HAProxy read its files: without it a reload or a restart brings back what was taken out
//! by the runtime API, which keeps its states in memory only.
//! Source: HAProxy 2.6 configuration manual, section 5.2, `disabled`; management guide, `set server`.

use std::ops::Range;

/// A server of a proxy, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub proxy: String,
    pub name: String,
    pub port: u16,
    pub is_disabled: bool,
}

/// Every place of a node in the text, in order.
pub fn servers(text: &str, node: &str) -> Vec<Server> {
    let mut proxy = None;
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(section) = section(line) {
            proxy = section.map(ToOwned::to_owned);
        }
        let (Some(proxy), Some(written)) = (&proxy, written(line)) else {
            continue;
        };
        if written.host == node {
            found.push(Server {
                proxy: proxy.clone(),
                name: written.name.to_owned(),
                port: written.port,
                is_disabled: written.disabled.is_some(),
            });
        }
    }
    found
}

/// The text with a node's lines disabled, or not any more.
pub fn marked(text: &str, node: &str, disabled: bool) -> String {
    let lines = text.split_inclusive('\n').map(|line| match written(line) {
        Some(written) if written.host == node => match (&written.disabled, disabled) {
            (None, true) => {
                let (before, after) = line.split_at(written.endpoint.end);
                format!("{before} disabled{after}")
            }
            (Some(word), false) => {
                let before = line[..word.start].trim_end_matches([' ', '\t']);
                format!("{before}{}", &line[word.end..])
            }
            _ => line.to_owned(),
        },
        _ => line.to_owned(),
    });
    lines.collect()
}

/// The text, in which those stay disabled that are so in `present`.
pub fn kept_disabled(text: &str, present: &str) -> String {
    let disabled: Vec<_> = present
        .lines()
        .filter_map(written)
        .filter(|server| server.disabled.is_some())
        .collect();
    let lines = text.split_inclusive('\n').map(|line| match written(line) {
        Some(new)
            if disabled
                .iter()
                .any(|old| (old.host, old.port) == (new.host, new.port)) =>
        {
            marked(line, new.host, true)
        }
        _ => line.to_owned(),
    });
    lines.collect()
}

/// A section begins: that of a proxy with servers, by its name, or another one.
fn section(line: &str) -> Option<Option<&str>> {
    if line.starts_with([' ', '\t', '#']) {
        return None;
    }
    let mut words = line.split_whitespace();
    let keyword = words.next()?;
    Some(
        words
            .next()
            .filter(|_| ["backend", "listen"].contains(&keyword)),
    )
}

struct Written<'l> {
    name: &'l str,
    host: &'l str,
    port: u16,
    /// Where in the line.
    endpoint: Range<usize>,
    disabled: Option<Range<usize>>,
}

/// `server apim-1 10.0.0.7:8243 check`
fn written(line: &str) -> Option<Written<'_>> {
    let words = words(line);
    let mut texts = words.iter().map(|range| &line[range.clone()]);
    if texts.next() != Some("server") {
        return None;
    }
    let name = texts.next()?;
    let (host, port) = texts.next()?.rsplit_once(':')?;
    let disabled = texts.position(|word| word == "disabled");
    Some(Written {
        name,
        host: host.trim_matches(['[', ']']),
        port: port.parse().ok()?,
        endpoint: words.get(2)?.clone(),
        disabled: disabled.and_then(|at| words.get(3 + at).cloned()),
    })
}

/// Where the words of a line are, up to a comment.
fn words(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = None;
    for (at, letter) in line.char_indices().chain([(line.len(), '\n')]) {
        match (letter.is_whitespace(), from) {
            (true, Some(start)) => {
                found.push(start..at);
                from = None;
            }
            (false, None) if letter == '#' => break,
            (false, None) => from = Some(at),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
# server n 10.0.0.1:1
backend api_https from https
    server apim-1 10.0.0.1:8243
    server apim-11 10.0.0.11:8243 check disabled weight 3   # slow
backend api:mi.example.com:8253
\tserver disabled [fe80::1]:8253 disabled
frontend f
    bind :9443
    server nowhere 10.0.0.1:1
listen si_8006
    server apim-1 10.0.0.1:8006 check # disabled
";

    #[test]
    fn servers_have_a_proxy() {
        let found = servers(LIST, "10.0.0.1");
        let short = found
            .iter()
            .map(|s| (s.proxy.as_str(), s.port, s.is_disabled));
        assert_eq!(
            short.collect::<Vec<_>>(),
            [("api_https", 8243, false), ("si_8006", 8006, false)]
        );
        let other = servers(LIST, "fe80::1");
        assert_eq!(other[0].name, "disabled");
        assert!(other[0].is_disabled);
        assert_eq!(other[0].proxy, "api:mi.example.com:8253");
        assert!(servers(LIST, "10.0.0.2").is_empty());
    }

    #[test]
    fn only_the_nodes_lines_are_marked() {
        let down = marked(LIST, "10.0.0.1", true);
        assert!(down.contains("apim-1 10.0.0.1:8243 disabled\n"), "{down}");
        assert!(down.contains("10.0.0.1:8006 disabled check # disabled\n"));
        assert!(down.contains("# server n 10.0.0.1:1\n"));
        assert_eq!(marked(&down, "10.0.0.1", true), down);
        assert!(servers(&down, "10.0.0.1").iter().all(|s| s.is_disabled));
        assert_eq!(marked(&down, "10.0.0.1", false), LIST);
        let up = marked(LIST, "10.0.0.11", false);
        assert!(
            up.contains("10.0.0.11:8243 check weight 3   # slow\n"),
            "{up}"
        );
        assert_eq!(kept_disabled(LIST, &down), down);
        assert_eq!(kept_disabled(&down, LIST), down);
        let up = marked(LIST, "fe80::1", false);
        assert!(up.contains("server disabled [fe80::1]:8253\n"), "{up}");
    }
}
