//! Waiting with an end. In a rehearsal nothing sleeps: pauses only move this clock.

use crate::system::System;
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

/// `7 s`, `2 min 5 s`: for people who wait.
pub fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        s if s < 120 => format!("{s} s"),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}
