//! Millions of rollouts that never happened, and the rules held against each of their steps.
//!
//! `ROLLOUT_SEED=17 cargo test --test rollout schedules -- --nocapture` tells one of them step by step;
//! `ROLLOUT_SCHEDULES=20000000` plays more of them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod dice;
mod exhaustive;
mod rules;
mod schedule;
mod stories;
mod world;

use apim_deploy::rollout::{FirstInstall, OnFailure, Policy, Verdict};
use cluster::Cluster;
use std::collections::BTreeMap;
use std::time::Instant;

const SCHEDULES: u64 = 1_000_000;

#[test]
fn schedules() {
    if let Some(seed) = number("ROLLOUT_SEED") {
        return println!("{}", tell(seed));
    }
    let count = number("ROLLOUT_SCHEDULES").unwrap_or(SCHEDULES);
    let began = Instant::now();
    let halves = [0, 1].map(|half| std::thread::spawn(move || Half::play(half, count)));
    let [mut all, other] = halves.map(|half| half.join().unwrap());
    all.add(other);
    let took = began.elapsed();
    println!(
        "{} schedules, {} steps, {took:.1?}: {:?}",
        all.schedules, all.steps, all.verdicts
    );
    for (seed, broken) in &all.broken {
        println!("seed {seed} breaks a rule: {broken}");
    }
    if let Some((seed, _)) = all.broken.first() {
        println!("{}", tell(*seed));
    }
    // A simulation in which nothing goes wrong, or nothing goes well, proves little.
    let rare = all.verdicts.values().min();
    assert!(
        all.verdicts.len() == 5 && rare.is_some_and(|n| n * 100 > count),
        "{:?}",
        all.verdicts
    );
}

/// What one thread saw.
#[derive(Default)]
struct Half {
    schedules: u64,
    steps: u64,
    verdicts: BTreeMap<&'static str, u64>,
    broken: Vec<(u64, String)>,
}

impl Half {
    fn play(half: u64, count: u64) -> Self {
        let mut seen = Self::default();
        for seed in (half..count).step_by(2) {
            seen.schedules += 1;
            match schedule::run(seed, false) {
                Ok((told, _)) => {
                    seen.steps += u64::from(told.steps);
                    *seen.verdicts.entry(word(&told.verdict)).or_default() += 1;
                }
                Err((broken, _)) => seen.broken.push((seed, broken)),
            }
            if seen.broken.len() == 3 {
                break;
            }
        }
        seen
    }

    fn add(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.steps += other.steps;
        self.broken.extend(other.broken);
        for (verdict, count) in other.verdicts {
            *self.verdicts.entry(verdict).or_default() += count;
        }
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Done => "done",
        Verdict::Paused { .. } => "paused",
        Verdict::RolledBack { .. } => "rolled back",
        Verdict::NeedsPerson { .. } => "needs a person",
        Verdict::Interrupted => "interrupted",
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap())
}

/// The whole schedule; panics with it if it breaks a rule.
fn tell(seed: u64) -> String {
    match schedule::run(seed, true) {
        Ok((told, trace)) => format!("{trace}seed {seed}: {:?}", told.verdict),
        Err((broken, trace)) => panic!(
            "{trace}seed {seed} breaks a rule: {broken}\nagain: ROLLOUT_SEED={seed} cargo test --test rollout schedules"
        ),
    }
}

#[test]
fn everything_that_can_happen_to_a_few_hosts() {
    let began = Instant::now();
    let (mut states, mut endings) = (0, 0);
    for on_failure in [OnFailure::Pause, OnFailure::Rollback, OnFailure::Continue] {
        for (name, cluster, faults) in small_clusters(on_failure) {
            let explored = exhaustive::explore(&cluster, faults)
                .unwrap_or_else(|way| panic!("{way}\n{name}, {on_failure:?}"));
            states += explored.states;
            endings += explored.endings;
        }
    }
    println!(
        "{states} states, {endings} endings, {:.1?}",
        began.elapsed()
    );
}

/// With the number of faults that may come together.
fn small_clusters(on_failure: OnFailure) -> Vec<(&'static str, Cluster, u8)> {
    let plain = |size, balancers| {
        let policy = Policy {
            on_failure,
            ..Policy::default()
        };
        Cluster::plain(size, balancers, policy)
    };
    let mut lone = plain(1, 1);
    lone.policy.allow_downtime = true;
    let mut side_by_side = plain(3, 1);
    side_by_side.policy.canary = 0;
    side_by_side.policy.serial = vec![2];
    side_by_side.policy.max_unavailable = 2;
    side_by_side.policy.min_healthy = Some(1);
    let mut led = plain(2, 1);
    led.leaders = 0b01;
    let mut zones = plain(3, 1);
    zones.zone[..3].copy_from_slice(&[1, 2, 1]);
    let mut fresh = plain(2, 1);
    fresh.installed = 0;
    let mut fresh_together = fresh.clone();
    fresh_together.policy.first_install = FirstInstall::Parallel;
    let mut joined = plain(3, 1);
    joined.installed = 0b011;
    let mut left_over = plain(3, 1);
    left_over.change = 0b110;
    left_over.ours = 0b011;
    let mut held = plain(3, 1);
    held.foreign = 0b001;
    vec![
        ("a lone host", lone, 3),
        ("a pair", plain(2, 1), 2),
        ("a pair behind two balancers", plain(2, 2), 2),
        ("a pair with a leader", led, 2),
        ("three", plain(3, 1), 2),
        ("three, two at a time", side_by_side, 2),
        ("three in two zones", zones, 1),
        ("a new pair", fresh, 2),
        ("a new pair, at the same time", fresh_together, 2),
        ("a new one beside two", joined, 1),
        ("two that an earlier run left drained", left_over, 1),
        ("one that somebody else drained", held, 2),
    ]
}
