//! Open connections: one worker per host and user, orders to one worker one after the other.

use super::prepare::Prepared;
use super::target;
use super::teller::Teller;
use crate::event::Event;
use crate::plan::{self, Line, Place};
use crate::source::Problems;
use crate::ssh::{self, Lost, Session, Worker};
use crate::wire::{Digest, Facts, Failure, FromWorker, Item, Mode, Order, ToWorker, Told};
use futures_util::stream::{self, StreamExt as _};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell, watch};

/// The size of one piece of content on the wire, in bytes.
const PIECE: usize = 256 << 10;

/// Between two looks at a lock that another run holds.
const BUSY_PAUSE: Duration = Duration::from_secs(2);
/// A worker whose connection was lost finishes its step before it leaves.
const RENEWED_WITHIN: Duration = Duration::from_secs(30);

/// One worker's line; an order at a time.
type WorkerLine = Arc<Mutex<Session>>;

/// By machine and account. A cell is filled once, also when many ask at the same time: a second worker of
/// one account would find the first one's lock. Who could not be reached stays so: a hundred hosts that delegate
/// to a dead one must not wait for it one after the other.
type Seats = HashMap<(String, String), Arc<OnceCell<Result<WorkerLine, Lost>>>>;

pub struct Fleet<'a> {
    prepared: &'a Prepared,
    worker: Arc<Worker>,
    teller: Teller,
    sessions: Mutex<Seats>,
    /// Machines whose connection was lost and is not there again.
    lost: Mutex<HashSet<String>>,
    next_order: AtomicU32,
    /// Turns true when the run was asked to stop.
    stop: watch::Receiver<bool>,
}

/// What a worker says first.
#[derive(Debug, Clone)]
pub struct Greeting {
    pub facts: Facts,
    pub due: Vec<String>,
}

/// What became of one order.
#[derive(Debug)]
pub struct Carried {
    pub told: Vec<Told>,
    pub failed: bool,
    /// Handlers that were due when the worker began.
    pub due: Vec<String>,
}

