//! The way to the controller: whole frames, from whichever thread.

use crate::system::Tell;
use crate::wire::{FromWorker, MARKER, encode};
use std::cell::Cell;
use std::io::{Error, Result, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

pub struct Out(Mutex<Box<dyn Write + Send>>);

impl Out {
    pub fn stdout() -> Self {
        Self::to(std::io::stdout())
    }

    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(writer)))
    }

    /// The marker and the first frame. A chatty shell may have left a line unfinished, hence the
    /// line break in front.
    pub fn greet(&self, hello: &FromWorker) -> Result<()> {
        let mut bytes = format!("\n{MARKER}\n").into_bytes();
        bytes.extend(encode(hello).map_err(Error::other)?);
        self.send(&bytes)
    }

    /// One frame. An error means that the controller is gone.
    pub fn say(&self, message: &FromWorker) -> Result<()> {
        self.send(&encode(message).map_err(Error::other)?)
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(bytes)?;
        writer.flush()
    }
}

/// Says what the current step is doing.
#[derive(Clone)]
pub struct Voice {
    out: Arc<Out>,
    /// `None` while nothing may be said: between steps, and in steps with `no_log`.
    step: Rc<Cell<Option<u32>>>,
}

impl Voice {
    pub fn new(out: Arc<Out>) -> Self {
        Self {
            out,
            step: Rc::default(),
        }
    }

    /// From now on progress belongs to this step.
    pub fn speak_for(&self, step: Option<u32>) {
        self.step.set(step);
    }

    pub fn say(&self, message: &FromWorker) {
        // Nobody hears us any more: the thread at stdin has noticed, and stops the work.
        let _ = self.out.say(message);
    }
}

impl Tell for Voice {
    fn progress(&self, text: &str) {
        if let Some(step) = self.step.get() {
            self.say(&FromWorker::Progress {
                step,
                text: text.to_owned(),
            });
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::wire::{decode, frame_length};

    /// Remembers what was said.
    #[derive(Clone, Default)]
    pub struct Tape(Arc<Mutex<Vec<u8>>>);

    impl Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    impl Tape {
        pub fn messages(&self) -> Vec<FromWorker> {
            let bytes = self.0.lock().unwrap();
            let mut rest = bytes.as_slice();
            let mut messages = Vec::new();
            while let Some((header, body)) = rest.split_first_chunk::<4>() {
                let (body, after) = body.split_at(frame_length(*header).unwrap());
                messages.push(decode(body).unwrap());
                rest = after;
            }
            messages
        }
    }
}
