//! Why a client may not connect, in the protocol's shape. Knows no application's reasons.

use serde_json::Value;

/// Why a client may not connect; becomes its `connect_error`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConnectRefused {
    /// The error's `message`.
    pub message: String,
    /// The error's `data`, in the application's own shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl ConnectRefused {
    /// A refusal with a message alone.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }
}
