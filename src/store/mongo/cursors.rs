//! Cursors: moved forward, many at a time.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, doc};

use super::MongoStore;
use super::documents::{number, user_key};
use crate::domain::{ConversationId, Seq, UserId};
use crate::store::{CursorMove, StoreResult};

/// The most moves of one command.
const MOVES: usize = 1000;

impl MongoStore {
    /// D31: one `update` command with many statements, since the driver's bulk write needs a newer server.
    pub(super) async fn push_cursors(&self, moves: &[CursorMove]) -> StoreResult<()> {
        for some in moves.chunks(MOVES) {
            let updates = statements(some);
            self.write_command(doc! { "update": "members", "updates": updates, "ordered": false })
                .await?;
        }
        Ok(())
    }
}

/// One statement for all members of a conversation that move to the same place: in a busy room that is most of them.
fn statements(moves: &[CursorMove]) -> Vec<Document> {
    let mut together: HashMap<(ConversationId, Seq, Seq), Vec<UserId>> = HashMap::new();
    for to in moves {
        let place = (to.conversation, to.delivered, to.read);
        together.entry(place).or_default().push(to.user);
    }
    together
        .into_iter()
        .map(|((conversation, delivered, read), users)| {
            let users: Vec<Bson> = users.into_iter().map(user_key).map(Bson::from).collect();
            doc! {
                "q": { "conversation": conversation.to_string(), "user": { "$in": users } },
                "u": { "$max": { "deliveredSeq": number(delivered), "readSeq": number(read) } },
                "multi": true,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RoomId;

    #[test]
    fn members_that_move_alike_share_a_statement() {
        let to = |room: u8, user: u8, seq: u64| CursorMove {
            conversation: RoomId::from_bytes([room; 12]).into(),
            user: UserId::from_bytes([user; 12]),
            delivered: Seq::new(seq),
            read: Seq::ZERO,
        };
        let moves = [to(1, 1, 7), to(1, 2, 7), to(1, 3, 8), to(2, 1, 7)];
        let mut sizes: Vec<usize> = statements(&moves)
            .iter()
            .map(|statement| statement.get_document("q").unwrap())
            .map(|query| query.get_document("user").unwrap())
            .map(|user| user.get_array("$in").unwrap().len())
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 2]);
    }
}
