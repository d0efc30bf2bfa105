//! One JSON object a line, the same events for all. Keys are stable.

use crate::event::{
    Answer, ClusterState, Event, Evidence, Health, HostRecap, InRotation, Judged, Judgement,
    Listener, NodeStatus, Phase, Standing, StepEnded, TenantState, Times, Unjudged,
};
use crate::wire::{Failure, Outcome};
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub struct Json;

impl Listener for Json {
    fn hear(&mut self, event: &Event) {
        // One object each: who reads them wants a tenant a line.
        if let Event::Tenants(all) = event {
            for one in all {
                super::line(&tenant(one).to_string());
            }
        } else if let Some(object) = object(event) {
            super::line(&object.to_string());
        }
    }
}

/// The object for an event. Progress is for eyes only.
pub fn object(event: &Event) -> Option<Value> {
    Some(match event {
        Event::RunStarted {
            playbook,
            hosts,
            check,
        } => json!({"event": "run", "playbook": playbook, "hosts": hosts, "check": check}),
        Event::PlayStarted { play, hosts } => {
            json!({"event": "play", "play": play, "hosts": hosts})
        }
        Event::BatchStarted { number, of, hosts } => {
            json!({"event": "batch", "number": number, "of": of, "hosts": hosts})
        }
        Event::Unreachable { host, failure } => {
            json!({"event": "unreachable", "host": host, "failure": failed(failure)})
        }
        Event::StepEnded(ended) => step(ended),
        Event::Moved {
            host,
            phase,
            failure,
            took,
        } => json!({
            "event": "moved",
            "host": host,
            "phase": phase_word(*phase),
            "failure": failure,
            "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }),
        Event::RolledOut {
            cluster,
            ended: _,
            why,
            hosts,
        } => json!({
            "event": "rollout_stopped",
            "cluster": cluster,
            "why": why,
            "hosts": hosts.iter().map(|(host, what)| (host.clone(), json!(what))).collect::<serde_json::Map<_, _>>(),
        }),
        Event::Evidence(seen) => evidence(seen),
        Event::Nodes(all) | Event::NodesAgain(all) => {
            json!({"event": "status", "nodes": all.iter().map(node).collect::<Vec<_>>()})
        }
        Event::HostStopped { host, reason } => {
            json!({"event": "host_stopped", "host": host, "reason": reason})
        }
        Event::Note { host, text } => json!({"event": "note", "host": host, "text": text}),
        Event::Judged(told) => judgement(told),
        Event::RunEnded { recap } => json!({
            "event": "recap",
            "hosts": recap.hosts.iter().map(|h| (h.host.clone(), host(h))).collect::<serde_json::Map<_, _>>(),
            "took_ms": u64::try_from(recap.took.as_millis()).unwrap_or(u64::MAX),
        }),
        Event::Reaching { .. }
        | Event::StepStarted { .. }
        | Event::Progress { .. }
        | Event::Sending { .. }
        | Event::Tenants(_) => return None,
    })
}

fn tenant(tenant: &TenantState) -> Value {
    json!({
        "event": "tenant",
        "tenant": tenant.name,
        "domain": tenant.domain,
        "declared": if tenant.leaves { "absent" } else { "present" },
        "api_manager": match &tenant.apim {
            Standing::Active => json!({"state": "active"}),
            Standing::Inactive => json!({"state": "inactive"}),
            Standing::Missing => json!({"state": "missing"}),
            Standing::Unknown(why) => json!({"state": "unknown", "why": why}),
        },
        "clusters": tenant.clusters.iter().map(cluster).collect::<Vec<_>>(),
    })
}

fn cluster(cluster: &ClusterState) -> Value {
    let nodes = cluster.nodes.iter().map(|node| match &node.health {
        Health::Serves => json!({"host": node.host, "state": "serves"}),
        Health::Fails(why) => json!({"host": node.host, "state": "fails", "why": why}),
        Health::Unknown(why) => json!({"host": node.host, "state": "unknown", "why": why}),
    });
    let routes = cluster.routes.iter().map(|route| {
        json!({
            "balancer": route.balancer,
            "configured": route.configured.known(),
            "why": route.configured.why(),
            "answer": match &route.answer {
                Answer::NotAsked => json!({"by": "not_asked"}),
                Answer::Own(host) => json!({"by": "own", "host": host}),
                Answer::Foreign(address) => json!({"by": "foreign", "address": address}),
                Answer::Nobody(why) => json!({"by": "nobody", "why": why}),
                Answer::Unknown(why) => json!({"by": "unknown", "why": why}),
            },
        })
    });
    json!({
        "cluster": cluster.name,
        "nodes": nodes.collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
    })
}

fn node(node: &NodeStatus) -> Value {
    let rotation = node.rotation.iter().map(|(balancer, seen)| {
        let seen = match seen {
            InRotation::Yes => json!({"state": "in"}),
            InRotation::Drained { reason, since } => {
                json!({"state": "drained", "reason": reason, "since": since})
            }
            InRotation::Foreign => json!({"state": "drained_by_others"}),
            InRotation::Partly { rest } => json!({"state": "in_part", "rest": rest}),
            InRotation::Failing => json!({"state": "failing"}),
            InRotation::Absent => json!({"state": "absent"}),
            InRotation::Unknown(why) => json!({"state": "unknown", "why": why}),
        };
        (balancer.clone(), seen)
    });
    json!({
        "cluster": node.cluster,
        "host": node.host,
        "release": node.release,
        "serves": node.fault.is_none(),
        "fault": node.fault,
        "leads": node.leads,
        "rotation": rotation.collect::<serde_json::Map<_, _>>(),
        "pending": node.pending,
    })
}

fn evidence(seen: &Evidence) -> Value {
    let times = |times: Option<Times>| {
        let millis = |time: std::time::Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
        times.map(|t| json!({"p50_ms": millis(t.p50), "p99_ms": millis(t.p99)}))
    };
    json!({
        "event": "evidence",
        "cluster": seen.cluster,
        "sent": seen.sent,
        "failed": seen.failed,
        "failure": seen.failure,
        "before": times(seen.before),
        "during": times(seen.during),
        "least_in_service": seen.least,
        "promised": seen.promised,
        "of": seen.of,
    })
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::TakenOut => "taken_out",
        Phase::PutBack => "put_back",
        Phase::Soaked => "soaked",
        Phase::Restored => "restored",
    }
}

/// Everything that rules said is one object: who reads it wants all or nothing.
fn judgement(told: &Judgement) -> Value {
    let found = told.found.iter().map(|judged: &Judged| {
        json!({
            "rule": judged.rule,
            "severity": if judged.is_error { "error" } else { "warning" },
            "hosts": judged.hosts,
            "found": judged.found,
            "at": judged.place,
            "why": judged.why,
            "fix": judged.fix,
            "accepted": judged.accepted,
        })
    });
    let unjudged = told
        .unjudged
        .iter()
        .map(|one: &Unjudged| json!({"rules": one.rules, "hosts": one.hosts, "why": one.why}));
    json!({
        "event": "judgement",
        "found": found.collect::<Vec<_>>(),
        "not_judged": unjudged.collect::<Vec<_>>(),
        "passed": told.passed,
    })
}

fn step(ended: &StepEnded) -> Value {
    let mut object = json!({
        "event": "step",
        "host": ended.host,
        "task": ended.title,
        "item": ended.item,
        "at": ended.place,
        "handler": ended.handler,
        "outcome": match &ended.outcome {
            Outcome::Unchanged => "unchanged",
            Outcome::Changed(_) => "changed",
            Outcome::Skipped(_) => "skipped",
            Outcome::Failed(_) => "failed",
        },
        "took_ms": u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
    });
    match &ended.outcome {
        Outcome::Changed(changes) => object["changes"] = json!(changes),
        Outcome::Skipped(reason) => object["reason"] = json!(reason),
        Outcome::Failed(failure) => {
            object["failure"] = failed(failure);
            object["ignored"] = json!(ended.ignored);
        }
        Outcome::Unchanged => {}
    }
    if !ended.diffs.is_empty() {
        object["diffs"] = json!(ended.diffs);
    }
    object
}

fn failed(failure: &Failure) -> Value {
    json!({"message": failure.message, "detail": failure.detail, "help": failure.help})
}

fn host(host: &HostRecap) -> Value {
    json!({
        "ok": host.ok,
        "changed": host.changed,
        "skipped": host.skipped,
        "failed": host.failed,
        "ignored": host.ignored,
        "unreachable": host.unreachable,
        "round_trips": host.round_trips,
    })
}
