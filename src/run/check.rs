//! `check`: asks every host what it is like, changes nothing, and holds all rules against the answers.

use super::fleet::Fleet;
use super::prepare::Prepared;
use super::teller::Teller;
use crate::event::{Ended, Event, StepEnded};
use crate::plan::Place;
use crate::rules::{self, Judgeable, Site, Survey};
use crate::ssh::{Lost, Worker};
use crate::wire::{Action, Failure, Item, Outcome, Step};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// What the story calls it.
const TITLE: &str = "survey the host";

/// A host that answered.
struct Answer {
    survey: Survey,
    /// How far its clock is ahead of ours, in milliseconds.
    ahead_ms: i64,
}

/// Tells what the rules say as its last event.
pub async fn check(
    prepared: &Prepared,
    ruled: &Judgeable,
    worker: Arc<Worker>,
    teller: &Teller,
    stop: watch::Receiver<bool>,
) -> Ended {
    let hosts = prepared.all_hosts();
    teller.tell(Event::RunStarted {
        playbook: prepared.playbook.name.clone(),
        hosts: hosts.clone(),
        check: true,
    });
    let fleet = Fleet::new(prepared, worker, teller.clone(), stop);
    // Who does not answer is told of as an event, and stays away from the rules by the same words.
    fleet.connect().await;
    let mut site = ruled.site.clone();
    for host in site.hosts.values_mut().filter(|h| !h.calls.is_empty()) {
        host.survey = Some(Err("left out by --limit".to_owned()));
    }
    let asked = join_all(
        hosts
            .iter()
            .map(|host| ask(&fleet, teller, &ruled.site, host)),
    )
    .await;
    let mut worst = None;
    for (host, answer) in hosts.iter().zip(asked) {
        let Some(host) = site.hosts.get_mut(host) else {
            continue;
        };
        host.survey = Some(match answer {
            Ok(answer) => {
                host.ahead_ms = Some(answer.ahead_ms);
                Ok(answer.survey)
            }
            Err(lost) => {
                let why = match &lost {
                    // How it failed is told already.
                    Lost::Unreachable(_) => "it could not be reached".to_owned(),
                    Lost::Refused(failure) | Lost::Busy(failure) => failure.message.clone(),
                };
                worst = Some(worse(worst, lost));
                Err(why)
            }
        });
    }
    let verdicts = ruled.judge(&site);
    let failed = verdicts.errors().next().is_some();
    let is_stopping = fleet.is_stopping();
    fleet.close().await;
    teller.tell(Event::Judged(verdicts.told()));
    match worst {
        _ if is_stopping => Ended::Interrupted,
        _ if failed => Ended::Preflight,
        None => Ended::Done,
        Some(Lost::Refused(_)) => Ended::Preflight,
        Some(Lost::Busy(_)) => Ended::Busy,
        Some(Lost::Unreachable(_)) => Ended::Unreachable,
    }
}

/// A host that refuses us needs a person; one that is busy or away may be there later.
fn worse(one: Option<Lost>, other: Lost) -> Lost {
    let weight = |lost: &Lost| match lost {
        Lost::Unreachable(_) => 0,
        Lost::Busy(_) => 1,
        Lost::Refused(_) => 2,
    };
    match one {
        Some(one) if weight(&one) >= weight(&other) => one,
        _ => other,
    }
}

async fn ask(fleet: &Fleet<'_>, teller: &Teller, site: &Site, host: &str) -> Result<Answer, Lost> {
    let place = Place {
        user: fleet.first_user(host),
        host: host.to_owned(),
    };
    let step = survey_of(site, host)?;
    teller.tell(Event::StepStarted {
        host: host.to_owned(),
        title: TITLE.to_owned(),
        item: None,
    });
    let (began, sent) = (Instant::now(), now_ns());
    let carried = fleet.carry(&place, vec![Item::Step(step)], |_| {}).await?;
    let heard = now_ns();
    let told = carried.told.into_iter().next();
    let told = told.ok_or_else(|| refused(Failure::new(format!("{host} gave no answer"))))?;
    teller.tell(Event::StepEnded(ended(
        host,
        &told.outcome,
        began.elapsed(),
    )));
    if let Outcome::Failed(failure) = told.outcome {
        return Err(refused(failure));
    }
    let survey = told.result.and_then(|mut result| result.remove("survey"));
    let survey: Survey = survey
        .and_then(|survey| serde_json::from_value(survey).ok())
        .ok_or_else(|| refused(Failure::new(format!("{host} answered without a survey"))))?;
    let ahead_ms = ahead_ms(&survey, sent, heard);
    Ok(Answer { survey, ahead_ms })
}

fn refused(failure: Failure) -> Lost {
    Lost::Refused(failure)
}

fn survey_of(site: &Site, host: &str) -> Result<Step, Lost> {
    let params = serde_json::to_value(rules::request(site, host))
        .map_err(|e| refused(Failure::new(format!("{host} cannot be asked: {e}"))))?;
    Ok(Step {
        id: 0,
        task: 0,
        title: TITLE.to_owned(),
        item: None,
        action: Action::Call {
            module: "survey".to_owned(),
            params,
        },
        notify: vec![],
        handler: None,
        changed_when: None,
        failed_when: None,
        undecided: false,
        ignore_errors: false,
        // Passwords of keystores are among the parameters.
        no_log: true,
        wants_result: true,
        environment: vec![],
        mode: None,
        diff: None,
    })
}

fn ended(host: &str, outcome: &Outcome, took: Duration) -> StepEnded {
    StepEnded {
        host: host.to_owned(),
        title: TITLE.to_owned(),
        place: String::new(),
        item: None,
        handler: false,
        outcome: outcome.clone(),
        ignored: false,
        diffs: vec![],
        took,
    }
}

/// The host's clock was read after we sent and before we heard, so it is ahead by something between two bounds: their
/// middle is off by no more than half the way there and back.
fn ahead_ms(survey: &Survey, sent: i64, heard: i64) -> i64 {
    let most = survey.clock.first_ns - sent;
    let least = survey.clock.last_ns - heard;
    (most + least) / 2 / 1_000_000
}

fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX)
}
