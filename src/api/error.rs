//! What a refused request is answered over HTTP: what the use cases refuse as every edge tells it, and besides what is
//! wrong with a request before a use case sees it. `docs/errors.md` lists all codes, and a test compares.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::chat::ChatError;
use crate::refusal;
use crate::wire::{ErrorJson, encode};

/// Why a request over HTTP is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// A use case refuses it.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// There is no such path.
    #[error("no such path")]
    NotFound,
    /// There is such a path, for other methods: see `Allow`.
    #[error("this path does not have this method")]
    MethodNotAllowed,
    /// The body is larger than any valid request.
    #[error("the body is too large")]
    PayloadTooLarge,
    /// The head of the request, its line and headers, is larger than any valid one.
    #[error("the request's line and headers are too large")]
    HeadTooLarge,
    /// There is not one Host header, or it is none.
    #[error("a request has one Host header, of the form host or host:port")]
    InvalidHost,
    /// The admin port is not served under this name.
    #[error("this port is not served under that name; see the setting admin_hosts")]
    WrongHost,
    /// The request took longer than any valid one.
    #[error("the request took too long")]
    RequestTimeout,
    /// The body is not announced as JSON.
    #[error("the body must be sent as application/json")]
    UnsupportedMediaType,
}

/// The code of a refusal, left in its answer for whoever counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefusalCode(pub(super) &'static str);

impl ApiError {
    /// What it is called in its answer, which programs compare.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Chat(error) => error.code(),
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PayloadTooLarge => "payload_too_large",
            Self::HeadTooLarge => "head_too_large",
            Self::InvalidHost => "invalid_host",
            Self::WrongHost => "wrong_host",
            Self::RequestTimeout => "request_timeout",
            Self::UnsupportedMediaType => "unsupported_media_type",
        }
    }

    /// The status of its answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Chat(error) => refusal::status(error),
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::InvalidHost => StatusCode::BAD_REQUEST,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// The seconds of a `Retry-After` header, if the answer has one.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Chat(error) => refusal::retry_after(error),
            _ => None,
        }
    }

    fn json(&self) -> ErrorJson<'_> {
        match self {
            Self::Chat(error) => error.into(),
            _ => ErrorJson::new(self.code(), self.to_string()),
        }
    }

    /// A request that is not of the documented form; the text says how.
    pub(super) fn invalid(problem: impl Into<String>) -> Self {
        Self::Chat(ChatError::InvalidRequest(problem.into()))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = encode(&self.json());
        let json = HeaderValue::from_static("application/json");
        let mut response = (status, [(CONTENT_TYPE, json)], body).into_response();
        response.extensions_mut().insert(RefusalCode(self.code()));
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, challenge(&self));
        }
        if let Some(wait) = self.retry_after() {
            headers.insert(RETRY_AFTER, wait.into());
        }
        response
    }
}

/// RFC 6750, section 3: without a token there is no error to name.
const fn challenge(error: &ApiError) -> HeaderValue {
    HeaderValue::from_static(match error {
        ApiError::Chat(ChatError::TokenInvalid | ChatError::TokenExpired) => {
            "Bearer error=\"invalid_token\""
        }
        _ => "Bearer",
    })
}
