//! Where a job stands, how it ends, and how both are worded.

use serde::{Deserialize, Serialize};
use sightline_types::Timestamp;

use crate::JobKind;

/// Where a job stands. It moves to the right only, and may skip to the last from any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for a place on the machine.
    Queued,
    /// The environment is being made ready.
    Preparing,
    /// Inputs are being copied to where the instances see them.
    Staging,
    /// The instances run.
    Running,
    /// The instances have ended and their outputs are being stored.
    Collecting,
    /// Nothing more will happen.
    Ended,
}

impl Phase {
    pub(crate) const ALL: [Self; 6] = [
        Self::Queued,
        Self::Preparing,
        Self::Staging,
        Self::Running,
        Self::Collecting,
        Self::Ended,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Preparing => "preparing",
            Self::Staging => "staging",
            Self::Running => "running",
            Self::Collecting => "collecting",
            Self::Ended => "ended",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// The secondary status that a job shows on entering this phase, and its message.
    pub(crate) fn secondary(self, kind: JobKind) -> Option<(&'static str, &'static str)> {
        let running = match kind {
            JobKind::Processing => ("Processing", "Processing program in progress"),
            JobKind::Training => ("Training", "Training program in progress"),
        };
        match self {
            Self::Queued | Self::Ended => None,
            Self::Preparing => Some(("Starting", "Preparing the environment and the instances")),
            Self::Staging => Some(("Downloading", "Downloading input data")),
            Self::Running => Some(running),
            Self::Collecting => Some(("Uploading", "Uploading what the job has written")),
        }
    }
}

/// How a job ends. Known before the last phase, because outputs are stored in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Every instance returned zero.
    Completed,
    /// It failed, for this reason.
    Failed(String),
    /// It was stopped on request.
    Stopped,
    /// It ran longer than it may and was stopped.
    TimedOut,
}

impl Outcome {
    /// The status that the job then has.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Failed(_) => "Failed",
            Self::Stopped | Self::TimedOut => "Stopped",
        }
    }

    /// The last secondary status.
    pub(crate) fn secondary(&self) -> (&'static str, String) {
        match self {
            Self::Completed => ("Completed", "The job completed".to_owned()),
            Self::Failed(_) => ("Failed", "The job failed".to_owned()),
            Self::Stopped => ("Stopped", "The job was stopped on request".to_owned()),
            Self::TimedOut => (
                "MaxRuntimeExceeded",
                "The job ran longer than it may and was stopped".to_owned(),
            ),
        }
    }
}

/// The status of a job that has not ended.
#[must_use]
pub(crate) fn live_status(stop_requested: bool) -> &'static str {
    if stop_requested {
        "Stopping"
    } else {
        "InProgress"
    }
}

/// One entry of a job's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The secondary status.
    pub status: String,
    /// A sentence about it.
    pub message: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` for the one that lasts.
    pub ended_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_survive_storage() {
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(phase.as_str()), Some(phase));
        }
        assert_eq!(Phase::parse("lost"), None);
    }
}
