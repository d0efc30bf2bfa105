//! The group `tenants`: one child group per tenant of API Manager, with the clusters that serve this tenant alone.

use super::{Group, Inventory, members, retire};
use crate::source::{Node, Problem, Problems, Span, nearest};
use crate::vars::{Layer, Variable};
use std::collections::HashMap;
use std::sync::Arc;

/// The group of the tenants' groups.
pub const TENANTS: &str = "tenants";

const DOMAIN: &str = "tenant_domain";

/// What a tenant's clusters are called: the product, `_`, the tenant.
const PRODUCTS: [&str; 2] = ["mi", "si"];

/// A tenant's name becomes part of the names of schemas, files and virtual hosts.
const LONGEST_NAME: usize = 24;

/// `UM_TENANT.UM_DOMAIN_NAME`. Source: wso2/product-apim@v4.5.0, dbscripts of the shared database.
const LONGEST_DOMAIN: usize = 255;

/// `MultitenantConstants.SUPER_TENANT_DOMAIN_NAME`.
const SUPER_TENANT: &str = "carbon.super";

/// The groups that roles know: what a host of them is to be.
pub const KINDS: [&str; 7] = [
    "apim",
    "database",
    "gateway",
    "load_balancer",
    "mi",
    "si",
    "traffic_manager",
];

/// Means something else than a tenant, below `tenants` too.
fn is_taken(name: &str) -> bool {
    KINDS.contains(&name) || ["all", retire::RETIRED].contains(&name)
}

/// A tenant as the inventory declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Of its group.
    pub name: String,
    pub domain: String,
    /// The hosts of its clusters, without retired ones.
    pub mi: Vec<String>,
    pub si: Vec<String>,
    /// Declared in order to leave.
    pub is_absent: bool,
}

/// In the inventory's order. What has no readable domain is left out, and what is to be there without a cluster: a plan
/// would say of them again what `check` says.
pub fn read(inventory: &Inventory) -> Vec<Tenant> {
    groups(inventory)
        .filter_map(|group| {
            let name = &group.name;
            let domain = domain(inventory, name)?.as_text()?.to_owned();
            let hosts = |product: &str| {
                let hosts = inventory.hosts_of(&cluster(product, name));
                hosts.into_iter().map(ToOwned::to_owned).collect()
            };
            Some(Tenant {
                name: name.clone(),
                domain,
                mi: hosts("mi"),
                si: hosts("si"),
                is_absent: retire::is_absent_group(inventory, name),
            })
        })
        .filter(|tenant| tenant.is_absent || !tenant.mi.is_empty() || !tenant.si.is_empty())
        .collect()
}

/// All that is wrong with tenants and their clusters.
pub fn check(inventory: &Inventory) -> Problems {
    let mut problems = Problems::new();
    for group in groups(inventory) {
        if !is_tenant(group, &mut problems) {
            continue;
        }
        check_domain(inventory, group, &mut problems);
        check_children(inventory, group, &mut problems);
        check_clusters(inventory, group, &mut problems);
    }
    check_loose_hosts(inventory, &mut problems);
    check_shared_domains(inventory, &mut problems);
    check_shared_hosts(inventory, &mut problems);
    check_strays(inventory, &mut problems);
    problems
}

pub(super) fn groups(inventory: &Inventory) -> impl Iterator<Item = &Group> {
    let tenants = inventory.groups.get(TENANTS);
    let names = tenants.into_iter().flat_map(|tenants| &tenants.children);
    names.filter_map(|name| inventory.groups.get(name))
}

fn cluster(product: &str, tenant: &str) -> String {
    format!("{product}_{tenant}")
}

fn clusters(tenant: &str) -> [String; 2] {
    PRODUCTS.map(|product| cluster(product, tenant))
}

/// Looks like a tenant's cluster.
fn is_cluster(group: &str) -> bool {
    PRODUCTS.iter().any(|product| {
        let rest = group.strip_prefix(product);
        rest.is_some_and(|rest| rest.starts_with('_'))
    })
}

pub(super) fn domain(inventory: &Inventory, tenant: &str) -> Option<Node> {
    let said = |layer: &Arc<Layer>| match layer.variables.get(DOMAIN)? {
        Variable::Written(node) => Some(node.clone()),
        Variable::Data(_) | Variable::Pending(_) => None,
    };
    let layers = members::group_layers(inventory, tenant);
    layers.iter().rev().find_map(said)
}

