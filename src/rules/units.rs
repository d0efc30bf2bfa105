//! The systemd units of the integration products: how they stop, start again, and what they may use.

use super::node::{Component, Node};
use super::{Finding, Rule, Severity, Site, Stage, machines};

pub const RULES: &[Rule] = &[
    Rule {
        id: "integration-19",
        title: "systemd lets a node drain, knows how it ends, and starts it again",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a node is killed with requests in flight, a clean stop counts as a failure, or a dead node stays dead: \
            the start script ends with 0 whatever happened",
        fix: "TimeoutStopSec above the drain, SuccessExitStatus=143, Restart=always",
        source: "wso2/product-integrator-mi v4.4.0, bin/micro-integrator.sh; wso2/streaming-integrator v4.3.0, bin/server.sh",
        check: |site| written(site).flat_map(stop_and_start).collect(),
    },
    Rule {
        id: "integration-47",
        title: "a node may open 4096 files and more, by its unit and as it runs",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "every connection is a file; with systemd's 1024 the node refuses connections under load",
        fix: "LimitNOFILE=65535 in the unit",
        source: "docs-mi setup/deployment-best-practices: tuning the operating system",
        check: |site| {
            let mut found = site.unanswered(|node| !node.component.is_apim());
            found.extend(written(site).filter_map(open_files));
            found.extend(running(site));
            found
        },
    },
];

/// Those whose unit the run writes.
fn written(site: &Site) -> impl Iterator<Item = &Node> {
    let nodes = site.nodes.iter().filter(|n| !n.component.is_apim());
    nodes.filter(|n| n.unit("ExecStart").is_some())
}

/// What systemd waits where a unit says nothing.
const STOP_TIMEOUT: u64 = 90;

fn stop_and_start(node: &Node) -> Vec<Finding> {
    let service = &node.service;
    let mut found = Vec::new();
    let patience = node.unit("TimeoutStopSec").map_or(STOP_TIMEOUT, seconds);
    let drain = drain(node);
    if patience < drain {
        found.push(node.finds(format!(
            "{service} drains for up to {drain} s and is killed after {patience} s"
        )));
    }
    // A JVM that ends by SIGTERM says 128 + 15.
    let success = node.unit("SuccessExitStatus").unwrap_or_default();
    if !success.split_whitespace().any(|status| status == "143") {
        found.push(node.finds(format!(
            "{service} ends with 143 after SIGTERM, which is a failure to systemd"
        )));
    }
    if let Some(when @ ("on-failure" | "on-abnormal" | "on-abort")) = node.unit("Restart") {
        found.push(node.finds(format!("Restart={when} never starts {service} again")));
    }
    found
}

/// Seconds that a stopping node waits for what is in flight. SI does not.
fn drain(node: &Node) -> u64 {
    if node.component != Component::Mi {
        return 0;
    }
    let graceful = node
        .get("server.graceful_shutdown_enabled")
        .and_then(|s| s.bool());
    let key = match graceful {
        Some(true) => "server.graceful_shutdown_timeout",
        _ => "transport.http.socket_timeout",
    };
    u64::try_from(node.number(key, 180_000))
        .unwrap_or_default()
        .div_ceil(1000)
}

const FILES: u64 = 4096;

fn open_files(node: &Node) -> Option<Finding> {
    let service = &node.service;
    let Some(limit) = node.unit("LimitNOFILE") else {
        return Some(node.finds(format!("{service} has no LimitNOFILE, so 1024")));
    };
    // Soft and hard limit, or one for both; what is no number is `infinity`.
    let soft: u64 = limit.split(':').next()?.trim().parse().ok()?;
    (soft < FILES).then(|| node.finds(format!("{service} may open {soft} files")))
}

/// A unit counts from the next start on; a drop-in of somebody else counts more.
fn running(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, instance) in site
        .surveyed()
        .filter(|(node, _)| !node.component.is_apim())
    {
        let jvm = match machines::running(node, instance) {
            Ok(Some(jvm)) => jvm,
            Ok(None) => continue,
            Err(unseen) => {
                found.push(unseen);
                continue;
            }
        };
        if let Some((Some(soft), _)) = jvm
            .limits
            .get("Max open files")
            .filter(|(soft, _)| soft.is_some_and(|s| s < FILES))
        {
            found.push(node.finds(format!("{} runs with {soft} files", node.service)));
        }
    }
    found
}

/// A time of systemd in whole seconds: `90`, `5min`, `1min 30s`, `500ms`. What is no time never ends: `infinity`.
pub fn seconds(text: &str) -> u64 {
    let mut total = 0_u64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let Ok(number) = rest[..digits].parse::<u64>() else {
            return u64::MAX;
        };
        let after = rest[digits..].trim_start();
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let millis = match &after[..letters] {
            "ms" | "msec" => 1,
            "" | "s" | "sec" | "second" | "seconds" => 1_000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hr" | "hour" | "hours" => 3_600_000,
            _ => return u64::MAX,
        };
        total = total.saturating_add(number.saturating_mul(millis));
        rest = after[letters..].trim_start();
    }
    total / 1000
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_of_systemd() {
        let times = [
            ("90", 90),
            ("20s", 20),
            ("1min 30s", 90),
            ("1min30s", 90),
            ("900ms", 0),
            ("infinity", u64::MAX),
        ];
        for (text, seconds) in times {
            assert_eq!(super::seconds(text), seconds, "{text}");
        }
    }
}
