//! Units, memory, disks and networks of the hosts that run API-M, and what their nodes have been through.

use super::node::{Component, Node};
use super::{Finding, Instance, Rule, Severity, Site, Stage, parts, ports};
use crate::wire::survey::{Jvm, PidHolder, Reach, Survey};
use std::collections::{BTreeMap, BTreeSet};

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-10",
        title: "nobody else listens on a port of a node",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "the node cannot listen there, and stays half started",
        fix: "stop the other program, or give the node an offset",
        source: "docs-apim reference/default-product-ports.md",
        check: taken_ports,
    },
    Rule {
        id: "apim-35",
        title: "a node has a heap of its own size, and all of a host have at most 75 % of its memory",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "the script's 1 GB is too small for production; a heap that is too large is ended by the kernel",
        fix: "set apim_heap, or give the host more memory",
        source: "docs-apim install-and-setup/install/installation-prerequisites; bin/api-manager.sh, JVM_MEM_OPTS",
        check: heaps,
    },
    Rule {
        id: "apim-36",
        title: "the unit itself raises the limits of files and processes",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "systemd does not read limits.conf: under load there are too many open files",
        fix: "write LimitNOFILE=65535 and LimitNPROC=20000 into the unit, and restart it",
        source: "systemd.exec(5); docs-apim deployment-best-practices/tuning-performance.md",
        check: limits,
    },
    Rule {
        id: "apim-37",
        title: "the kernel recycles no connections, and keeps the servers' ports free",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "clients behind one address are dropped; an outgoing connection may hold a port before its server starts",
        fix: "take tcp_tw_recycle out; name the ports in net.ipv4.ip_local_reserved_ports",
        source: "docs-apim deployment-best-practices/tuning-performance.md; Linux, ip-sysctl",
        check: kernel,
    },
    Rule {
        id: "apim-38",
        title: "a host knows the addresses of all hosts, host names and database servers, and takes no other host for itself",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "nodes do not find each other, or not even themselves",
        fix: "add the name to DNS, or let the role `common` write it into /etc/hosts",
        source: "wso2/api-manager#5041, #5061",
        check: unknown_names,
    },
    Rule {
        id: "apim-43",
        title: "nodes of API-M reach each other's brokers and receivers, and those that run do not refuse",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "events do not arrive: APIs, revocations and limits stay on the node where they were made",
        fix: "open 5672, 9611 and 9711 (plus offset) between these hosts in the firewall",
        source: "docs-apim reference/default-product-ports.md",
        check: silent_peers,
    },
    Rule {
        id: "apim-52",
        title: "the password of an encrypted deployment.toml outlives a start",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "the server deletes password-tmp once it has read it: the next start waits for somebody to type",
        fix: "write password-persist, mode 0600, or password-tmp in an ExecStartPre of the unit",
        source: "docs-apim security/logins-and-passwords/working-with-encrypted-passwords.md",
        check: vaults,
    },
    Rule {
        id: "apim-54",
        title: "the nodes of a cluster have one level of updates",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "what they send each other and store changes with updates: mixed levels are not supported",
        fix: "bring all nodes to one level",
        source: "docs-apim: WSO2 Updates, best practices",
        check: levels,
    },
    Rule {
        id: "apim-55",
        title: "a pack with profiles is optimised again after an update",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "the portals are back on a node that must not have them",
        fix: "run bin/profileSetup.sh with the profile, then deploy again",
        source: "wso2/product-apim v4.4.0, bin/profileSetup.sh",
        check: portals,
    },
    Rule {
        id: "apim-56",
        title: "the pid file is no other program's",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "the start script takes that program for the server, says that it runs already, and starts nothing",
        fix: "remove wso2carbon.pid",
        source: "wso2/product-apim v4.5.0, bin/api-manager.sh",
        check: pid_files,
    },
    Rule {
        id: "apim-57",
        title: "settings and keys are the service's own, and not everybody may write them",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "the server cannot change its own files, or anybody can",
        fix: "chown them to the user of the service, and take write access from others",
        source: "docs-apim deployment-best-practices/security-guidelines-for-production-deployment.md",
        check: owners,
    },
];

fn apim(site: &Site) -> impl Iterator<Item = (&Node, &Instance)> {
    site.surveyed().filter(|(node, _)| node.component.is_apim())
}

fn survey<'s>(site: &'s Site, node: &Node) -> Option<&'s Survey> {
    site.survey(&node.host)
}

/// Looks at each node's part of a survey. What a look could not see is a finding too, "not judged".
fn each<'s>(
    site: &'s Site,
    look: impl Fn(&'s Node, &'s Instance) -> Result<Vec<Finding>, Finding>,
) -> Vec<Finding> {
    apim(site)
        .flat_map(|(node, instance)| look(node, instance).unwrap_or_else(|unseen| vec![unseen]))
        .collect()
}

