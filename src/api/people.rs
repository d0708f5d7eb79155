//! `/users`, `/me` and `/presence`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::chat::{Chat, Profile};
use crate::domain::{User, UserId};
use crate::wire::{Moment, Shown};

use super::ApiError;
use super::docs::QUERY;
use super::extract::{Bearer, Params, PathIds, id};

/// Whom to look for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchParams {
    /// What the username begins with, in any case.
    query: String,
    /// How many: 20 by default and at most.
    limit: Option<usize>,
}

/// Whose presence.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PresenceParams {
    /// User ids, separated by commas; at most 100.
    ids: String,
}

/// A user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(super) struct UserJson {
    /// Their id.
    #[schema(value_type = String)]
    user_id: Shown<UserId>,
    /// Their name, as they wrote it.
    username: String,
    /// When they registered, RFC 3339.
    #[schema(value_type = String)]
    created_at: Moment,
    /// When their last session ended, RFC 3339; `null` before the first, and to whom it is not told: by default it is to
    /// those who share a conversation.
    #[schema(value_type = Option<String>)]
    last_seen_at: Option<Moment>,
    /// Whether they are online; only in a profile, and absent when that is not known now.
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<bool>,
}

impl UserJson {
    fn new(user: &User, online: Option<bool>) -> Self {
        Self {
            user_id: Shown(user.id),
            username: user.username.as_str().to_owned(),
            created_at: Moment(user.created_at),
            last_seen_at: user.last_seen_at.map(Moment),
            online,
        }
    }
}

impl From<Profile> for Json<UserJson> {
    fn from(profile: Profile) -> Self {
        Self(UserJson::new(&profile.user, profile.online))
    }
}

/// Whether a user is there.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Presence)]
pub(super) struct PresenceJson {
    /// Whether they are online.
    online: bool,
    /// When their last session ended, RFC 3339; `null` before the first, and to whom it is not told.
    #[schema(value_type = Option<String>)]
    last_seen_at: Option<Moment>,
}

/// Users whose name begins with a text, by name.
#[utoipa::path(get, path = "/users", operation_id = "searchUsers",
    tag = "people", params(SearchParams),
    responses((status = 200, description = "Those found", body = Vec<UserJson>)))]
pub(super) async fn search(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    Params(params): Params<SearchParams>,
) -> Result<Json<Vec<UserJson>>, ApiError> {
    if params.query.chars().count() > QUERY {
        return Err(ApiError::invalid("query is too long"));
    }
    let users = chat
        .search_users(caller, &params.query, params.limit)
        .await?;
    let users = users.iter().map(|user| UserJson::new(user, None));
    Ok(Json(users.collect()))
}

/// A user's profile.
#[utoipa::path(get, path = "/users/{userId}", operation_id = "getUser",
    tag = "people", params(("userId" = String, Path)),
    responses((status = 200, description = "The user", body = UserJson)))]
pub(super) async fn profile(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    ids: PathIds,
) -> Result<Json<UserJson>, ApiError> {
    Ok(chat.profile(caller, ids.user("userId")?).await?.into())
}

/// The caller's own profile.
#[utoipa::path(get, path = "/me", operation_id = "getMe",
    tag = "people",
    responses((status = 200, description = "The caller", body = UserJson)))]
pub(super) async fn me(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
) -> Result<Json<UserJson>, ApiError> {
    Ok(chat.profile(caller, caller).await?.into())
}

/// Whether users are online, by user id. Users that do not exist are left out.
#[utoipa::path(get, path = "/presence", operation_id = "getPresence",
    tag = "people", params(PresenceParams),
    responses((status = 200, description = "Their presence", body = BTreeMap<String, PresenceJson>)))]
pub(super) async fn presence(
    State(chat): State<Arc<Chat>>,
    Bearer(caller): Bearer,
    Params(params): Params<PresenceParams>,
) -> Result<Json<BTreeMap<Shown<UserId>, PresenceJson>>, ApiError> {
    let ids = params.ids.split(',').filter(|text| !text.is_empty());
    let ids = ids.map(|text| id("ids", text.trim()));
    let ids = ids.collect::<Result<Vec<UserId>, _>>()?;
    let found = chat.presence_of(caller, &ids).await?;
    let entries = found.into_iter().map(|presence| {
        let online = presence.online;
        let last_seen_at = presence.last_seen_at.map(Moment);
        let state = PresenceJson {
            online,
            last_seen_at,
        };
        (Shown(presence.user), state)
    });
    Ok(Json(entries.collect()))
}
