//! Appending runs of events, with what follows from them, in the caller's transaction. Neither authorises nor decides.

use rusqlite::{Connection, ffi};

use super::changes;
use super::event_row;
use super::failure::{SqliteFailure, fault};
use super::log::head;
use crate::store::{Run, RunOutcome, Stop};

/// Appends a run, with what follows from its events: the prefix up to what stops it. Fails only for what may pass; a
/// fault is the run's own outcome, of which nothing is left then, and does not harm the others of its call.
pub(super) fn append(connection: &Connection, run: &Run) -> Result<RunOutcome, SqliteFailure> {
    connection.prepare_cached("SAVEPOINT run")?.execute([])?;
    let outcome = insert_run(connection, run).or_else(|failure| {
        let cause = fault(failure)?;
        connection.prepare_cached("ROLLBACK TO run")?.execute([])?;
        Ok(stopped(0, Stop::Broken(cause)))
    });
    connection.prepare_cached("RELEASE run")?.execute([])?;
    outcome
}

fn insert_run(connection: &Connection, run: &Run) -> Result<RunOutcome, SqliteFailure> {
    // With one writer the head is exact: a guess that is not the next seq is either taken, or would leave a hole.
    if run.first != head(connection, run.conversation)?.next() {
        return Ok(stopped(0, Stop::SeqTaken));
    }
    let mut insertion = event_row::insertion(connection)?;
    for (place, event) in run.events.iter().enumerate() {
        match event_row::insert(&mut insertion, event) {
            Ok(()) => {}
            Err(error) if is_duplicate_id(&error) => {
                return Ok(stopped(place, Stop::IdTaken));
            }
            Err(error) => {
                let cause = fault(error.into())?;
                return Ok(stopped(place, Stop::Broken(cause)));
            }
        }
        if event.body.is_projected() {
            changes::project(connection, event)?;
        }
    }
    Ok(RunOutcome {
        committed: run.events.len(),
        stopped: None,
    })
}

fn stopped(committed: usize, stop: Stop) -> RunOutcome {
    RunOutcome {
        committed,
        stopped: Some(stop),
    }
}

/// A refusal by the unique index on clientMessageIds; one by the log's own key would say "primary key".
fn is_duplicate_id(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}
