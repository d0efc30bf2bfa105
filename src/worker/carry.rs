//! Carrying out an order: item by item, with Ansible's rules for blocks, handlers and failures.

use super::debt::Debt;
use super::mail::Line;
use super::out::Voice;
use crate::modules::{self, Kind, Ready};
use crate::system::{Notes, System};
use crate::wire::{Action, Block, Failure, FromWorker, Item, Mode, Order, Outcome, Step, Told};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Instant;

/// What a censored text reads instead.
const HIDDEN: &str = "hidden (no_log)";

/// Why the rest of a list is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Halt {
    /// A step failed, and nothing has rescued it yet.
    Failed,
    /// The controller wants no more steps, or is gone.
    Stopped,
}

type Flow = std::result::Result<(), Halt>;

pub struct Carrier {
    system: System,
    debt: Debt,
    voice: Voice,
    line: Arc<Line>,
    /// For every command, before the step's own.
    environment: Vec<(String, String)>,
    /// Changes that dry runs announced in this worker's life: what comes after them cannot always be judged.
    announced: usize,
    /// The current step began to correct what it found.
    begun: bool,
    /// Handlers that the current step made due.
    owed: Vec<String>,
    /// Inside an `always`, which runs even when the controller wants to stop.
    cleaning_up: bool,
    diff: bool,
}

impl Carrier {
    pub fn new(
        system: System,
        debt: Debt,
        voice: Voice,
        line: Arc<Line>,
        environment: Vec<(String, String)>,
    ) -> Self {
        Self {
            system,
            debt,
            voice,
            line,
            environment,
            announced: 0,
            begun: false,
            owed: Vec::new(),
            cleaning_up: false,
            diff: false,
        }
    }

    pub fn system(&self) -> &System {
        &self.system
    }

    pub fn due(&self) -> Vec<String> {
        self.debt.due()
    }

    /// Whether everything was carried out.
    pub fn carry(&mut self, order: &Order) -> bool {
        self.diff = order.diff;
        self.items(&order.items, order.mode).is_ok()
    }

