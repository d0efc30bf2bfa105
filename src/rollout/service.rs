//! What the service can spare (I1).

use super::host::Host;
use super::policy::Policy;

/// Counted over all hosts of the tier; shrinks while a batch is put together.
pub(super) struct Service {
    hosts: usize,
    serving: usize,
    needed: usize,
    max_unavailable: usize,
}

impl Service {
    pub fn of(hosts: &[Host], policy: &Policy) -> Self {
        Self {
            hosts: hosts.len(),
            serving: hosts.iter().filter(|h| h.serves()).count(),
            needed: policy.needed(hosts.len()),
            max_unavailable: policy.max_unavailable.max(1),
        }
    }

    pub fn is_enough(&self) -> bool {
        self.serving >= self.needed
    }

    /// Takes the host from the service if enough others serve. One that nobody would miss takes
    /// nothing away.
    pub fn spare(&mut self, host: &Host) -> bool {
        let left = self.serving - usize::from(host.serves());
        let may = !host.helps() || left >= self.needed;
        if may {
            self.serving = left;
        }
        may
    }

    /// As [`Self::spare`], for a host that could as well stay: `max_unavailable` holds too.
    pub fn lend(&mut self, host: &Host) -> bool {
        let left = self.serving - usize::from(host.serves());
        let within = self.hosts - left <= self.max_unavailable;
        (within || !host.helps()) && self.spare(host)
    }
}

/// Why a host that is wanted out must stay.
pub(super) fn refusal(hosts: &[Host], policy: &Policy, wanted: &Host) -> String {
    let name = &wanted.name;
    if hosts.len() == 1 {
        return format!(
            "{name} is the only host of its cluster: nobody serves while it is changed. \
             `allow_downtime: true` in the play's `rollout` accepts that"
        );
    }
    let service = Service::of(hosts, policy);
    let left = service.serving - usize::from(wanted.serves());
    let rule = if left < service.needed {
        format!("`min_healthy` is {}", service.needed)
    } else {
        format!("`max_unavailable` is {}", service.max_unavailable)
    };
    let of = hosts.len();
    let mut text = format!("without {name} {left} of {of} would serve, and {rule}");
    push_complaints(&mut text, hosts, wanted);
    text
}

fn push_complaints(text: &mut String, hosts: &[Host], wanted: &Host) {
    let others = hosts.iter().filter(|h| h.name != wanted.name);
    for (at, host) in others.filter(|h| !h.serves()).enumerate() {
        text.push_str(if at == 0 { ": " } else { ", " });
        text.push_str(&host.complaint());
    }
}
