//! One channel into one loop: hosts speak at once, the listener hears one story.

use super::scrub::Scrub;
use crate::event::{Event, Listener};
use tokio::sync::mpsc;

/// The speaking end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Teller(mpsc::UnboundedSender<Event>);

impl Teller {
    /// Starts the loop. The handle ends when every teller is gone, and gives the listener back.
    pub fn start<L: Listener + 'static>(
        mut listener: L,
        scrub: Scrub,
    ) -> (Self, tokio::task::JoinHandle<L>) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let told = tokio::spawn(async move {
            while let Some(event) = receiver.recv().await {
                listener.hear(&scrub.event(event));
            }
            listener
        });
        (Self(sender), told)
    }

    pub fn tell(&self, event: Event) {
        // The loop only ends after all tellers; a send cannot fail before that.
        let _ = self.0.send(event);
    }

    /// A teller that does not keep the loop alive.
    pub fn downgrade(&self) -> Whisper {
        Whisper(self.0.downgrade())
    }

    pub fn note(&self, host: Option<&str>, text: impl Into<String>) {
        self.tell(Event::Note {
            host: host.map(str::to_owned),
            text: text.into(),
        });
    }
}

/// Says something as long as the story goes on.
#[derive(Debug, Clone)]
pub struct Whisper(mpsc::WeakUnboundedSender<Event>);

impl Whisper {
    pub fn note(&self, text: &str) {
        if let Some(sender) = self.0.upgrade() {
            Teller(sender).note(None, text);
        }
    }
}
