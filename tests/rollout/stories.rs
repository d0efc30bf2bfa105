//! Some rollouts as people tell them.

use apim_deploy::rollout::{
    Action, Drain, Ending, Found, How, Ledger, Needs, Observation, OnFailure, Policy, Rollout,
    Rotation, Seen, Sight, Standing, Verdict, Work,
};
use std::time::Duration;

/// A driver that does as it is told, and whose hosts do well unless a story says otherwise.
struct Story {
    rollout: Rollout,
    told: Vec<String>,
    ending: Option<Ending>,
    sick: Vec<&'static str>,
    out: Vec<String>,
    /// A host, what is asked of it, and how that goes from now on.
    wrong: Vec<(&'static str, Work, How)>,
    now: Duration,
}

fn pair() -> Vec<Found> {
    ["gw-1", "gw-2"].map(found).into()
}

fn found(host: &str) -> Found {
    Found {
        host: host.to_owned(),
        needs: Needs::Change,
        installed: true,
        leader: false,
        zone: None,
    }
}

fn failed(why: &str) -> How {
    How::Failed {
        why: why.to_owned(),
    }
}

impl Story {
    fn new(policy: Policy, found: Vec<Found>, ledger: Ledger) -> (Self, Vec<Action>) {
        let (rollout, actions) = Rollout::begin(policy, found, ledger);
        let story = Self {
            rollout,
            told: vec![],
            ending: None,
            sick: vec![],
            out: vec![],
            wrong: vec![],
            now: Duration::ZERO,
        };
        (story, actions)
    }

    /// Goes on to the end; `happens` is asked before each action is answered.
    fn play(mut self, actions: Vec<Action>, mut happens: impl FnMut(&mut Self, &Action)) -> Self {
        let mut open: Vec<Action> = actions;
        while !open.is_empty() {
            let action = open.remove(0);
            self.now += Duration::from_secs(1);
            assert!(self.now.as_secs() < 1000, "{:?}", self.told);
            happens(&mut self, &action);
            for observation in self.answers(action) {
                // What a run writes down is all that it needs to go on.
                let kept = serde_json::to_string(&self.rollout).unwrap();
                let mut again: Rollout = serde_json::from_str(&kept).unwrap();
                let asked = self.rollout.hear(self.now, observation.clone());
                assert_eq!(again.hear(self.now, observation), asked);
                assert_eq!(again, self.rollout);
                open.extend(asked);
            }
        }
        self
    }

    fn answers(&mut self, action: Action) -> Vec<Observation> {
        let (work, hosts) = match action {
            Action::Observe { .. } => return vec![Observation::Seen(self.look())],
            Action::Finish(ending) => {
                self.ending = Some(ending);
                return vec![];
            }
            Action::Converge { hosts } => (Work::Converge, hosts),
            Action::TakeOut { hosts } => (Work::TakeOut, hosts),
            Action::Change { host, .. } => (Work::Change, vec![host]),
            Action::PutBack { host } => (Work::PutBack, vec![host]),
            Action::Soak { host, .. } => (Work::Soak, vec![host]),
            Action::Restore { host, .. } => (Work::Restore, vec![host]),
        };
        let mut answers = vec![];
        for host in hosts {
            self.told.push(format!("{work:?} {host}"));
            let wrong = self.wrong.iter().find(|(h, w, _)| *h == host && *w == work);
            let how = wrong.map_or(How::Well, |(_, _, how)| how.clone());
            match work {
                Work::TakeOut if how == How::Well => self.out.push(host.clone()),
                Work::PutBack => self.out.retain(|h| *h != host),
                _ => {}
            }
            answers.push(Observation::Ended { host, work, how });
        }
        answers
    }

    fn look(&self) -> Seen {
        let sight = |host: &str| {
            let is_out = self.out.iter().any(|h| h == host);
            Sight {
                host: host.to_owned(),
                healthy: !self.sick.contains(&host),
                rotation: if is_out {
                    Rotation::Nowhere
                } else {
                    Rotation::Everywhere
                },
                drain: if is_out { Drain::Ours } else { Drain::Nobody },
            }
        };
        Seen {
            taken: self.now,
            sights: vec![sight("gw-1"), sight("gw-2")],
            unread: vec![],
        }
    }

    fn verdict(&self) -> &Verdict {
        &self.ending.as_ref().unwrap().verdict
    }