fn taken_ports(site: &Site) -> Vec<Finding> {
    each(site, |node, _| {
        let Some(survey) = survey(site, node) else {
            return Ok(vec![]);
        };
        let listeners = Finding::seen(&node.host, &survey.network.listeners)?;
        let mut found = BTreeMap::new();
        for port in ports::of(node) {
            for listener in listeners.iter().filter(|l| l.port == port.number) {
                let holder = match &listener.process {
                    Some(p) if p.instance.as_deref() == Some(&node.service) => continue,
                    Some(process) => process.name.as_str(),
                    // The kernel tells the user only; the node's own user is most likely the node.
                    None if node.unit("User") == Some(&listener.user) => continue,
                    None => listener.user.as_str(),
                };
                let what = format!("port {} ({}) is taken by {holder}", port.number, port.what);
                found.insert(port.number, node.finds(what));
            }
        }
        Ok(found.into_values().collect())
    })
}

fn vaults(site: &Site) -> Vec<Finding> {
    each(site, |node, instance| {
        let pre = node.unit("ExecStartPre").unwrap_or_default();
        if node.get("secrets").is_none() || pre.contains("password-tmp") {
            return Ok(vec![]);
        }
        let files = Finding::seen(&node.host, &instance.password_files)?;
        let persistent = files.iter().find(|f| f.path.ends_with("password-persist"));
        Ok(match persistent {
            None => vec![node.finds("there is no password-persist")],
            Some(file) if file.mode & 0o077 != 0 => {
                vec![node.finds("password-persist may be read by others")]
            }
            Some(_) => vec![],
        })
    })
}

fn heaps(site: &Site) -> Vec<Finding> {
    each(site, |node, _| {
        if node.heap().is_none() {
            return Ok(vec![
                node.finds("no -Xmx in JVM_MEM_OPTS: the heap is the script's 1 GB"),
            ]);
        }
        let Some(survey) = survey(site, node) else {
            return Ok(vec![]);
        };
        let memory = Finding::seen(&node.host, &survey.memory)?.total;
        let of_host = site.nodes.iter().filter(|n| n.host == node.host);
        let wanted: u64 = of_host.filter_map(Node::heap).sum();
        let is_too_much = wanted > memory / 4 * 3;
        let told = format!(
            "heaps of {} MiB on a host of {} MiB",
            wanted >> 20,
            memory >> 20
        );
        Ok(is_too_much.then(|| node.finds(told)).into_iter().collect())
    })
}

/// By the directive, its least value and the kernel's name for it.
const LIMITS: [(&str, u64, &str); 2] = [
    ("LimitNOFILE", 65535, "Max open files"),
    ("LimitNPROC", 20000, "Max processes"),
];

fn limits(site: &Site) -> Vec<Finding> {
    each(site, |node, instance| {
        let mut found = Vec::new();
        for (directive, least, name) in LIMITS {
            let written = node.unit(directive).map(|v| v.parse().unwrap_or(u64::MAX));
            if written.is_none_or(|value| value < least) {
                found.push(node.finds(format!("the unit has no {directive} of {least} or more")));
            }
            let Some(jvm) = running(node, instance)? else {
                continue;
            };
            if let Some((Some(soft), _)) = jvm.limits.get(name)
                && *soft < least
            {
                found.push(node.finds(format!("it runs with {soft} as {name}")));
            }
        }
        Ok(found)
    })
}

/// The server, if it runs.
pub fn running<'i>(node: &Node, instance: &'i Instance) -> Result<Option<&'i Jvm>, Finding> {
    let jvm = instance.jvm.as_ref();
    jvm.map(|jvm| Finding::seen(&node.host, jvm)).transpose()
}

fn kernel(site: &Site) -> Vec<Finding> {
    each(site, |node, _| {
        let Some(survey) = survey(site, node) else {
            return Ok(vec![]);
        };
        let network = &survey.network;
        let mut found = Vec::new();
        if network
            .sysctl
            .get("net.ipv4.tcp_tw_recycle")
            .is_some_and(|v| v != "0")
        {
            found.push(node.finds("net.ipv4.tcp_tw_recycle is on"));
        }
        let (first, last) = *Finding::seen(&node.host, &network.local_ports)?;
        let reserved = Finding::seen(&node.host, &network.reserved_ports)?;
        let is_free = |port: u16| (first..=last).contains(&port) && !is_reserved(reserved, port);
        let bare: Vec<String> = ports::of(node)
            .into_iter()
            .filter(|port| is_free(port.number))
            .map(|port| port.number.to_string())
            .collect();
        if !bare.is_empty() {
            let what = format!("outgoing connections may take {}", bare.join(", "));
            found.push(node.finds(what));
        }
        Ok(found)
    })
}

/// `5672,9443-9445`, as the kernel writes it.
fn is_reserved(list: &str, port: u16) -> bool {
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&port),
            _ => false,
        }
    })
}

