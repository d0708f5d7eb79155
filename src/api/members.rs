//! `/rooms/{roomId}/members`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::chat::Chat;
use crate::domain::{ChangeKind, Member, Role, User, UserId};
use crate::wire::Shown;

use super::ApiError;
use super::extract::{Bearer, JsonBody, Params, PathIds, id};
use super::links::Links;
use super::rooms::PageParams;

/// A user to be added.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewMember)]
pub(super) struct NewMemberBody {
    /// Who.
    user_id: String,
    /// `member` (the default), `admin` or `owner`.
    role: Option<String>,
}

/// A member's new role.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewRole)]
pub(super) struct RoleBody {
    /// `member`, `admin` or `owner`.
    role: String,
}

/// Who may do what in a room.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MemberRole)]
pub(super) struct RoleJson {
    /// Who.
    #[schema(value_type = String)]
    user_id: Shown<UserId>,
    /// `member`, `admin` or `owner`.
    role: &'static str,
}

/// A member of a room.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Member)]
pub(super) struct MemberJson {
    /// Who.
    #[schema(value_type = String)]
    user_id: Shown<UserId>,
    /// Their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// `member`, `admin` or `owner`.
    role: &'static str,
    /// The first seq that is theirs.
    joined_seq: u64,
    /// The last seq their devices have acknowledged.
    delivered_seq: u64,
    /// The last seq they have read.
    read_seq: u64,
}

impl From<(Member, Option<User>)> for MemberJson {
    fn from((member, user): (Member, Option<User>)) -> Self {
        Self {
            user_id: Shown(member.user),
            username: user.map(|user| user.username.as_str().to_owned()),
            role: member.role.as_str(),
            joined_seq: member.joined_seq.get(),
            delivered_seq: member.delivered_seq.get(),
            read_seq: member.read_seq.get(),
        }
    }
}

fn role(text: &str) -> Result<Role, ApiError> {
    Role::parse(text).ok_or_else(|| ApiError::invalid("role must be member, admin or owner"))
}

fn role_json(user: UserId, role: Role) -> Json<RoleJson> {
    Json(RoleJson {
        user_id: Shown(user),
        role: role.as_str(),
    })
}

/// A room's members, by user id.
#[utoipa::path(get, path = "/rooms/{roomId}/members", operation_id = "listMembers",
    tag = "rooms",
    params(("roomId" = String, Path), PageParams),
    responses((status = 200, description = "A page, with a `Link` to the next", body = Vec<MemberJson>)))]
pub(super) async fn list(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    OriginalUri(uri): OriginalUri,
    ids: PathIds,
    Params(params): Params<PageParams>,
) -> Result<(HeaderMap, Json<Vec<MemberJson>>), ApiError> {
    let after = params.after.as_deref();
    let after: Option<UserId> = after.map(|text| id("after", text)).transpose()?;
    let room = ids.room("roomId")?;
    let members = chat.members(caller, room, after, params.limit).await?;
    let limit = chat.limits().page(params.limit);
    let mut links = Links::of(&uri, limit);
    if let Some((last, _)) = members.last().filter(|_| members.len() == limit) {
        links.add("next", "after", last.user);
    }
    let page = members.into_iter().map(MemberJson::from).collect();
    Ok((links.headers(), Json(page)))
}

/// Add a user (admins and the owner).
#[utoipa::path(post, path = "/rooms/{roomId}/members", operation_id = "addMember",
    tag = "rooms", params(("roomId" = String, Path)),
    request_body = NewMemberBody, responses((status = 201, description = "Added", body = RoleJson)))]
pub(super) async fn add(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    ids: PathIds,
    JsonBody(body): JsonBody<NewMemberBody>,
) -> Result<(StatusCode, Json<RoleJson>), ApiError> {
    let user = id("userId", &body.user_id)?;
    let given = body.role.as_deref().map(role).transpose()?;
    let given = given.unwrap_or(Role::Member);
    chat.add_member(caller, ids.room("roomId")?, user, given)
        .await?;
    Ok((StatusCode::CREATED, role_json(user, given)))
}

/// Give a member another role (the owner).
#[utoipa::path(patch, path = "/rooms/{roomId}/members/{userId}", operation_id = "changeRole",
    tag = "rooms",
    params(("roomId" = String, Path), ("userId" = String, Path)), request_body = RoleBody,
    responses((status = 200, description = "The role as it is now", body = RoleJson)))]
pub(super) async fn change_role(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    ids: PathIds,
    JsonBody(body): JsonBody<RoleBody>,
) -> Result<Json<RoleJson>, ApiError> {
    let (room, user) = (ids.room("roomId")?, ids.user("userId")?);
    let given = role(&body.role)?;
    let kind = ChangeKind::ChangeRole { user, role: given };
    chat.change(room.into(), caller, kind).await?;
    Ok(role_json(user, given))
}

/// Remove a member (admins and the owner), or leave.
#[utoipa::path(delete, path = "/rooms/{roomId}/members/{userId}", operation_id = "removeMember",
    tag = "rooms",
    params(("roomId" = String, Path), ("userId" = String, Path)),
    responses((status = 204, description = "Removed, or left")))]
pub(super) async fn remove(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    ids: PathIds,
) -> Result<StatusCode, ApiError> {
    let (room, user) = (ids.room("roomId")?, ids.user("userId")?);
    let kind = ChangeKind::RemoveMember { user };
    chat.change(room.into(), caller, kind).await?;
    Ok(StatusCode::NO_CONTENT)
}
