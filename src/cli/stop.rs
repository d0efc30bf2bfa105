//! Being asked to stop.

use crate::exit::Exit;
use crate::run::Teller;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The first Ctrl-C lets the current steps finish; the second leaves at once. A terminal that closes and a CI job
/// that is cancelled ask the same way.
pub fn stop_on_signals(teller: Teller) -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    let teller = teller.downgrade();
    tokio::spawn(async move {
        let Ok(mut asked) = Asked::new() else { return };
        asked.next().await;
        teller.note("stopping: current steps finish first; Ctrl-C again leaves at once");
        let _ = stop.send(true);
        asked.next().await;
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
