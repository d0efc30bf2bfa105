//! `status` as one table, a row a node; below it why something is as it should not be.

use super::words;
use crate::event::{InRotation, NodeStatus};
use console::style;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const HEAD: [&str; 6] = [
    "cluster",
    "host",
    "release",
    "serves",
    "rotation",
    "a run would",
];

pub fn table(nodes: &[NodeStatus]) -> Vec<String> {
    if nodes.is_empty() {
        return vec![
            "no play of this playbook has a `rollout`: nothing is known of nodes".to_owned(),
        ];
    }
    let rows: Vec<[String; 6]> = nodes.iter().map(row).collect();
    let mut lines = words::columns(&HEAD, &rows);
    lines[0] = style(&lines[0]).bold().to_string();
    lines.extend(nodes.iter().flat_map(reasons));
    lines
}

/// A line for each cell that is another one than before, and the reasons that are new.
pub fn changes(before: &[NodeStatus], now: &[NodeStatus]) -> Vec<String> {
    let at = clock();
    let mut lines = Vec::new();
    for node in now {
        let is_it = |b: &&NodeStatus| b.host == node.host && b.cluster == node.cluster;
        let Some(was) = before.iter().find(is_it) else {
            continue;
        };
        let cells = HEAD.iter().zip(row(was).into_iter().zip(row(node)));
        let other = cells.filter(|(_, (was, is))| was != is);
        lines.extend(
            other.map(|(head, (was, is))| format!("{at} {}: {head}: {was} -> {is}", node.host)),
        );
        let known: Vec<_> = reasons(was).iter().map(|line| timeless(line)).collect();
        let news = reasons(node).into_iter();
        let news = news.filter(|line| !known.contains(&timeless(line)));
        lines.extend(news.map(|line| format!("{at} {line}")));
    }
    lines
}

/// A drain that lasts is no news.
fn timeless(line: &str) -> String {
    match line.split_once("out of rotation for ") {
        Some((host, rest)) => {
            let reason = rest.split_once(": ").map_or(rest, |(_, reason)| reason);
            format!("{host}{reason}")
        }
        None => line.to_owned(),
    }
}

/// `14:02:11Z`
fn clock() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let second = now.as_secs() % 86_400;
    let (hours, minutes) = (second / 3600, second / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}Z", second % 60)
}

fn row(node: &NodeStatus) -> [String; 6] {
    let serves = match (&node.fault, node.leads) {
        (None, true) => "yes, leads",
        (None, false) => "yes",
        (Some(_), _) => "NO",
    };
    [
        node.cluster.clone(),
        node.host.clone(),
        node.release.clone().unwrap_or_else(|| "-".to_owned()),
        serves.to_owned(),
        rotation(node),
        pending(node),
    ]
}

/// One word where all balancers agree.
fn rotation(node: &NodeStatus) -> String {
    let mut words: Vec<&str> = node.rotation.iter().map(|(_, seen)| word(seen)).collect();
    words.dedup();
    match words.as_slice() {
        [] => "-".to_owned(),
        [one] => (*one).to_owned(),
        _ => "differs".to_owned(),
    }
}

fn word(seen: &InRotation) -> &'static str {
    match seen {
        InRotation::Yes => "in",
        InRotation::Drained { .. } => "OUT",
        InRotation::Foreign => "OUT, not by us",
        InRotation::Partly { .. } => "IN PART",
        InRotation::Failing => "DOWN",
        InRotation::Absent => "unknown there",
        InRotation::Unknown(_) => "not known",
    }
}

fn pending(node: &NodeStatus) -> String {
    match node.pending.as_deref() {
        None => "not known".to_owned(),
        Some([]) => "change nothing".to_owned(),
        Some(changes) => format!("make {}", words::count(changes.len(), "change")),
    }
}

fn reasons(node: &NodeStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(fault) = &node.fault {
        lines.push(format!("{}: {}", node.host, words::tame(fault)));
    }
    for (balancer, seen) in &node.rotation {
        let told = match seen {
            InRotation::Yes => continue,
            InRotation::Drained { reason, since } => {
                format!(
                    "out of rotation for {}: {}",
                    ago(*since),
                    words::tame(reason)
                )
            }
            InRotation::Foreign => "taken out by somebody else".to_owned(),
            InRotation::Partly { rest } => words::tame(rest),
            InRotation::Failing => "its health checks do not pass".to_owned(),
            InRotation::Absent => "it has no such node".to_owned(),
            InRotation::Unknown(why) => words::tame(why),
        };
        lines.push(format!("{} at {balancer}: {told}", node.host));
    }
    lines
}

/// By the controller's clock.
fn ago(since: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    words::duration(now.saturating_sub(Duration::from_secs(since)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str) -> NodeStatus {
        NodeStatus {
            cluster: "mi".into(),
            host: host.into(),
            release: Some("4.4.0".into()),
            fault: None,
            leads: false,
            rotation: vec![("lb-1".into(), InRotation::Yes)],
            pending: Some(vec![]),
        }
    }

    #[test]
    fn what_changed_is_a_line_and_what_lasts_is_none() {
        let drained = |since| NodeStatus {
            rotation: vec![(
                "lb-1".into(),
                InRotation::Drained {
                    reason: "a rollout by alice at build-7".into(),
                    since,
                },
            )],
            ..node("mi-2")
        };
        let said = |before: &[NodeStatus], now: &[NodeStatus]| {
            let lines = changes(before, now).into_iter();
            // Without the time of day.
            lines.map(|line| line[10..].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            said(&[node("mi-1"), drained(100)], &[node("mi-1"), drained(0)]),
            [""; 0]
        );
        let gone = said(&[node("mi-2")], &[drained(0)]);
        assert_eq!(gone[0], "mi-2: rotation: in -> OUT");
        assert!(
            gone[1].starts_with("mi-2 at lb-1: out of rotation for "),
            "{gone:?}"
        );
        assert!(
            gone[1].ends_with(": a rollout by alice at build-7"),
            "{gone:?}"
        );
        assert_eq!(
            said(&[drained(0)], &[node("mi-2")]),
            ["mi-2: rotation: OUT -> in"]
        );
    }

    #[test]
    fn a_row_a_node_and_a_line_for_what_is_wrong() {
        console::set_colors_enabled(false);
        let bad = NodeStatus {
            fault: Some("port 8290 is closed".into()),
            rotation: vec![
                ("lb-1".into(), InRotation::Foreign),
                ("lb-2".into(), InRotation::Yes),
            ],
            pending: None,
            ..node("mi-2")
        };
        let leader = NodeStatus {
            leads: true,
            rotation: vec![],
            pending: Some(vec!["stop".into(), "start".into()]),
            ..node("mi-3")
        };
        assert_eq!(
            table(&[node("mi-1"), bad, leader]),
            [
                "cluster  host  release  serves      rotation  a run would",
                "mi       mi-1  4.4.0    yes         in        change nothing",
                "mi       mi-2  4.4.0    NO          differs   not known",
                "mi       mi-3  4.4.0    yes, leads  -         make 2 changes",
                "mi-2: port 8290 is closed",
                "mi-2 at lb-1: taken out by somebody else",
            ]
        );
    }
}
