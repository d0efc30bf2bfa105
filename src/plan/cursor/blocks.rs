//! Blocks on the walk. A block whose every step can be decided now goes out whole, and the worker does the
//! rescuing; any other is walked stage by stage.

use super::{Answer, Cursor, Frame, Progress, Stage, is_block};
use crate::plan::place::Place;
use crate::plan::state::HostState;
use crate::plan::verdict;
use crate::playbook::{Action as Written, Task};
use crate::source::Problem;
use crate::vars::{Layer, Unresolved};
use crate::wire::{Block, Item};
use std::sync::Arc;

impl<'a> Cursor<'a> {
    /// A block goes out whole when all of it can be decided now; otherwise it is walked.
    pub(super) fn block(
        &mut self,
        host: &mut HostState,
        task: &'a Task,
        over: &[Arc<Layer>],
        place: Option<&Place>,
        clear: bool,
    ) -> Result<Progress<'a>, Problem> {
        let before = (host.clone(), self.registers.len());
        let mut at = place.cloned();
        if let Ok(Some(block)) = self.whole(host, task, over, &mut at) {
            let at = at.unwrap_or_else(|| Place {
                host: host.name.clone(),
                user: None,
            });
            if self.preview {
                self.judge_assertions_of(host, task, over);
            }
            return Ok(Progress::Items(at, vec![Item::Block(block)]));
        }
        let first = before.0.next_step;
        *host = before.0;
        self.registers.truncate(before.1);
        self.about.retain(|id, _| *id < first);
        // A failure of what waits to be sent is none of this block.
        if !clear {
            return Ok(Progress::FlushFirst);
        }
        let Written::Block { block, .. } = &task.action else {
            return Ok(Progress::Moved);
        };
        Ok(Progress::Push(vec![
            Frame::Block {
                task,
                stage: Stage::Body,
                failed: false,
                over: over.to_vec(),
            },
            Frame::Tasks {
                tasks: block,
                at: 0,
                over: over.to_vec(),
                is_certain: true,
            },
        ]))
    }

    fn whole(
        &mut self,
        host: &mut HostState,
        task: &'a Task,
        over: &[Arc<Layer>],
        at: &mut Option<Place>,
    ) -> Result<Option<Block>, Unresolved> {
        let Written::Block {
            block,
            rescue,
            always,
        } = &task.action
        else {
            return Ok(None);
        };
        if !teaches_nothing(block, rescue, always) {
            return Ok(None);
        }
        let mut parts = [vec![], vec![], vec![]];
        for (part, tasks) in parts.iter_mut().zip([block, rescue, always]) {
            match self.whole_list(host, tasks, over, at)? {
                Some(items) => *part = items,
                None => return Ok(None),
            }
        }
        let [steps, rescue, always] = parts;
        Ok(Some(Block {
            steps,
            rescue,
            always,
        }))
    }

    fn whole_list(
        &mut self,
        host: &mut HostState,
        tasks: &'a [Task],
        over: &[Arc<Layer>],
        at: &mut Option<Place>,
    ) -> Result<Option<Vec<Item>>, Unresolved> {
        let mut items = Vec::new();
        for task in tasks {
            if is_block(task) {
                match self.whole(host, task, over, at)? {
                    Some(block) => items.push(Item::Block(block)),
                    None => return Ok(None),
                }
                continue;
            }
            if !self.world.tags.select(&task.tags) {
                continue;
            }
            let walked = matches!(
                task.action,
                Written::Include { .. } | Written::FlushHandlers
            );
            if walked || verdict::needed(task) {
                return Ok(None);
            }
            let (place, planned) = {
                let stepping = self.stepping(host, task, over, None);
                (stepping.place()?, stepping.steps()?)
            };
            if at.get_or_insert_with(|| place.clone()) != &place {
                return Ok(None);
            }
            items.extend(self.commit(host, task, &place, planned));
        }
        Ok(Some(items))
    }

    /// A walked block's current stage is through.
    pub(super) fn block_stage(&mut self) -> Result<Progress<'a>, Problem> {
        let Some(Frame::Block {
            task,
            stage,
            failed,
            over,
        }) = self.frames.pop()
        else {
            return Ok(Progress::Moved);
        };
        if stage == Stage::Always {
            if failed {
                self.unwind();
            }
            return Ok(Progress::Moved);
        }
        // A preview shows, and finds the mistakes of, what may never run.
        let next = match stage {
            Stage::Body if self.preview => Stage::Rescue,
            _ => Stage::Always,
        };
        Ok(Progress::Push(stage_frames(task, next, failed, over)))
    }

    /// Leaves frames until a block takes the failure.
    pub(super) fn unwind(&mut self) -> Answer {
        while let Some(frame) = self.frames.pop() {
            let Frame::Block {
                task, stage, over, ..
            } = frame
            else {
                continue;
            };
            let Written::Block { rescue, .. } = &task.action else {
                continue;
            };
            let (next, failed) = match stage {
                Stage::Body if !rescue.is_empty() => (Stage::Rescue, false),
                Stage::Body | Stage::Rescue => (Stage::Always, true),
                Stage::Always => continue,
            };
            self.frames.extend(stage_frames(task, next, failed, over));
            return Answer::Go;
        }
        Answer::Stopped
    }
}

fn stage_frames<'a>(
    task: &'a Task,
    stage: Stage,
    failed: bool,
    over: Vec<Arc<Layer>>,
) -> Vec<Frame<'a>> {
    let Written::Block { rescue, always, .. } = &task.action else {
        return vec![];
    };
    let tasks = match stage {
        Stage::Rescue => rescue,
        Stage::Body | Stage::Always => always,
    };
    vec![
        Frame::Block {
            task,
            stage,
            failed,
            over: over.clone(),
        },
        Frame::Tasks {
            tasks,
            at: 0,
            over,
            is_certain: true,
        },
    ]
}

/// Whether nothing is learnt by a stage that may turn out not to run: a fact, or what `rescue` registers.
fn teaches_nothing(block: &[Task], rescue: &[Task], always: &[Task]) -> bool {
    let sets_a_fact = |t: &Task| matches!(t.action, Written::SetFact { .. });
    let all = || block.iter().chain(rescue).chain(always);
    !all().any(sets_a_fact) && !rescue.iter().any(|t| t.register.is_some())
}
