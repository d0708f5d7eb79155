//! Who somebody is: passwords and tokens. Knows no store, no use case and no protocol.

mod hashing;
mod passwords;
mod tokens;
mod turns;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use passwords::{Password, Passwords};
pub use tokens::{Caller, Grant, Tokens, bearer};

use crate::domain::{Clock, Entropy};

/// Why authentication failed or could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// A password outside [`Password::SHORTEST`] … [`Password::LONGEST`].
    #[error(
        "password must have {} to {} bytes",
        Password::SHORTEST,
        Password::LONGEST
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
        "a token secret has {length} bytes; it must have at least {}",
        Secret::SHORTEST
    )]
    SecretTooShort {
        /// How long it is.
        length: usize,
    },
    /// A fault, not a condition: a stored hash that cannot be read, a thread that could not be started.
    #[error("authentication failed: {0}")]
    Broken(String),
}

/// A key that signs access tokens. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// The shortest secret, in bytes: as long as the output of HS256 (RFC 7518, section 3.2).
    pub const SHORTEST: usize = 32;

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

    fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
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

/// Both halves of authentication.
#[derive(Debug)]
pub struct Auth {
    /// Hashes and verifies passwords.
    pub passwords: Passwords,
    /// Makes and verifies tokens.
    pub tokens: Tokens,
}

impl Auth {
    /// Starts the password threads and reads the secrets.
    ///
    /// # Errors
    /// When no secret was given, or a thread could not be started.
    pub fn start(
        config: &AuthConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<Entropy>,
    ) -> Result<Self, AuthError> {
        let passwords = Passwords::start(config.password_threads, config.password_queue, &entropy)?;
        let tokens = Tokens::new(config, clock, entropy)?;
        Ok(Self { passwords, tokens })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_is_refused_and_a_long_one_is_never_printed() {
        let length = 31;
        assert_eq!(
            Secret::parse("x".repeat(length)),
            Err(AuthError::SecretTooShort { length })
        );
        let config = AuthConfig {
            secrets: vec![Secret::parse("y".repeat(32)).unwrap()],
            ..AuthConfig::default()
        };
        assert!(!format!("{config:?}").contains('y'.to_string().repeat(4).as_str()));
    }

    #[test]
    fn a_set_up_without_a_secret_is_refused() {
        let clock = Arc::new(crate::domain::SystemClock);
        let started = Auth::start(&AuthConfig::default(), clock, Arc::new(Entropy::seeded(1)));
        assert_eq!(started.err(), Some(AuthError::SecretMissing));
    }
}
