//! What `ansible-inventory --graph` prints.

use super::Inventory;

pub fn graph(inventory: &Inventory) -> String {
    let mut lines = Vec::new();
    draw(inventory, "all", 0, &mut lines);
    lines.join("\n") + "\n"
}

fn draw(inventory: &Inventory, name: &str, depth: usize, lines: &mut Vec<String>) {
    let Some(group) = inventory.groups.get(name) else {
        return;
    };
    lines.push(branch(&format!("@{name}:"), depth));
    for child in &group.children {
        draw(inventory, child, depth + 1, lines);
    }
    if name != "all" {
        lines.extend(group.hosts.iter().map(|host| branch(host, depth + 1)));
    }
}

fn branch(name: &str, depth: usize) -> String {
    match depth {
        0 => name.to_owned(),
        _ => format!("{}--{name}", "  |".repeat(depth)),
    }
}
