//! `/room` (make one, as in the seed) and `/rooms`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::chat::{Chat, ChatError, NewRoomRequest, RoomView};
use crate::domain::{ChangeKind, Conversation, ConversationId, RoomId, RoomName, UserId};
use crate::wire::{Moment, Shown};

use super::ApiError;
use super::extract::{Bearer, JsonBody, Params, PathIds, id};
use super::links::Links;

/// A room to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewRoom)]
pub(super) struct NewRoomBody {
    /// 1–80 characters.
    name: String,
    /// User ids; the caller need not be among them.
    #[serde(default)]
    members: Vec<String>,
}

/// A room's new name.
#[derive(Deserialize, ToSchema)]
#[schema(as = RoomName)]
pub(super) struct NameBody {
    /// 1–80 characters.
    name: String,
}

/// Which page of a list by id.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageParams {
    /// The last id of the page before.
    pub(super) after: Option<String>,
    /// How many: 50 by default, at most 200.
    pub(super) limit: Option<usize>,
}

/// A room.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Room)]
pub(super) struct RoomJson {
    /// Its id.
    #[serde(rename = "_id")]
    #[schema(value_type = String)]
    id: Shown<ConversationId>,
    /// The same id: a room is a conversation.
    #[schema(value_type = String)]
    conversation_id: Shown<ConversationId>,
    /// Its name.
    name: String,
    /// Who made it.
    #[schema(value_type = Option<String>)]
    creator: Option<Shown<UserId>>,
    /// When, RFC 3339.
    #[schema(value_type = String)]
    created_at: Moment,
    /// The ids of its members; only in the answer that made it, for others see `/rooms/{roomId}/members`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    members: Option<Vec<Shown<UserId>>>,
    /// What the caller may do: `member`, `admin` or `owner`.
    role: &'static str,
    /// The first seq that is the caller's to read.
    joined_seq: u64,
    /// The last seq the caller's devices have acknowledged.
    delivered_seq: u64,
    /// The last seq the caller has read.
    read_seq: u64,
}

impl RoomJson {
    fn made(room: &Conversation, members: Vec<UserId>) -> Self {
        Self {
            id: Shown(room.id),
            conversation_id: Shown(room.id),
            name: name_of(room),
            creator: room.creator.map(Shown),
            created_at: Moment(room.created_at),
            members: Some(members.into_iter().map(Shown).collect()),
            role: "owner",
            joined_seq: 1,
            delivered_seq: 0,
            read_seq: 0,
        }
    }
}

impl From<&RoomView> for RoomJson {
    fn from(view: &RoomView) -> Self {
        Self {
            members: None,
            role: view.member.role.as_str(),
            joined_seq: view.member.joined_seq.get(),
            delivered_seq: view.member.delivered_seq.get(),
            read_seq: view.member.read_seq.get(),
            ..Self::made(&view.conversation, Vec::new())
        }
    }
}

/// A conversation's name; empty for one without, which no room is.
pub(super) fn name_of(conversation: &Conversation) -> String {
    let name = conversation.name.as_ref();
    name.map_or_else(String::new, |name| name.as_str().to_owned())
}

fn room_name(text: &str) -> Result<RoomName, ApiError> {
    RoomName::parse(text).map_err(|error| ChatError::text("name", error).into())
}

/// Make a room. The caller becomes its owner and a member.
///
/// All members are told by the first event of the room's log (seq 1): `room_updated` with `change: "created"`.
#[utoipa::path(post, path = "/room", operation_id = "createRoom",
    tag = "rooms", request_body = NewRoomBody,
    responses((status = 201, description = "Made", body = RoomJson)))]
pub(super) async fn create(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    JsonBody(body): JsonBody<NewRoomBody>,
) -> Result<(StatusCode, Json<RoomJson>), ApiError> {
    let name = room_name(&body.name)?;
    let members = body.members.iter().map(|text| id("members", text));
    let members = members.collect::<Result<_, _>>()?;
    let request = NewRoomRequest { name, members };
    let (room, members) = chat.create_room(caller, request).await?;
    Ok((StatusCode::CREATED, Json(RoomJson::made(&room, members))))
}

/// The caller's rooms, by id.
#[utoipa::path(get, path = "/rooms", operation_id = "listRooms",
    tag = "rooms", params(PageParams),
    responses((status = 200, description = "A page, with a `Link` to the next", body = Vec<RoomJson>)))]
pub(super) async fn list(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<PageParams>,
) -> Result<(HeaderMap, Json<Vec<RoomJson>>), ApiError> {
    let after = params.after.as_deref();
    let after: Option<RoomId> = after.map(|text| id("after", text)).transpose()?;
    let rooms = chat.rooms(caller, after, params.limit).await?;
    let limit = chat.limits().page(params.limit);
    let mut links = Links::of(&uri, limit);
    if let Some(last) = rooms.last().filter(|_| rooms.len() == limit) {
        links.add("next", "after", last.conversation.id);
    }
    let page = rooms.iter().map(RoomJson::from).collect();
    Ok((links.headers(), Json(page)))
}

/// A room's details.
#[utoipa::path(get, path = "/rooms/{roomId}", operation_id = "getRoom",
    tag = "rooms", params(("roomId" = String, Path)),
    responses((status = 200, description = "The room", body = RoomJson)))]
pub(super) async fn details(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    ids: PathIds,
) -> Result<Json<RoomJson>, ApiError> {
    let view = chat.room(caller, ids.room("roomId")?).await?;
    Ok(Json(RoomJson::from(&view)))
}

/// Rename a room (admins and the owner).
#[utoipa::path(patch, path = "/rooms/{roomId}", operation_id = "renameRoom",
    tag = "rooms", params(("roomId" = String, Path)),
    request_body = NameBody, responses((status = 200, description = "The room as it is now", body = RoomJson)))]
pub(super) async fn rename(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    ids: PathIds,
    JsonBody(body): JsonBody<NameBody>,
) -> Result<Json<RoomJson>, ApiError> {
    let room = ids.room("roomId")?;
    let name = room_name(&body.name)?;
    chat.change(room.into(), caller, ChangeKind::Rename { name })
        .await?;
    Ok(Json(RoomJson::from(&chat.room(caller, room).await?)))
}

/// Delete a room (its owner).
#[utoipa::path(delete, path = "/rooms/{roomId}", operation_id = "deleteRoom",
    tag = "rooms", params(("roomId" = String, Path)),
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    ids: PathIds,
) -> Result<StatusCode, ApiError> {
    let room = ids.room("roomId")?;
    chat.change(room.into(), caller, ChangeKind::DeleteRoom)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
