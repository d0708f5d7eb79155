//! How authentication is set up. Knows neither passwords nor tokens.

use std::fmt;
use std::time::Duration;

use super::bounds::SECRET_SHORTEST;
use super::error::AuthError;

/// A key that signs: access tokens, and what gateways tell each other. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// The shortest secret, in bytes: as long as the output of HS256 (RFC 7518, section 3.2).
    pub const SHORTEST: usize = SECRET_SHORTEST;

    /// Takes a secret.
    ///
    /// # Errors
    /// When it is shorter than [`Secret::SHORTEST`].
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, AuthError> {
        let bytes: Vec<u8> = bytes.into();
        if bytes.len() < Self::SHORTEST {
            let length = bytes.len();
            return Err(AuthError::SecretTooShort { length });
        }
        Ok(Self(bytes.into_boxed_slice()))
    }

    /// The bytes, for signing.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How authentication is set up.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// The first signs; all verify. A new one is put first, the old one is kept for an access token's lifetime.
    pub secrets: Vec<Secret>,
    /// The `iss` of tokens.
    pub issuer: String,
    /// The `aud` of tokens.
    pub audience: String,
    /// How long an access token is valid.
    pub access_lifetime: Duration,
    /// How long a refresh token is valid.
    pub refresh_lifetime: Duration,
    /// Threads that hash passwords; each holds 19 MiB and does about 67 a second.
    pub password_threads: usize,
    /// Passwords that may wait for a thread; more are refused as busy. At 134 a second the last waits two seconds.
    pub password_queue: usize,
}

impl Default for AuthConfig {
    /// Without a secret, which has no default.
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            issuer: "hobnob".to_owned(),
            audience: "hobnob".to_owned(),
            access_lifetime: Duration::from_secs(15 * 60),
            refresh_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            password_threads: 2,
            password_queue: 256,
        }
    }
}
