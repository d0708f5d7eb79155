//! Appending events: optimistic inserts, decided by the unique keys. Does not authorise and does not retry; the committer
//! does. What follows from the events is written in `projections.rs`.

use futures_util::future::{join, join_all};
use mongodb::error::{Error, ErrorKind, IndexedWriteError, InsertManyError, RETRYABLE_WRITE_ERROR};
use tokio::time::timeout;

use super::MongoStore;
use super::event_document::EventDocument;
use super::failure::{DUPLICATE_KEY, describe, is_not_now_code};
use super::schema::CONVERSATION_SEQ;
use crate::store::{Run, RunOutcome, Stop};

/// How many longer runs are inserted each on its own; more of them stand in line. A commit of its own costs the server
/// 500 µs, a place in a batch of 200 about 15 (measured).
const APART: usize = 4;

impl MongoStore {
    /// Runs of one event share an unordered insert; longer ones are ordered inserts, which store a prefix: a few of
    /// them each one of its own, many of them one behind the other. All at once, each insert within the limit of time.
    pub(super) async fn append_runs(&self, runs: &[Run]) -> Vec<RunOutcome> {
        let (single, longer): (Vec<_>, Vec<_>) =
            (0..runs.len()).partition(|index| runs[*index].events.len() == 1);
        let together = async {
            let runs: Vec<&Run> = single.iter().map(|index| &runs[*index]).collect();
            self.append_singles(&runs).await
        };
        let apart = async {
            let runs: Vec<&Run> = longer.iter().map(|index| &runs[*index]).collect();
            if runs.len() > APART {
                self.append_in_line(&runs).await
            } else {
                join_all(runs.iter().map(|run| self.append_run(run))).await
            }
        };
        let (together, apart) = join(together, apart).await;
        let mut outcomes: Vec<(usize, RunOutcome)> = single
            .into_iter()
            .zip(together)
            .chain(longer.into_iter().zip(apart))
            .collect();
        outcomes.sort_unstable_by_key(|(index, _)| *index);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    async fn append_singles(&self, runs: &[&Run]) -> Vec<RunOutcome> {
        if runs.is_empty() {
            return Vec::new();
        }
        let documents = runs.iter().flat_map(|run| documents(run)).collect();
        let mut outcomes = vec![stored(1); runs.len()];
        match self.insert(documents, false).await {
            Ok(()) => {}
            Err(InsertFailure::Documents(errors)) => {
                for error in errors {
                    if let Some(outcome) = outcomes.get_mut(error.index) {
                        *outcome = stopped(0, reason(&error));
                    }
                }
            }
            Err(InsertFailure::Unknown(reason)) => outcomes.fill(stopped(0, Stop::Unknown(reason))),
        }
        outcomes
    }

    async fn append_run(&self, run: &Run) -> RunOutcome {
        match self.insert(documents(run).collect(), true).await {
            Ok(()) => stored(run.events.len()),
            Err(InsertFailure::Documents(errors)) => match errors.first() {
                Some(error) => stopped(error.index, reason(error)),
                None => stopped(0, Stop::Unknown("no error named".to_owned())),
            },
            Err(InsertFailure::Unknown(reason)) => stopped(0, Stop::Unknown(reason)),
        }
    }

    /// One ordered insert of many runs. It stops at the first message that is refused, whose run ends there; the runs
    /// behind it are inserted each on its own, so that none waits for a place in front.
    async fn append_in_line(&self, runs: &[&Run]) -> Vec<RunOutcome> {
        let line = runs.iter().flat_map(|run| documents(run)).collect();
        let mut outcomes = vec![stored(0); runs.len()];
        let done = settle_line(runs, &mut outcomes, self.insert(line, true).await);
        outcomes.truncate(done);
        let behind = runs[done..].iter().map(|run| self.append_run(run));
        outcomes.extend(join_all(behind).await);
        outcomes
    }

    /// The driver repeats an insert once after a step-down or a lost connection, under a number by which the server
    /// knows it again; the limit of time holds for both attempts (D5).
    async fn insert(
        &self,
        documents: Vec<EventDocument>,
        ordered: bool,
    ) -> Result<(), InsertFailure> {
        let insert = async { self.events.insert_many(documents).ordered(ordered).await };
        match timeout(self.limit, insert).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(InsertFailure::by(error)),
            Err(_) => Err(InsertFailure::Unknown(format!(
                "no answer in {:?}",
                self.limit
            ))),
        }
    }
}

