//! Waiting with an end. In a rehearsal nothing sleeps: pauses only move this clock.

use crate::system::{Result, System};
use crate::wire::Failure;
use std::cell::Cell;
use std::time::{Duration, Instant};

pub struct Patience<'a> {
    system: &'a System,
    since: Instant,
    rehearsed: Cell<Duration>,
    limit: Duration,
}

impl<'a> Patience<'a> {
    pub fn new(system: &'a System, limit: Duration) -> Self {
        Self {
            system,
            since: Instant::now(),
            rehearsed: Cell::default(),
            limit,
        }
    }

    pub fn waited(&self) -> Duration {
        match self.system.is_rehearsal() {
            true => self.rehearsed.get(),
            false => self.since.elapsed(),
        }
    }

    pub fn is_over(&self) -> bool {
        self.waited() >= self.limit
    }

    /// Rests for `pause`, but not beyond the end.
    pub fn rest(&self, pause: Duration) {
        let pause = pause.min(self.limit.saturating_sub(self.waited()));
        match self.system.is_rehearsal() {
            // A pause of nothing must not make a rehearsal endless.
            true => self
                .rehearsed
                .set(self.rehearsed.get() + pause.max(Duration::from_millis(1))),
            false => std::thread::sleep(pause),
        }
    }
}

/// What came of one try.
pub enum Attempt<T> {
    Done(T),
    /// Not yet: why, in case it stays so.
    NotYet(Failure),
}

/// Tries until it is done or `limit` is over, and says meanwhile what it waits for. A failure that `attempt`
/// returns ends the wait at once: time does not mend it.
pub fn insist<T>(
    system: &System,
    limit: Duration,
    mut attempt: impl FnMut() -> Result<Attempt<T>>,
) -> Result<T> {
    let patience = Patience::new(system, limit);
    loop {
        let failure = match attempt()? {
            Attempt::Done(value) => return Ok(value),
            Attempt::NotYet(failure) => failure,
        };
        if patience.is_over() {
            return Err(failure);
        }
        let waited = spoken(patience.waited());
        system.progress(&format!("waiting since {waited}: {}", failure.message));
        patience.rest(Duration::from_secs(2));
    }
}

/// `7 s`, `2 min 5 s`: for people who wait.
pub fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        s if s < 120 => format!("{s} s"),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}
