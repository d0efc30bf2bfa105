//! Values of variables that no use of them would refuse in time: said on the command line they are texts, and a template
//! passes on whatever it is given.

use super::site::{Host, truth_of};
use super::{Finding, Rule, Severity, Site, Stage};
use serde_json::Value;

pub const RULES: &[Rule] = &[
    Rule {
        id: "values-01",
        title: "a heap is a size as the JVM takes it",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "the JVM ends at once with `Invalid initial heap size`, on every node that is changed",
        fix: "write a whole number with its unit: 512m, 2g",
        source: "docs.oracle.com, java command, -Xms and -Xmx",
        check: |site| wrong(site, HEAPS, is_size, "a size such as 512m or 2g"),
    },
    Rule {
        id: "values-02",
        title: "an update level is a whole number, 0 or more",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "another one counts as 0: the release without updates would be deployed, or no pack has the name",
        fix: "write the level as WSO2 Updates has it; 0 is the release as it was published",
        source: "wso2/docs-updates, update-commands.md; roles/cluster/defaults/main.yaml",
        check: |site| {
            let is_level = |value: &Value| whole(value).is_some_and(|level| level >= 0);
            wrong(site, LEVELS, is_level, "a whole number of 0 or more")
        },
    },
    Rule {
        id: "values-03",
        title: "a connection pool holds one connection or more",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "a server whose pool hands out nothing waits for its database for ever; a negative number means without a limit",
        fix: "write a whole number above 0; the defaults are 50, 20 and 10",
        source: "tomcat.apache.org, jdbc-pool, maxActive; HikariCP, maximumPoolSize",
        check: |site| wrong(site, POOLS, is_positive, "a whole number above 0"),
    },
    Rule {
        id: "values-04",
        title: "folders on hosts are absolute paths",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "systemd refuses a unit with a relative path, and a task would write below whatever folder it is started in",
        fix: "begin the path with `/`",
        source: "systemd.exec(5), WorkingDirectory; systemd.service(5), ExecStart",
        check: |site| wrong(site, FOLDERS, is_absolute, "an absolute path"),
    },
    Rule {
        id: "values-05",
        title: "the products run as a user of their own",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "whoever breaks into one of them would be root there",
        fix: "leave wso2_user at its default, or name another user that can do nothing else",
        source: "docs-apim deployment-best-practices/security-guidelines-for-production-deployment.md",
        check: |site| {
            wrong(
                site,
                &["wso2_user"],
                is_user,
                "a user without rights of root",
            )
        },
    },
    Rule {
        id: "values-06",
        title: "names of databases are made of letters, digits and `_`",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "others need quotes that the scripts of the packs do not write, or end a JDBC URL early",
        fix: "take other characters out of the name",
        source: "dev.mysql.com, identifiers; postgresql.org, SQL syntax, identifiers",
        check: |site| wrong(site, SCHEMAS, is_schema, "made of letters, digits and `_`"),
    },
    Rule {
        id: "values-07",
        title: "a rollout can leave as many hosts as must go on serving",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "no cluster of fewer hosts can be changed node by node",
        fix: "lower rollout_min_healthy, write a percentage, or add hosts; without it the number follows the cluster",
        source: "roles/rotation/defaults/main.yaml",
        check: more_than_there_are,
    },
    Rule {
        id: "values-08",
        title: "a port is a whole number from 1 to 65535",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "nothing can listen on another one, or be reached there: the balancer does not start",
        fix: "write the number of a port that nothing else listens on",
        source: "nginx.org, listen; haproxy.org, bind",
        check: |site| {
            let mut found = wrong(site, PORTS, is_port, "a port");
            found.extend(wrong(
                site,
                &["si_source_ports"],
                are_ports,
                "a list of ports",
            ));
            found
        },
    },
    Rule {
        id: "values-09",
        title: "a JDK is named by its number, and what is asked with yes or no is answered so",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "there is no package of another name, and a word that is neither counts as no",
        fix: "write 17 for JDK 17; yes or no, true or false",
        source: "roles/cluster/defaults/main.yaml",
        check: |site| {
            let mut found = wrong(site, JDKS, is_positive, "the number of a JDK");
            let is_told = |value: &Value| truth_of(value).is_some();
            found.extend(wrong(site, &["production"], is_told, "yes or no"));
            found
        },
    },
];

const HEAPS: &[&str] = &["apim_heap", "mi_heap", "si_heap"];
const LEVELS: &[&str] = &["apim_update_level", "mi_update_level", "si_update_level"];
const POOLS: &[&str] = &["apim_db_pool_size", "mi_db_pool_size", "si_db_pool_size"];
const FOLDERS: &[&str] = &[
    "wso2_home",
    "wso2_env_dir",
    "apim_home",
    "mi_home",
    "si_home",
];
const SCHEMAS: &[&str] = &[
    "db_apim_name",
    "db_shared_name",
    "db_mi_name",
    "db_si_name",
    "db_si_persistence_name",
];
const PORTS: &[&str] = &[
    "mi_public_port",
    "lb_gateway_port",
    "lb_traffic_manager_port",
    "db_port",
];
const JDKS: &[&str] = &["apim_java", "mi_java", "si_java"];

