//! Where a list of steps is carried out, and as whom.

use crate::inventory::Inventory;
use crate::source::{Problem, Span, nearest};
use crate::vars::{Ladder, Scope, Unresolved, Variable};
use serde_json::Value;

/// Whose worker carries a list of steps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Place {
    /// The host itself, or the one the task is delegated to.
    pub host: String,
    /// The user to become; `None` is the one who logged in.
    pub user: Option<String>,
}

/// A task is delegated to a host of the inventory, or to the controller itself.
pub fn known_host(inventory: &Inventory, host: &str, span: &Span) -> Result<(), Problem> {
    const HERE: &str = "localhost";
    if host == HERE || inventory.hosts.contains_key(host) {
        return Ok(());
    }
    let names = inventory.hosts.keys().map(String::as_str);
    let problem = Problem::new(format!(
        "the inventory has no host `{host}` to delegate a task to"
    ))
    .at(span);
    Err(match nearest(host, names.chain([HERE])) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem
            .help("name a host of the inventory, one and no group; `localhost` is this machine"),
    })
}

/// What the inventory says of sudo, if it does.
pub fn said_become(ladder: &Ladder, scope: &Scope<'_>) -> Result<Option<bool>, Unresolved> {
    const NAME: &str = "ansible_become";
    let Some(value) = scope.get(NAME) else {
        return Ok(None);
    };
    let value = value?;
    let Some(wanted) = switch(&value) else {
        let shown = value.as_str().map_or(value.to_string(), ToOwned::to_owned);
        let problem = Problem::new(format!("`{NAME}` is `{shown}`, neither true nor false"))
            .because("decides whether sudo is used")
            .help("write `true` or `false`");
        return Err(match ladder.get(NAME) {
            Some(Variable::Written(node)) => problem.at(&node.span),
            _ => problem,
        }
        .into());
    };
    Ok(Some(wanted))
}

/// A boolean as Ansible reads one: every text that INI files and `-e` have for it.
fn switch(value: &Value) -> Option<bool> {
    let text = match value {
        Value::Bool(b) => return Some(*b),
        Value::String(text) => text.to_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    match text.as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
        _ => None,
    }
}
