//! Stdin: a thread of its own reads the frames, so that `Stop`, content and the end of the
//! connection arrive while a step runs.

use super::{content, diary};
use crate::wire::{Digest, Order, ToWorker, decode, frame_length};
use std::io::{Read, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a step that changes something may go on after the controller has vanished.
const GRACE: Duration = Duration::from_secs(300);

/// Pieces of content that may wait to be written: bounds memory when the disk is slower than the network.
const PIECES_AHEAD: usize = 4;

/// What the controller sent for a wanted digest.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivery {
    /// An empty piece ends the content.
    Piece(Vec<u8>),
    Refused(String),
}

/// What the thread at stdin and the one that works know of each other.
#[derive(Debug, Default)]
pub struct Line {
    stopped: AtomicBool,
    gone: AtomicBool,
    /// The current step changes something, half of which would be worse than all of it; or something is left to be undone.
    changing: AtomicBool,
    wanted: Mutex<Option<(Digest, SyncSender<Delivery>)>>,
}

impl Line {
    /// The controller wants no further step.
    pub fn stop(&self) {
        self.stopped.store(true, SeqCst);
    }

    /// No further step may begin.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(SeqCst) || self.is_gone()
    }

    /// Nobody listens any more.
    pub fn is_gone(&self) -> bool {
        self.gone.load(SeqCst)
    }

    /// Whether the process may end at this moment without leaving something half done.
    pub fn set_changing(&self, changing: bool) {
        self.changing.store(changing, SeqCst);
    }

    /// Deliveries of this content; the next call ends the last one's.
    pub fn expect(&self, digest: &Digest) -> Receiver<Delivery> {
        let (sender, receiver) = sync_channel(PIECES_AHEAD);
        // Once the reader is gone nobody will deliver; then the sender is dropped here and now.
        if !self.is_gone() {
            *self.wanted() = Some((digest.clone(), sender));
        }
        receiver
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, Option<(Digest, SyncSender<Delivery>)>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Content that nobody waits for (any more) is dropped.
    pub(super) fn deliver(&self, digest: &Digest, delivery: Delivery) {
        let sender = match &*self.wanted() {
            Some((wanted, sender)) if wanted == digest => sender.clone(),
            _ => return,
        };
        // The one who waited gave up, on a full disk for example.
        let _ = sender.send(delivery);
    }
}

/// What comes next.
pub enum Next {
    Order(Order),
    /// Nothing for as long as was waited.
    Silence,
    /// Nothing any more.
    Nothing,
}

pub struct Mail {
    line: Arc<Line>,
    orders: Receiver<Order>,
}

impl Mail {
    /// Starts listening. `staging` is tidied when the process has to end in the middle of things.
    pub fn open(staging: PathBuf) -> Self {
        let line = Arc::new(Line::default());
        let (sender, orders) = channel();
        let listening = Arc::clone(&line);
        std::thread::spawn(move || {
            listen(&mut std::io::stdin().lock(), &listening, &|order| {
                // The worker has ended its loop; then the order comes too late.
                let _ = sender.send(order);
            });
            drop(sender);
            outlive(&listening, &staging);
        });
        Self { line, orders }
    }

    pub fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }

    /// Waits for the next order, but no longer than `patience`.
    pub fn next_order(&self, patience: Option<Duration>) -> Next {
        if self.line.is_stopped() {
            return Next::Nothing;
        }
        let order = match patience {
            None => self.orders.recv().map_err(RecvTimeoutError::from),
            Some(patience) => self.orders.recv_timeout(patience),
        };
        match order {
            Ok(order) => Next::Order(order),
            Err(RecvTimeoutError::Timeout) => Next::Silence,
            Err(RecvTimeoutError::Disconnected) => Next::Nothing,
        }
    }
}

/// Reads frames until the controller stops sending.
fn listen(from: &mut dyn Read, line: &Line, order: &dyn Fn(Order)) {
    loop {
        match read_frame(from) {
            Ok(Some(ToWorker::Carry(carry))) => order(carry),
            Ok(Some(ToWorker::Piece { digest, data })) => {
                line.deliver(&digest, Delivery::Piece(data));
            }
            Ok(Some(ToWorker::Refused { digest, reason })) => {
                line.deliver(&digest, Delivery::Refused(reason));
            }
            Ok(Some(ToWorker::Stop)) => line.stop(),
            Ok(None) => break,
            Err(e) => {
                diary::write(&format!("stdin cannot be read any more: {e}"));
                break;
            }
        }
    }
    line.gone.store(true, SeqCst);
    *line.wanted() = None;
}

/// `None` at the end of input.
fn read_frame(from: &mut dyn Read) -> Result<Option<ToWorker>> {
    let mut header = [0; 4];
    match from.read_exact(&mut header) {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = frame_length(header).map_err(std::io::Error::other)?;
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    decode(&body).map(Some).map_err(std::io::Error::other)
}

/// The controller is gone. A step that only looks or waits is abandoned; one that changes something may end, and leases are
/// let lapse, within limits. The lock goes with the process.
fn outlive(line: &Line, staging: &Path) {
    if line.changing.load(SeqCst) {
        std::thread::sleep(GRACE);
        kill_children();
    }
    content::tidy(staging);
    std::process::exit(0);
}

/// Every command that a step started leads a process group of its own.
fn kill_children() {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return;
    };
    for thread in threads.flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let groups = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        for group in groups.filter_map(rustix::process::Pid::from_raw) {
            diary::write(&format!(
                "killing process group {} that outlived its controller",
                group.as_raw_nonzero()
            ));
            // It may have ended by itself in this moment.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::encode;

    #[test]
    fn content_nobody_waits_for_does_not_block_the_mail() {
        let line = Line::default();
        let piece = ToWorker::Piece {
            digest: Digest("ab".into()),
            data: vec![1],
        };
        let frames = encode(&piece).unwrap().repeat(100);
        listen(&mut frames.as_slice(), &line, &|_| {});
        assert!(line.is_gone());
    }

    #[test]
    fn wanted_content_arrives_and_ends_when_the_controller_vanishes() {
        let line = Line::default();
        let digest = Digest("ab".into());
        let piece = ToWorker::Piece {
            digest: digest.clone(),
            data: vec![1],
        };
        let deliveries = line.expect(&digest);
        listen(&mut encode(&piece).unwrap().as_slice(), &line, &|_| {});
        assert_eq!(deliveries.recv(), Ok(Delivery::Piece(vec![1])));
        assert!(deliveries.recv().is_err(), "nobody will send the rest");
    }
}
