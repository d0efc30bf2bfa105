//! Input held against the rules: what is known to go wrong with what a run would write.

use super::prepare::Prepared;
use crate::plan::{self, HostState, Plan, Tags, assumed_facts};
use crate::rules::{self, Accepted, Judgeable};
use crate::source::{Problems, Span};
use crate::vars::{Ladder, Scope, Variable};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Prepared {
    /// What is known to go wrong with what would be written. The whole deployment is judged, whatever part of it this
    /// run touches: a node outside of `--limit` is a peer all the same.
    pub(super) fn check_rules(&mut self, is_whole: bool, problems: &mut Problems) {
        let everywhere = self.everywhere();
        let mut unplanned = (!is_whole).then(|| "the plan is not whole".to_owned());
        let site = if everywhere == self.hosts && self.options.tags == Tags::default() {
            self.site(&self.plan, &everywhere)
        } else {
            let (plan, found) = self.planned(&everywhere, &Tags::default());
            let first = found.iter().next().map(|p| p.message.clone());
            unplanned = unplanned.or(first);
            self.site(&plan, &everywhere)
        };
        let is_peopled = self.is_peopled(&site);
        let accepted = Accepted::read(&site);
        let judgeable = Judgeable {
            site,
            accepted: problems.take(accepted).unwrap_or_default(),
            unplanned,
        };
        let verdicts = match judgeable.unplanned.is_some() && is_peopled {
            true => judgeable.written(),
            false => judgeable.offline(),
        };
        let errors: Vec<_> = verdicts.errors().collect();
        if !errors.is_empty() {
            let scrub = self.scrub();
            for judged in errors {
                problems.push(judged.problem(|text| scrub.hide(text)));
            }
        }
        self.judgeable = Some(judgeable);
    }

    /// Whether every host that serves could be planned: then whatever a line says of others can be trusted.
    fn is_peopled(&self, site: &rules::Site) -> bool {
        let plays = self.playbook.plays.iter().enumerate();
        plays
            .filter(|(_, play)| play.rollout.is_some())
            .flat_map(|(at, _)| self.everyone_of(at))
            .all(|host| site.nodes.iter().any(|node| node.host == host))
    }

    fn site(&self, plan: &Plan, hosts: &[Vec<String>]) -> rules::Site {
        let common = self.common_without_facts();
        let mut site = rules::gather(plan, &self.inventory, |host| {
            let plays = (0..hosts.len()).filter(|at| hosts[*at].iter().any(|h| h == host));
            let state = HostState::new(host, &assumed_facts(host), vec![]);
            let ladders: Vec<_> = plays
                .filter_map(|at| self.world(at, Arc::clone(&common)))
                .map(|world| world.ladder(&state, None, &[]))
                .collect();
            let scopes: Vec<_> = ladders.iter().map(Scope::new).collect();
            let known = |name: &str| scopes.iter().find_map(|scope| scope.get(name)?.ok());
            let variables = rules::VARIABLES.iter();
            rules::Said {
                variables: variables
                    .filter_map(|name| Some(((*name).to_owned(), known(name)?)))
                    .collect(),
                places: self.places_of(host),
                is_played: !ladders.is_empty(),
            }
        });
        let pattern = self.playbook.pattern.iter();
        site.groups = pattern.flat_map(|p| p.groups.keys().cloned()).collect();
        site
    }

    /// Where the inventory, or the command line, sets what rules ask for.
    fn places_of(&self, host: &str) -> BTreeMap<String, Span> {
        let common = self.common_without_facts();
        let ladder = plan::host_ladder(&self.inventory, host, &common, &self.extra, None);
        let variables = rules::VARIABLES.iter();
        variables
            .filter_map(|name| Some(((*name).to_owned(), written(&ladder, name)?)))
            .collect()
    }

    /// Where the inventory, or the command line, sets a host's variable.
    pub(super) fn place_of(&self, host: &str, variable: &str) -> Option<Span> {
        let common = self.common_without_facts();
        let ladder = plan::host_ladder(&self.inventory, host, &common, &self.extra, None);
        written(&ladder, variable)
    }
}

fn written(ladder: &Ladder, variable: &str) -> Option<Span> {
    match ladder.get(variable)? {
        Variable::Written(node) => Some(node.span.clone()),
        _ => None,
    }
}