impl<'a> Fleet<'a> {
    pub fn new(
        prepared: &'a Prepared,
        worker: Arc<Worker>,
        teller: Teller,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            prepared,
            worker,
            teller,
            sessions: Mutex::default(),
            lost: Mutex::default(),
            next_order: AtomicU32::new(0),
            stop,
        }
    }

    /// Connects every host of the run, `forks` at a time.
    pub async fn connect(&self) -> BTreeMap<String, Result<Greeting, Lost>> {
        let forks = self.prepared.options.forks.max(1);
        stream::iter(self.prepared.all_hosts())
            .map(|host| async move {
                let place = Place {
                    user: self.first_user(&host),
                    host: host.clone(),
                };
                let greeting = self.greet(&place).await;
                if let Err(lost) = &greeting {
                    self.teller.tell(Event::Unreachable {
                        host: host.clone(),
                        failure: lost.failure().clone(),
                    });
                }
                (host, greeting)
            })
            .buffer_unordered(forks)
            .collect()
            .await
    }

    /// A host that is no part of the run, asked as those of the run are: what it says of itself.
    pub async fn meet(&self, host: &str, like: &str) -> Result<Greeting, Lost> {
        let place = Place {
            user: self.first_user(like),
            host: host.to_owned(),
        };
        self.greet(&place).await
    }

    /// A host whose connection may be gone: over a new one.
    pub async fn meet_again(&self, host: &str) -> Result<Greeting, Lost> {
        let place = Place {
            user: self.first_user(host),
            host: host.to_owned(),
        };
        if let Ok(target) = self.target(&place) {
            let (machine, _) = target.seat();
            let mut sessions = self.sessions.lock().await;
            sessions.retain(|(at, _), _| *at != machine);
        }
        self.greet(&place).await
    }

    /// A new connection to a host that had one, if that has ended. What was asked of the old one is not asked again.
    pub async fn renew(&self, host: &str) {
        let place = Place {
            user: self.first_user(host),
            host: host.to_owned(),
        };
        let Ok(target) = self.target(&place) else {
            return;
        };
        let (machine, account) = target.seat();
        if !self.has_lost(&machine).await {
            return;
        }
        self.lost.lock().await.insert(machine.clone());
        let Ok(line) = self.open(&target, RENEWED_WITHIN).await else {
            return;
        };
        self.lost.lock().await.remove(&machine);
        let mut sessions = self.sessions.lock().await;
        sessions.retain(|(at, _), _| *at != machine);
        sessions.insert((machine, account), Arc::new(OnceCell::from(Ok(line))));
        drop(sessions);
        self.teller
            .note(Some(host), "its connection was lost; there is a new one");
    }

    /// One that was, or could not be opened anew since.
    async fn has_lost(&self, machine: &str) -> bool {
        if self.lost.lock().await.contains(machine) {
            return true;
        }
        let sessions = self.sessions.lock().await;
        let mut lines = sessions.iter().filter(|((at, _), _)| at == machine);
        lines.any(|(_, cell)| match cell.get() {
            // One in use is not gone yet.
            Some(Ok(line)) => line.try_lock().is_ok_and(|session| session.is_gone()),
            _ => false,
        })
    }

    /// Carries a list out at `place`. `hear` gets every word of the worker as it comes.
    pub async fn carry(
        &self,
        place: &Place,
        items: Vec<Item>,
        hear: impl FnMut(&FromWorker),
    ) -> Result<Carried, Lost> {
        self.exchange(place, items, hear, self.mode(), true).await
    }

    /// Carries a list out that is seen through even when the run was asked to stop: a node that is out of rotation must
    /// come back.
    pub async fn see_through(
        &self,
        place: &Place,
        items: Vec<Item>,
        mode: Mode,
        hear: impl FnMut(&FromWorker),
    ) -> Result<Carried, Lost> {
        self.exchange(place, items, hear, mode, false).await
    }

    /// Sets a worker's records right: nobody hears of it, and a run that ends does it all the same.
    pub async fn note(&self, place: &Place, items: Vec<Item>) -> Result<Carried, Lost> {
        self.exchange(place, items, |_| {}, self.mode(), false)
            .await
    }

    fn mode(&self) -> Mode {
        match self.prepared.options.check {
            true => Mode::Check,
            false => Mode::Apply,
        }
    }

    async fn exchange(
        &self,
        place: &Place,
        items: Vec<Item>,
        mut hear: impl FnMut(&FromWorker),
        mode: Mode,
        may_stop: bool,
    ) -> Result<Carried, Lost> {
        let line = self.line(place).await?;
        let mut session = line.lock().await;
        self.hear_out(&mut session, &place.host).await?;
        let options = &self.prepared.options;
        let order = Order {
            id: self.next_order.fetch_add(1, Ordering::Relaxed),
            mode,
            diff: options.diff,
            items,
        };
        let id = order.id;
        let mut open = ids(&order.items);
        session.open_order = Some(id);
        session.send(&ToWorker::Carry(order)).await?;
        let mut stop = self.stop.clone();
        let mut asked_to_stop = !may_stop;
        let mut told = Vec::new();
        loop {
            let message = tokio::select! {
                message = session.hear() => message?,
                Ok(_) = stop.wait_for(|s| *s), if !asked_to_stop => {
                    asked_to_stop = true;
                    session.send(&ToWorker::Stop).await?;
                    continue;
                }
            };
            // One word on each step of the order: a host in other hands may say anything.
            if let FromWorker::Told(one) = &message
                && !open.remove(&one.step)
            {
                continue;
            }
            hear(&message);
            match message {
                FromWorker::Want { digest } => {
                    self.give(&mut session, &place.host, &digest).await?
                }
                FromWorker::Told(one) => told.push(one),
                FromWorker::Done { order, failed } if order == id => {
                    session.open_order = None;
                    let due = session.due().to_vec();
                    return Ok(Carried { told, failed, due });
                }
                _ => {}
            }
        }
    }

    /// Whoever gave the last order may not have waited for its end: what is told of it is no answer to the next one.
    async fn hear_out(&self, session: &mut Session, host: &str) -> Result<(), Lost> {
        while let Some(open) = session.open_order {
            match session.hear().await? {
                FromWorker::Want { digest } => self.give(session, host, &digest).await?,
                FromWorker::Done { order, .. } if order == open => session.open_order = None,
                _ => {}
            }
        }
        Ok(())
    }

    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Ends when the run was asked to stop.
    pub async fn stopping(&self) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|s| *s).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// Exchanges with a host's workers after login.
    pub async fn round_trips(&self, host: &str) -> u32 {
        let place = Place {
            host: host.to_owned(),
            user: None,
        };
        let machine = self
            .target(&place)
            .map_or_else(|_| host.to_owned(), |t| t.seat().0);
        let sessions = self.sessions.lock().await;
        let mut sum = 0;
        for (_, cell) in sessions.iter().filter(|((at, _), _)| *at == machine) {
            if let Some(Ok(line)) = cell.get() {
                sum += line.lock().await.round_trips();
            }
        }
        sum
    }

    /// Says goodbye to every worker, to all at the same time: some take a while to leave.
    pub async fn close(&self) {
        let cells: Vec<_> = self.sessions.lock().await.drain().collect();
        let sessions = cells.into_iter().filter_map(|(_, cell)| {
            let line = Arc::into_inner(cell)?.into_inner()?.ok()?;
            Some(Arc::into_inner(line)?.into_inner())
        });
        futures_util::future::join_all(sessions.map(Session::close)).await;
    }

    async fn greet(&self, place: &Place) -> Result<Greeting, Lost> {
        let line = self.line(place).await?;
        let session = line.lock().await;
        Ok(Greeting {
            facts: session.facts().clone(),
            due: session.due().to_vec(),
        })
    }

    async fn line(&self, place: &Place) -> Result<WorkerLine, Lost> {
        let target = self.target(place).map_err(|problems| {
            let first = problems.iter().next().map(|p| p.message.clone());
            Lost::Refused(Failure::new(first.unwrap_or_default()))
        })?;
        let mut sessions = self.sessions.lock().await;
        let cell = Arc::clone(sessions.entry(target.seat()).or_default());
        drop(sessions);
        let patience = self.prepared.options.wait_lock;
        cell.get_or_init(|| self.open(&target, patience))
            .await
            .clone()
    }

    /// `patience` is for the worker of another run, or of a connection that was lost, to end.
    async fn open(&self, target: &ssh::Target, patience: Duration) -> Result<WorkerLine, Lost> {
        let reaching = |phase: &str| {
            self.teller.tell(Event::Reaching {
                host: target.name.clone(),
                phase: phase.to_owned(),
            });
        };
        let patience = tokio::time::Instant::now() + patience;
        loop {
            match ssh::connect(target, &self.worker, reaching).await {
                Err(Lost::Busy(_))
                    if tokio::time::Instant::now() < patience && !self.is_stopping() =>
                {
                    reaching("waiting for another run to end");
                    // Who is asked to stop looks once more, and gives up.
                    let _ = tokio::time::timeout(BUSY_PAUSE, self.stopping()).await;
                }
                Err(lost) => return Err(lost),
                Ok(session) => {
                    reaching("ready");
                    return Ok(Arc::new(Mutex::new(session)));
                }
            }
        }
    }

    fn target(&self, place: &Place) -> Result<ssh::Target, Problems> {
        let prepared = self.prepared;
        let common = prepared.common_without_facts();
        let ladder = plan::host_ladder(
            &prepared.inventory,
            &place.host,
            &common,
            &prepared.extra,
            None,
        );
        let mut target = target::target(&place.host, &ladder, place.user.as_deref())?;
        // A task delegated to the controller itself needs no SSH and no entry in the inventory.
        if place.host == "localhost" && !prepared.inventory.hosts.contains_key("localhost") {
            target.local = true;
        }
        Ok(target)
    }

    /// Whom the host's first steps want the worker to be.
    pub fn first_user(&self, host: &str) -> Option<String> {
        let lines = self
            .prepared
            .plan
            .plays
            .iter()
            .flat_map(|p| &p.batches)
            .filter_map(|b| b.hosts.get(host))
            .flatten();
        for line in lines {
            if let Line::Carry { place, .. } = line
                && place.host == host
            {
                return place.user.clone();
            }
        }
        None
    }

    /// Gives a worker the content it asked for.
    async fn give(&self, session: &mut Session, host: &str, digest: &Digest) -> Result<(), Lost> {
        let mut sent = 0;
        loop {
            match self.prepared.depot.piece(digest, sent, PIECE) {
                Err(reason) => {
                    let digest = digest.clone();
                    return session.send(&ToWorker::Refused { digest, reason }).await;
                }
                Ok(data) => {
                    let last = data.is_empty();
                    sent += data.len() as u64;
                    let digest_of = digest.clone();
                    session
                        .send(&ToWorker::Piece {
                            digest: digest_of,
                            data,
                        })
                        .await?;
                    if let Some((name, size)) = self.prepared.depot.describe(digest) {
                        self.teller.tell(Event::Sending {
                            host: host.to_owned(),
                            name,
                            sent,
                            size,
                        });
                    }
                    if last {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// The steps of a list, those in blocks included.
fn ids(items: &[Item]) -> HashSet<u32> {
    let mut found = HashSet::new();
    let mut lists = vec![items];
    while let Some(list) = lists.pop() {
        for item in list {
            match item {
                Item::Step(step) => {
                    found.insert(step.id);
                }
                Item::Block(block) => lists.extend([
                    block.steps.as_slice(),
                    block.rescue.as_slice(),
                    block.always.as_slice(),
                ]),
            }
        }
    }
    found
}
