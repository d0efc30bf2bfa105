//! Being asked to stop.

use crate::exit::Exit;
use crate::run::Teller;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// A second Ctrl-C sooner than that is the first one again: who starts us may pass on what the terminal sent to all.
const ECHO: Duration = Duration::from_secs(1);
/// For the last words to be written.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// The first Ctrl-C lets the current steps finish; the second leaves at once. A terminal that closes and a CI job
/// that is cancelled ask the same way, but only Ctrl-C cuts it short: a CI job asks by one signal and then by another.
pub fn stop_on_signals(teller: Teller) -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    let teller = teller.downgrade();
    tokio::spawn(async move {
        let Ok(mut asked) = Asked::new() else { return };
        asked.next().await;
        teller.note("stopping: current steps finish first; Ctrl-C again leaves at once");
        let _ = stop.send(true);
        let echo = Instant::now() + ECHO;
        while asked.interrupt.recv().await.is_some() && Instant::now() < echo {}
        teller.note(
            "left at once: steps that were under way go on to their end on the hosts, and a node that is out stays out; \
             `status` says what is true, and the same command again goes on from there",
        );
        tokio::time::sleep(LAST_WORDS).await;
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
    stopped
}

/// The signals that ask a run to stop.
struct Asked {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Asked {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
