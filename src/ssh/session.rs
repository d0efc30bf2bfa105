//! A host with its worker: messages out, messages in, and last words when it ends.

use super::pipe::{Ear, Ending, Heard, Mouth};
use super::{Lost, Target};
use crate::wire::{
    Action, Digest, Facts, Failure, FromWorker, Item, Order, ToWorker, decode, encode, frame_length,
};
use serde_json::Value;
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Messages that may wait to be heard. A caller that sends much must hear at the same time.
const WAITING: usize = 1024;
/// How long a worker may take to leave once its input has ended.
const FAREWELL: Duration = Duration::from_secs(3);

/// One worker on one host, for the length of one connection.
pub struct Session {
    facts: Box<Facts>,
    due: Vec<String>,
    /// The order whose end nobody heard yet.
    pub open_order: Option<u32>,
    sender: Sender,
    receiver: Receiver,
}

/// The half that speaks.
pub struct Sender {
    host: String,
    mouth: Mouth,
    shared: Arc<Shared>,
    /// Closed when nobody listens any more: a dead worker reads nothing, and sending to it would wait
    /// for ever.
    alive: watch::Receiver<()>,
}

/// The half that listens.
pub struct Receiver {
    host: String,
    messages: mpsc::Receiver<Result<FromWorker, Lost>>,
}

/// What both halves know.
#[derive(Default)]
struct Shared {
    round_trips: AtomicU32,
    /// Content of the current order: a captured worker may ask for nothing else.
    content: Mutex<HashSet<Digest>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("host", &self.sender.host)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// `rest` is what was heard after the greeting; `turns` the exchanges so far.
    pub(super) fn open(
        target: &Target,
        mouth: Mouth,
        ear: Ear,
        hello: FromWorker,
        rest: Vec<u8>,
        diary: Diary,
        turns: u32,
    ) -> Result<Self, Lost> {
        let FromWorker::Hello { facts, due, .. } = hello else {
            return Err(Lost::Refused(Failure::new(format!(
                "the worker on {} does not say hello first",
                target.shown()
            ))));
        };
        let shared = Arc::new(Shared::default());
        shared.round_trips.store(turns, Relaxed);
        let (to, messages) = mpsc::channel(WAITING);
        let (lives, alive) = watch::channel(());
        let listening = Listening {
            host: target.shown(),
            ear,
            buffer: rest,
            diary,
            shared: Arc::clone(&shared),
            to,
            _lives: lives,
        };
        tokio::spawn(listening.until_the_end());
        Ok(Self {
            facts,
            due,
            open_order: None,
            sender: Sender {
                host: target.shown(),
                mouth,
                shared,
                alive,
            },
            receiver: Receiver {
                host: target.shown(),
                messages,
            },
        })
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Handlers that an earlier run made due and did not settle.
    pub fn due(&self) -> &[String] {
        &self.due
    }

    /// Exchanges since the login, each a question and its answer.
    pub fn round_trips(&self) -> u32 {
        self.sender.round_trips()
    }

    /// Its connection has ended; nothing comes over it any more.
    pub fn is_gone(&self) -> bool {
        self.sender.alive.has_changed().is_err()
    }

    pub async fn send(&mut self, message: &ToWorker) -> Result<(), Lost> {
        self.sender.send(message).await
    }

    /// The next message. Nothing is lost when the caller stops waiting.
    pub async fn hear(&mut self) -> Result<FromWorker, Lost> {
        self.receiver.hear().await
    }

    /// Two halves for two tasks: whoever sends large content must be heard out meanwhile.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// Ends the worker and waits a moment for it to leave, so that its lock is free for the next one.
    pub async fn close(self) {
        let (sender, receiver) = self.split();
        sender.close(receiver).await;
    }
}

impl Sender {
    pub async fn send(&mut self, message: &ToWorker) -> Result<(), Lost> {
        self.count(message);
        let frame = encode(message).map_err(|e| {
            Lost::Refused(Failure::new(format!(
                "a message to {} cannot be sent: {e}",
                self.host
            )))
        })?;
        tokio::select! {
            sent = self.mouth.send(frame) => sent.map_err(|e| lost(&self.host, &e.to_string())),
            _ = self.alive.changed() => Err(lost(&self.host, "the worker is gone")),
        }
    }