    fn items(&mut self, items: &[Item], mode: Mode) -> Flow {
        for (at, item) in items.iter().enumerate() {
            match item {
                Item::Step(step) => {
                    self.step(step, is_last_of_handler(step, &items[at + 1..]), mode)?
                }
                Item::Block(block) => self.block(block, mode)?,
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &Block, mode: Mode) -> Flow {
        let mut flow = self.items(&block.steps, mode);
        if flow == Err(Halt::Failed) && !block.rescue.is_empty() {
            flow = self.items(&block.rescue, mode);
        }
        let outer = std::mem::replace(&mut self.cleaning_up, true);
        let cleaned = self.items(&block.always, mode);
        self.cleaning_up = outer;
        flow.and(cleaned)
    }

    fn step(&mut self, step: &Step, settles: bool, mode: Mode) -> Flow {
        if self.must_stop() {
            return Err(Halt::Stopped);
        }
        let mode = step.mode.unwrap_or(mode);
        if step
            .handler
            .as_ref()
            .is_some_and(|key| !self.debt.owes(key))
        {
            self.pass_over(step);
            return Ok(());
        }
        self.voice.say(&FromWorker::Started { step: step.id });
        let started = Instant::now();
        self.owed.clear();
        self.begun = false;
        let mut outcome = self.attempt(step, mode);
        let notes = self.system.take_notes();
        if settles
            && !step.undecided
            && let Err(failure) = self.settle(step, &outcome, mode)
        {
            outcome = Outcome::Failed(failure);
        }
        let failed = matches!(outcome, Outcome::Failed(_));
        if mode == Mode::Check && matches!(outcome, Outcome::Changed(_)) {
            self.announced += 1;
        }
        self.voice.say(&FromWorker::Told(Told {
            step: step.id,
            result: step.wants_result.then(|| result_of(&outcome, &notes)),
            owed: match step.undecided {
                true => std::mem::take(&mut self.owed),
                false => Vec::new(),
            },
            diffs: if step.diff.unwrap_or(self.diff) && !step.no_log {
                notes.diffs
            } else {
                Vec::new()
            },
            outcome: if step.no_log {
                censored(outcome)
            } else {
                outcome
            },
            millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }));
        if failed && !step.ignore_errors {
            Err(Halt::Failed)
        } else {
            Ok(())
        }
    }

    /// Clean-up runs for a controller that said stop, but not for one that is gone: the next run looks
    /// at the host and decides.
    fn must_stop(&self) -> bool {
        self.line.is_gone() || (self.line.is_stopped() && !self.cleaning_up)
    }

    /// A handler that nobody notified tells no story; only its result may be waited for.
    fn pass_over(&self, step: &Step) {
        if step.wants_result {
            let outcome = Outcome::Skipped("not notified".to_owned());
            self.voice.say(&FromWorker::Told(Told {
                step: step.id,
                result: Some(result_of(&outcome, &Notes::default())),
                outcome,
                owed: Vec::new(),
                diffs: Vec::new(),
                millis: 0,
            }));
        }
    }

    fn settle(
        &mut self,
        step: &Step,
        outcome: &Outcome,
        mode: Mode,
    ) -> std::result::Result<(), Failure> {
        match (&step.handler, outcome) {
            (Some(key), Outcome::Changed(_) | Outcome::Unchanged | Outcome::Skipped(_)) => {
                self.debt.settle(&self.system, key, mode)
            }
            _ => Ok(()),
        }
    }

    fn attempt(&mut self, step: &Step, mode: Mode) -> Outcome {
        let (module, params) = match &step.action {
            Action::Skip { reason } => return Outcome::Skipped(reason.clone()),
            Action::Call { module, params } => (module, params),
        };
        let ready = match prepare(module, params) {
            Ok(ready) => ready,
            Err(failure) => return Outcome::Failed(failure),
        };
        if ready.kind() == Kind::Probe && mode == Mode::Check {
            return Outcome::Skipped("not asked in a dry run".to_owned());
        }
        self.voice.speak_for((!step.no_log).then_some(step.id));
        self.system
            .set_environment([self.environment.as_slice(), step.environment.as_slice()].concat());
        let changes = self.call(ready.as_ref(), step, mode);
        // What is leased must be let lapse.
        self.line.set_changing(self.system.has_leases());
        self.voice.speak_for(None);
        let outcome = self.judge(changes, step, mode);
        // A change that only `changed_when` sees makes handlers due as well.
        match &outcome {
            Outcome::Changed(_) => match self.owe(step, mode) {
                Ok(()) => outcome,
                Err(failure) => Outcome::Failed(failure),
            },
            _ => outcome,
        }
    }

    /// Looks, writes down what will be owed, corrects: in this order, for the sake of a power cut.
    fn call(
        &mut self,
        ready: &dyn Ready,
        step: &Step,
        mode: Mode,
    ) -> std::result::Result<Vec<String>, Failure> {
        // What an action does it may do while looking at its guard; it is not to be torn.
        let changes = mode == Mode::Apply && matches!(ready.kind(), Kind::State | Kind::Action);
        self.line.set_changing(changes || self.system.has_leases());
        // Asked again after saying so: the thread at stdin may be about to end the process.
        if self.line.is_gone() {
            return Err(Failure::new("the controller is gone"));
        }
        let found = ready.look(&self.system)?;
        let changes = found.changes.clone();
        if changes.is_empty() || mode == Mode::Check {
            return Ok(changes);
        }
        if step.changed_when != Some(false) {
            self.owe(step, mode)?;
        }
        self.begun = true;
        found.correct(&self.system)?;
        Ok(changes)
    }

    fn owe(&mut self, step: &Step, mode: Mode) -> std::result::Result<(), Failure> {
        let new = self.debt.owe(&self.system, &step.notify, mode)?;
        self.owed.extend(new);
        Ok(())
    }

    fn judge(
        &self,
        changes: std::result::Result<Vec<String>, Failure>,
        step: &Step,
        mode: Mode,
    ) -> Outcome {
        match (changes, step.failed_when) {
            (Ok(_), Some(true)) => Outcome::Failed(Failure::new(
                "the task's `failed_when` calls this a failure",
            )),
            // What was begun has changed something, and made its handlers due.
            (Err(failure), Some(false)) if self.begun => {
                changed_when(step, vec![format!("ran, and failed: {failure}")], None)
            }
            (Err(failure), Some(false)) => changed_when(step, vec![], Some(failure.message)),
            (Ok(changes), _) => changed_when(step, changes, None),
            (Err(failure), _) if mode == Mode::Check && self.announced > 0 => {
                Outcome::Changed(vec![format!(
                    "cannot be judged before the {} changes above are made: {failure}",
                    self.announced
                )])
            }
            (Err(failure), _) => Outcome::Failed(failure),
        }
    }
}

fn changed_when(step: &Step, changes: Vec<String>, excused: Option<String>) -> Outcome {
    match step.changed_when {
        Some(true) if changes.is_empty() => Outcome::Changed(vec![
            excused.unwrap_or_else(|| "`changed_when` calls this a change".to_owned()),
        ]),
        Some(false) => Outcome::Unchanged,
        _ if changes.is_empty() => Outcome::Unchanged,
        _ => Outcome::Changed(changes),
    }
}

fn prepare(module: &str, params: &Value) -> std::result::Result<Box<dyn Ready>, Failure> {
    let entry = modules::find(module)
        .ok_or_else(|| Failure::new(format!("there is no module `{module}`")))?;
    (entry.prepare)(params).map_err(|faults| faults.failure(module))
}

/// A handler with a loop is several steps with one key: the debt is settled by the last of them.
fn is_last_of_handler(step: &Step, rest: &[Item]) -> bool {
    step.handler.is_some()
        && !rest
            .iter()
            .any(|item| matches!(item, Item::Step(later) if later.handler == step.handler))
}

/// What `register` sees.
fn result_of(outcome: &Outcome, notes: &Notes) -> Map<String, Value> {
    let mut result = notes.result.clone();
    result.insert(
        "changed".into(),
        matches!(outcome, Outcome::Changed(_)).into(),
    );
    result.insert(
        "failed".into(),
        matches!(outcome, Outcome::Failed(_)).into(),
    );
    result.insert(
        "skipped".into(),
        matches!(outcome, Outcome::Skipped(_)).into(),
    );
    let word = match outcome {
        Outcome::Failed(failure) => Some(&failure.message),
        Outcome::Skipped(reason) => Some(reason),
        Outcome::Changed(_) | Outcome::Unchanged => None,
    };
    if let Some(word) = word {
        result.insert("msg".into(), word.clone().into());
    }
    result
}

/// What happened stays visible, how does not.
fn censored(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Changed(_) => Outcome::Changed(vec![HIDDEN.to_owned()]),
        Outcome::Failed(_) => Outcome::Failed(
            Failure::new(HIDDEN)
                .help("set `no_log: false` on a host without secrets to see why it failed"),
        ),
        Outcome::Unchanged | Outcome::Skipped(_) => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::super::out::{Out, testing::Tape};
    use super::*;
    use serde_json::json;

    struct Stage {
        dir: tempfile::TempDir,
        carrier: Carrier,
        tape: Tape,
        line: Arc<Line>,
    }

    impl Stage {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let system = System::under(dir.path(), vec![]);
            let debt = Debt::load(&system, "/due.json".into()).unwrap();
            let (tape, line) = (Tape::default(), Arc::new(Line::default()));
            let voice = Voice::new(Arc::new(Out::to(tape.clone())));
            let carrier = Carrier::new(system, debt, voice, Arc::clone(&line), vec![]);
            Self {
                dir,
                carrier,
                tape,
                line,
            }
        }

        /// Carries items out; answers the steps that were told of.
        fn carry(&mut self, mode: Mode, items: Vec<Item>) -> (bool, Vec<u32>) {
            let before = self.told().len();
            let order = Order {
                id: 1,
                mode,
                diff: true,
                items,
            };
            let whole = self.carrier.carry(&order);
            (
                whole,
                self.told()[before..].iter().map(|t| t.step).collect(),
            )
        }

        fn apply(&mut self, items: Vec<Item>) -> (bool, Vec<u32>) {
            self.carry(Mode::Apply, items)
        }

        fn told(&self) -> Vec<Told> {
            let told = |message| match message {
                FromWorker::Told(told) => Some(told),
                _ => None,
            };
            self.tape.messages().into_iter().filter_map(told).collect()
        }

        fn last(&self) -> Told {
            self.told().pop().unwrap()
        }
    }

    fn step(id: u32, module: &str) -> Step {
        Step {
            id,
            task: id,
            title: String::new(),
            item: None,
            action: Action::Call {
                module: module.into(),
                params: json!({ "msg": "the password is 123" }),
            },
            notify: vec![],
            handler: None,
            changed_when: None,
            failed_when: None,
            undecided: false,
            ignore_errors: false,
            no_log: false,
            wants_result: false,
            environment: vec![],
            mode: None,
            diff: None,
        }
    }

    fn ok(id: u32) -> Item {
        Item::Step(step(id, "debug"))
    }

    fn failing(id: u32) -> Item {
        Item::Step(step(id, "fail"))
    }

    fn changing(id: u32, notify: &str) -> Item {
        Item::Step(Step {
            changed_when: Some(true),
            notify: vec![notify.into()],
            ..step(id, "debug")
        })
    }

    fn handler(id: u32, key: &str) -> Item {
        Item::Step(Step {
            handler: Some(key.into()),
            ..step(id, "debug")
        })
    }

    fn block(steps: Vec<Item>, rescue: Vec<Item>, always: Vec<Item>) -> Item {
        Item::Block(Block {
            steps,
            rescue,
            always,
        })
    }

    #[test]
    fn a_failure_ends_the_order() {
        assert_eq!(
            Stage::new().apply(vec![ok(1), failing(2), ok(3)]),
            (false, vec![1, 2])
        );
    }

    #[test]
    fn an_ignored_failure_does_not() {
        let ignored = Item::Step(Step {
            ignore_errors: true,
            ..step(1, "fail")
        });
        let mut stage = Stage::new();
        assert_eq!(stage.apply(vec![ignored, ok(2)]), (true, vec![1, 2]));
        assert!(matches!(stage.told()[0].outcome, Outcome::Failed(_)));
    }

    #[test]
    fn a_rescued_block_goes_on() {
        let items = vec![
            block(vec![failing(1), ok(2)], vec![ok(3)], vec![ok(4)]),
            ok(5),
        ];
        assert_eq!(Stage::new().apply(items), (true, vec![1, 3, 4, 5]));
    }

    #[test]
    fn always_runs_and_a_failure_without_rescue_stays_one() {
        let items = vec![block(vec![failing(1)], vec![], vec![ok(2)]), ok(3)];
        assert_eq!(Stage::new().apply(items), (false, vec![1, 2]));
        let items = vec![block(vec![ok(1)], vec![ok(2)], vec![failing(3)]), ok(4)];
        assert_eq!(Stage::new().apply(items), (false, vec![1, 3]));
    }

    #[test]
    fn a_stop_lets_always_run_and_nothing_else() {
        let mut stage = Stage::new();
        stage.line.stop();
        let items = vec![block(vec![ok(1)], vec![ok(2)], vec![ok(3)]), ok(4)];
        assert_eq!(stage.apply(items), (false, vec![3]));
    }

    #[test]
    fn a_handler_runs_when_notified_and_only_once() {
        let mut stage = Stage::new();
        assert_eq!(stage.apply(vec![handler(1, "restart")]), (true, vec![]));
        assert_eq!(stage.apply(vec![changing(2, "restart")]), (true, vec![2]));
        let disk = std::fs::read_to_string(stage.dir.path().join("due.json")).unwrap();
        assert_eq!(disk, r#"["restart"]"#);
        assert_eq!(
            stage.apply(vec![handler(3, "restart"), handler(4, "restart")]),
            (true, vec![3, 4]),
            "a loop is one handler"
        );
        assert_eq!(stage.apply(vec![handler(5, "restart")]), (true, vec![]));
    }

    #[test]
    fn a_handler_that_failed_stays_due() {
        let mut stage = Stage::new();
        let broken = Item::Step(Step {
            handler: Some("restart".into()),
            ..step(2, "fail")
        });
        stage.apply(vec![changing(1, "restart"), broken]);
        assert_eq!(stage.carrier.due(), ["restart"]);
    }

    #[test]
    fn while_the_outcome_is_open_nothing_is_settled_and_new_debts_are_told() {
        let mut stage = Stage::new();
        let open = |step: Step| {
            Item::Step(Step {
                undecided: true,
                ..step
            })
        };
        let notifying = || Step {
            changed_when: Some(true),
            notify: vec!["restart".into()],
            ..step(1, "debug")
        };
        stage.apply(vec![open(notifying())]);
        assert_eq!(stage.last().owed, ["restart"]);
        stage.apply(vec![open(notifying())]);
        assert_eq!(stage.last().owed, Vec::<String>::new(), "it was due before");
        stage.apply(vec![open(Step {
            handler: Some("restart".into()),
            ..step(2, "debug")
        })]);
        assert_eq!(stage.carrier.due(), ["restart"]);
    }

    #[test]
    fn a_handler_that_is_not_due_still_answers_who_waits_for_its_result() {
        let mut stage = Stage::new();
        let Item::Step(handler) = handler(1, "restart") else {
            unreachable!()
        };
        stage.apply(vec![Item::Step(Step {
            wants_result: true,
            ..handler
        })]);
        assert_eq!(stage.last().result.unwrap()["skipped"], json!(true));
    }

    #[test]
    fn a_dry_run_cannot_judge_what_follows_a_change() {
        let mut stage = Stage::new();
        assert_eq!(
            stage.carry(Mode::Check, vec![changing(1, "restart"), failing(2), ok(3)]),
            (true, vec![1, 2, 3])
        );
        let Outcome::Changed(changes) = &stage.told()[1].outcome else {
            panic!("not excused")
        };
        assert!(changes[0].starts_with("cannot be judged before the 1 changes above are made: "));
        assert_eq!(stage.carrier.due(), Vec::<String>::new());
    }

    #[test]
    fn no_log_hides_how_and_keeps_what() {
        let mut stage = Stage::new();
        stage.apply(vec![Item::Step(Step {
            no_log: true,
            wants_result: true,
            ..step(1, "fail")
        })]);
        let mut told = stage.last();
        assert_eq!(told.result.take().unwrap()["failed"], json!(true));
        assert!(!format!("{told:?}").contains("123"));
        stage.apply(vec![Item::Step(Step {
            no_log: true,
            ..step(2, "debug")
        })]);
        assert!(
            !stage
                .tape
                .messages()
                .iter()
                .any(|m| matches!(m, FromWorker::Progress { .. }))
        );
    }

    #[test]
    fn conditions_of_the_task_have_the_last_word() {
        let mut stage = Stage::new();
        stage.apply(vec![Item::Step(Step {
            failed_when: Some(false),
            ..step(1, "fail")
        })]);
        assert_eq!(stage.last().outcome, Outcome::Unchanged);
        stage.apply(vec![Item::Step(Step {
            failed_when: Some(true),
            ..step(2, "debug")
        })]);
        assert!(matches!(stage.last().outcome, Outcome::Failed(_)));
    }
}
