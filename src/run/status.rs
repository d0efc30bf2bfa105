//! `status`: who serves what, who is out of rotation and by whose hand, and where a run would change something. Asks the
//! same questions as a rollout before it acts, and acts on none of the answers.

use super::fleet::Fleet;
use super::prepare::Prepared;
use super::roll::{self, Roll};
use super::teller::Teller;
use crate::event::{Ended, Event, NodeStatus};
use crate::plan::{HostState, assumed_facts};
use crate::source::Problems;
use crate::ssh::{Lost, Worker};
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What the story calls it.
const TITLE: &str = "status";

/// Tells how every node is: once, or every `watch` until it is asked to stop.
pub async fn status(
    prepared: &Prepared,
    worker: Arc<Worker>,
    teller: &Teller,
    stop: watch::Receiver<bool>,
    watch: Option<Duration>,
) -> Result<Ended, Problems> {
    teller.tell(Event::RunStarted {
        playbook: format!("{TITLE} of {}", prepared.playbook.name),
        hosts: prepared.all_hosts(),
        check: true,
    });
    let fleet = Fleet::new(prepared, worker, teller.clone(), stop);
    let mut states = IndexMap::new();
    let mut worst = Ended::Done;
    for (host, greeting) in fleet.connect().await {
        match greeting {
            Ok(greeting) => {
                let state = HostState::new(&host, &greeting.facts, greeting.due);
                states.insert(host, state);
            }
            Err(Lost::Refused(_)) => worst = Ended::Preflight,
            Err(Lost::Busy(_)) if worst != Ended::Preflight => worst = Ended::Busy,
            Err(_) if worst == Ended::Done => worst = Ended::Unreachable,
            Err(_) => {}
        }
    }
    let told = match nodes(prepared, &fleet, teller, &states).await {
        Err(problems) => Err(problems),
        Ok(nodes) => {
            teller.tell(Event::Nodes(nodes.clone()));
            match watch {
                None => Ok(()),
                Some(pause) => look_on(prepared, &fleet, teller, (states, nodes), pause).await,
            }
        }
    };
    let is_stopping = fleet.is_stopping();
    fleet.close().await;
    told?;
    Ok(match (is_stopping, watch) {
        (_, Some(_)) => Ended::Done,
        (true, None) => Ended::Interrupted,
        (false, None) => worst,
    })
}

/// Again and again over the same connections; who could not be asked is connected anew.
async fn look_on(
    prepared: &Prepared,
    fleet: &Fleet<'_>,
    teller: &Teller,
    (mut states, mut latest): (IndexMap<String, HostState>, Vec<NodeStatus>),
    pause: Duration,
) -> Result<(), Problems> {
    while tokio::time::timeout(pause, fleet.stopping()).await.is_err() {
        let lost = latest.iter().filter(|node| node.pending.is_none());
        for host in lost.map(|node| node.host.clone()).collect::<Vec<_>>() {
            if let Ok(greeting) = fleet.meet_again(&host).await {
                let state = HostState::new(&host, &greeting.facts, greeting.due);
                states.insert(host, state);
            }
        }
        latest = nodes(prepared, fleet, teller, &states).await?;
        if !fleet.is_stopping() {
            teller.tell(Event::NodesAgain(latest.clone()));
        }
    }
    Ok(())
}

async fn nodes(
    prepared: &Prepared,
    fleet: &Fleet<'_>,
    teller: &Teller,
    states: &IndexMap<String, HostState>,
) -> Result<Vec<NodeStatus>, Problems> {
    let facts = states
        .iter()
        .map(|(host, state)| (host.clone(), Arc::clone(&state.facts)))
        .collect();
    let common = prepared.common(&facts);
    let mut nodes = Vec::new();
    for at in 0..prepared.playbook.plays.len() {
        let Some(mut world) = prepared.world(at, Arc::clone(&common)) else {
            continue;
        };
        world.begin(world.play_hosts.clone());
        let hosts: Vec<HostState> = world
            .play_hosts
            .iter()
            .map(|host| states.get(host).cloned().unwrap_or_else(|| unknown(host)))
            .collect();
        for cluster in roll::read(&world, &hosts)? {
            let roll = Roll::new(
                &world,
                fleet,
                teller,
                &|_, _, _, _| {},
                &cluster,
                cluster.hosts.clone(),
                states.clone(),
            );
            nodes.extend(roll.status().await);
        }
    }
    Ok(nodes)
}

/// Of a host that did not answer.
fn unknown(host: &str) -> HostState {
    HostState::new(host, &assumed_facts(host), vec![])
}
