//! THE FAR END: takes orders on stdin, carries them out, tells on stdout. It decides nothing.
//!
//! One worker per host and user at a time, for the length of one connection. Stdout carries
//! frames and nothing else; stderr is the diary, whose last lines the controller shows when a worker
//! dies. One thread carries steps out, another one listens to stdin, so that `Stop` and the end of
//! the connection are noticed while a step runs.

mod carry;
mod content;
mod debt;
mod diary;
mod facts;
mod home;
mod lock;
mod mail;
mod out;
mod user;

use crate::system::{System, digest_of};
use crate::wire::{BUSY, Digest, Failure, FromWorker, SORRY};
use carry::Carrier;
use content::Content;
use debt::Debt;
use home::Home;
use lock::Lock;
use mail::{Mail, Next};
use out::{Out, Voice};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How `apim-deploy worker` was called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// `--as USER`: give up root for this user before anything else.
    pub user: Option<String>,
}

/// Why a worker did not begin.
#[derive(Debug)]
enum Refusal {
    /// Another worker holds the host.
    Busy(Failure),
    Sorry(Failure),
}

/// How long what is leased outlives the last order.
const LEASE: Duration = Duration::from_secs(600);

/// Exit codes that the controller tells apart, from sysexits.h.
const EX_SOFTWARE: u8 = 70;
const EX_TEMPFAIL: u8 = 75;

/// The whole life of a worker: from the first byte on stdin to the last.
pub fn main(options: &Options) -> ExitCode {
    diary::report_bugs();
    // Files get the modes that tasks ask for; a login's odd umask must not show in the others.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    match begin(options) {
        Ok(worker) => worker.serve(),
        Err(Refusal::Busy(failure)) => refuse(BUSY, &failure, EX_TEMPFAIL),
        Err(Refusal::Sorry(failure)) => refuse(SORRY, &failure, EX_SOFTWARE),
    }
}

fn refuse(word: &str, failure: &Failure, code: u8) -> ExitCode {
    let told = serde_json::to_string(failure).unwrap_or_else(|_| failure.message.clone());
    diary::write(&format!("{word} {told}"));
    ExitCode::from(code)
}

struct Worker {
    digest: Digest,
    home: Home,
    /// Held until the process ends, in whatever way it ends.
    _lock: Lock,
    mail: Mail,
    out: Arc<Out>,
    carrier: Carrier,
}

fn begin(options: &Options) -> Result<Worker, Refusal> {
    // Before the rights are dropped: afterwards the kernel no longer lets us read our own program.
    let digest = own_digest().map_err(Refusal::Sorry)?;
    let account = user::become_user(options.user.as_deref()).map_err(Refusal::Sorry)?;
    let home = Home::of(&account).map_err(Refusal::Sorry)?;
    let lock = lock::take(&home.lock)?;
    let out = Arc::new(Out::stdout());
    content::tidy(&home.content);
    let mail = Mail::open(home.content.clone());
    let content = Content::new(home.content.clone(), Arc::clone(&out), mail.line());
    let voice = Voice::new(Arc::clone(&out));
    let system =
        System::real(Box::new(content), Box::new(voice.clone())).with_state(home.state.clone());
    let debt = Debt::load(&system, home.due.clone()).map_err(Refusal::Sorry)?;
    let carrier = Carrier::new(system, debt, voice, mail.line(), account.environment());
    Ok(Worker {
        digest,
        home,
        _lock: lock,
        mail,
        out,
        carrier,
    })
}

fn own_digest() -> Result<Digest, Failure> {
    digest_of(Path::new("/proc/self/exe"))
        .map(Digest)
        .map_err(|e| Failure::new(format!("the worker cannot read its own program: {e}")))
}

impl Worker {
    fn serve(mut self) -> ExitCode {
        let hello = FromWorker::Hello {
            digest: self.digest.clone(),
            facts: Box::new(facts::gather(self.carrier.system())),
            due: self.carrier.due(),
        };
        if self.out.greet(&hello).is_ok() {
            self.carry_orders();
        }
        self.let_lapse();
        content::tidy(&self.home.content);
        ExitCode::SUCCESS
    }

    /// Whoever sent us is gone, or silent for long, and will not put back what it took out.
    fn let_lapse(&self) {
        for (what, failure) in self.carrier.system().lapse() {
            diary::write(&format!("{what}: {}", failure.message));
        }
    }

    /// Until the controller hangs up or says stop.
    fn carry_orders(&mut self) {
        loop {
            let leased = self.carrier.system().has_leases().then_some(LEASE);
            let order = match self.mail.next_order(leased) {
                Next::Order(order) => order,
                // It may be gone without a word, with the network. If it is not, it looks before it goes on.
                Next::Silence => {
                    self.let_lapse();
                    continue;
                }
                Next::Nothing => return,
            };
            let failed = !self.carrier.carry(&order);
            let done = FromWorker::Done {
                order: order.id,
                failed,
            };
            if self.out.say(&done).is_err() {
                return;
            }
        }
    }
}
