//! A changed node is watched for as long as it soaks; clients' requests are counted from before the first node is taken out
//! until the last one is back.

use super::errands::{self, HEALTHY, PROBE, TRAFFIC};
use super::evidence::{self, Asked, Reading, Through};
use super::{PROBE_PAUSE, Roll, ended};
use crate::event::{Event, Evidence, Phase};
use crate::rollout::{Found, How, Needs, Observation, Rotation, Sight, Work};
use crate::run::errand::Run;
use crate::vars::Layer;
use futures_util::future::join_all;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// Looks at a node that soaks for each reading of the balancers.
const LOOKS_A_READING: u32 = 5;

/// Between two looks, so much of a soak counts as watched: a look that had to wait says nothing of the time before it.
const LONGEST_GAP: Duration = Duration::from_secs(10);

/// However short it is, with as many looks at a healthy node a soak may end well.
const LEAST_LOOKS: u32 = 2;

/// Whoever does not say in time what it answered has no part in a reading: a node that changes is busy, one that is gone is not
/// missed by its connection for half a minute.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// How often a bake may begin again after a probe that failed, as a soak may.
const BAKES: u8 = 4;

/// What is known of the requests that go on beside the rollout.
#[derive(Default)]
pub struct Watch {
    began: OnceCell<Instant>,
    baseline: OnceCell<Reading>,
}

/// The part of it that changes, kept with everything else that does.
#[derive(Default)]
pub struct Watched {
    /// The fewest nodes in service that a look found since the first was taken out.
    least: Option<usize>,
    soaking: HashSet<String>,
    /// Why the service does worse, for the rollout to hear.
    pub worse: Option<String>,
}

