//! How a use case's refusal is told to clients: its JSON text, the same on every edge, and over HTTP its status and when
//! to come back. The only file that decides the statuses. What is refused, and under which code, the use cases say;
//! `docs/errors.md` lists them all, and a test compares.

use axum::http::StatusCode;

use crate::chat::ChatError;
use crate::domain::Refusal;
use crate::wire::ErrorJson;

impl From<&ChatError> for ErrorJson<'_> {
    fn from(error: &ChatError) -> Self {
        Self::new(error.code(), error.to_string()).after(error.retry_after())
    }
}

/// The HTTP status of its answer.
#[must_use]
pub const fn status(error: &ChatError) -> StatusCode {
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

/// When the same request may succeed, in whole seconds (`Retry-After`; RFC 9110, 10.2.3), rounded up; none when it will
/// not. Where that is not known it is soon: an election takes a few seconds, a full queue less.
#[must_use]
pub fn retry_after(error: &ChatError) -> Option<u64> {
    let wait = error.retry_after().map_or(0, |wait| wait.as_secs());
    error.is_retryable().then_some(wait + 1)
}
