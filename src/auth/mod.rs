//! Who somebody is: passwords and tokens. Knows no store, no use case and no protocol.

mod bounds;
mod error;
mod hashing;
mod passwords;
mod settings;
mod tokens;
mod turns;

use std::sync::Arc;

pub use error::AuthError;
pub use passwords::{Password, Passwords};
pub use settings::{AuthConfig, Secret};
pub use tokens::{Caller, Grant, Tokens, bearer};

use crate::domain::{Clock, Entropy};

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
        let secret = Secret::parse("hunter2-hunter2-hunter2-hunter2-").unwrap();
        assert!(!format!("{secret:?}").contains("hunter"));
        assert_eq!(secret.expose().len(), 32);
        let short = Secret::parse("short").unwrap_err().to_string();
        assert!(short.contains("has 5"), "{short}");
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