/// Of every host that has a node: integration nodes need these names too.
fn unknown_names(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (host, survey) in site.surveys() {
        if !site.nodes.iter().any(|node| node.host == host.name) {
            continue;
        }
        // One block for all, and one for each tenant.
        let written = host.files.iter().filter(|f| f.dest == "/etc/hosts");
        let would_be: BTreeSet<&str> = written
            .filter_map(|file| file.text.as_ref())
            .flat_map(|file| file.text.split_whitespace())
            .collect();
        for name in &survey.names {
            let addresses = match Finding::seen(&host.name, &name.addresses) {
                Ok(addresses) => addresses,
                Err(unseen) => {
                    found.push(unseen);
                    continue;
                }
            };
            let is_written = would_be.contains(name.name.as_str());
            if addresses.is_empty() && !is_written {
                found.push(Finding::on(
                    &host.name,
                    format!("{} has no address here", name.name),
                ));
            } else if is_other_host(site, host, &name.name)
                && !is_written
                && addresses.iter().any(|a| is_loopback(a))
            {
                found.push(Finding::on(
                    &host.name,
                    format!("{} is this host itself here", name.name),
                ));
            }
        }
    }
    found
}

fn is_other_host(site: &Site, host: &super::Host, name: &str) -> bool {
    name != host.name && site.hosts.contains_key(name)
}

fn is_loopback(address: &str) -> bool {
    address
        .parse()
        .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn silent_peers(site: &Site) -> Vec<Finding> {
    each(site, |node, _| {
        let peers = survey(site, node)
            .map(|s| s.peers.as_slice())
            .unwrap_or_default();
        let mut found = Vec::new();
        for peer in peers {
            let mut nodes = site.apim().filter(|other| other.host == peer.name);
            let is_event = |other: &Node| {
                let mut ports = ports::of(other).into_iter();
                ports.any(|p| p.is_for_peers && p.number == peer.port)
            };
            if !nodes.any(is_event) {
                continue;
            }
            // Of a peer that is down it only means that.
            let runs = nodes_of(site, &peer.name).any(|(_, instance)| instance.jvm.is_some());
            let why = match Finding::seen(&node.host, &peer.reach)? {
                Reach::Open { .. } => continue,
                Reach::Refused if !runs => continue,
                Reach::Refused => "refused, although it runs",
                Reach::Silent => "nothing answers",
                Reach::NoAddress => "the name has no address",
                Reach::Failed { why } => why,
            };
            found.push(node.finds(format!("{} port {}: {why}", peer.name, peer.port)));
        }
        Ok(found)
    })
}

fn nodes_of<'s>(site: &'s Site, host: &'s str) -> impl Iterator<Item = (&'s Node, &'s Instance)> {
    apim(site).filter(move |(node, _)| node.host == host)
}

fn levels(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in site.clusters() {
        let mut levels = Vec::new();
        for node in cluster.iter().filter(|n| n.component.is_apim()) {
            let Some(instance) = site.instance(node) else {
                continue;
            };
            match Finding::seen(&node.host, &instance.update) {
                Err(unseen) => found.push(unseen),
                // While nothing is installed there is no level.
                Ok(_) if instance.release.is_none() => {}
                Ok(update) => levels.push((node.host.as_str(), update.level.as_deref())),
            }
        }
        let first = levels.first().map(|(_, level)| *level);
        if levels.iter().any(|(_, level)| Some(*level) != first) {
            let told = levels
                .iter()
                .map(|(host, level)| format!("{host} {}", level.unwrap_or("none")));
            let told: Vec<String> = told.collect();
            let what = format!("levels of updates: {}", told.join(", "));
            found.push(Finding::among(levels.iter().map(|(host, _)| *host), what));
        }
    }
    found
}

fn portals(site: &Site) -> Vec<Finding> {
    each(site, |node, instance| {
        let is_part = [Component::Gateway, Component::TrafficManager].contains(&node.component);
        if !is_part || parts::has_profiles(site, node) != Some(true) {
            return Ok(vec![]);
        }
        let mut found = Vec::new();
        for folder in instance
            .folders
            .iter()
            .filter(|f| f.path.ends_with("webapps"))
        {
            let entries = Finding::seen(&node.host, &folder.entries)?;
            let names = entries.iter().map(|e| e.name.trim_end_matches(".war"));
            let back = names.filter(|n| ["publisher", "devportal", "admin"].contains(n));
            found.extend(back.map(|name| node.finds(format!("{name} is there again"))));
        }
        Ok(found)
    })
}

fn pid_files(site: &Site) -> Vec<Finding> {
    each(site, |node, instance| {
        let Some(file) = &instance.pid_file else {
            return Ok(vec![]);
        };
        let file = Finding::seen(&node.host, file)?;
        let PidHolder::Foreign { name } = &file.holder else {
            return Ok(vec![]);
        };
        let what = format!("{} has the number of {name}", file.path.display());
        Ok(vec![node.finds(what)])
    })
}

fn owners(site: &Site) -> Vec<Finding> {
    each(site, |node, instance| {
        let offenders = Finding::seen(&node.host, &instance.offenders)?;
        let worst = [
            (
                offenders.foreign,
                &offenders.foreign_paths,
                "are not the service's own",
            ),
            (
                offenders.open,
                &offenders.open_paths,
                "may be written by everybody",
            ),
        ];
        let bad = worst.into_iter().filter(|(count, ..)| *count > 0);
        Ok(bad
            .map(|(count, paths, what)| {
                let first = paths.first().map(|p| p.path.display().to_string());
                let first = first.unwrap_or_default();
                node.finds(format!("{count} files {what}, such as {first}"))
            })
            .collect())
    })
}
