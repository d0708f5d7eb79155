//! A user's list of conversations, most recent first. Knows nothing of presence or of other users' cursors.

use rusqlite::{Connection, params};

use super::columns::{ConversationKey, MESSAGE, conversation_id, number};
use super::failure::SqliteFailure;
use super::{conversations, log};
use crate::domain::{ConversationId, Member, Seq, UserId};
use crate::store::{End, Overview, Span};

/// A conversation in the list: its place is by its newest message that the user may see, else by its creation.
struct ListedConversation {
    conversation: ConversationId,
    active: bool,
}

pub(super) fn overviews(
    connection: &Connection,
    user: UserId,
    after: Option<ConversationId>,
    most: usize,
) -> Result<Vec<Overview>, SqliteFailure> {
    let places = places(connection, user)?;
    // One that the user has left since the last page keeps its place, so that paging goes on behind it.
    let begin = match after {
        None => 0,
        Some(id) => places
            .iter()
            .position(|place| place.conversation == id)
            .map_or(places.len(), |last| last + 1),
    };
    let page = places[begin..].iter().filter(|place| place.active);
    let mut overviews = Vec::new();
    for place in page.take(most) {
        overviews.extend(overview(connection, place.conversation, user)?);
    }
    Ok(overviews)
}

/// All of a user's conversations, former ones included, in the list's order.
fn places(connection: &Connection, user: UserId) -> Result<Vec<ListedConversation>, SqliteFailure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT c.id, m.left_seq IS NULL
         FROM members m JOIN conversations c ON c.id = m.conversation
         WHERE m.user = ?1
         ORDER BY coalesce((SELECT e.at FROM events e
                            WHERE e.conversation = m.conversation AND e.kind = {MESSAGE}
                              AND e.seq BETWEEN m.joined_seq AND coalesce(m.left_seq, ?2)
                            ORDER BY e.seq DESC LIMIT 1), c.created_at) DESC, c.id DESC"
    ))?;
    let key = params![user.to_bytes(), number(Seq::MAX)];
    let rows = find.query_map(key, |row| {
        Ok(ListedConversation {
            conversation: conversation_id(row, 0)?,
            active: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn overview(
    connection: &Connection,
    id: ConversationId,
    user: UserId,
) -> Result<Option<Overview>, SqliteFailure> {
    let conversation = conversations::by_id(connection, id)?;
    let member = conversations::member_of(connection, id, user)?;
    let (Some(conversation), Some(member)) = (conversation, member) else {
        return Ok(None);
    };
    let theirs = Span {
        conversation: id,
        after: member.joined_seq.previous(),
        up_to: member.last_seq(),
    };
    Ok(Some(Overview {
        conversation,
        head: log::head(connection, id)?,
        last_message: log::messages(connection, &theirs, End::Newest, 1)?.pop(),
        unread: unread(connection, &member)?,
        member,
    }))
}

/// Messages of others after readSeq that still say something, counted up to the limit.
fn unread(connection: &Connection, member: &Member) -> Result<u64, SqliteFailure> {
    let mut count = connection.prepare_cached(&format!(
        "SELECT count(*) FROM (SELECT 1 FROM events
         WHERE conversation = ?1 AND seq > ?2 AND kind = {MESSAGE} AND sender <> ?3 AND deleted_at IS NULL
         ORDER BY seq LIMIT ?4)"
    ))?;
    let parameters = params![
        ConversationKey::of(member.conversation),
        number(member.read_seq.max(member.joined_seq.previous())),
        member.user.to_bytes(),
        i64::try_from(Overview::UNREAD_LIMIT).unwrap_or(i64::MAX),
    ];
    let count: i64 = count.query_row(parameters, |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}
