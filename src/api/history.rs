//! Messages: `/message/{userId}/{otherUserId}`, `/room/{roomId}` and `/group`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use crate::chat::{Chat, ChatError, HistoryPage, Range};
use crate::domain::{Refusal, Seq};
use crate::metrics::Metrics;
use crate::wire::MessageJson;

use super::ApiError;
use super::answer::json;
use super::extract::{Bearer, JsonBody, Params, PathIds, TraceParent, id, must_be};
use super::links::Links;
use super::reading::PageReader;

/// Which messages: the newest page by default.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryParams {
    /// Only messages with a smaller seq; the newest of them.
    before: Option<u64>,
    /// Only messages with a greater seq; the oldest of them.
    after: Option<u64>,
    /// How many: 50 by default, at most 200; fewer when they are long.
    limit: Option<usize>,
}

impl HistoryParams {
    fn range(&self) -> Range {
        Range {
            before: self.before.map(Seq::new),
            after: self.after.map(Seq::new),
            limit: self.limit,
        }
    }
}

/// A message for a room.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewGroupMessage)]
pub(super) struct GroupBody {
    /// The room.
    room_id: String,
    /// At most 16 KiB of UTF-8.
    content: String,
    /// The sender's own id for it: a retry with the same id is not stored twice.
    client_message_id: Option<String>,
    /// Accepted for compatibility; must be the token's user.
    sender_id: Option<String>,
}

/// The direct messages of two users, one of them the caller, oldest first.
#[utoipa::path(get, path = "/message/{userId}/{otherUserId}", operation_id = "directHistory",
    tag = "messages",
    params(("userId" = String, Path), ("otherUserId" = String, Path), HistoryParams),
    responses((status = 200, description = "A page, with `Link`s to `prev` and `next`",
        body = Vec<MessageJson<'static>>)))]
pub(super) async fn direct(
    State(chat): State<Arc<Chat>>,
    reader: PageReader,
    OriginalUri(uri): OriginalUri,
    ids: PathIds,
    Params(params): Params<HistoryParams>,
) -> Result<Response, ApiError> {
    let caller = reader.caller;
    let (one, two) = (ids.user("userId")?, ids.user("otherUserId")?);
    let other = match (one == caller, two == caller) {
        (true, _) => two,
        (false, true) => one,
        (false, false) => return Err(ChatError::Refused(Refusal::NotAMember).into()),
    };
    let page = chat.direct_history(caller, other, params.range()).await?;
    Ok(answer(reader, &chat, &uri, &params, &page))
}

/// The messages of a room, oldest first (members only).
#[utoipa::path(get, path = "/room/{roomId}", operation_id = "roomHistory",
    tag = "messages",
    params(("roomId" = String, Path), HistoryParams),
    responses((status = 200, description = "A page, with `Link`s to `prev` and `next`",
        body = Vec<MessageJson<'static>>)))]
pub(super) async fn room(
    State(chat): State<Arc<Chat>>,
    reader: PageReader,
    OriginalUri(uri): OriginalUri,
    ids: PathIds,
    Params(params): Params<HistoryParams>,
) -> Result<Response, ApiError> {
    let room = ids.room("roomId")?;
    let page = chat
        .room_history(reader.caller, room, params.range())
        .await?;
    Ok(answer(reader, &chat, &uri, &params, &page))
}

/// Send a message to a room; delivered live as well.
#[utoipa::path(post, path = "/group", operation_id = "sendToRoom",
    tag = "messages", request_body = GroupBody,
    responses((status = 201, description = "Stored; for a retry, the original", body = MessageJson<'static>)))]
pub(super) async fn send_to_room(
    State(chat): State<Arc<Chat>>,
    Extension(metrics): Extension<Metrics>,
    Bearer(caller): Bearer,
    client: TraceParent,
    JsonBody(body): JsonBody<GroupBody>,
) -> Result<Response, ApiError> {
    let receiving = chat.traces().receive("rest", None, client.0);
    must_be(caller, "senderId", body.sender_id.as_deref())?;
    let room = id("roomId", &body.room_id)?;
    let draft = chat
        .draft(&body.content, body.client_message_id.as_deref())?
        .traced(receiving);
    let begun = Instant::now();
    let sending = chat.submit_room(caller, room, draft, None)?;
    metrics.messages_in_rest.increment(1);
    let event = sending.stored().await?;
    metrics.ack_seconds.record(begun.elapsed());
    let message = MessageJson::live(&event).ok_or(ChatError::Internal)?;
    Ok((StatusCode::CREATED, json(&message)).into_response())
}

fn answer(
    reader: PageReader,
    chat: &Chat,
    uri: &Uri,
    params: &HistoryParams,
    page: &HistoryPage,
) -> Response {
    let mut links = Links::of(uri, chat.limits().page(params.limit));
    if let (Some(first), true) = (page.messages.first(), page.has_older) {
        links.add("prev", "before", first.seq);
    }
    if let (Some(last), true) = (page.messages.last(), page.has_newer) {
        links.add("next", "after", last.seq);
    }
    let messages: Vec<_> = page
        .messages
        .iter()
        .filter_map(|event| MessageJson::of(event, |user| page.seen_up_to(user)))
        .collect();
    reader.answer(links.headers(), &messages)
}