impl Roll<'_> {
    /// Requests begin where somebody will be taken away; who serves nobody yet answers nobody.
    pub(super) async fn begin_watch(&self, found: &[Found]) {
        let goes = |f: &Found| f.installed && f.needs == Needs::Change;
        if found.iter().any(goes) && !self.reading(false).await.is_empty() {
            let _ = self.watch.began.set(Instant::now());
        }
    }

    /// What they came to before anybody was taken out; waits until that is enough.
    pub(super) async fn baseline(&self) -> Option<&Reading> {
        let began = *self.watch.began.get()?;
        let measured = async {
            let left = self.cluster.limits.baseline.saturating_sub(began.elapsed());
            if let (false, Some(host)) = (left.is_zero(), self.ours.first()) {
                self.working(host, "measuring what clients meet before any is taken out");
                let _ = tokio::time::timeout(left, self.fleet.stopping()).await;
            }
            self.reading(false).await
        };
        Some(self.watch.baseline.get_or_init(|| measured).await)
    }

    /// `last` ends the requests.
    async fn reading(&self, last: bool) -> Reading {
        let hosts = self.cluster.hosts.iter();
        let hosts = hosts.filter(|host| self.state(host).is_some());
        let direct = hosts.map(|host| async move {
            let run = self.errand_with(host, &[PROBE], vars(None, last));
            let run = tokio::time::timeout(READ_WITHIN, run).await;
            Some((host.clone(), asked(&run.ok()?.ok()??)?))
        });
        let (direct, through) = tokio::join!(join_all(direct), self.through(last));
        Reading {
            direct: direct.into_iter().flatten().collect(),
            through,
        }
    }

    /// As the balancers meet the cluster.
    async fn through(&self, last: bool) -> BTreeMap<String, Through> {
        let Some(host) = self.cluster.hosts.iter().find(|h| self.state(h).is_some()) else {
            return BTreeMap::new();
        };
        let each = self.cluster.balancers.iter().map(|balancer| async move {
            let vars = vars(Some(balancer), last);
            let run = self.errand_with(host, &[TRAFFIC], vars).await.ok()??;
            let through = Through {
                all: asked(&run)?,
                by: evidence::told(errands::value(&run, "probed_by")).unwrap_or_default(),
            };
            Some((balancer.clone(), through))
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    /// Healthy, and what its own requests came to; one exchange.
    async fn look_at(&self, host: &str) -> Result<Option<Asked>, String> {
        let files: &[&str] = match self.watch.began.initialized() {
            true => &[HEALTHY, PROBE],
            false => &[HEALTHY],
        };
        let run = self.errand_with(host, files, vars(None, false)).await?;
        Ok(run.as_ref().and_then(asked))
    }

    pub(super) async fn soak(&self, host: String, time: Duration) -> Observation {
        if time.is_zero() {
            return ended(host, Work::Soak, How::Well);
        }
        let began = Instant::now();
        let how = self
            .watch_it(&host, time, "that it stays healthy", false)
            .await;
        let told = match &how {
            How::Failed { why } | How::Worse { why } => Err(why.clone()),
            _ => Ok(()),
        };
        match how {
            How::Cut => {
                let text = "changed, and not watched any longer: the run was asked to stop";
                self.teller.note(Some(&host), text);
            }
            _ => self.moved(&host, Phase::Soaked, &told, began),
        }
        ended(host, Work::Soak, how)
    }

    /// A changed node that is still out.
    pub(super) async fn bake(&self, host: &str, time: Duration) -> How {
        let mut how = How::Well;
        for _ in 0..BAKES {
            if !time.is_zero() {
                let what = "it before anybody is sent there";
                how = self.watch_it(host, time, what, true).await;
            }
            if !matches!(how, How::Failed { .. }) {
                break;
            }
        }
        how
    }

    /// What it does meanwhile is not taken for the others'.
    async fn watch_it(&self, host: &str, time: Duration, what: &str, is_out: bool) -> How {
        self.watched(|w| w.soaking.insert(host.to_owned()));
        let how = self.watch_for(host, time, what, is_out).await;
        self.watched(|w| w.soaking.remove(host));
        how
    }

    async fn watch_for(&self, host: &str, time: Duration, what: &str, is_out: bool) -> How {
        let mut soak = Soak::new(self, host, is_out).await;
        if let Err(how) = soak.watch(time, what).await {
            return how;
        }
        if soak.slower().is_some() {
            soak.begin_anew();
            if let Err(how) = soak.watch(time / 2, "whether it stays slow").await {
                return how;
            }
        }
        match soak.slower() {
            Some(why) => How::Worse { why },
            None => match self.lacks_nothing(host).await {
                Ok(()) => How::Well,
                Err(why) => How::Worse { why },
            },
        }
    }

    /// For the least that was in service; a look before the first was taken out is no part of it.
    pub(super) fn note_service(&self, sights: &[Sight]) {
        let mut moving = self.moving();
        if moving.taken {
            let serves = |s: &&Sight| s.healthy && s.rotation == Rotation::Everywhere;
            let serving = sights.iter().filter(serves).count();
            let least = &mut moving.watched.least;
            *least = Some(least.map_or(serving, |least| least.min(serving)));
        }
    }

    pub(super) fn take_worse(&self) -> Option<String> {
        self.moving().watched.worse.take()
    }

    /// Requests that fail have a reason, and a node that does not serve is likely to be it.
    async fn naming_the_sick(&self, why: String) -> String {
        let seen = self.look_at_all().await;
        let out = self.moving().out.clone();
        let sick = seen.sights.into_iter().filter(|s| !s.healthy);
        let sick: Vec<_> = sick
            .map(|s| s.host)
            .filter(|host| !out.contains(host))
            .collect();
        match sick.is_empty() {
            true => why,
            false => format!("{why}; not healthy: {}", sick.join(", ")),
        }
    }

    fn watched<T>(&self, change: impl FnOnce(&mut Watched) -> T) -> T {
        change(&mut self.moving().watched)
    }

    /// What there is to say about the rollout when it is over.
    pub(super) async fn tell_evidence(&self) {
        let during = match self.watch.baseline.get() {
            Some(before) => Some((before, self.reading(true).await.since(before))),
            None if self.watch.began.initialized() => {
                self.reading(true).await;
                None
            }
            None => None,
        };
        let Some(least) = self.moving().watched.least else {
            return;
        };
        let during = during.as_ref();
        let traffic = during
            .map(|(_, during)| during.traffic())
            .unwrap_or_default();
        let of = self.cluster.hosts.len();
        self.teller.tell(Event::Evidence(Evidence {
            cluster: self.cluster.name.clone(),
            sent: traffic.sent,
            failed: traffic.failed,
            failure: traffic.failure.clone(),
            before: during.and_then(|(before, _)| evidence::times(&before.traffic())),
            during: evidence::times(&traffic),
            least,
            promised: self.cluster.policy.needed(of),
            of,
        }));
    }
}

fn vars(balancer: Option<&String>, last: bool) -> Layer {
    let vars = Layer::new("rollout").with("probe_last", last);
    match balancer {
        Some(balancer) => vars.with("balancer", balancer.as_str()),
        None => vars,
    }
}

fn asked(run: &Run) -> Option<Asked> {
    evidence::told(errands::value(run, "probed"))
}

/// One node that soaks.
struct Soak<'s> {
    roll: &'s Roll<'s>,
    host: &'s str,
    /// What balancers meet is its peers' doing.
    is_out: bool,
    first: Reading,
    /// From half time on: a process that was just started is slow for a while.
    half: Option<Reading>,
    now: Reading,
    looks: u32,
}

impl<'s> Soak<'s> {
    async fn new(roll: &'s Roll<'s>, host: &'s str, is_out: bool) -> Self {
        let mut first = Reading::default();
        if roll.watch.baseline.initialized() {
            first = roll.reading(false).await;
        }
        Self {
            roll,
            host,
            is_out,
            now: first.clone(),
            first,
            half: None,
            looks: 0,
        }
    }

    /// Until it was found healthy for so long.
    async fn watch(&mut self, time: Duration, what: &str) -> Result<(), How> {
        let longest = LONGEST_GAP.min(time / LEAST_LOOKS);
        let mut watched = Duration::ZERO;
        let mut looked = Instant::now();
        while watched < time {
            let left = time.saturating_sub(watched);
            let text = format!("watching {what}: {} s more", left.as_secs() + 1);
            self.roll.working(self.host, &text);
            let pause = PROBE_PAUSE.min(left).min(longest);
            let stopping = self.roll.fleet.stopping();
            if tokio::time::timeout(pause, stopping).await.is_ok() {
                return Err(How::Cut);
            }
            let direct = self.roll.look_at(self.host).await;
            self.note(direct.map_err(|why| How::Failed { why })?);
            watched += looked.elapsed().min(longest);
            looked = Instant::now();
            if watched * 2 >= time {
                self.at_half_time().await;
            }
            self.proves(false).await?;
        }
        self.proves(true).await
    }

    async fn proves(&mut self, is_over: bool) -> Result<(), How> {
        match self.failing(is_over).await {
            Some(why) => Err(How::Worse { why }),
            None => Ok(()),
        }
    }

    fn note(&mut self, direct: Option<Asked>) {
        self.looks += 1;
        if let Some(direct) = direct {
            let first = self.first.direct.entry(self.host.to_owned());
            first.or_insert_with(|| direct.clone());
            self.now.direct.insert(self.host.to_owned(), direct);
        }
    }

    /// A process that was just started is slow for longer than a short soak. What is slow by chance is seldom so twice.
    fn begin_anew(&mut self) {
        self.half = Some(self.now.clone());
    }

    async fn at_half_time(&mut self) {
        if self.half.is_none() && self.roll.watch.baseline.initialized() {
            self.now = self.roll.reading(false).await;
            self.half = Some(self.now.clone());
        }
    }

    /// Also lets the rollout know when the others do worse.
    async fn failing(&mut self, is_over: bool) -> Option<String> {
        let roll = self.roll;
        let before = roll.watch.baseline.get()?;
        if is_over {
            // With the peers': where all are slow it is not the change.
            self.now = roll.reading(false).await;
        } else if self.looks.is_multiple_of(LOOKS_A_READING) {
            self.now.through = roll.through(false).await;
        }
        let since = self.now.since(&self.first);
        let limits = &roll.cluster.limits;
        let failing = evidence::is_failing(limits, self.host, before, &self.own(since.clone()));
        if failing.is_none() {
            let soaking = roll.watched(|w| w.soaking.clone());
            let soaking: Vec<&str> = soaking.iter().map(String::as_str).collect();
            if let Some(why) = evidence::others_fail(limits, &soaking, before, &since)
                && roll.watched(|w| w.worse.is_none())
            {
                let why = roll.naming_the_sick(why).await;
                roll.watched(|w| w.worse.get_or_insert(why).len());
            }
        }
        failing
    }

    /// What is its doing.
    fn own(&self, mut reading: Reading) -> Reading {
        if self.is_out {
            reading.through.clear();
        }
        reading
    }

    /// Where too few requests came after half time all of the soak counts.
    fn slower(&self) -> Option<String> {
        let before = self.roll.watch.baseline.get()?;
        let limits = &self.roll.cluster.limits;
        let since = |mark: &Reading| self.own(self.now.since(mark));
        let half = self.half.as_ref().map(since);
        let half = half.filter(|half| evidence::is_enough(self.host, half));
        let window = half.unwrap_or_else(|| since(&self.first));
        evidence::is_slower(limits, self.host, before, &window)
    }
}
