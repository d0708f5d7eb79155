//! The shape of a refusal. Knows neither the codes nor their statuses: the use cases and the edges do.

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
#[schema(as = ErrorBody)]
pub struct ErrorBody<'a> {
    /// Stable: programs compare it.
    pub code: &'a str,
    /// For people; may change.
    pub message: &'a str,
}

impl<'a> ErrorJson<'a> {
    /// A refusal with this code.
    #[must_use]
    pub const fn new(code: &'a str, message: &'a str) -> Self {
        Self {
            error: ErrorBody { code, message },
        }
    }
}
