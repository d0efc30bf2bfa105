//! Exit codes: meanings as an enum, numbers in one place.

use crate::event::Ended;
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// The input is wrong; nothing was contacted.
    Input,
    /// Preflight failed; nothing was changed.
    Preflight,
    /// Stopped with part of the change made.
    Stopped,
    /// Only unreachable hosts are the reason.
    Unreachable,
    /// Another run holds the lock.
    Busy,
    /// Failed and rolled back: the old state serves.
    RolledBack,
    /// Failed and not rolled back: a person is needed.
    NeedsPerson,
    /// `plan --detailed-exitcode`: there are changes.
    Changes,
    /// A bug in this program.
    Bug,
    Interrupted,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Input => 2,
            Self::Preflight => 3,
            Self::Stopped => 4,
            Self::Unreachable => 5,
            Self::Busy => 6,
            Self::RolledBack => 7,
            Self::NeedsPerson => 8,
            Self::Changes => 10,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }
}

impl From<&Ended> for Exit {
    fn from(ended: &Ended) -> Self {
        match ended {
            Ended::Done => Self::Done,
            Ended::Preflight => Self::Preflight,
            Ended::Stopped => Self::Stopped,
            Ended::Unreachable => Self::Unreachable,
            Ended::Busy => Self::Busy,
            Ended::RolledBack => Self::RolledBack,
            Ended::NeedsPerson => Self::NeedsPerson,
            Ended::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
