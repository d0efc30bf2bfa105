//! Hosts that leave: out of rotation at every balancer before anything else is changed, so that no request is on its way to
//! them when their peers forget them and their services stop. A dead one is taken out too: only balancers are asked.

use super::play::Run;
use super::roll::{self, Cluster, Roll};
use crate::event::{Ended, Event};
use crate::plan::{HostState, World, assumed_facts};
use crate::source::Problems;
use crate::wire::Outcome;
use std::sync::Arc;

const TITLE: &str = "Take what leaves out of rotation";

/// A number that no task of a play has, for the recap.
const TASK: u32 = u32::MAX;

/// Those of one cluster that leave.
struct Leaving<'w> {
    world: World<'w>,
    cluster: Cluster,
    hosts: Vec<String>,
}

/// Those of them who are still in rotation, and what takes them out.
type WayOut<'w> = (&'w Leaving<'w>, Roll<'w>, Vec<String>);

impl Run<'_> {
    pub(super) async fn withdraw(&mut self) -> Result<(), Problems> {
        self.stopped = self.take_out_leaving().await?;
        Ok(())
    }

    async fn take_out_leaving(&self) -> Result<Option<Ended>, Problems> {
        let leaving = self.leaving()?;
        Ok(self.take_out(&leaving).await)
    }

    /// All are asked before any is taken out: a run that is refused has changed nothing.
    async fn take_out(&self, leaving: &[Leaving<'_>]) -> Option<Ended> {
        let mut ways: Vec<WayOut<'_>> = Vec::new();
        for one in leaving {
            let roll = self.way_out(one).await;
            match roll.who_leaves(&one.hosts).await {
                Ok(hosts) if hosts.is_empty() => {}
                Ok(hosts) => ways.push((one, roll, hosts)),
                Err(why) => return Some(self.stay_all(one, Ended::Preflight, why)),
            }
        }
        if ways.is_empty() {
            return None;
        }
        let hosts = ways.iter().flat_map(|(_, _, hosts)| hosts.clone());
        self.teller.tell(Event::PlayStarted {
            play: TITLE.to_owned(),
            hosts: hosts.collect(),
        });
        match self.prepared.options.check {
            true => self.would_leave(&ways),
            false => self.leave(&ways).await,
        }
    }

    /// By the plays that would have them if they stayed: those say what taking one out means.
    fn leaving(&self) -> Result<Vec<Leaving<'_>>, Problems> {
        let mut all = Vec::new();
        for at in 0..self.prepared.playbook.plays.len() {
            let hosts = self.prepared.leaving(at);
            let world = self.prepared.world(at, Arc::clone(&self.common));
            let Some(mut world) = world.filter(|w| w.play.rollout.is_some() && !hosts.is_empty())
            else {
                continue;
            };
            world.begin(hosts.clone());
            let mut everyone = self.everyone_of(at);
            everyone.extend(hosts.iter().map(|host| self.known(host)));
            for cluster in roll::read(&world, &everyone)? {
                let mut own = hosts.clone();
                own.retain(|host| cluster.hosts.contains(host));
                // Without a balancer there is nothing to be taken out of.
                if own.is_empty() || cluster.balancers.is_empty() {
                    continue;
                }
                let Some(mut world) = self.prepared.world(at, Arc::clone(&self.common)) else {
                    continue;
                };
                world.begin(own.clone());
                all.push(Leaving {
                    world,
                    cluster,
                    hosts: own,
                });
            }
        }
        Ok(all)
    }

    /// A host that nobody reached is known by what was written of it.
    fn known(&self, host: &str) -> HostState {
        let state = self.states.get(host).cloned();
        state.unwrap_or_else(|| HostState::new(host, &assumed_facts(host), vec![]))
    }

    async fn way_out<'w>(&'w self, one: &'w Leaving<'w>) -> Roll<'w> {
        let like = one.cluster.hosts.first().map_or("", String::as_str);
        let mut reached = self.reached(&one.cluster, like).await;
        for host in &one.hosts {
            reached
                .entry(host.clone())
                .or_insert_with(|| self.known(host));
        }
        Roll::new(
            &one.world,
            self.fleet,
            self.teller,
            &|_, _, _, _| {},
            &one.cluster,
            vec![],
            reached,
        )
    }

    fn would_leave(&self, ways: &[WayOut<'_>]) -> Option<Ended> {
        for host in ways.iter().flat_map(|(_, _, hosts)| hosts) {
            let text = "would be taken out of rotation";
            self.teller.note(Some(host), text);
            self.count(host);
        }
        None
    }

    /// If a balancer refuses, those that are out already go back: nobody is to leave half.
    async fn leave(&self, ways: &[WayOut<'_>]) -> Option<Ended> {
        let mut out: Vec<(&Roll<'_>, &String)> = Vec::new();
        for (one, roll, hosts) in ways {
            for host in hosts {
                out.push((roll, host));
                if let Err(why) = roll.leave(host).await {
                    for (roll, host) in out.iter().rev() {
                        // It was told why not, if so.
                        let _ = roll.stay(host).await;
                    }
                    return Some(self.stay_all(one, Ended::Stopped, why));
                }
            }
        }
        out.iter().for_each(|(_, host)| self.count(host));
        None
    }

    fn count(&self, host: &str) {
        let outcome = Outcome::Changed(vec![]);
        self.tally.count(host, TASK, &outcome, false);
    }

    fn stay_all(&self, one: &Leaving<'_>, ended: Ended, why: String) -> Ended {
        let hosts = one.hosts.iter();
        self.teller.tell(Event::RolledOut {
            cluster: one.cluster.name.clone(),
            ended: ended.clone(),
            why,
            hosts: hosts
                .map(|host| (host.clone(), "does not leave".to_owned()))
                .collect(),
        });
        ended
    }
}
