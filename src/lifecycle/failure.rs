//! Why the process ends with another status than 0, and what it says then. Knows nothing of what failed.

use std::process::ExitCode;

use crate::config::{StartError, StartErrors};

/// Why the process ends with another status than 0.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It cannot start as it is configured: status 2.
    #[error("{0}")]
    Start(#[from] StartErrors),
    /// The command line is wrong: status 2.
    #[error("{0}")]
    Usage(String),
    /// Something went wrong while it ran: status 1.
    #[error("{0}")]
    Runtime(String),
}

impl Failure {
    /// The status of the process.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Start(_) | Self::Usage(_) => ExitCode::from(2),
            Self::Runtime(_) => ExitCode::FAILURE,
        }
    }

    /// What to print on stderr: a line for each thing that is wrong.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Start(errors) => errors.lines(),
            Self::Usage(message) | Self::Runtime(message) => vec![message.clone()],
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Start(error.into())
    }
}
