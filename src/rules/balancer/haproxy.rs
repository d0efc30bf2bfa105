//! What HAProxy's files say, in the shape in which the rules look at NGINX's.

use super::{Finding, HAPROXY, Site, Upstream, files};
use crate::source::Span;

/// A section from its first word to the next one.
struct Section<'t> {
    keyword: &'t str,
    name: &'t str,
    /// With its first line.
    text: &'t str,
    /// Where the name begins in the file.
    at: usize,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let found = starts.iter().zip(ends).filter_map(|(start, end)| {
        let text = &text[*start..end];
        let head = text.lines().next()?;
        let mut words = head.split_whitespace();
        let keyword = words.next()?;
        let name = words.next().unwrap_or_default();
        Some(Section {
            keyword,
            name,
            text,
            at: start + head.find(name)?,
        })
    });
    found.collect()
}

pub fn backends(site: &Site) -> Vec<Upstream<'_>> {
    let mut found = Vec::new();
    for (host, file) in files(site, HAPROXY) {
        for section in sections(&file.text) {
            if ["backend", "listen"].contains(&section.keyword) {
                let passes = [" from tcp", " from si", "mode tcp"];
                found.push(Upstream {
                    host,
                    name: section.name,
                    body: section.text,
                    at: Span::new(file, section.at..section.at + section.name.len()),
                    is_http: !passes.iter().any(|words| section.text.contains(words)),
                });
            }
        }
    }
    found
}

/// The names of every `frontend` with its ports of TLS. One with a default answers to all names: `*`.
pub fn fronts(text: &str) -> Vec<(Vec<&str>, Vec<&str>)> {
    let sections = sections(text).into_iter();
    let fronts = sections.filter(|s| ["frontend", "listen"].contains(&s.keyword));
    fronts
        .map(|front| {
            let lines = || front.text.lines().map(str::trim);
            let of_host = lines().filter(|line| line.contains("hdr(host)"));
            let named = of_host.filter_map(|line| line.split_once("-m str ")?.1.split(' ').next());
            let defaults = lines().filter(|line| line.starts_with("default_backend "));
            let binds = lines().filter_map(|line| line.strip_prefix("bind "));
            let of_tls = binds.filter(|bind| bind.split(' ').any(|word| word == "ssl"));
            let ports = of_tls.filter_map(|bind| bind.split(' ').next()?.rsplit(':').next());
            (
                named.chain(defaults.map(|_| "*")).collect(),
                ports.collect(),
            )
        })
        .collect()
}

/// A request's head must fit into one buffer; WebSockets are handed on without a word.
pub fn short_headers(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (host, file) in files(site, HAPROXY) {
        if !file.text.contains("\nfrontend ") {
            continue;
        }
        let size = file.text.split_once("tune.bufsize ");
        let size = size.and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u32>().ok());
        // As HAProxy is compiled.
        let kilobytes = size.unwrap_or(16 << 10) >> 10;
        if kilobytes < 64 {
            found.push(Finding::on(
                host,
                format!("URL and headers together may have {kilobytes} KB only"),
            ));
        }
    }
    found
}
