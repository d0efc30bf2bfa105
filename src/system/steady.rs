//! Requests that go on at a steady pace beside everything that a worker does, for as long as the worker lives: they cost no
//! exchange with the controller, which asks now and then what they came to.
//!
//! Half of them reuse a connection, as clients do, and half open one. A reused connection that breaks is tried once more on
//! a new one: a server that reads its configuration anew ends idle connections, and every client lives with that.

use super::http::{agent, ask_by};
use super::{Request, Response, Result, System};
use crate::wire::{Failure, Probed};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What is asked in turn.
#[derive(Debug, Clone)]
pub struct Steady {
    pub questions: Vec<Question>,
    pub per_second: f64,
}

#[derive(Debug, Clone)]
pub struct Question {
    /// All questions of one pace have one `address` and one `verify`.
    pub request: Request,
    /// Empty: anything below 500.
    pub statuses: Vec<u16>,
}

/// What they came to so far, by URL: one that is slow must not hide among others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub all: BTreeMap<String, Probed>,
    /// By the node that answered, where the balancer says so.
    pub by: BTreeMap<IpAddr, BTreeMap<String, Probed>>,
}

/// By the name that a step gave them.
pub(super) type Paces = BTreeMap<String, Arc<Mutex<Tally>>>;

/// Reads this much of an answer.
const KEPT: u64 = 1 << 20;

impl System {
    /// Begins, unless requests of this name go on already, and answers what they came to so far. A rehearsal asks each
    /// question once, at once.
    pub fn steady(&self, name: &str, steady: &Steady) -> Result<Tally> {
        if self.is_rehearsal() {
            let mut tally = Tally::default();
            for question in &steady.questions {
                tally.note(
                    question,
                    Duration::from_millis(1),
                    self.ask(&question.request),
                );
            }
            return Ok(tally);
        }
        let mut paces = self.paces.borrow_mut();
        if let Some(tally) = paces.get(name) {
            return Ok(tally.lock().unwrap_or_else(PoisonError::into_inner).clone());
        }
        let tally = Arc::new(Mutex::new(Tally::default()));
        for reuses in [true, false] {
            let pace = Pace::new(steady, reuses, Arc::downgrade(&tally))?;
            std::thread::spawn(move || pace.go());
        }
        paces.insert(name.to_owned(), tally);
        Ok(Tally::default())
    }

    /// Those of this name end.
    pub fn unsteady(&self, name: &str) {
        // Their threads see that nobody can ask any more.
        self.paces.borrow_mut().remove(name);
    }
}

impl Tally {
    fn note(&mut self, question: &Question, took: Duration, answer: Result<Response>) {
        let by = answer.as_ref().ok().and_then(served_by);
        let fault = question.fault(answer);
        let mut tallies = vec![&mut self.all];
        tallies.extend(by.map(|by| self.by.entry(by).or_default()));
        for tally in tallies {
            let tally = tally.entry(question.request.url.clone()).or_default();
            match &fault {
                None => tally.good(took),
                Some(why) => tally.bad(why.as_str()),
            }
        }
    }
}

impl Question {
    fn fault(&self, answer: Result<Response>) -> Option<String> {
        let answer = match answer {
            Err(failure) => return Some(failure.message),
            Ok(answer) => answer,
        };
        let status = answer.status;
        if let Err(failure) = answer.text(KEPT) {
            return Some(failure.message);
        }
        let is_good = match self.statuses.is_empty() {
            true => status < 500,
            false => self.statuses.contains(&status),
        };
        (!is_good).then(|| format!("{} answers {status}", self.request.shown()))
    }
}

/// The last of those that the balancer asked, in the header that ours set: `10.0.0.1:8243, 10.0.0.2:8243`.
fn served_by(answer: &Response) -> Option<IpAddr> {
    let header = answer
        .headers
        .iter()
        .find(|(name, _)| name == "x-served-by");
    let last = header?.1.rsplit(',').next()?.trim();
    let host = last.rsplit_once(':').map_or(last, |(host, _)| host);
    host.trim_matches(['[', ']']).parse().ok()
}

/// One thread's part.
struct Pace {
    questions: Vec<Question>,
    every: Duration,
    /// Its connections are kept by this agent; without one each request has its own.
    agent: Option<ureq::Agent>,
    tally: Weak<Mutex<Tally>>,
}

impl Pace {
    fn new(steady: &Steady, reuses: bool, tally: Weak<Mutex<Tally>>) -> Result<Self> {
        let first = steady
            .questions
            .first()
            .ok_or_else(|| Failure::new("there is nothing to ask"))?;
        let agent = reuses.then(|| agent(&first.request)).transpose()?;
        Ok(Self {
            questions: steady.questions.clone(),
            every: Duration::from_secs_f64(2.0 / steady.per_second.clamp(0.1, 1000.0)),
            agent,
            tally,
        })
    }

    /// Until nobody can ask any more.
    fn go(self) {
        for question in self.questions.iter().cycle() {
            let began = Instant::now();
            let answer = self.ask(&question.request);
            let took = began.elapsed();
            let Some(tally) = self.tally.upgrade() else {
                return;
            };
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.note(question, took, answer);
            drop(tally);
            std::thread::sleep(self.every.saturating_sub(began.elapsed()));
        }
    }

    fn ask(&self, request: &Request) -> Result<Response> {
        match &self.agent {
            None => ask_by(&agent(request)?, request),
            Some(kept) => ask_by(kept, request).or_else(|_| ask_by(&agent(request)?, request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, served_by: &str) -> Result<Response> {
        Ok(Response {
            status,
            headers: vec![("x-served-by".to_owned(), served_by.to_owned())],
            body: Box::new(std::io::empty()),
        })
    }

    #[test]
    fn the_last_that_was_asked_is_who_answered() {
        let by = |header: &str| served_by(&answer(200, header).unwrap());
        let of = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(by("10.0.0.1:8243"), of("10.0.0.1"));
        assert_eq!(by("10.0.0.1:8243, 10.0.0.2:8243"), of("10.0.0.2"));
        assert_eq!(by("[fe80::1]:8243"), of("fe80::1"));
        assert_eq!(by(""), None);
        assert_eq!(by("api_https"), None);
    }

    #[test]
    fn what_is_good_is_said_or_is_below_500() {
        let question = |statuses: &[u16]| Question {
            request: Request::get("http://a/"),
            statuses: statuses.to_vec(),
        };
        let mut tally = Tally::default();
        let took = Duration::from_millis(5);
        tally.note(&question(&[]), took, answer(404, "10.0.0.1:1"));
        tally.note(&question(&[200]), took, answer(404, "10.0.0.2:1"));
        tally.note(&question(&[]), took, answer(503, ""));
        tally.note(
            &question(&[]),
            took,
            Err(Failure::new("connection refused")),
        );
        let all = &tally.all["http://a/"];
        assert_eq!((all.sent, all.failed), (4, 3));
        assert_eq!(all.failure.as_deref(), Some("connection refused"));
        let by = |node: &str| &tally.by[&node.parse::<IpAddr>().unwrap()]["http://a/"];
        assert_eq!((by("10.0.0.1").sent, by("10.0.0.1").failed), (1, 0));
        let why = by("10.0.0.2").failure.as_deref();
        assert_eq!(why, Some("GET http://a/ answers 404"));
    }
}
