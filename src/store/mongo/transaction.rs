//! Transactions: how they begin, commit and are told to be worth repeating. Knows nothing of what they write.

use mongodb::ClientSession;
use mongodb::error::{Error, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::ReadConcern;

use super::{MongoStore, config, failure};

/// The server's code for two transactions at one document, outside of the label that says so.
const WRITE_CONFLICT: i32 = 112;

impl MongoStore {
    /// Begins one that reads a snapshot and commits to a majority. Dropped without a commit, it is aborted behind the
    /// caller's back.
    pub(super) async fn begin(&self) -> Result<ClientSession, Error> {
        let mut session = self.client.start_session().await?;
        session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(config::write_concern(self.server_limit))
            .max_commit_time(self.server_limit)
            .await?;
        Ok(session)
    }

    /// Commits if the work succeeded, and aborts if not, so that the next attempt does not meet this one's locks.
    pub(super) async fn finish(
        &self,
        session: &mut ClientSession,
        work: Result<(), Error>,
    ) -> Result<(), Error> {
        if let Err(error) = work {
            // If this fails too, the transaction is gone, or ends by the server's own limit.
            session.abort_transaction().await.ok();
            return Err(error);
        }
        for attempt in 0.. {
            match session.commit_transaction().await {
                Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {
                    // A commit may be repeated until its outcome is known; the call's limit of time ends this.
                    self.back_off(attempt).await;
                }
                outcome => return outcome,
            }
        }
        Ok(())
    }
}

/// Whether a transaction failed by meeting others, so that a new attempt may succeed. A unique index refuses the seq
/// that another was given, or the id of this same change whose first attempt was stored after all.
pub(super) fn met_others(error: &Error) -> bool {
    let conflict = matches!(
        &*error.kind,
        mongodb::error::ErrorKind::Command(error) if error.code == WRITE_CONFLICT
    );
    conflict || error.contains_label(TRANSIENT_TRANSACTION_ERROR) || failure::is_duplicate(error)
}