/// What is not as it should be on hosts that stay, each with the place of its value.
pub fn wrong(
    site: &Site,
    names: &[&str],
    is_right: impl Fn(&Value) -> bool,
    wanted: &str,
) -> Vec<Finding> {
    let hosts = || site.staying();
    let each = names
        .iter()
        .flat_map(|name| hosts().map(move |h| (h, *name)));
    each.filter_map(|(host, name)| {
        let value = host.variable(name).filter(|value| !is_right(value))?;
        let what = format!("`{name}` is {}, not {wanted}", shown(value));
        Some(said(host, name, what))
    })
    .collect()
}

/// A finding about a host's variable, at the place where it is set.
pub fn said(host: &Host, variable: &str, what: String) -> Finding {
    let finding = Finding::on(&host.name, what);
    match host.places.get(variable) {
        Some(place) => finding.at(place),
        None => finding,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{text}`"),
        value => format!("`{value}`"),
    }
}

/// A whole number, also one of the command line.
pub fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

pub fn port(value: &Value) -> Option<u16> {
    u16::try_from(whole(value)?).ok().filter(|port| *port > 0)
}

fn is_port(value: &Value) -> bool {
    port(value).is_some()
}

fn are_ports(value: &Value) -> bool {
    let ports = value.as_array();
    ports.is_some_and(|ports| ports.iter().all(is_port))
}

fn is_positive(value: &Value) -> bool {
    whole(value).is_some_and(|number| number > 0)
}

fn is_size(value: &Value) -> bool {
    let Some(size) = value.as_str() else {
        return false;
    };
    let number = size.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G']);
    number.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()) && n.parse() != Ok(0_u64))
        && size.len() > 1
}

fn is_absolute(value: &Value) -> bool {
    let path = value.as_str();
    path.is_some_and(|path| path.starts_with('/') && path.len() > 1)
}

fn is_user(value: &Value) -> bool {
    let user = value.as_str().map(str::trim);
    user.is_some_and(|user| !user.is_empty() && user != "root" && user != "0")
}

fn is_schema(value: &Value) -> bool {
    let is_legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let name = value.as_str();
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(is_legal))
}

fn more_than_there_are(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (cluster, hosts) in clusters(site) {
        let Some(first) = hosts.first() else { continue };
        let value = first.variable("rollout_min_healthy");
        let wanted = value.and_then(whole).and_then(|n| usize::try_from(n).ok());
        let Some(wanted) = wanted.filter(|wanted| *wanted > hosts.len()) else {
            continue;
        };
        let what = format!(
            "`rollout_min_healthy` is {wanted}, and `{cluster}` has {}",
            match hosts.len() {
                1 => "1 host".to_owned(),
                count => format!("{count} hosts"),
            }
        );
        found.push(said(first, "rollout_min_healthy", what));
    }
    found
}

/// The hosts of each group that is changed node by node.
fn clusters(site: &Site) -> Vec<(&str, Vec<&Host>)> {
    let parts = ["apim", "gateway", "traffic_manager"];
    let parts = parts.map(|part| (part, site.members(part).collect::<Vec<_>>()));
    let integration = ["mi", "si"].into_iter();
    let mut all: Vec<_> = parts.into_iter().collect();
    all.extend(integration.flat_map(|product| site.integration(product)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_take_what_their_uses_take() {
        for (is_right, good, bad) in [
            (
                is_size as fn(&Value) -> bool,
                vec![json!("512m"), json!("2g"), json!("2048M")],
                vec![
                    json!("2gb"),
                    json!(2),
                    json!("m"),
                    json!("0g"),
                    json!("-1g"),
                    json!("1.5g"),
                    json!(""),
                ],
            ),
            (
                is_positive,
                vec![json!(1), json!("20")],
                vec![json!(0), json!(-3), json!("many"), json!(1.5)],
            ),
            (
                is_absolute,
                vec![json!("/opt/wso2")],
                vec![json!("opt/wso2"), json!("~/wso2"), json!("/"), json!("")],
            ),
            (
                is_user,
                vec![json!("wso2carbon")],
                vec![json!("root"), json!("0"), json!(0), json!("")],
            ),
            (
                is_schema,
                vec![json!("apim_db")],
                vec![json!("apim-db"), json!("apim db"), json!("a;b"), json!("")],
            ),
            (
                is_port,
                vec![json!(443), json!("8253")],
                vec![json!(0), json!(65536), json!("https")],
            ),
            (
                are_ports,
                vec![json!([]), json!([8006, "8007"])],
                vec![json!("8006"), json!([0])],
            ),
        ] {
            for value in good {
                assert!(is_right(&value), "{value}");
            }
            for value in bad {
                assert!(!is_right(&value), "{value}");
            }
        }
    }
}
