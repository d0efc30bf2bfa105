//! Two names for one machine: a cluster would be smaller than it looks.

use super::Inventory;
use crate::source::{Problem, Problems, Span, Yaml};
use crate::vars::Variable;
use std::collections::HashMap;

pub fn check(inventory: &Inventory, problems: &mut Problems) {
    let mut seen: HashMap<(String, String), (&str, Span)> = HashMap::new();
    for host in inventory.hosts.values() {
        let Some((address, span)) = address(inventory, &host.name) else {
            continue;
        };
        if let Some((first, first_span)) = seen.get(&address) {
            let (ip, port) = &address;
            problems.push(
                Problem::new(format!(
                    "`{first}` and `{}` are one machine: {ip}:{port}",
                    host.name
                ))
                .at(&span)
                .because(format!("`{}`", host.name))
                .also(first_span, format!("`{first}`"))
                .help("give each host its own address, or name the machine once"),
            );
        } else {
            seen.insert(address, (&host.name, span));
        }
    }
}

/// Where a host is reached, as far as no template hides it.
fn address(inventory: &Inventory, host: &str) -> Option<((String, String), Span)> {
    let layers = inventory.layers(host);
    let read = |name: &str| text_of(layers.iter().rev().find_map(|l| l.variables.get(name))?);
    if read("ansible_connection").is_some_and(|(text, _)| text == "local") {
        return None;
    }
    let known = inventory.hosts.get(host)?;
    let (ip, span) = read("ansible_host").unwrap_or((known.name.clone(), known.span.clone()));
    let (port, _) = read("ansible_port").unwrap_or(("22".to_owned(), known.span.clone()));
    let is_plain = !ip.contains("{{") && !port.contains("{{");
    is_plain.then_some(((ip, port), span))
}

fn text_of(variable: &Variable) -> Option<(String, Span)> {
    let Variable::Written(node) = variable else {
        return None;
    };
    match &node.value {
        Yaml::Text(text) => Some((text.clone(), node.span.clone())),
        Yaml::Int(number) => Some((number.to_string(), node.span.clone())),
        _ => None,
    }
}
