//! What handlers take from a request: the caller, the ids of the path, the query, the body. Knows how each can be
//! wrong, and turns every way into the documented error.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::auth::bearer;
use crate::chat::{Chat, ChatError};
use crate::domain::{ClientNetwork, Origin, RoomId, UserId};
use crate::traces::{TRACE_PARENT, TraceContext};

use super::ApiError;

/// The user of the access token in `Authorization: Bearer`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bearer(pub(super) UserId);

impl FromRequestParts<Arc<Chat>> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, chat: &Arc<Chat>) -> Result<Self, ApiError> {
        let token = bearer_token(&parts.headers).ok_or(ChatError::TokenMissing)?;
        let user = chat.authenticate(token)?.user;
        chat.admit(user)?;
        Ok(Self(user))
    }
}

/// Whoever is not known yet, and may try to become it: counted by address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stranger(pub(super) Option<ClientNetwork>);

impl FromRequestParts<Arc<Chat>> for Stranger {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, chat: &Arc<Chat>) -> Result<Self, ApiError> {
        // Without a socket, as in tests, there is no address.
        let origin = parts.extensions.get::<Origin>().copied();
        if let Some(origin) = origin {
            chat.admit_sign_in(origin.network).await?;
        }
        Ok(Self(origin.map(|origin| origin.network)))
    }
}

/// Where the caller's own trace is, if it says so and we trace at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct TraceParent(pub(super) Option<TraceContext>);

impl FromRequestParts<Arc<Chat>> for TraceParent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, chat: &Arc<Chat>) -> Result<Self, ApiError> {
        if !chat.traces().is_on() {
            return Ok(Self(None));
        }
        let header = parts.headers.get(TRACE_PARENT);
        let header = header.and_then(|header| header.to_str().ok());
        // One that cannot be read is ignored, says the specification.
        Ok(Self(header.and_then(TraceContext::parse)))
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    bearer(headers.get(AUTHORIZATION)?.to_str().ok()?)
}

/// The ids in the path.
#[derive(Debug)]
pub(super) struct PathIds(RawPathParams);

impl PathIds {
    pub(super) fn user(&self, name: &'static str) -> Result<UserId, ApiError> {
        self.id(name)
    }

    pub(super) fn room(&self, name: &'static str) -> Result<RoomId, ApiError> {
        self.id(name)
    }

    fn id<T: FromStr>(&self, name: &'static str) -> Result<T, ApiError> {
        let found = self.0.iter().find(|(key, _)| *key == name);
        let parsed = found.and_then(|(_, text)| text.parse().ok());
        parsed.ok_or(ApiError::Chat(ChatError::InvalidId { field: name }))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let raw = RawPathParams::from_request_parts(parts, state).await;
        raw.map(Self)
            .map_err(|rejection| ApiError::invalid(rejection.body_text()))
    }
}

#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await;
        query
            .map(|Query(params)| Self(params))
            .map_err(|rejection| ApiError::invalid(rejection.body_text()))
    }
}

#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    ApiError::PayloadTooLarge
                } else {
                    ApiError::invalid("the body could not be read")
                }
            })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ApiError::invalid(format!("the body is not as documented: {error}")))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value.map_or("", |value| {
        value.split(';').next().unwrap_or_default().trim()
    });
    essence.eq_ignore_ascii_case("application/json")
}

/// An id in a body.
pub(super) fn id<T: FromStr>(field: &'static str, text: &str) -> Result<T, ApiError> {
    text.parse()
        .map_err(|_| ApiError::Chat(ChatError::InvalidId { field }))
}

/// A user id that clients of the seed send, and that must be the token's.
pub(super) fn must_be(
    caller: UserId,
    field: &'static str,
    given: Option<&str>,
) -> Result<(), ApiError> {
    match given.map(|text| id::<UserId>(field, text)).transpose()? {
        Some(user) if user != caller => Err(ChatError::WrongUser { field }.into()),
        _ => Ok(()),
    }
}