/// Why an insert was not stored as a whole.
enum InsertFailure {
    /// These documents were refused for their own sake, and that is all: the others are stored durably (of an ordered
    /// insert, those before it).
    Documents(Vec<IndexedWriteError>),
    /// It is not known what was stored.
    Unknown(String),
}

impl InsertFailure {
    /// D5: anything beside refused documents (a write concern's error, a step-down amid the batch) makes it all
    /// unknown.
    fn by(error: Error) -> Self {
        let reason = describe(&error);
        if error.contains_label(RETRYABLE_WRITE_ERROR) {
            return Self::Unknown(reason);
        }
        match *error.kind {
            ErrorKind::InsertMany(error) => {
                Self::documents(error).map_or(Self::Unknown(reason), Self::Documents)
            }
            _ => Self::Unknown(reason),
        }
    }

    fn documents(error: InsertManyError) -> Option<Vec<IndexedWriteError>> {
        let errors = error.write_errors.unwrap_or_default();
        let is_certain = error.write_concern_error.is_none()
            && !errors.is_empty()
            && !errors.iter().any(|error| is_not_now_code(error.code));
        is_certain.then_some(errors)
    }
}

/// Notes what became of a line; returns how many of its runs are over.
fn settle_line(
    runs: &[&Run],
    outcomes: &mut [RunOutcome],
    inserted: Result<(), InsertFailure>,
) -> usize {
    let (mut left, stop) = match inserted {
        Ok(()) => (usize::MAX, None),
        Err(InsertFailure::Documents(errors)) => match errors.into_iter().next() {
            Some(error) => (error.index, Some(reason(&error))),
            None => (0, Some(Stop::Unknown("no error named".to_owned()))),
        },
        Err(InsertFailure::Unknown(reason)) => (0, Some(Stop::Unknown(reason))),
    };
    if let Some(Stop::Unknown(_)) = stop {
        outcomes.fill(RunOutcome {
            committed: 0,
            stopped: stop,
        });
        return runs.len();
    }
    for (place, (run, outcome)) in runs.iter().zip(outcomes).enumerate() {
        if left < run.events.len() {
            *outcome = RunOutcome {
                committed: left,
                stopped: stop,
            };
            return place + 1;
        }
        *outcome = stored(run.events.len());
        left -= run.events.len();
    }
    runs.len()
}

fn documents(run: &Run) -> impl Iterator<Item = EventDocument> {
    run.events.iter().map(|event| EventDocument::from(&**event))
}

/// Which key refused it, or that it was something else: one document's fault is not the others'. The error has no
/// field for the index: its name is in the text (`… index: NAME dup key: …`). A taken event id (`_id_`) is a retry,
/// like a taken clientMessageId.
fn reason(error: &IndexedWriteError) -> Stop {
    if error.code != DUPLICATE_KEY {
        return Stop::Broken(format!("insert refused: code {}", error.code));
    }
    let after = error.message.split_once(" index: ").map(|(_, after)| after);
    let index = after.and_then(|after| after.split(' ').next());
    if index == Some(CONVERSATION_SEQ) {
        Stop::SeqTaken
    } else {
        Stop::IdTaken
    }
}

const fn stored(committed: usize) -> RunOutcome {
    RunOutcome {
        committed,
        stopped: None,
    }
}

