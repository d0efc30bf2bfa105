//! What integration nodes are given to run: Siddhi apps.

use super::node::Node;
use super::site::Written;
use super::{Finding, Rule, Severity, Site, Stage, ports};
use crate::source::Span;
use regex::Regex;
use std::path::Path;

pub const RULES: &[Rule] = &[Rule {
    id: "integration-40",
    title: "a Siddhi app has the name of its file, and ports of its own",
    severity: Severity::Error,
    stage: Stage::Plan,
    why: "SI does not deploy an app whose file is named otherwise, nor one whose source finds its port taken",
    fix: "name the file as @App:name says, and give sources ports that nothing on the host has",
    source: "wso2/carbon-analytics, streaming.integrator.core, StreamProcessorDeployer",
    check: siddhi_apps,
}];

fn siddhi_apps(site: &Site) -> Vec<Finding> {
    // Both are constant, so they compile or no test passes.
    let (Ok(name), Ok(port)) = (Regex::new(NAME), Regex::new(PORT)) else {
        return vec![];
    };
    let mut found = Vec::new();
    for node in site.si() {
        for file in node.files.iter().filter(|f| f.dest.ends_with(".siddhi")) {
            found.extend(misnamed(node, file, &name));
            found.extend(taken_ports(site, node, file, &port));
        }
    }
    found
}

/// `@App:name('Sensors')`, at the start of a line: behind `--` it is a comment.
const NAME: &str = r#"(?mi)^\s*@app\s*:\s*name\s*\(\s*['"]([^'"]*)['"]"#;

/// `receiver.url='http://0.0.0.0:8006/sensors'` of a source.
const PORT: &str = r#"(?i)receiver\.url\s*=\s*['"][a-z]+://[^/:'"]*:(\d+)"#;

fn misnamed(node: &Node, file: &Written, name: &Regex) -> Option<Finding> {
    let stem = Path::new(&file.dest).file_stem()?.to_str()?;
    let Some(text) = &file.text else {
        return Some(Finding::unjudged(
            &node.host,
            format!("{} is no text", file.dest),
        ));
    };
    let Some(named) = name.captures(&text.text).and_then(|c| c.get(1)) else {
        return Some(node.finds(format!("{stem}.siddhi has no @App:name")));
    };
    (named.as_str() != stem).then(|| {
        let what = format!("{stem}.siddhi holds the app `{}`", named.as_str());
        node.finds(what).at(&Span::new(text, named.range()))
    })
}

/// Sources may share a port with each other, not with what is no source.
fn taken_ports(site: &Site, node: &Node, file: &Written, port: &Regex) -> Vec<Finding> {
    let Some(text) = &file.text else {
        return vec![];
    };
    let mut found = Vec::new();
    let numbers = port.captures_iter(&text.text).filter_map(|c| c.get(1));
    for number in numbers {
        for other in site.nodes.iter().filter(|n| n.host == node.host) {
            let taken = ports::of(other)
                .into_iter()
                .find(|p| number.as_str().parse() == Ok(p.number));
            if let Some(taken) = taken {
                let what = format!(
                    "a source wants port {}, which {} has ({})",
                    taken.number, other.service, taken.what
                );
                found.push(node.finds(what).at(&Span::new(text, number.range())));
            }
        }
    }
    found
}
