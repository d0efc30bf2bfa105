//! Every schedule of a small cluster: every order of answers, and every fault at every point, up to a number of
//! faults. States that were met before are not entered again.

use crate::cluster::{Cluster, bit, has};
use crate::rules::Rules;
use crate::schedule::ways;
use crate::world::{Fault, Pending, Way, World};
use apim_deploy::rollout::{Action, Observation, Rollout};
use std::collections::HashSet;
use std::hash::{Hash, Hasher};

#[derive(Clone, Hash)]
struct State {
    rollout: Rollout,
    world: World,
    rules: Rules,
    faults_left: u8,
}

/// One thing that may happen next.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Answer(Pending, Way),
    Fault(Fault),
}

pub struct Explored {
    pub states: usize,
    pub endings: usize,
}

/// Goes everywhere; on a broken rule tells the way there.
pub fn explore(cluster: &Cluster, faults: u8) -> Result<Explored, String> {
    let (rollout, actions) =
        Rollout::begin(cluster.policy.clone(), cluster.found(), cluster.ledger());
    let mut first = State {
        rollout,
        world: World::new(cluster),
        rules: Rules::new(cluster),
        faults_left: faults,
    };
    let begun = first.rules.asked(cluster, &first.world, false, &actions);
    begun.map_err(|broken| format!("{actions:?}: {broken}"))?;
    first.world.take_on(&actions);
    let mut met = HashSet::new();
    let mut explored = Explored {
        states: 0,
        endings: 0,
    };
    let mut open = vec![(first, 0)];
    // The way to each state: the turn, and where the way before it is.
    let mut ways = vec![(None, 0)];
    while let Some((state, way)) = open.pop() {
        explored.states += 1;
        for turn in turns(cluster, &state) {
            let mut next = state.clone();
            ways.push((Some(turn), way));
            let here = ways.len() - 1;
            match go(cluster, &mut next, turn) {
                Err(broken) => {
                    return Err(format!("{}{broken}", told(cluster, &ways, here, faults)));
                }
                Ok(true) => explored.endings += 1,
                Ok(false) if met.insert(hash(&next)) => open.push((next, here)),
                Ok(false) => {
                    ways.pop();
                }
            }
        }
    }
    Ok(explored)
}

/// Takes a turn; answers whether the rollout is finished.
fn go(cluster: &Cluster, state: &mut State, turn: Turn) -> Result<bool, String> {
    let told = take(cluster, state, turn);
    let Some(told) = told else {
        return Ok(false);
    };
    step(cluster, state, told).map(|(finished, _)| finished)
}

fn take(cluster: &Cluster, state: &mut State, turn: Turn) -> Option<Observation> {
    match turn {
        Turn::Answer(pending, way) => {
            if way != Way::Plain {
                state.faults_left -= 1;
                state.rules.went(way, pending);
            }
            let at = state.world.pending.iter().position(|p| *p == pending)?;
            state.world.answer(cluster, at, way)
        }
        Turn::Fault(fault) => {
            state.faults_left -= 1;
            state.rules.suffer(fault);
            state.world.suffer(fault)
        }
    }
}

fn step(
    cluster: &Cluster,
    state: &mut State,
    told: Observation,
) -> Result<(bool, Vec<Action>), String> {
    state.rules.told(cluster, &state.world, &told);
    let by_look = matches!(told, Observation::Seen(_));
    let actions = state.rollout.hear(state.world.now, told);
    state
        .rules
        .asked(cluster, &state.world, by_look, &actions)?;
    state.world.take_on(&actions);
    state.world.pending.sort_unstable();
    if state.world.pending.is_empty() && !state.rules.finish {
        return Err("nothing is asked, and it is not finished".to_owned());
    }
    Ok((state.rules.finish, actions))
}

fn turns(cluster: &Cluster, state: &State) -> Vec<Turn> {
    let mut turns = Vec::with_capacity(32);
    for pending in &state.world.pending {
        turns.push(Turn::Answer(*pending, Way::Plain));
    }
    if state.faults_left == 0 {
        return turns;
    }
    for pending in &state.world.pending {
        for way in ways(*pending) {
            if *way != Way::Plain {
                turns.push(Turn::Answer(*pending, *way));
            }
        }
    }
    for host in 0..cluster.size {
        if has(state.world.dead, host) {
            continue;
        }
        turns.push(Turn::Fault(Fault::Dies(host)));
        let is_foreign = state.world.balancers[0].foreign & bit(host) != 0;
        turns.push(Turn::Fault(if is_foreign {
            Fault::ForeignGone(host)
        } else {
            Fault::ForeignDrain(host)
        }));
        turns.push(Turn::Fault(if has(state.world.healthy, host) {
            Fault::Hiccups(host)
        } else {
            Fault::Recovers(host)
        }));
    }
    for (at, balancer) in state.world.balancers.iter().enumerate() {
        let at = at as u8;
        if balancer.ours != 0 {
            turns.push(Turn::Fault(Fault::Forgets(at)));
        }
        turns.push(Turn::Fault(if balancer.is_reachable {
            Fault::BalancerGone(at)
        } else {
            Fault::BalancerBack(at)
        }));
    }
    turns.push(Turn::Fault(Fault::Worse));
    turns.push(Turn::Fault(Fault::Stop));
    turns
}

fn hash(state: &State) -> u64 {
    let mut mixer = Mixer(0);
    state.hash(&mut mixer);
    mixer.finish()
}

/// SplitMix64 over what it is fed. The standard hasher takes two thirds of the time here.
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.write_u64(u64::from_le_bytes(last));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, word: u64) {
        let mut mixed = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ word;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = mixed ^ (mixed >> 31);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}

/// Walks the way once more, aloud.
fn told(cluster: &Cluster, ways: &[(Option<Turn>, usize)], end: usize, faults: u8) -> String {
    let mut turns = Vec::new();
    let mut at = end;
    while let (Some(turn), before) = ways[at] {
        turns.push(turn);
        at = before;
    }
    let (rollout, actions) =
        Rollout::begin(cluster.policy.clone(), cluster.found(), cluster.ledger());
    let mut state = State {
        rollout,
        world: World::new(cluster),
        rules: Rules::new(cluster),
        faults_left: faults,
    };
    let mut text = format!("{cluster:#?}\n{actions:?}\n");
    _ = state.rules.asked(cluster, &state.world, false, &actions);
    state.world.take_on(&actions);
    for turn in turns.iter().rev() {
        text.push_str(&format!("{turn:?}\n"));
        if let Some(told) = take(cluster, &mut state, *turn) {
            text.push_str(&format!("    heard {told:?}\n"));
            if let Ok((_, actions)) = step(cluster, &mut state, told) {
                text.push_str(&format!("    asks  {actions:?}\n"));
            }
        }
    }
    text
}