const fn stopped(committed: usize, stop: Stop) -> RunOutcome {
    RunOutcome {
        committed,
        stopped: Some(stop),
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, bson, deserialize_from_bson};

    use super::*;

    const TAKEN: i32 = DUPLICATE_KEY;
    const VALIDATION: i32 = 121;
    const STEPPED_DOWN: i32 = 10107;

    fn refused(codes: &[i32], concern: Option<Bson>) -> InsertFailure {
        let errors: Vec<Bson> = (0..)
            .zip(codes)
            .map(|(index, code)| {
                let errmsg = format!("E index: {CONVERSATION_SEQ} dup key");
                bson!({ "index": index, "code": *code, "errmsg": errmsg })
            })
            .collect();
        let error = bson!({ "writeErrors": errors, "writeConcernError": concern });
        let error: InsertManyError = deserialize_from_bson(error).unwrap();
        InsertFailure::by(Error::from(ErrorKind::InsertMany(error)))
    }

    #[test]
    fn a_document_refused_for_its_own_sake_is_nobody_elses_outcome() {
        let InsertFailure::Documents(errors) = refused(&[TAKEN, VALIDATION], None) else {
            panic!("the others' outcomes are known");
        };
        assert_eq!(reason(&errors[0]), Stop::SeqTaken);
        assert!(matches!(reason(&errors[1]), Stop::Broken(_)));
    }

    fn run(length: usize) -> Run {
        use std::sync::Arc;

        use crate::domain::{Body, ConversationId, Event, EventId, RoomId, Seq, Timestamp, UserId};
        let (conversation, first) = (
            ConversationId::Room(RoomId::from_bytes([3; 12])),
            Seq::new(1),
        );
        let event = Event {
            id: EventId::from_bytes([1; 12]),
            conversation,
            seq: first,
            sender: UserId::from_bytes([2; 12]),
            at: Timestamp::from_millis(0),
            body: Body::RoomDeleted,
        };
        Run {
            conversation,
            first,
            events: std::iter::repeat_n(Arc::new(event), length).collect(),
        }
    }

    fn line(inserted: Result<(), InsertFailure>) -> (usize, Vec<RunOutcome>) {
        let runs = [run(2), run(3), run(2)];
        let mut outcomes = vec![stored(0); 3];
        let over = settle_line(&runs.each_ref(), &mut outcomes, inserted);
        (over, outcomes)
    }

    #[test]
    fn a_line_ends_in_the_run_that_is_refused_and_goes_on_behind_it() {
        assert_eq!(line(Ok(())), (3, vec![stored(2), stored(3), stored(2)]));
        let message = format!("E index: {CONVERSATION_SEQ} dup key");
        let error = bson!({ "index": 3, "code": TAKEN, "errmsg": message });
        let error: IndexedWriteError = deserialize_from_bson(error).unwrap();
        let (over, outcomes) = line(Err(InsertFailure::Documents(vec![error])));
        let taken = stopped(1, Stop::SeqTaken);
        assert_eq!((over, outcomes), (2, vec![stored(2), taken, stored(0)]));
        let unknown = stopped(0, Stop::Unknown("?".to_owned()));
        let outcome = line(Err(InsertFailure::Unknown("?".to_owned())));
        assert_eq!(outcome, (3, vec![unknown; 3]));
    }

    #[test]
    fn d5_a_step_down_or_a_write_concern_error_leaves_all_unknown() {
        let stepped_down = refused(&[TAKEN, STEPPED_DOWN], None);
        assert!(matches!(stepped_down, InsertFailure::Unknown(_)));
        let concern = bson!({ "code": 64, "codeName": "WriteConcernTimeout", "errmsg": "late" });
        assert!(matches!(
            refused(&[TAKEN], Some(concern)),
            InsertFailure::Unknown(_)
        ));
        assert!(matches!(refused(&[], None), InsertFailure::Unknown(_)));
    }
}
