//! Why authentication fails. Knows nothing of what is authenticated.

use super::bounds::{PASSWORD_LONGEST, PASSWORD_SHORTEST, SECRET_SHORTEST};

/// Why authentication failed or could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// A password outside [`super::Password::SHORTEST`] … [`super::Password::LONGEST`].
    #[error(
        "password must have {} to {} bytes",
        PASSWORD_SHORTEST,
        PASSWORD_LONGEST
    )]
    InvalidPassword,
    /// The queue of passwords to be hashed is full: try again.
    #[error("too many passwords are being checked")]
    Busy,
    /// A token that is malformed, wrongly signed, for somebody else's service, or not valid yet.
    #[error("the token is not valid")]
    TokenInvalid,
    /// A token that was valid.
    #[error("the token has expired")]
    TokenExpired,
    /// Set-up: no secret was given.
    #[error("at least one token secret is needed")]
    SecretMissing,
    /// Set-up: a secret that could be guessed.
    #[error(
        "a secret needs at least {} bytes, this one has {length}",
        SECRET_SHORTEST
    )]
    SecretTooShort {
        /// The length of the secret that was given, in bytes.
        length: usize,
    },
    /// A fault, not a condition: a stored hash that cannot be read, a thread that could not be started.
    #[error("authentication failed: {0}")]
    Broken(String),
}
