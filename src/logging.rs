//! Logs: one line per record on standard output, JSON or for people. Errors of the start are not logs; `main` prints
//! those on standard error. Knows nothing of what is logged.

use std::io::{IsTerminal, stdout};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

use crate::config::{LogFormat, Logging, StartError};

/// Starts logging for the whole process; once.
///
/// # Errors
/// When the filter cannot be read (the configuration has checked it) or logging has been started already.
pub fn start(logging: &Logging) -> Result<(), StartError> {
    let blame = |error: String| StartError::of("log", error);
    let filter = EnvFilter::try_new(&logging.filter).map_err(|error| blame(error.to_string()))?;
    let lines = Subscriber::builder()
        .with_env_filter(filter)
        .log_internal_errors(false);
    let json = match logging.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !stdout().is_terminal(),
    };
    let started = if json {
        tracing::subscriber::set_global_default(
            lines
                .json()
                .flatten_event(true)
                .with_span_list(false)
                .finish(),
        )
    } else {
        tracing::subscriber::set_global_default(lines.with_ansi(stdout().is_terminal()).finish())
    };
    started.map_err(|error| blame(error.to_string()))?;
    log_panics();
    Ok(())
}

/// A panic in a task is a fault of ours: it goes where everything else is logged, in one line. Its message may quote
/// what a user wrote, so only its place is logged.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a task panicked");
    }));
}