    pub fn round_trips(&self) -> u32 {
        self.shared.round_trips.load(Relaxed)
    }

    /// Ends the worker's input, and listens until it has left.
    pub async fn close(self, mut receiver: Receiver) {
        let leaving = async { while receiver.hear().await.is_ok() {} };
        let ended = self.mouth.end_input().await;
        // Who does not leave in time is left behind: the worker ends by itself when it is done.
        let _ = tokio::time::timeout(FAREWELL, leaving).await;
        ended.hang_up().await;
    }

    fn count(&self, message: &ToWorker) {
        if let ToWorker::Carry(order) = message {
            self.shared.round_trips.fetch_add(1, Relaxed);
            *self.shared.content() = content_of(order);
        }
    }
}

impl Receiver {
    /// The next message. Nothing is lost when the caller stops waiting.
    pub async fn hear(&mut self) -> Result<FromWorker, Lost> {
        match self.messages.recv().await {
            Some(heard) => heard,
            None => Err(lost(&self.host, "it ended before")),
        }
    }
}

impl Shared {
    fn content(&self) -> std::sync::MutexGuard<'_, HashSet<Digest>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(host: &str, why: &str) -> Lost {
    Lost::Unreachable(Failure::new(format!(
        "the connection to {host} was lost: {why}"
    )))
}

/// The task that always listens: a channel that nobody reads stops its whole connection.
struct Listening {
    host: String,
    ear: Ear,
    buffer: Vec<u8>,
    diary: Diary,
    shared: Arc<Shared>,
    to: mpsc::Sender<Result<FromWorker, Lost>>,
    /// Dropped at the end, for the half that sends.
    _lives: watch::Sender<()>,
}

impl Listening {
    async fn until_the_end(mut self) {
        loop {
            let result = match self.next_message() {
                Ok(Some(message)) => Ok(message),
                Ok(None) => match self.ear.hear().await {
                    Heard::Out(bytes) => {
                        self.buffer.extend(bytes);
                        continue;
                    }
                    Heard::Err(bytes) => {
                        self.diary.hear(&bytes);
                        continue;
                    }
                    Heard::Ended(ending) => Err(self.ended(&ending)),
                },
                Err(failure) => Err(Lost::Refused(failure)),
            };
            let last = result.is_err();
            if self.to.send(result).await.is_err() || last {
                return;
            }
        }
    }

    /// Takes a whole frame out of the buffer.
    fn next_message(&mut self) -> Result<Option<FromWorker>, Failure> {
        let garbled = |e| {
            Failure::new(format!(
                "the worker on {} does not keep to the protocol: {e}",
                self.host
            ))
        };
        let Some(header) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = frame_length(*header).map_err(garbled)?;
        let Some(body) = self.buffer.get(4..4 + length) else {
            return Ok(None);
        };
        let message = decode(body).map_err(garbled)?;
        self.buffer.drain(..4 + length);
        if let FromWorker::Want { digest } = &message {
            self.admit(digest)?;
        }
        Ok(Some(message))
    }

    fn admit(&self, digest: &Digest) -> Result<(), Failure> {
        self.shared.round_trips.fetch_add(1, Relaxed);
        if self.shared.content().contains(digest) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the worker on {} asks for content {digest}, which is no part of its order",
            self.host
        ))
        .help("the host may have been taken over: nothing was sent"))
    }

    /// A worker that died is another story than a connection that was lost.
    fn ended(&self, ending: &Ending) -> Lost {
        let detail = self.diary.lines();
        match ending {
            Ending::CutOff(why) => Lost::Unreachable(
                Failure::new(format!("the connection to {} was lost: {why}", self.host))
                    .detail(detail)
                    .help("the worker finishes its current step and stops; run again to go on from what is true then"),
            ),
            Ending::Code(0) => Lost::Unreachable(Failure::new(format!("the worker on {} has left", self.host))),
            _ => Lost::Refused(
                Failure::new(format!("the worker on {} died: {ending}", self.host))
                    .detail(detail)
                    .help("signal 9 comes from the kernel when memory runs out (`dmesg`); anything else is a bug, please report these lines"),
            ),
        }
    }
}

