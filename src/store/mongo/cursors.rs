//! Cursors: moved forward, many at a time.

use mongodb::bson::{Document, doc};

use super::MongoStore;
use super::documents::{number, user_key};
use crate::store::{CursorMove, StoreResult};

/// The most statements of one command; more go one after the other.
const STATEMENTS: usize = 1000;

impl MongoStore {
    /// D31: one `update` command with many statements, since the driver's bulk write needs a newer server.
    pub(super) async fn push_cursors(&self, moves: &[CursorMove]) -> StoreResult<()> {
        for some in moves.chunks(STATEMENTS) {
            let updates: Vec<Document> = some.iter().map(statement).collect();
            self.write_command(doc! { "update": "members", "updates": updates, "ordered": false })
                .await?;
        }
        Ok(())
    }
}

fn statement(to: &CursorMove) -> Document {
    doc! {
        "q": { "conversation": to.conversation.to_string(), "user": user_key(to.user) },
        "u": { "$max": { "deliveredSeq": number(to.delivered), "readSeq": number(to.read) } },
    }
}
