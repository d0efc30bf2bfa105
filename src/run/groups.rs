//! Groups that roles know and the playbook does not use: their hosts would count, and nothing would be done on them.

use super::prepare::Prepared;
use crate::inventory::KINDS;
use crate::playbook::Pattern;
use crate::source::{Problem, Problems};

impl Prepared {
    /// With `gateway` in an inventory of standard-ha the balancer would send API calls to hosts that no play deploys.
    pub(super) fn check_groups(&self, pattern: &Pattern, problems: &mut Problems) {
        for kind in KINDS.into_iter().filter(|kind| !pattern.knows(kind)) {
            let Some(group) = self.inventory.groups.get(kind) else {
                continue;
            };
            let hosts = self.inventory.hosts_of(kind);
            if hosts.is_empty() || self.is_played(kind) {
                continue;
            }
            let problem = Problem::new(format!(
                "pattern `{}` has no group `{kind}`, and the inventory has {} in it",
                pattern.name,
                hosts.join(", ")
            ));
            problems.push(
                problem
                    .at(&group.span)
                    .because("roles count on its hosts, and no play deploys them")
                    .help(match kind {
                        "gateway" | "traffic_manager" => {
                            "use `simple-scalable`, or take the group out".to_owned()
                        }
                        _ => format!("take `{kind}` out, or give the group another name"),
                    }),
            );
        }
    }

    /// Whether some play means the group by its name.
    fn is_played(&self, group: &str) -> bool {
        let common = self.common_without_facts();
        (0..self.playbook.plays.len()).any(|at| {
            let pattern = self.hosts_pattern(at, &common);
            pattern.is_ok_and(|pattern| pattern.is_some_and(|p| p.names(group)))
        })
    }
}
