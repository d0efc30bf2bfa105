//! What `ansible-inventory --list` prints.

use super::Inventory;
use crate::source::{Node, Yaml};
use crate::vars::Variable;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub fn list(inventory: &Inventory) -> Value {
    let mut said = BTreeMap::new();
    describe(inventory, "all", &mut said);
    let hostvars: BTreeMap<&str, Value> = inventory
        .hosts
        .keys()
        .map(|host| (host.as_str(), variables(inventory, host)))
        .filter(|(_, variables)| variables != &json!({}))
        .collect();
    let meta = json!({"hostvars": hostvars, "profile": "inventory_legacy"});
    said.insert("_meta".to_owned(), meta);
    json!(said)
}

/// A group and everything below it; groups that hold nothing are left out.
fn describe(inventory: &Inventory, name: &str, shown: &mut BTreeMap<String, Value>) {
    let Some(group) = inventory.groups.get(name) else {
        return;
    };
    let mut said = Map::new();
    if !group.children.is_empty() {
        said.insert("children".to_owned(), json!(group.children));
    }
    if !group.hosts.is_empty() && name != "all" {
        said.insert("hosts".to_owned(), json!(group.hosts));
    }
    if !said.is_empty() {
        shown.insert(name.to_owned(), Value::Object(said));
    }
    for child in &group.children {
        if !shown.contains_key(child) {
            describe(inventory, child, shown);
        }
    }
}

/// As written, templates included.
fn variables(inventory: &Inventory, host: &str) -> Value {
    let mut found = BTreeMap::new();
    for layer in inventory.layers(host) {
        for (name, variable) in &layer.variables {
            let value = match variable {
                Variable::Written(node) => shown(node),
                Variable::Data(value) => Value::clone(value),
                Variable::Pending(_) => Value::Null,
            };
            found.insert(name.clone(), value);
        }
    }
    json!(found)
}

/// Keys are sorted at every depth, and what was marked `!unsafe` stays marked.
fn shown(node: &Node) -> Value {
    let value = match &node.value {
        Yaml::List(items) => items.iter().map(shown).collect(),
        Yaml::Map(map) => {
            let entries = map
                .entries
                .iter()
                .map(|e| (e.key.as_str(), shown(&e.value)));
            json!(entries.collect::<BTreeMap<_, _>>())
        }
        _ => node.to_value(),
    };
    match node.tag.as_deref() {
        Some("unsafe") => json!({"__ansible_unsafe": value}),
        _ => value,
    }
}
