//! Walks one host through a play: hands out all that can be decided now, goes on when results are in.

mod blocks;
mod debts;
mod foresight;
mod include;
mod register;

pub(super) use foresight::pending;
use register::Register;

use super::place::Place;
use super::preview::runs_once;
use super::state::HostState;
use super::step::{Planned, Stepping, handler_key};
use super::verdict::{self, Verdict};
use super::world::World;
use crate::playbook::{Action as Written, Task};
use crate::source::Problem;
use crate::vars::{Layer, Scope, Unresolved};
use crate::wire::{Action, Item, Step, Told};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What comes next for the host.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    /// Send these, then [`Cursor::hear`] what became of them.
    Carry {
        place: Place,
        items: Vec<Item>,
    },
    /// Only in a preview: the task is planned when the result it reads is in.
    Deferred {
        title: String,
        after: String,
    },
    Done,
}

/// Whether the host goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Go,
    Stopped,
}

/// What the story needs to know of a step beyond what travels.
#[derive(Debug, Clone)]
pub struct About<'a> {
    pub title: String,
    pub item: Option<String>,
    pub handler: bool,
    pub ignore_errors: bool,
    /// The controller decides the outcome.
    pub verdict: bool,
    pub task: &'a Task,
    /// Steps of one task count as one in the recap.
    pub number: u32,
    /// What a `debug` has to say.
    pub says: Option<String>,
    over: Vec<Arc<Layer>>,
    debts: debts::About,
    tried: u32,
}

/// A part of a play that is walked in order.
#[derive(Debug, Clone, Copy)]
pub enum Leg<'a> {
    Tasks(&'a [Task]),
    /// Due handlers run now.
    Flush,
}

#[derive(Debug)]
enum Frame<'a> {
    Tasks {
        tasks: &'a [Task],
        at: usize,
        over: Vec<Arc<Layer>>,
        /// In a preview: they run whatever the hosts say.
        is_certain: bool,
    },
    Flush {
        at: usize,
    },
    Block {
        task: &'a Task,
        stage: Stage,
        /// `always` runs, then the failure goes on outwards.
        failed: bool,
        over: Vec<Arc<Layer>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Body,
    Rescue,
    Always,
}

pub struct Cursor<'a> {
    world: &'a World<'a>,
    frames: Vec<Frame<'a>>,
    about: BTreeMap<u32, About<'a>>,
    registers: Vec<Register>,
    /// Steps whose outcome the controller decides go out one by one.
    queue: VecDeque<Turn>,
    /// What became of those that went already.
    heard: Vec<Told>,
    /// Of a `run_once` task and what it includes.
    once: bool,
    preview: bool,
    /// Of tasks that no play lists: nobody knows that they will run.
    is_rehearsal: bool,
    /// Found in a preview beside what the walk itself stumbles over.
    mistakes: VecDeque<Problem>,
}

/// What planning one task gave.
enum Progress<'a> {
    /// Items for the current list.
    Items(Place, Vec<Item>),
    /// The list must be sent, and its results heard, before this task can be looked at.
    FlushFirst,
    /// Only in a preview.
    Deferred {
        title: String,
        after: String,
    },
    /// Nothing to send: an include, a block that is walked, a task left out by tags.
    Moved,
    /// Steps in the queue, to be sent one by one.
    Queued,
    Push(Vec<Frame<'a>>),
}

