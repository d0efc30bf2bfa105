//! One tenant, asked for by its name: whether the inventory declares it as it is wanted, or what to write there.

use super::tenants::{self, TENANTS};
use super::{Inventory, retire};
use crate::source::{Problem, nearest};

/// A problem unless the tenant is declared, and, if it is to be there, declared so.
pub fn tenant(inventory: &Inventory, name: &str, leaves: bool) -> Result<(), Problem> {
    if !tenants::groups(inventory).any(|group| group.name == name) {
        return Err(undeclared(inventory, name, leaves));
    }
    if !leaves && retire::is_absent_group(inventory, name) {
        return Err(absent(inventory, name));
    }
    Ok(())
}

fn undeclared(inventory: &Inventory, name: &str, leaves: bool) -> Problem {
    let of_domain = tenants::groups(inventory).find(|group| {
        let domain = tenants::domain(inventory, &group.name);
        domain.is_some_and(|node| node.as_text() == Some(name))
    });
    let missing = Problem::new(format!("the inventory declares no tenant `{name}`"));
    if let Some(group) = of_domain {
        let said = format!("did you mean `{}`? that is its domain", group.name);
        return missing.help(said);
    }
    let owner = name
        .split_once('_')
        .filter(|_| inventory.groups.contains_key(name));
    if let Some((_, owner)) = owner {
        let said = format!("did you mean `{owner}`? `{name}` is a cluster of it");
        return missing.help(said);
    }
    if let Some(problem) = tenants::name_fault(name) {
        return problem;
    }
    let names = tenants::groups(inventory).map(|group| group.name.as_str());
    let near = match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`? if not, "),
        None => String::new(),
    };
    missing.help(format!("{near}{}", to_write(inventory, name, leaves)))
}

/// What declares it, to be pasted.
fn to_write(inventory: &Inventory, name: &str, leaves: bool) -> String {
    let domain = format!("{}.example.com", name.replace('_', "-"));
    let (what, tenant) = match leaves {
        true => (
            "declare it as one that leaves",
            format!("    {name}:\n      vars: {{ tenant_domain: {domain}, state: absent }}"),
        ),
        false => (
            "declare it",
            format!(
                "    {name}:\n      vars: {{ tenant_domain: {domain} }}\n      children:\n        \
                 mi_{name}: {{ hosts: {{ {0}-mi-1: , {0}-mi-2: }} }}",
                name.replace('_', "-")
            ),
        ),
    };
    let place = match inventory.groups.get(TENANTS) {
        Some(group) => format!("the group `{TENANTS}` stands at {}", group.span.place()),
        None => format!("there is no group `{TENANTS}` yet"),
    };
    let variables = match leaves {
        true => String::new(),
        false => format!(
            "\nand in group_vars/{name}.yaml what is its own: mi_hostname, tenant_admin_password, db_mi_password"
        ),
    };
    format!("{what}; {place}:\n{TENANTS}:\n  children:\n{tenant}{variables}")
}

fn absent(inventory: &Inventory, name: &str) -> Problem {
    let problem = Problem::new(format!("tenant `{name}` is declared to leave"));
    let problem = match retire::said_absent(inventory, name) {
        Some(node) => problem.at(&node.span).because("says so"),
        None => problem,
    };
    problem.help(format!(
        "take `state` away, there and off its hosts, or write `present`; what is written now is what \
         `apim-deploy tenant remove {name}` does"
    ))
}
