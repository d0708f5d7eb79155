//! `/register`, `/login`, `/refresh`, `/logout`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::chat::{Chat, Credentials, SignedIn};
use crate::domain::UserId;
use crate::wire::Shown;

use super::ApiError;
use super::extract::{JsonBody, Stranger};

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[schema(as = Credentials)]
pub(super) struct CredentialsBody {
    /// 1–64 characters.
    username: String,
    /// 8–256 bytes.
    password: String,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RefreshToken)]
pub(super) struct RefreshBody {
    /// As it was given by `/register`, `/login` or `/refresh`.
    refresh_token: String,
}

/// A user's tokens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub(super) struct SessionJson {
    /// Whose.
    #[schema(value_type = String)]
    user_id: Shown<UserId>,
    /// Their name, as they wrote it when they registered.
    username: String,
    /// The access token, for `Authorization: Bearer` and for sockets.
    token: String,
    /// Good for one `/refresh`.
    refresh_token: String,
    /// How long the access token is valid, in seconds.
    expires_in: u64,
}

impl From<SignedIn> for SessionJson {
    fn from(session: SignedIn) -> Self {
        Self {
            user_id: Shown(session.user.id),
            username: session.user.username.as_str().to_owned(),
            token: session.grant.access_token,
            refresh_token: session.grant.refresh_token,
            expires_in: session.grant.expires_in.as_secs(),
        }
    }
}

/// Register a user.
#[utoipa::path(post, path = "/register", operation_id = "register",
    tag = "accounts", security(()), request_body = CredentialsBody,
    responses((status = 201, description = "Registered and logged in", body = SessionJson)))]
pub(super) async fn register(
    State(chat): State<Arc<Chat>>,
    Stranger(from): Stranger,
    JsonBody(body): JsonBody<CredentialsBody>,
) -> Result<(StatusCode, Json<SessionJson>), ApiError> {
    let typed = Credentials::new(&body.username, &body.password);
    let session = chat.register(typed, from).await?;
    Ok((StatusCode::CREATED, Json(session.into())))
}

/// Log in.
#[utoipa::path(post, path = "/login", operation_id = "logIn",
    tag = "accounts", security(()), request_body = CredentialsBody,
    responses((status = 200, description = "Logged in", body = SessionJson)))]
pub(super) async fn login(
    State(chat): State<Arc<Chat>>,
    Stranger(from): Stranger,
    JsonBody(body): JsonBody<CredentialsBody>,
) -> Result<Json<SessionJson>, ApiError> {
    let typed = Credentials::new(&body.username, &body.password);
    Ok(Json(chat.login(typed, from).await?.into()))
}

/// Exchange a refresh token, once, for a new pair of tokens.
#[utoipa::path(post, path = "/refresh", operation_id = "refresh",
    tag = "accounts", security(()), request_body = RefreshBody,
    responses((status = 200, description = "The new pair", body = SessionJson)))]
pub(super) async fn refresh(
    State(chat): State<Arc<Chat>>,
    _stranger: Stranger,
    JsonBody(body): JsonBody<RefreshBody>,
) -> Result<Json<SessionJson>, ApiError> {
    Ok(Json(chat.refresh(&body.refresh_token).await?.into()))
}

/// End a refresh token, which is all that is needed for it. The access token stays valid until it expires.
#[utoipa::path(post, path = "/logout", operation_id = "logOut",
    tag = "accounts", security(()), request_body = RefreshBody,
    responses((status = 204, description = "Ended, or unknown")))]
pub(super) async fn logout(
    State(chat): State<Arc<Chat>>,
    // Not a caller: who comes back after their access token has expired logs out, too.
    _stranger: Stranger,
    JsonBody(body): JsonBody<RefreshBody>,
) -> Result<StatusCode, ApiError> {
    chat.logout(&body.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}