impl<'a> Cursor<'a> {
    pub fn new(world: &'a World<'a>, legs: &[Leg<'a>], preview: bool) -> Self {
        let frames = legs.iter().rev().map(|leg| match leg {
            Leg::Tasks(tasks) => Frame::Tasks {
                tasks,
                at: 0,
                over: vec![],
                is_certain: true,
            },
            Leg::Flush => Frame::Flush { at: 0 },
        });
        Self {
            world,
            frames: frames.collect(),
            about: BTreeMap::new(),
            registers: vec![],
            queue: VecDeque::new(),
            heard: vec![],
            once: matches!(legs, [Leg::Tasks([task])] if runs_once(task)),
            preview,
            is_rehearsal: false,
            mistakes: VecDeque::new(),
        }
    }

    /// A preview of tasks that no play lists.
    pub(super) fn rehearsal(world: &'a World<'a>, legs: &[Leg<'a>]) -> Self {
        Self {
            is_rehearsal: true,
            ..Self::new(world, legs, true)
        }
    }

    pub fn about(&self, step: u32) -> Option<&About<'a>> {
        self.about.get(&step)
    }

    /// The next list. After an error the walk may go on behind the task that caused it.
    pub fn next(&mut self, host: &mut HostState) -> Result<Turn, Problem> {
        if let Some(turn) = self.queue.pop_front() {
            return Ok(turn);
        }
        if let Some(mistake) = self.mistakes.pop_front() {
            return Err(mistake);
        }
        let mut place: Option<Place> = None;
        let mut items: Vec<Item> = vec![];
        loop {
            if self.frames.is_empty() {
                return match (place, self.mistakes.pop_front()) {
                    (Some(place), mistake) if !items.is_empty() => {
                        self.mistakes.extend(mistake);
                        Ok(Turn::Carry { place, items })
                    }
                    (_, Some(mistake)) => Err(mistake),
                    (_, None) => Ok(Turn::Done),
                };
            }
            let sent_before = |place: &mut Option<Place>, items: &mut Vec<Item>| {
                place
                    .take()
                    .filter(|_| !items.is_empty())
                    .map(|place| Turn::Carry {
                        place,
                        items: std::mem::take(items),
                    })
            };
            match self.advance(host, place.as_ref(), items.is_empty())? {
                Progress::Moved => {}
                Progress::Push(frames) => self.frames.extend(frames),
                Progress::Items(at, more) => {
                    place = Some(at);
                    items.extend(more);
                }
                Progress::FlushFirst => {
                    if let Some(turn) = sent_before(&mut place, &mut items) {
                        return Ok(turn);
                    }
                }
                Progress::Queued => {
                    if let Some(turn) = self.queue.pop_front() {
                        return Ok(turn);
                    }
                }
                Progress::Deferred { title, after } => return Ok(Turn::Deferred { title, after }),
            }
        }
    }

    /// One move of the walk. `clear` says that nothing waits to be sent.
    fn advance(
        &mut self,
        host: &mut HostState,
        place: Option<&Place>,
        clear: bool,
    ) -> Result<Progress<'a>, Problem> {
        let world = self.world;
        match self.frames.last_mut() {
            None => Ok(Progress::Moved),
            Some(Frame::Tasks {
                tasks, at, over, ..
            }) => {
                let Some(task) = tasks.get(*at) else {
                    self.frames.pop();
                    return Ok(Progress::Moved);
                };
                let over = over.clone();
                let progress = self.task(host, task, &over, None, place, clear);
                self.moved_past(&progress);
                progress
            }
            Some(Frame::Flush { at }) => {
                let Some(handler) = world.play.handlers.get(*at) else {
                    self.frames.pop();
                    return Ok(Progress::Moved);
                };
                let key = handler_key(handler);
                if !host.notified.contains(&key) && !host.due.contains(&key) {
                    *at += 1;
                    return Ok(Progress::Moved);
                }
                let progress = self.task(host, handler, &[], Some(key.clone()), place, clear);
                if !matches!(progress, Ok(Progress::FlushFirst)) {
                    // Who is notified from here on, by a later handler, waits for the next flush.
                    host.notified.remove(&key);
                }
                self.moved_past(&progress);
                progress
            }
            Some(Frame::Block { .. }) if !clear => Ok(Progress::FlushFirst),
            Some(Frame::Block { .. }) => self.block_stage(),
        }
    }

    /// The task was dealt with, unless something must be sent before it.
    fn moved_past(&mut self, progress: &Result<Progress<'a>, Problem>) {
        if matches!(progress, Ok(Progress::FlushFirst)) {
            return;
        }
        if let Some(Frame::Tasks { at, .. } | Frame::Flush { at }) = self.frames.last_mut() {
            *at += 1;
        }
    }

