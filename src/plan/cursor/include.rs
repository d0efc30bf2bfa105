//! `include_tasks` on the walk: what it brings in is walked in its place.

use super::{Cursor, Frame, Progress};
use crate::plan::state::HostState;
use crate::playbook::{Action as Written, Task};
use crate::source::{Problem, Span, nearest};
use crate::vars::{Layer, Scope, Unresolved};
use crate::wire::Action;
use std::sync::Arc;

/// How deep includes and blocks may stand in one another.
const DEEPEST: usize = 100;

impl<'a> Cursor<'a> {
    /// `include_tasks`: its condition and loop belong to the include itself.
    pub(super) fn include(
        &mut self,
        host: &mut HostState,
        task: &'a Task,
        over: &[Arc<Layer>],
    ) -> Result<Progress<'a>, Unresolved> {
        // Planned as a task that does nothing, to decide its condition and loop.
        let plain = Task {
            action: Written::Assert {
                that: vec![],
                fail_msg: None,
                success_msg: None,
            },
            ..task.clone()
        };
        let planned = self.stepping(host, &plain, over, None).steps()?;
        let Written::Include { file } = &task.action else {
            return Ok(Progress::Moved);
        };
        if self.frames.len() > DEEPEST {
            return Err(Problem::new(format!(
                "more than {DEEPEST} task files include one another"
            ))
            .at(&task.span)
            .help("a file that includes itself needs a `when` that ends it")
            .into());
        }
        let is_certain = self.preview && self.is_sure(host, task, over);
        let mut frames = Vec::new();
        for one in planned.into_iter().rev() {
            if matches!(one.step.action, Action::Skip { .. }) {
                continue;
            }
            let ladder = self.world.ladder(host, Some(task), &one.over);
            let name = Scope::new(&ladder).text(file)?;
            let tasks = task
                .role
                .as_ref()
                .and_then(|r| r.task_files.get(name.as_str()));
            let Some(tasks) = tasks else {
                return Err(no_file(task, &name, &file.span).into());
            };
            frames.push(Frame::Tasks {
                tasks: self.world.include(task, tasks),
                at: 0,
                over: one.over,
                is_certain,
            });
        }
        Ok(Progress::Push(frames))
    }
}

fn no_file(task: &Task, name: &str, span: &Span) -> Problem {
    let files = task.role.as_ref().map(|role| &role.task_files);
    let known = files.into_iter().flat_map(|f| f.keys().map(String::as_str));
    let problem = Problem::new(format!("there is no task file `{name}`")).at(span);
    match nearest(name, known) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}