/// What an order's steps may ask for: everything of the form `{"blob": {"digest": ...}}` in their parameters.
fn content_of(order: &Order) -> HashSet<Digest> {
    let mut found = HashSet::new();
    in_items(&order.items, &mut found);
    found
}

fn in_items(items: &[Item], found: &mut HashSet<Digest>) {
    for item in items {
        match item {
            Item::Block(block) => {
                for list in [&block.steps, &block.rescue, &block.always] {
                    in_items(list, found);
                }
            }
            Item::Step(step) => {
                if let Action::Call { params, .. } = &step.action {
                    in_value(params, found);
                }
            }
        }
    }
}

fn in_value(value: &Value, found: &mut HashSet<Digest>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| in_value(value, found)),
        Value::Object(map) => {
            if let Some(digest) = map
                .get("blob")
                .and_then(|blob| blob.get("digest"))
                .and_then(Value::as_str)
            {
                found.insert(Digest(digest.to_owned()));
            }
            map.values().for_each(|value| in_value(value, found));
        }
        _ => {}
    }
}

/// The last lines of a stream, for messages.
#[derive(Debug, Default)]
pub(super) struct Diary {
    lines: VecDeque<String>,
    /// Begun and not ended yet: a prompt, for example.
    begun: String,
}

/// Lines kept, and bytes kept of each.
const LINES: usize = 20;
const WIDTH: usize = 4096;

impl Diary {
    pub fn hear(&mut self, bytes: &[u8]) {
        self.begun.push_str(&String::from_utf8_lossy(bytes));
        while let Some((line, rest)) = self.begun.split_once('\n') {
            let (line, rest) = (line.to_owned(), rest.to_owned());
            self.add(&line);
            self.begun = rest;
        }
        if self.begun.len() > WIDTH {
            let line = std::mem::take(&mut self.begun);
            self.add(&line);
        }
    }

    /// Empty lines say nothing; control characters would reach the reader's terminal.
    pub fn add(&mut self, line: &str) {
        let line: String = line
            .chars()
            .filter(|c| !c.is_control())
            .take(WIDTH)
            .collect();
        if line.trim().is_empty() {
            return;
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Whether this prompt was shown; it is taken out, so that each showing counts once.
    pub fn take_prompt(&mut self, prompt: &str) -> bool {
        match self.begun.rfind(prompt) {
            Some(at) => {
                let before = self.begun[..at].to_owned();
                self.add(&before);
                self.begun.clear();
                true
            }
            None => false,
        }
    }

    pub fn lines(&self) -> Vec<String> {
        let begun = Some(self.begun.trim()).filter(|begun| !begun.is_empty());
        self.lines
            .iter()
            .map(String::as_str)
            .chain(begun)
            .map(ToOwned::to_owned)
            .collect()
    }

    /// The failure that follows this word on a line of its own.
    pub fn failure_after(&self, word: &str) -> Option<Failure> {
        self.lines()
            .iter()
            .find_map(|line| serde_json::from_str(line.strip_prefix(word)?.trim()).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diary_keeps_the_last_lines_and_the_one_begun() {
        let mut diary = Diary::default();
        for n in 0..30 {
            diary.hear(format!("line {n}\n").as_bytes());
        }
        diary.hear(b"\x1b[31mhalf");
        assert_eq!(diary.lines().len(), 21);
        assert_eq!(diary.lines()[0], "line 10");
    }

    #[test]
    fn each_showing_of_a_prompt_counts_once() {
        let mut diary = Diary::default();
        diary.hear(b"[pro");
        assert!(!diary.take_prompt("[prompt]"));
        diary.hear(b"mpt]");
        assert!(diary.take_prompt("[prompt]"));
        assert!(!diary.take_prompt("[prompt]"));
        diary.hear(b"\nSorry, try again.\n[prompt]");
        assert!(diary.take_prompt("[prompt]"));
        assert_eq!(diary.lines(), ["Sorry, try again."]);
    }

    #[test]
    fn only_content_of_the_order_may_be_asked_for() {
        let params = serde_json::json!({ "files": [{ "content": { "blob": { "digest": "ab", "size": 1, "name": "x" } } }] });
        let mut found = HashSet::new();
        in_value(&params, &mut found);
        assert_eq!(found, HashSet::from([Digest("ab".into())]));
    }
}
