//! Plain lines, one event each: for logs, pipes and people without a terminal.

use super::words::{self, Columns};
use super::{judgement, nodes, recap, tenants};
use crate::event::{Event, Listener, NodeStatus, StepEnded};
use crate::wire::Outcome;
use console::{StyledObject, style};

#[derive(Debug, Clone, Default)]
pub struct Lines {
    /// Also steps that changed nothing.
    pub verbose: bool,
    check: bool,
    columns: Columns,
    /// For the recap.
    evidence: Vec<String>,
    /// As they were last told.
    nodes: Vec<NodeStatus>,
}

impl Lines {
    pub fn new(verbose: bool) -> Self {
        Self {
            verbose,
            ..Self::default()
        }
    }

    /// The lines that an event is worth; none for most.
    pub fn say(&mut self, event: &Event) -> Vec<String> {
        match event {
            Event::RunStarted {
                playbook,
                hosts,
                check,
            } => {
                self.check = *check;
                self.columns = Columns::of(hosts, *check);
                let how = if *check {
                    " (check: nothing is changed)"
                } else {
                    ""
                };
                vec![format!(
                    "{} on {}{how}",
                    style(playbook).bold(),
                    words::count(hosts.len(), "host")
                )]
            }
            Event::PlayStarted { play, hosts } => vec![format!(
                "\n{}  {}",
                style(play).bold(),
                style(names(hosts)).dim()
            )],
            Event::BatchStarted { number, of, hosts } => vec![
                style(format!("batch {number} of {of}: {}", names(hosts)))
                    .dim()
                    .to_string(),
            ],
            Event::Unreachable { host, failure } => {
                vec![words::failure(host, "", "", failure)]
            }
            Event::StepEnded(ended) => self.step(ended),
            Event::Moved {
                host,
                phase,
                failure,
                took,
            } => vec![words::moved(
                self.columns,
                host,
                *phase,
                failure.as_deref(),
                *took,
            )],
            Event::RolledOut {
                cluster,
                ended: _,
                why,
                hosts,
            } => words::rolled_out(self.columns, cluster, why, hosts),
            Event::Evidence(seen) => {
                self.evidence.push(words::evidence(self.columns, seen));
                vec![]
            }
            Event::HostStopped { host, reason } => vec![self.columns.row(
                host,
                "stopped",
                StyledObject::red,
                &format!("{reason}; this host takes no further part"),
            )],
            Event::Note { host, text } => vec![match host {
                Some(host) => self.columns.row(host, "note", |word| word, text),
                None => format!("note: {text}"),
            }],
            Event::Judged(told) => judgement::table(told),
            Event::Tenants(all) => tenants::table(all),
            Event::Nodes(all) => {
                self.nodes.clone_from(all);
                nodes::table(all)
            }
            Event::NodesAgain(all) => {
                let before = std::mem::replace(&mut self.nodes, all.clone());
                nodes::changes(&before, all)
            }
            Event::RunEnded { recap } => {
                let mut lines = recap::table(recap, self.columns, self.check);
                lines.append(&mut self.evidence);
                lines
            }
            Event::Progress { host, text } if self.verbose => {
                vec![
                    self.columns
                        .row(host, "...", |word| word, &words::tame(text)),
                ]
            }
            Event::Reaching { .. }
            | Event::StepStarted { .. }
            | Event::Progress { .. }
            | Event::Sending { .. } => vec![],
        }
    }

    fn step(&self, ended: &StepEnded) -> Vec<String> {
        let quiet = matches!(ended.outcome, Outcome::Unchanged | Outcome::Skipped(_));
        if quiet && !self.verbose {
            return vec![];
        }
        let mut lines = vec![words::step(ended, self.columns, self.check)];
        lines.extend(ended.diffs.iter().map(words::diff));
        if let Outcome::Failed(failure) = &ended.outcome
            && !ended.ignored
        {
            let what = words::title(ended);
            lines.push(words::failure(&ended.host, &what, &ended.place, failure));
        }
        lines
    }
}

impl Listener for Lines {
    fn hear(&mut self, event: &Event) {
        for line in self.say(event) {
            super::line(&line);
        }
    }
}

fn names(hosts: &[String]) -> String {
    const SHOWN: usize = 8;
    if hosts.len() <= SHOWN {
        return hosts.join(", ");
    }
    format!(
        "{} and {} more",
        hosts[..SHOWN].join(", "),
        hosts.len() - SHOWN
    )
}