/// Checks the name; false if what stands there is meant as something else, so that the rest says nothing.
fn is_tenant(group: &Group, problems: &mut Problems) -> bool {
    let name = group.name.as_str();
    match name_fault(name) {
        None => true,
        Some(problem) => {
            problems.push(problem.at(&group.span));
            !is_taken(name) && !is_cluster(name)
        }
    }
}

/// Why no tenant can be called so.
pub(super) fn name_fault(name: &str) -> Option<Problem> {
    let is_legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let is_well_formed = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(is_legal)
        && name.len() <= LONGEST_NAME;
    if is_taken(name) {
        let problem = Problem::new(format!(
            "`{name}` is a group of another kind and cannot be a tenant's"
        ));
        Some(problem.help("take it out of `tenants`, or give the tenant another name"))
    } else if is_cluster(name) {
        let tenant = name.split_once('_').map_or("", |(_, tenant)| tenant);
        let problem = Problem::new(format!("`{name}` is a cluster and stands where tenants do"));
        Some(problem.help(format!("put it among the children of `{tenant}`")))
    } else if !is_well_formed {
        let problem = Problem::new(format!("`{name}` cannot be the name of a tenant"));
        Some(
            problem
                .because("becomes part of the names of schemas and files")
                .help(format!(
                    "use 1 to {LONGEST_NAME} of lower-case letters, digits and `_`, a letter first"
                )),
        )
    } else {
        None
    }
}

/// What `addTenant` accepts, and a domain that can stand in addresses.
/// Source: wso2/carbon-multitenancy, `TenantMgtUtil.validateDomain` and `CommonUtil.isPublicCloudSetup`.
fn check_domain(inventory: &Inventory, group: &Group, problems: &mut Problems) {
    let name = &group.name;
    let Some(node) = domain(inventory, name) else {
        problems.push(
            Problem::new(format!("tenant `{name}` has no `{DOMAIN}`"))
                .at(&group.span)
                .help(format!(
                    "write `{DOMAIN}: {}.example.com` under its `vars`",
                    name.replace('_', "-")
                )),
        );
        return;
    };
    let wrong = match node.as_text() {
        Some(domain) => domain_fault(domain),
        None => Some("a domain is text"),
    };
    if let Some(why) = wrong {
        problems.push(
            Problem::new(format!("`{DOMAIN}` of `{name}` is no domain of a tenant"))
                .at(&node.span)
                .because(why)
                .help("write a domain as it is, such as `acme.example.com`"),
        );
    }
}

fn domain_fault(domain: &str) -> Option<&'static str> {
    let is_legal =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    if domain.contains("{{") {
        Some("known before any template is")
    } else if !domain.bytes().all(is_legal) {
        Some("API Manager takes lower-case letters, digits, `.`, `-` and `_`")
    } else if domain == SUPER_TENANT {
        Some("the super tenant is always there")
    } else if domain.starts_with('.') || domain.ends_with('.') || domain.contains("..") {
        Some("a dot separates two parts")
    } else if !domain.contains('.') {
        Some("API Manager wants a dot in it")
    } else if domain.len() > LONGEST_DOMAIN {
        Some("longer than 255 characters")
    } else {
        None
    }
}

fn check_children(inventory: &Inventory, tenant: &Group, problems: &mut Problems) {
    let known = clusters(&tenant.name);
    for child in tenant.children.iter().filter(|c| !known.contains(c)) {
        let near = nearest(child, known.iter().map(String::as_str));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its clusters are called `{}` and `{}`", known[0], known[1]),
        };
        let place = inventory.groups.get(child).unwrap_or(tenant);
        problems.push(
            Problem::new(format!(
                "`{child}` is no name of a cluster of tenant `{}`",
                tenant.name
            ))
            .at(&place.span)
            .help(help),
        );
    }
}

/// A tenant that is there has a cluster, and one that leaves has none.
fn check_clusters(inventory: &Inventory, tenant: &Group, problems: &mut Problems) {
    let name = &tenant.name;
    if !retire::is_absent_group(inventory, name) {
        let is_empty = |group: &String| inventory.hosts_of(group).is_empty();
        if clusters(name).iter().all(is_empty) {
            problems.push(without_cluster(inventory, tenant));
        }
        return;
    }
    for host in inventory.hosts_of(name) {
        let problem = Problem::new(format!(
            "tenant `{name}` is absent, and its host `{host}` is present"
        ))
        .help("take `state` off the host, or off the tenant");
        problems.push(placed(inventory, host, problem).also(&tenant.span, "the tenant"));
    }
}

