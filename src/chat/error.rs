//! What can go wrong in a use case, with the stable code of each. The edges map codes to their statuses; nothing else
//! decides what a client is told.

use std::time::Duration;

use crate::commit::CommitError;
use crate::domain::{InvalidId, InvalidText, Refusal};
use crate::store::StoreError;

/// A refused or failed request. The code is part of the wire (docs/errors.md); the text is for people.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChatError {
    /// The request is not of the documented form.
    #[error("{0}")]
    InvalidRequest(String),
    /// An id of the wrong form.
    #[error("{field} is not a valid id")]
    InvalidId {
        /// The name of the field in the request.
        field: &'static str,
    },
    /// A text that breaks its rule.
    #[error("{field} {error}")]
    InvalidText {
        /// The name of the field in the request.
        field: &'static str,
        /// The rule that it breaks.
        error: InvalidText,
    },
    /// A password outside its limits.
    #[error("password must have 8 to 256 bytes")]
    InvalidPassword,
    /// There is no token where one is needed.
    #[error("an access token is required")]
    TokenMissing,
    /// The token is malformed, wrongly signed or unknown.
    #[error("the token is not valid")]
    TokenInvalid,
    /// The token has expired: refresh it.
    #[error("the token has expired")]
    TokenExpired,
    /// Unknown user or wrong password: the two look the same.
    #[error("Invalid credentials")]
    InvalidCredentials,
    /// The name is somebody's already.
    #[error("the username is taken")]
    UsernameTaken,
    /// A user id in the request that must be the token's, and is not.
    #[error("{field} is not the user of the token")]
    WrongUser {
        /// The name of the field in the request.
        field: &'static str,
    },
    /// No such user.
    #[error("no such user")]
    UserNotFound,
    /// The change or request is refused by what is stored.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The clientMessageId was used by the same sender in the same conversation for another content (P3).
    #[error("this clientMessageId was used for another content")]
    ClientMessageIdReused,
    /// More in one request than its limit allows.
    #[error("{what} exceeds the limit of {limit}")]
    LimitExceeded {
        /// What there was too much of.
        what: &'static str,
        /// The most there may be.
        limit: usize,
    },
    /// A client names more conversations to resume than one request may.
    #[error(
        "at most {limit} conversations may be resumed by name: leave the others out, they begin at their cursors"
    )]
    ResumeTooLarge {
        /// The most there may be.
        limit: usize,
    },
    /// A user, the caller or another one, is in as many rooms as one may be.
    #[error("a user may be in at most {limit} rooms")]
    TooManyRooms {
        /// The most there may be.
        limit: usize,
    },
    /// The caller, or somebody the request is about, has used up an allowance of the day or hour.
    #[error("{what}: no more for now")]
    QuotaExceeded {
        /// What the allowance is for.
        what: &'static str,
        /// How long until the allowance is renewed.
        retry_after: Duration,
    },
    /// Users may not be looked for here.
    #[error("users cannot be looked for here")]
    SearchDisabled,
    /// A socket event or frame that does not exist.
    #[error("there is no such event")]
    UnknownEvent,
    /// The path is a WebSocket, and was not asked for as one.
    #[error("this path is a WebSocket of version 13")]
    UpgradeRequired,
    /// The client asks faster than it may.
    #[error("too many requests, try again in {} ms", .retry_after.as_millis())]
    RateLimited {
        /// How long until the next request will be granted.
        retry_after: Duration,
    },
    /// One more session than one may have at a time: another one must end first.
    #[error("this {whose} has as many sessions as one may have, {limit}: end another one first")]
    TooManySessions {
        /// Whose share is used up: `user` or `address`.
        whose: &'static str,
        /// The most there may be.
        limit: usize,
    },
    /// This gateway has more to do than it takes on; try again, or elsewhere.
    #[error("the server is busy, try again")]
    Busy,
    /// The store is away, or a write's outcome is not known yet. Retry with the same clientMessageId.
    #[error("temporarily unavailable, try again")]
    Unavailable,
    /// A fault of ours; the log has the cause.
    #[error("internal error")]
    Internal,
}

impl ChatError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidId { .. } => "invalid_id",
            Self::InvalidText { field, error } => text_code(field, *error),
            Self::InvalidPassword => "invalid_password",
            Self::TokenMissing => "token_missing",
            Self::TokenInvalid => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::InvalidCredentials => "invalid_credentials",
            Self::UsernameTaken => "username_taken",
            Self::WrongUser { .. } => "wrong_user",
            Self::UserNotFound => "user_not_found",
            Self::Refused(refusal) => refusal_code(*refusal),
            Self::ClientMessageIdReused => "client_message_id_reused",
            Self::LimitExceeded { .. } => "limit_exceeded",
            Self::SearchDisabled => "search_disabled",
            Self::ResumeTooLarge { .. } => "resume_too_large",
            Self::TooManyRooms { .. } => "too_many_rooms",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::UnknownEvent => "unknown_event",
            Self::UpgradeRequired => "upgrade_required",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooManySessions { .. } => "too_many_sessions",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. } | Self::QuotaExceeded { .. } | Self::Busy | Self::Unavailable
        )
    }

    /// How long to wait before asking again, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::QuotaExceeded { retry_after, .. } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    /// A text field that broke its rule.
    #[must_use]
    pub const fn text(field: &'static str, error: InvalidText) -> Self {
        Self::InvalidText { field, error }
    }

    /// An id field of the wrong form.
    pub fn id(field: &'static str) -> impl Fn(InvalidId) -> Self {
        move |InvalidId| Self::InvalidId { field }
    }
}

const fn text_code(field: &str, error: InvalidText) -> &'static str {
    match (field.as_bytes(), error) {
        (b"content", InvalidText::Empty) => "content_empty",
        (b"content", InvalidText::TooLong { .. }) => "content_too_long",
        (b"username", _) => "invalid_username",
        (b"name", _) => "invalid_name",
        (b"clientMessageId", _) => "invalid_client_message_id",
        (b"emoji", _) => "invalid_emoji",
        _ => "invalid_request",
    }
}

const fn refusal_code(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotAMember => "not_a_member",
        Refusal::NotAllowed => "not_allowed",
        Refusal::NoSuchMember => "no_such_member",
        Refusal::AlreadyAMember => "already_a_member",
        Refusal::RoomFull => "room_full",
        Refusal::NoSuchMessage => "no_such_message",
        Refusal::MessageDeleted => "message_deleted",
        Refusal::TooManyReactions => "too_many_reactions",
        Refusal::DirectConversation => "direct_conversation",
    }
}

impl From<StoreError> for ChatError {
    fn from(error: StoreError) -> Self {
        CommitError::from(error).into()
    }
}