    fn standing(&self, at: usize) -> String {
        self.ending.as_ref().unwrap().hosts[at].1.to_string()
    }
}

#[test]
fn a_pair_is_changed_one_after_the_other() {
    let (story, actions) = Story::new(Policy::default(), pair(), Ledger::default());
    let story = story.play(actions, |_, _| {});
    let told = [
        "TakeOut gw-1",
        "Change gw-1",
        "PutBack gw-1",
        "Soak gw-1",
        "TakeOut gw-2",
        "Change gw-2",
        "PutBack gw-2",
        "Soak gw-2",
    ];
    assert_eq!(story.told, told);
    assert_eq!(*story.verdict(), Verdict::Done);
    assert_eq!(story.ending.unwrap().ledger.finished, ["gw-1", "gw-2"]);
}

#[test]
fn a_bad_release_stops_at_the_canary() {
    let (mut story, actions) = Story::new(Policy::default(), pair(), Ledger::default());
    story.wrong = vec![("gw-1", Work::Change, failed("port 8243 is closed"))];
    let story = story.play(actions, |_, _| {});
    let told = [
        "TakeOut gw-1",
        "Change gw-1",
        "Restore gw-1",
        "PutBack gw-1",
    ];
    assert_eq!(story.told, told);
    let why = "gw-1: port 8243 is closed".to_owned();
    let earlier = vec![];
    assert_eq!(*story.verdict(), Verdict::RolledBack { why, earlier });
    assert_eq!(story.standing(0), "old state again: port 8243 is closed");
    assert_eq!(story.standing(1), "not begun");
}

/// The canary alone is watched while it is out, and its time to become healthy does not shrink by that.
#[test]
fn a_canary_is_baked_and_the_others_are_not() {
    let policy = Policy {
        canary_bake: Duration::from_secs(700),
        ..Policy::default()
    };
    let (story, actions) = Story::new(policy, pair(), Ledger::default());
    let mut bakes = vec![];
    let story = story.play(actions, |story, action| {
        if let Action::Change { host, bake, .. } = action {
            bakes.push((host.clone(), bake.as_secs()));
            story.now += *bake;
        }
    });
    assert_eq!(bakes, [("gw-1".to_owned(), 700), ("gw-2".to_owned(), 0)]);
    assert_eq!(*story.verdict(), Verdict::Done);
}

#[test]
fn what_turns_bad_while_it_bakes_meets_nobody() {
    let (mut story, actions) = Story::new(Policy::default(), pair(), Ledger::default());
    let why = "3 of 40 requests failed".to_owned();
    story.wrong = vec![("gw-1", Work::Change, How::Worse { why })];
    let story = story.play(actions, |_, _| {});
    let told = [
        "TakeOut gw-1",
        "Change gw-1",
        "Restore gw-1",
        "PutBack gw-1",
    ];
    assert_eq!(story.told, told);
    assert!(matches!(story.verdict(), Verdict::RolledBack { .. }));
}

#[test]
fn what_does_not_come_back_stays_out() {
    let (mut story, actions) = Story::new(Policy::default(), pair(), Ledger::default());
    story.wrong = vec![
        ("gw-1", Work::Change, failed("port 8243 is closed")),
        ("gw-1", Work::Restore, failed("the disk is full")),
    ];
    let story = story.play(actions, |_, _| {});
    assert_eq!(story.out, ["gw-1"]);
    assert!(matches!(story.verdict(), Verdict::NeedsPerson { .. }));
    assert_eq!(
        story.standing(0),
        "quarantined, stays drained: the disk is full"
    );
}

#[test]
fn the_second_dies_while_the_first_is_drained() {
    let (story, actions) = Story::new(Policy::default(), pair(), Ledger::default());
    let story = story.play(actions, |story, action| {
        if matches!(action, Action::TakeOut { .. }) {
            story.sick = vec!["gw-2"];
        }
    });
    assert_eq!(story.told, ["TakeOut gw-1", "PutBack gw-1"]);
    let why = "gw-2 is not healthy, and it served before".to_owned();
    assert_eq!(*story.verdict(), Verdict::Paused { why });
}

#[test]
fn the_finished_go_back_newest_first_and_earlier_tiers_are_named() {
    let policy = Policy {
        on_failure: OnFailure::Rollback,
        ..Policy::default()
    };
    let ledger = Ledger {
        failed: vec![],
        finished: vec!["cp-1".to_owned(), "cp-2".to_owned()],
    };
    let (mut story, actions) = Story::new(policy, pair(), ledger);
    story.wrong = vec![("gw-2", Work::Soak, failed("503"))];
    let story = story.play(actions, |story, action| {
        // The probe that fails does so four times: the window began again three times.
        let host = "gw-2".to_owned();
        if *action
            == (Action::Restore {
                host,
                within: Duration::from_secs(600),
            })
        {
            story.wrong.clear();
        }
    });
    let from = story.told.iter().position(|t| t == "Soak gw-2").unwrap();
    let told = [
        "Soak gw-2",
        "Soak gw-2",
        "Soak gw-2",
        "Soak gw-2",
        "TakeOut gw-2",
        "Restore gw-2",
        "PutBack gw-2",
        "TakeOut gw-1",
        "Restore gw-1",
        "PutBack gw-1",
    ];
    assert_eq!(story.told[from..], told);
    let why = "gw-2: 503".to_owned();
    let earlier = vec!["cp-2".to_owned(), "cp-1".to_owned()];
    assert_eq!(*story.verdict(), Verdict::RolledBack { why, earlier });
}

#[test]
fn the_operator_stops_it() {
    let (story, actions) = Story::new(Policy::default(), pair(), Ledger::default());
    let (mut story, mut open) = (story, actions);
    open = story
        .answers(open.remove(0))
        .into_iter()
        .flat_map(|o| story.rollout.hear(story.now, o))
        .collect();
    assert!(matches!(open[..], [Action::TakeOut { .. }]));
    assert_eq!(story.rollout.hear(story.now, Observation::Stop), []);
    let story = story.play(open, |_, _| {});
    assert_eq!(story.told, ["TakeOut gw-1", "PutBack gw-1"]);
    assert_eq!(*story.verdict(), Verdict::Interrupted);
}

/// Its probes pass, so nothing is gained by watching it once more.
#[test]
fn a_canary_that_does_worse_goes_back_at_once() {
    let (mut story, actions) = Story::new(Policy::default(), pair(), Ledger::default());
    let worse = How::Worse {
        why: "9 of 40 requests failed".to_owned(),
    };
    story.wrong = vec![("gw-1", Work::Soak, worse)];
    let story = story.play(actions, |_, _| {});
    let told = [
        "TakeOut gw-1",
        "Change gw-1",
        "PutBack gw-1",
        "Soak gw-1",
        "TakeOut gw-1",
        "Restore gw-1",
        "PutBack gw-1",
    ];
    assert_eq!(story.told, told);
    let why = "gw-1: 9 of 40 requests failed".to_owned();
    let earlier = vec![];
    assert_eq!(*story.verdict(), Verdict::RolledBack { why, earlier });
    assert_eq!(story.standing(1), "not begun");
}

#[test]
fn a_soak_is_not_waited_for_after_a_stop() {
    let (mut story, actions) = Story::new(Policy::default(), pair(), Ledger::default());
    story.wrong = vec![("gw-1", Work::Soak, How::Cut)];
    let story = story.play(actions, |story, action| {
        if matches!(action, Action::Soak { .. }) {
            assert_eq!(story.rollout.hear(story.now, Observation::Stop), []);
        }
    });
    assert_eq!(*story.verdict(), Verdict::Interrupted);
    let new = "changed and serving; not watched to the end";
    assert_eq!(
        [story.standing(0).as_str(), &story.standing(1)],
        [new, "not begun"]
    );
    assert_eq!(story.ending.unwrap().ledger.finished, ["gw-1"]);
}

/// Nothing is wrong with who changes; still nobody else is begun.
#[test]
fn a_service_that_does_worse_begins_nobody_else() {
    let (story, actions) = Story::new(Policy::default(), pair(), Ledger::default());
    let story = story.play(actions, |story, action| {
        if matches!(action, Action::Soak { .. }) {
            let why = "9 of 40 requests failed".to_owned();
            assert_eq!(
                story.rollout.hear(story.now, Observation::Worse { why }),
                []
            );
        }
    });
    assert_eq!(story.standing(0), "changed and serving");
    assert_eq!(story.standing(1), "not begun");
    let why = "9 of 40 requests failed".to_owned();
    assert_eq!(*story.verdict(), Verdict::Paused { why });
}

#[test]
fn a_sick_peer_is_called_sick() {
    let mut hosts = pair();
    hosts[1].needs = Needs::Nothing;
    let (mut story, actions) = Story::new(Policy::default(), hosts, Ledger::default());
    story.sick = vec!["gw-2"];
    let story = story.play(actions, |_, _| {});
    assert_eq!(
        story.standing(1),
        "not touched, and does not serve: not healthy"
    );
}

#[test]
fn a_lone_host_needs_a_word() {
    let (story, actions) = Story::new(Policy::default(), vec![found("gw-1")], Ledger::default());
    let story = story.play(actions, |_, _| {});
    assert!(story.told.is_empty());
    let Verdict::Paused { why } = story.verdict() else {
        panic!("{:?}", story.verdict());
    };
    assert!(why.contains("`allow_downtime: true`"), "{why}");
}

#[test]
fn one_unreachable_host_stops_all_before_anything_is_touched() {
    let mut hosts = pair();
    hosts[1].needs = Needs::Unreachable;
    let (story, actions) = Story::new(Policy::default(), hosts, Ledger::default());
    let story = story.play(actions, |_, _| {});
    assert!(story.told.is_empty());
    let ending = story.ending.unwrap();
    assert_eq!(ending.ledger.failed, ["gw-2"]);
    assert_eq!(ending.hosts[1].1, Standing::Unreachable);
    let why = "gw-2: unreachable".to_owned();
    assert_eq!(ending.verdict, Verdict::Paused { why });
}

#[test]
fn a_finished_host_that_falls_is_a_failure_of_the_change() {
    for (on_failure, told, standing) in [
        (
            OnFailure::Pause,
            vec![],
            "changed, then stopped serving: not healthy, and it served before",
        ),
        (
            OnFailure::Rollback,
            vec!["TakeOut gw-1", "Restore gw-1", "PutBack gw-1"],
            "old state again: not healthy, and it served before",
        ),
    ] {
        let policy = Policy {
            on_failure,
            ..Policy::default()
        };
        let (story, actions) = Story::new(policy, pair(), Ledger::default());
        let story = story.play(actions, |story, action| match action {
            Action::Soak { .. } => story.sick = vec!["gw-1"],
            Action::Restore { .. } => story.sick.clear(),
            _ => {}
        });
        assert_eq!(story.told[4..], told);
        assert_eq!(story.standing(0), standing);
        assert_eq!(story.standing(1), "not begun");
        let gone_back = matches!(story.verdict(), Verdict::RolledBack { .. });
        assert_eq!(gone_back, on_failure == OnFailure::Rollback);
    }
}

#[test]
fn what_an_earlier_run_left_drained_goes_back() {
    let mut hosts = pair();
    hosts[0].needs = Needs::Nothing;
    hosts[1].needs = Needs::Nothing;
    let (mut story, actions) = Story::new(Policy::default(), hosts, Ledger::default());
    story.out = vec!["gw-1".to_owned()];
    let story = story.play(actions, |_, _| {});
    let told = [
        "Converge gw-1",
        "Converge gw-2",
        "PutBack gw-1",
        "Soak gw-1",
    ];
    assert_eq!(story.told, told);
    assert_eq!(*story.verdict(), Verdict::Done);
}

#[test]
fn who_stops_early_leaves_nobody_out_who_needs_nothing() {
    let mut hosts = pair();
    hosts[0].needs = Needs::Nothing;
    hosts[1].needs = Needs::Unreachable;
    let (mut story, actions) = Story::new(Policy::default(), hosts, Ledger::default());
    story.out = vec!["gw-1".to_owned()];
    let story = story.play(actions, |_, _| {});
    assert_eq!(story.told, ["PutBack gw-1", "Soak gw-1"]);
    let why = "gw-2: unreachable".to_owned();
    assert_eq!(*story.verdict(), Verdict::Paused { why });
}

/// It may be half changed, or have proved bad.
#[test]
fn who_needs_something_and_is_not_begun_stays_as_an_earlier_run_left_it() {
    let mut hosts = pair();
    hosts[1].needs = Needs::Unreachable;
    let (mut story, actions) = Story::new(Policy::default(), hosts, Ledger::default());
    story.out = vec!["gw-1".to_owned()];
    let story = story.play(actions, |_, _| {});
    assert!(story.told.is_empty());
    assert_eq!(story.ending.unwrap().hosts[0].1, Standing::LeftOut);
}

/// What it was before that earlier run, nobody knows: it is for a person to say.
#[test]
fn what_an_earlier_run_changed_and_never_finished_stays_out() {
    let mut hosts = pair();
    hosts[0].needs = Needs::Nothing;
    hosts[1].needs = Needs::Nothing;
    let (mut story, actions) = Story::new(Policy::default(), hosts, Ledger::default());
    story.out = vec!["gw-1".to_owned()];
    story.wrong = vec![("gw-1", Work::Converge, failed("its gates do not pass"))];
    let story = story.play(actions, |_, _| {});
    assert_eq!(story.told, ["Converge gw-1", "Converge gw-2"]);
    let verdict = story.verdict();
    assert!(
        matches!(verdict, Verdict::NeedsPerson { .. }),
        "{verdict:?}"
    );
    let standing = story.ending.as_ref().unwrap().hosts[0].1.to_string();
    assert!(
        standing.starts_with("quarantined, stays drained: ")
            && standing.ends_with("an earlier run changed it and came to no end"),
        "{standing}"
    );
}

/// A balancer that refuses says nothing of the new state, and would not do better on a way back.
#[test]
fn a_drain_that_is_refused_takes_nobody_back() {
    let policy = Policy {
        on_failure: OnFailure::Rollback,
        ..Policy::default()
    };
    let ledger = Ledger {
        finished: vec!["cp-1".to_owned()],
        ..Ledger::default()
    };
    let (mut story, actions) = Story::new(policy, pair(), ledger);
    story.wrong = vec![("gw-1", Work::TakeOut, failed("refused"))];
    let story = story.play(actions, |_, _| {});
    assert_eq!(story.told, ["TakeOut gw-1", "PutBack gw-1"]);
    let verdict = story.verdict();
    assert!(matches!(verdict, Verdict::Paused { .. }), "{verdict:?}");
}