fn without_cluster(inventory: &Inventory, tenant: &Group) -> Problem {
    let name = &tenant.name;
    let [mi, si] = clusters(name);
    Problem::new(format!("tenant `{name}` has no cluster"))
        .at(&tenant.span)
        .because(retired_words(inventory, name))
        .help(format!(
            "add hosts to `{mi}` or `{si}`; for a tenant that leaves write `state: absent` under its `vars`, or name it: \
             `--retire {name}`"
        ))
}

fn retired_words(inventory: &Inventory, group: &str) -> String {
    let retired = inventory.retired_from(group);
    match retired.is_empty() {
        true => String::new(),
        false => format!("retired: {}", retired.join(", ")),
    }
}

fn placed(inventory: &Inventory, host: &str, problem: Problem) -> Problem {
    match inventory.hosts.get(host) {
        Some(host) => problem.at(&host.span),
        None => problem,
    }
}

/// A host belongs to a cluster, not to a tenant as such.
fn check_loose_hosts(inventory: &Inventory, problems: &mut Problems) {
    let tenants = inventory.groups.get(TENANTS).into_iter();
    for group in tenants.chain(groups(inventory).filter(|g| !is_cluster(&g.name))) {
        let children = match group.name.as_str() {
            TENANTS => "a tenant's `mi_NAME` or `si_NAME`".to_owned(),
            tenant => {
                let [mi, si] = clusters(tenant);
                format!("`{mi}` or `{si}`")
            }
        };
        for host in &group.hosts {
            let problem = Problem::new(format!(
                "`{host}` is in `{}` and in none of its clusters",
                group.name
            ))
            .help(format!("put it into {children}"));
            problems.push(placed(inventory, host, problem));
        }
    }
}

fn check_shared_domains(inventory: &Inventory, problems: &mut Problems) {
    let mut seen: HashMap<String, (&str, Span)> = HashMap::new();
    for group in groups(inventory) {
        let Some(node) = domain(inventory, &group.name) else {
            continue;
        };
        let Some(text) = node.as_text() else { continue };
        match seen.get(text) {
            None => {
                seen.insert(text.to_owned(), (&group.name, node.span.clone()));
            }
            Some((first, span)) => problems.push(
                Problem::new(format!(
                    "`{first}` and `{}` have one domain: {text}",
                    group.name
                ))
                .at(&node.span)
                .because(format!("`{}`", group.name))
                .also(span, format!("`{first}`"))
                .help("a domain is one tenant; give each its own, or make them one group"),
            ),
        }
    }
}

/// What one tenant's cluster runs, another's must not: their traffic is to be apart.
fn check_shared_hosts(inventory: &Inventory, problems: &mut Problems) {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for shared in PRODUCTS {
        let hosts = inventory.hosts_of(shared).into_iter();
        owners.extend(hosts.map(|host| (host, shared)));
    }
    for group in groups(inventory) {
        for host in inventory.hosts_of(&group.name) {
            let Some(owner) = owners.insert(host, &group.name) else {
                continue;
            };
            let (other, help) = match PRODUCTS.contains(&owner) {
                true => (
                    format!("the shared cluster `{owner}`"),
                    "leave it in one of them",
                ),
                false => (
                    format!("tenant `{owner}`"),
                    "leave it in one of them: tenants are kept apart",
                ),
            };
            let problem = Problem::new(format!(
                "`{host}` is in tenant `{}` and in {other}",
                group.name
            ))
            .help(help);
            problems.push(placed(inventory, host, problem));
        }
    }
}

/// A cluster that no tenant has would be left out without a word.
fn check_strays(inventory: &Inventory, problems: &mut Problems) {
    let tenants = || groups(inventory).map(|group| group.name.as_str());
    let has_a_place = |name: &str| {
        groups(inventory).any(|g| g.name == name || g.children.iter().any(|child| child == name))
    };
    for group in inventory.groups.values() {
        let name = group.name.as_str();
        let Some((_, tenant)) = name.split_once('_').filter(|_| is_cluster(name)) else {
            continue;
        };
        if has_a_place(name) {
            continue;
        }
        let help = match nearest(tenant, tenants()) {
            Some(near) if near == tenant => format!("put it among the children of `{tenant}`"),
            Some(near) => format!("did you mean a cluster of `{near}`?"),
            None => {
                format!("declare `{tenant}` in the group `{TENANTS}`, with `{name}` as a child")
            }
        };
        problems.push(
            Problem::new(format!("the cluster `{name}` belongs to no tenant"))
                .at(&group.span)
                .help(help),
        );
    }
}
