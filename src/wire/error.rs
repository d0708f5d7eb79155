//! The shape of a refusal. Knows neither the codes nor their statuses.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

/// `{"error": {"code": "...", "message": "..."}}`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorJson<'a> {
    /// What went wrong.
    pub error: ErrorBody<'a>,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ErrorBody)]
pub struct ErrorBody<'a> {
    /// Stable: programs compare it.
    pub code: &'a str,
    /// For people; may change.
    pub message: Cow<'a, str>,
    /// How long to wait before the same request may succeed, in milliseconds; where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl<'a> ErrorJson<'a> {
    /// A refusal with this code.
    #[must_use]
    pub fn new(code: &'a str, message: impl Into<Cow<'a, str>>) -> Self {
        Self {
            error: ErrorBody {
                code,
                message: message.into(),
                retry_after_ms: None,
            },
        }
    }

    /// The same, to be tried again after this time.
    #[must_use]
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        let millis = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        // Rounded up: who comes back exactly then is granted it.
        self.error.retry_after_ms = wait.map(|wait| millis(wait) + 1);
        self
    }
}
