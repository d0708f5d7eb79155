//! `/conversations`.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::chat::{Chat, Listed};
use crate::domain::{ConversationId, RoomId, UserId};
use crate::wire::{MessageJson, Moment, Shown};

use super::ApiError;
use super::extract::{Params, id};
use super::links::Links;
use super::reading::PageReader;
use super::rooms::{PageParams, name_of};

/// A conversation in the caller's list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Conversation)]
pub(super) struct ConversationJson<'a> {
    /// Its id.
    #[schema(value_type = String)]
    conversation_id: Shown<ConversationId>,
    /// `private` or `group`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The other user; private ones only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    user_id: Option<Shown<UserId>>,
    /// The other user's name; private ones only.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    /// The room; groups only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    room_id: Option<Shown<RoomId>>,
    /// The room's name; groups only.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What the caller may do: `member`, `admin` or `owner`.
    role: &'static str,
    /// When it was made, RFC 3339.
    #[schema(value_type = String)]
    created_at: Moment,
    /// The newest event of its log; 0 when there is none.
    last_seq: u64,
    /// The newest message; `null` when there is none.
    last_message: Option<MessageJson<'a>>,
    /// How many messages of others the caller has not read; counting stops at 1000.
    unread_count: u64,
    /// The first seq that is the caller's to read.
    joined_seq: u64,
    /// The last seq the caller's devices have acknowledged.
    delivered_seq: u64,
    /// The last seq the caller has read.
    read_seq: u64,
}

impl<'a> From<&'a Listed> for ConversationJson<'a> {
    fn from(listed: &'a Listed) -> Self {
        let overview = &listed.overview;
        let id = overview.conversation.id;
        let room = match id {
            ConversationId::Room(room) => Some(room),
            ConversationId::Direct(..) => None,
        };
        let peer = id.peer_of(overview.member.user);
        let last = overview.last_message.as_ref();
        Self {
            conversation_id: Shown(id),
            kind: if room.is_some() { "group" } else { "private" },
            user_id: peer.map(Shown),
            username: listed.peer.as_ref().map(|user| user.username.as_str()),
            room_id: room.map(Shown),
            name: room.map(|_| name_of(&overview.conversation)),
            role: overview.member.role.as_str(),
            created_at: Moment(overview.conversation.created_at),
            last_seq: overview.head.get(),
            last_message: last.and_then(|event| MessageJson::of(event, |_| listed.seen_up_to)),
            unread_count: overview.unread,
            joined_seq: overview.member.joined_seq.get(),
            delivered_seq: overview.member.delivered_seq.get(),
            read_seq: overview.member.read_seq.get(),
        }
    }
}

/// The caller's conversations, the one with the newest message first.
#[utoipa::path(get, path = "/conversations", operation_id = "listConversations",
    tag = "conversations", params(PageParams),
    responses((status = 200, description = "A page, with a `Link` to the next",
        body = Vec<ConversationJson<'static>>)))]
pub(super) async fn list(
    State(chat): State<Arc<Chat>>,
    reader: PageReader,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<PageParams>,
) -> Result<Response, ApiError> {
    let after = params.after.as_deref();
    let after: Option<ConversationId> = after.map(|text| id("after", text)).transpose()?;
    let (listed, has_more) = chat
        .conversations(reader.caller, after, params.limit)
        .await?;
    let mut links = Links::of(&uri, chat.limits().page(params.limit));
    if let Some(last) = listed.last().filter(|_| has_more) {
        links.add("next", "after", last.overview.conversation.id);
    }
    let page: Vec<_> = listed.iter().map(ConversationJson::from).collect();
    Ok(reader.answer(links.headers(), &page))
}