    fn task(
        &mut self,
        host: &mut HostState,
        task: &'a Task,
        over: &[Arc<Layer>],
        handler: Option<String>,
        place: Option<&Place>,
        clear: bool,
    ) -> Result<Progress<'a>, Problem> {
        if handler.is_none() && !self.world.tags.select(&task.tags) && !is_block(task) {
            return Ok(Progress::Moved);
        }
        if !self.once && runs_once(task) {
            return Err(Problem::new("`run_once` cannot be kept here")
                .at(&task.span)
                .because("in a handler, or in a file that `include_tasks` brings in")
                .help(
                    "put it on a task of the play or of the role itself, or on the `include_tasks`",
                ));
        }
        let planned = match &task.action {
            Written::FlushHandlers => return Ok(Progress::Push(vec![Frame::Flush { at: 0 }])),
            Written::Block { .. } => return self.block(host, task, over, place, clear),
            Written::Include { .. } => self.include(host, task, over),
            _ => self.steps(host, task, over, handler, place, clear),
        };
        match planned {
            Ok(progress) => Ok(progress),
            // What comes before it is carried out, as if nobody knew yet.
            Err(_) if !clear => Ok(Progress::FlushFirst),
            Err(Unresolved::Wrong(problem)) => {
                if self.preview {
                    self.look_up_names(host, task, over, "this task");
                    // What it would have registered is no second mistake.
                    self.expect(host, task, over);
                }
                Err(*problem)
            }
            Err(Unresolved::Pending { name, task: after }) => {
                self.deferred(host, task, over, &name, after)
            }
        }
    }

    /// The task reads something that is not known although nothing is on its way.
    fn deferred(
        &mut self,
        host: &mut HostState,
        task: &'a Task,
        over: &[Arc<Layer>],
        name: &str,
        after: String,
    ) -> Result<Progress<'a>, Problem> {
        if !self.preview {
            return Err(Problem::new(format!(
                "`{name}` was never registered: \"{after}\" did not run on this host"
            ))
            .at(&task.span)
            .help(format!("guard the task with `when: {name} is defined`")));
        }
        self.look_up_names(host, task, over, &after);
        let title = self.expect(host, task, over);
        Ok(Progress::Deferred { title, after })
    }

    /// Marks the names that the task will define; answers its title.
    fn expect(&self, host: &mut HostState, task: &Task, over: &[Arc<Layer>]) -> String {
        let title = self.stepping(host, task, over, None).title(over);
        for name in task.teaches() {
            host.expect(name, &title);
        }
        // What an include brings in may teach too.
        if let (Written::Include { file }, Some(role)) = (&task.action, &task.role) {
            let tasks = role.task_files.get(file.as_text().unwrap_or_default());
            for name in tasks.into_iter().flatten().flat_map(Task::teaches) {
                host.expect(name, &title);
            }
        }
        title
    }

    fn stepping<'s>(
        &'s self,
        host: &'s HostState,
        task: &'s Task,
        over: &'s [Arc<Layer>],
        handler: Option<String>,
    ) -> Stepping<'s> {
        Stepping {
            world: self.world,
            host,
            task,
            over,
            handler,
            number: host.next_task,
        }
    }

    fn steps(
        &mut self,
        host: &mut HostState,
        task: &'a Task,
        over: &[Arc<Layer>],
        handler: Option<String>,
        place: Option<&Place>,
        clear: bool,
    ) -> Result<Progress<'a>, Unresolved> {
        let alone = verdict::needed(task);
        let (at, planned) = {
            let stepping = self.stepping(host, task, over, handler);
            (stepping.place()?, stepping.steps()?)
        };
        // A fact that follows a step which may fail is only set once that step did not.
        let learns = matches!(task.action, Written::SetFact { .. }) && self.is_in_a_block();
        if !clear && (alone || learns || place.is_some_and(|p| *p != at)) {
            return Ok(Progress::FlushFirst);
        }
        if self.preview {
            self.foresee(host, task, over, &planned);
        }
        if let Written::SetFact { facts } = &task.action {
            self.set_facts(host, task, facts, &planned)?;
        }
        let items = self.commit(host, task, &at, planned);
        if !alone {
            return Ok(Progress::Items(at, items));
        }
        if self.preview {
            return Ok(Progress::Items(at, items));
        }
        self.queue.extend(items.into_iter().map(|item| Turn::Carry {
            place: at.clone(),
            items: vec![item],
        }));
        Ok(Progress::Queued)
    }

    fn is_in_a_block(&self) -> bool {
        self.frames.iter().any(|f| matches!(f, Frame::Block { .. }))
    }

    fn set_facts(
        &self,
        host: &mut HostState,
        task: &Task,
        facts: &crate::source::Node,
        planned: &[Planned],
    ) -> Result<(), Unresolved> {
        for one in planned {
            if matches!(one.step.action, Action::Skip { .. }) {
                continue;
            }
            let resolved = {
                let ladder = self.world.ladder(host, Some(task), &one.over);
                Scope::new(&ladder).render(facts)?
            };
            if let Value::Object(map) = resolved {
                for (name, value) in map {
                    host.set(&name, value);
                }
            }
        }
        Ok(())
    }

    /// Numbers the steps and remembers what the story and `register` need of them.
    fn commit(
        &mut self,
        host: &mut HostState,
        task: &'a Task,
        at: &Place,
        planned: Vec<Planned>,
    ) -> Vec<Item> {
        host.next_task += 1;
        let mut register = task.register.as_ref().map(|name| Register {
            name: name.clone(),
            looped: task.r#loop.is_some(),
            steps: vec![],
            skipped: vec![],
        });
        let mut items = Vec::with_capacity(planned.len());
        for mut one in planned {
            one.step.id = host.next_step;
            host.next_step += 1;
            host.notified.extend(one.step.notify.iter().cloned());
            let debts = self.debts_of(host, task, at, &mut one.step);
            if let Some(register) = &mut register {
                register.steps.push((one.step.id, one.item));
                if let Action::Skip { reason } = &one.step.action {
                    register.skipped.push((one.step.id, reason.clone()));
                }
                host.expect(&register.name, &one.step.title);
            }
            self.about.insert(
                one.step.id,
                About {
                    title: one.step.title.clone(),
                    item: one.step.item.clone(),
                    handler: one.step.handler.is_some(),
                    ignore_errors: one.step.ignore_errors,
                    verdict: verdict::needed(task)
                        && matches!(one.step.action, Action::Call { .. }),
                    task,
                    number: one.step.task,
                    says: says(&one.step),
                    over: one.over,
                    debts,
                    tried: 0,
                },
            );
            items.push(Item::Step(one.step));
        }
        if let Some(register) = register {
            // A task that is skipped for certain has its result already.
            if register.skipped.len() == register.steps.len() {
                let value = register.value(&BTreeMap::new());
                host.learn(&register.name, Some(value));
            }
            self.registers.push(register);
        }
        items
    }

    /// Decides a step whose conditions read its own result. Call it for each attempt.
    pub fn judge(&mut self, host: &HostState, told: &Told) -> Result<Verdict, Problem> {
        let Some(about) = self.about.get_mut(&told.step) else {
            return Ok(Verdict::Final(told.outcome.clone()));
        };
        about.tried += 1;
        let about = about.clone();
        verdict::judge(self.world, host, about.task, &about.over, told, about.tried).map_err(
            |unresolved| match unresolved {
                Unresolved::Wrong(problem) => *problem,
                Unresolved::Pending { name, task } => {
                    Problem::new(format!("`{name}` is not known: \"{task}\" has not run"))
                        .at(&about.task.span)
                }
            },
        )
    }

    /// Takes in what became of the last list. `failed` says that a step failed and nothing rescued it.
    pub fn hear(&mut self, host: &mut HostState, told: &[Told], failed: bool) -> Answer {
        // Steps of a loop whose outcome is decided here come back one by one.
        let waiting = !self.queue.is_empty() && !failed;
        if waiting {
            self.heard.extend_from_slice(told);
        } else {
            let heard = std::mem::take(&mut self.heard);
            let told: BTreeMap<u32, &Told> =
                heard.iter().chain(told).map(|t| (t.step, t)).collect();
            for register in std::mem::take(&mut self.registers) {
                let ran = register.steps.iter().any(|(id, _)| told.contains_key(id))
                    || register.skipped.len() == register.steps.len();
                let value = ran.then(|| register.value(&told));
                host.learn(&register.name, value);
            }
        }
        if !failed {
            return Answer::Go;
        }
        self.queue.clear();
        self.unwind()
    }

    /// Something failed outside of any step, such as a template that reads a result.
    pub fn fail(&mut self) -> Answer {
        self.queue.clear();
        self.unwind()
    }
}

fn is_block(task: &Task) -> bool {
    matches!(task.action, Written::Block { .. })
}

fn says(step: &Step) -> Option<String> {
    match &step.action {
        Action::Call { module, params } if module == "debug" && !step.no_log => {
            let told = |value: &Value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            };
            match params.get("var").and_then(Value::as_str) {
                Some(var) => Some(format!("{var}: {}", told(params.get("value")?))),
                None => Some(told(params.get("msg")?)),
            }
        }
        _ => None,
    }
}
