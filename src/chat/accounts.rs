//! Registering, logging in and out, refreshing, and whom a token speaks for. Knows no protocol.

use crate::auth::{AuthError, Caller, Grant, Password};
use crate::domain::{ClientNetwork, User, UserId, Username};
use crate::store::{Inserted, NewUser, RefreshToken, Rotation};

use super::{Chat, ChatError};

/// What somebody types to register or log in. Its password is never printed.
#[derive(Debug)]
pub struct Credentials<'a> {
    username: &'a str,
    password: Redacted<'a>,
}

struct Redacted<'a>(&'a str);

impl std::fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("redacted")
    }
}

impl<'a> Credentials<'a> {
    /// As typed; what is wrong with them is said by the use case.
    #[must_use]
    pub const fn new(username: &'a str, password: &'a str) -> Self {
        Self {
            username,
            password: Redacted(password),
        }
    }
}

/// Somebody who has proved who they are, with what they need to prove it again.
#[derive(Debug)]
pub struct SignedIn {
    /// The user who has signed in.
    pub user: User,
    /// The tokens that prove it in later requests.
    pub grant: Grant,
}

impl Chat {
    /// Registers a user.
    ///
    /// # Errors
    /// `invalid_username`, `invalid_password`, `username_taken`; `busy` when too many passwords wait.
    pub async fn register(
        &self,
        typed: Credentials<'_>,
        from: Option<ClientNetwork>,
    ) -> Result<SignedIn, ChatError> {
        let username =
            Username::parse(typed.username).map_err(|error| ChatError::text("username", error))?;
        let password = Password::parse(typed.password.0)?;
        // Asked before the expensive part; the unique index decides in the end.
        if self.store.user_by_name(&username.folded()).await?.is_some() {
            return Err(ChatError::UsernameTaken);
        }
        let password_hash = self.auth.passwords.hash(password, from).await?;
        let now = self.clock.now();
        let user = User {
            id: UserId::generate(now, &self.entropy),
            username,
            created_at: now,
            last_seen_at: None,
        };
        let new = NewUser {
            user: user.clone(),
            password_hash,
        };
        match self.store.create_user(new).await? {
            Inserted::Yes => self.session(user).await,
            Inserted::Taken => Err(ChatError::UsernameTaken),
        }
    }

    /// Logs a user in.
    ///
    /// # Errors
    /// `invalid_credentials`, the same and after the same work whether the name or the password is wrong;
    /// `rate_limited` after too many wrong ones.
    pub async fn login(
        &self,
        typed: Credentials<'_>,
        from: Option<ClientNetwork>,
    ) -> Result<SignedIn, ChatError> {
        // What could not have been registered is not looked up: that it is refused sooner tells nobody anything.
        let (Ok(username), Ok(password)) = (
            Username::parse(typed.username),
            Password::parse(typed.password.0),
        ) else {
            return Err(ChatError::InvalidCredentials);
        };
        let attempt = match from {
            Some(network) => Some(self.sign_ins.attempt(&username, network).await?),
            None => None,
        };
        let found = self.store.user_by_name(&username.folded()).await?;
        let (user, hash) = found.unzip();
        let right = self.auth.passwords.verify(password, hash, from).await?;
        match user.filter(|_| right) {
            Some(user) => {
                if let Some(attempt) = attempt {
                    self.sign_ins.succeeded(attempt).await;
                }
                self.session(user).await
            }
            None => Err(ChatError::InvalidCredentials),
        }
    }

    /// Exchanges a refresh token for a new pair. Repeated within a minute it answers the same refresh token, since an
    /// answer may have been lost; later it ends all tokens that came of the same log-in (D42).
    ///
    /// # Errors
    /// `token_invalid` when it is unknown or was used before, `token_expired`.
    pub async fn refresh(&self, refresh_token: &str) -> Result<SignedIn, ChatError> {
        let tokens = &self.auth.tokens;
        let hash = tokens.refresh_hash(refresh_token)?;
        let successor = tokens.successor_of(refresh_token)?;
        let now = self.clock.now();
        let rotation = self.store.rotate_refresh_token(&hash, successor, now);
        let user = match rotation.await? {
            Rotation::Rotated(user) => user,
            Rotation::Expired => return Err(ChatError::TokenExpired),
            Rotation::Unknown => return Err(ChatError::TokenInvalid),
            Rotation::Reused => {
                tracing::warn!("a refresh token was used again; its family has ended");
                return Err(ChatError::TokenInvalid);
            }
        };
        let user = self.store.users(&[user]).await?.pop();
        let user = user.ok_or(ChatError::TokenInvalid)?;
        let grant = tokens.grant_after(user.id, refresh_token)?;
        Ok(SignedIn { user, grant })
    }

    /// Ends a refresh token and all that came of the same log-in. One that is unknown has ended already.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn logout(&self, refresh_token: &str) -> Result<(), ChatError> {
        if let Ok(hash) = self.auth.tokens.refresh_hash(refresh_token) {
            self.store.end_refresh_tokens(&hash).await?;
        }
        Ok(())
    }

    /// Whom an access token speaks for. Asks nobody, so it is cheap enough for every request and connect.
    ///
    /// # Errors
    /// `token_expired`, `token_invalid`.
    pub fn authenticate(&self, access_token: &str) -> Result<Caller, ChatError> {
        Ok(self.auth.tokens.verify(access_token)?)
    }

    async fn session(&self, user: User) -> Result<SignedIn, ChatError> {
        let grant = self.auth.tokens.grant(user.id)?;
        let refresh_token = RefreshToken {
            hash: grant.refresh_hash,
            user: user.id,
            expires_at: grant.refresh_expires_at,
        };
        self.store.put_refresh_token(refresh_token).await?;
        Ok(SignedIn { user, grant })
    }
}

impl From<AuthError> for ChatError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::InvalidPassword => Self::InvalidPassword,
            AuthError::Busy => Self::Busy,
            AuthError::TokenInvalid => Self::TokenInvalid,
            AuthError::TokenExpired => Self::TokenExpired,
            AuthError::SecretMissing | AuthError::SecretTooShort { .. } | AuthError::Broken(_) => {
                tracing::error!(%error, "authentication failed");
                Self::Internal
            }
        }
    }
}
