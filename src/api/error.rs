//! Which status each refusal has: the only file that decides it. What is refused, and under which code, the use cases
//! say; `docs/errors.md` lists them all, and a test compares.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::chat::ChatError;
use crate::domain::Refusal;
use crate::wire::{ErrorJson, encode};

/// How soon a retry is worth it, in seconds: an election takes a few, a full queue less.
const RETRY_AFTER_SECONDS: &str = "1";

/// A refused request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// By a use case.
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
pub(super) struct Refused(pub(super) &'static str);

impl ApiError {
    /// The stable code.
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

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Chat(error) => chat_status(error),
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

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Chat(error) => error.retry_after(),
            _ => None,
        }
    }

    /// A request that is not of the documented form; the text says how.
    pub(super) fn invalid(problem: impl Into<String>) -> Self {
        Self::Chat(ChatError::InvalidRequest(problem.into()))
    }
}

const fn chat_status(error: &ChatError) -> StatusCode {
    match error {
        ChatError::InvalidRequest(_)
        | ChatError::InvalidId { .. }
        | ChatError::InvalidText { .. }
        | ChatError::UnknownEvent
        | ChatError::InvalidPassword
        | ChatError::ResumeTooLarge { .. }
        | ChatError::LimitExceeded { .. } => StatusCode::BAD_REQUEST,
        ChatError::TokenMissing
        | ChatError::TokenInvalid
        | ChatError::TokenExpired
        | ChatError::InvalidCredentials => StatusCode::UNAUTHORIZED,
        ChatError::WrongUser { .. } | ChatError::SearchDisabled => StatusCode::FORBIDDEN,
        ChatError::UserNotFound => StatusCode::NOT_FOUND,
        ChatError::UsernameTaken
        | ChatError::ClientMessageIdReused
        | ChatError::TooManyRooms { .. }
        | ChatError::TooManySessions { .. } => StatusCode::CONFLICT,
        ChatError::Refused(refusal) => refusal_status(*refusal),
        ChatError::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
        ChatError::RateLimited { .. } | ChatError::QuotaExceeded { .. } => {
            StatusCode::TOO_MANY_REQUESTS
        }
        ChatError::Busy | ChatError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ChatError::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

const fn refusal_status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::NotAMember | Refusal::NotAllowed => StatusCode::FORBIDDEN,
        Refusal::NoSuchMember | Refusal::NoSuchMessage => StatusCode::NOT_FOUND,
        Refusal::AlreadyAMember
        | Refusal::RoomFull
        | Refusal::MessageDeleted
        | Refusal::TooManyReactions => StatusCode::CONFLICT,
        Refusal::DirectConversation => StatusCode::BAD_REQUEST,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let message = self.to_string();
        let wait = self.retry_after();
        let body = encode(&ErrorJson::new(self.code(), &message).after(wait));
        let json = HeaderValue::from_static("application/json");
        let mut response = (status, [(CONTENT_TYPE, json)], body).into_response();
        response.extensions_mut().insert(Refused(self.code()));
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, challenge(&self));
        }
        if let Some(wait) = wait {
            // Whole seconds (RFC 9110, 10.2.3), rounded up.
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
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
