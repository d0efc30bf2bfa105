//! Why no other host is begun, and what a failure makes of it.

use super::Rollout;
use super::policy::OnFailure;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Halt {
    /// What is under way is finished, intact hosts are put back, the rest stays as it is.
    Pause { why: String },
    /// The same, and then the finished hosts go back, newest first.
    Rollback { why: String },
}

impl Halt {
    pub fn why(&self) -> &str {
        match self {
            Self::Pause { why } | Self::Rollback { why } => why,
        }
    }
}

impl Rollout {
    /// The first reason stays: what follows from it explains less, and a pause never turns into a
    /// way back, which a sick database or balancer would only make worse.
    pub(super) fn pause(&mut self, why: String) {
        if self.halt.is_none() {
            self.halt = Some(Halt::Pause { why });
        }
    }

    /// Counts a host as failed that was not begun, for want of itself or of a balancer. That says nothing of the new state, and
    /// is no time to go the way back.
    pub(super) fn hinder(&mut self, at: usize, why: &str) {
        let is_first = self.halt.is_none();
        self.fail(at, why);
        if let (true, Some(Halt::Rollback { why })) = (is_first, &self.halt) {
            self.halt = Some(Halt::Pause { why: why.clone() });
        }
    }

    /// Counts the host as failed, once (I6), and lets the policy decide.
    pub(super) fn fail(&mut self, at: usize, why: &str) {
        let host = &mut self.hosts[at];
        host.why.get_or_insert_with(|| why.to_owned());
        let why = format!("{}: {why}", host.name);
        self.ledger.fail(&host.name);
        match self.policy.on_failure {
            OnFailure::Pause => self.pause(why),
            OnFailure::Rollback if self.halt.is_none() => self.halt = Some(Halt::Rollback { why }),
            OnFailure::Rollback => {}
            OnFailure::Continue if host.canary => self.pause(format!("the canary failed, {why}")),
            OnFailure::Continue => self.hold_budget(),
        }
    }

    pub(super) fn hold_budget(&mut self) {
        let failed = self.ledger.failed.len();
        let most = self.policy.max_failures;
        if failed > most {
            let who = self.ledger.failed.join(", ");
            self.pause(format!(
                "{failed} hosts failed ({who}), and `max_failures` is {most}"
            ));
        }
    }

    /// The way back goes on until it is gone, something on it fails, or the operator stops it.
    pub(super) fn is_unwinding(&self) -> bool {
        matches!(self.halt, Some(Halt::Rollback { .. })) && !self.interrupted
    }

    pub(super) fn get_stuck(&mut self, why: String) {
        self.stuck.get_or_insert(why);
    }
}
