//! Finding users, and whether they are there. Knows no sessions: presence is asked of its port.

use crate::domain::{Timestamp, User, UserId, Username};

use super::{Chat, ChatError};

/// A user as others see them.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Their facts.
    pub user: User,
    /// Whether they are online; unknown while presence is away.
    pub online: Option<bool>,
}

/// Whether a user is there.
#[derive(Debug, Clone, Copy)]
pub struct PresenceOf {
    /// Who.
    pub user: UserId,
    /// Whether they are online.
    pub online: bool,
    /// When their last session ended; none before the first.
    pub last_seen_at: Option<Timestamp>,
}

impl Chat {
    /// Users whose name begins with this text, whatever its case, by name.
    ///
    /// # Errors
    /// `invalid_request` when the text is empty: nobody is shown everybody.
    pub async fn search_users(
        &self,
        prefix: &str,
        limit: Option<usize>,
    ) -> Result<Vec<User>, ChatError> {
        let folded = Username::fold(prefix.trim_start());
        let length = folded.chars().count();
        if length == 0 {
            return Err(ChatError::InvalidRequest(
                "query must not be empty".to_owned(),
            ));
        }
        // Folding may lengthen a name (`ﬁ` becomes `fi`), so the bound is generous: no name is longer.
        if length > Username::LIMIT * 4 {
            return Ok(Vec::new());
        }
        Ok(self
            .store
            .search_users(&folded, self.limits.page(limit))
            .await?)
    }

    /// A user's profile.
    ///
    /// # Errors
    /// `user_not_found`.
    pub async fn profile(&self, user: UserId) -> Result<Profile, ChatError> {
        let found = self.store.users(&[user]).await?.pop();
        let user = found.ok_or(ChatError::UserNotFound)?;
        // Presence is soft: without it the profile is still worth showing.
        let online = self.presence.online(&[user.id]).await;
        let online = online.ok().and_then(|states| states.first().copied());
        Ok(Profile { user, online })
    }

    /// Whether these users are online, and when they last were. Users that do not exist are left out.
    ///
    /// # Errors
    /// `limit_exceeded`; `unavailable` while presence is away.
    pub async fn presence_of(&self, users: &[UserId]) -> Result<Vec<PresenceOf>, ChatError> {
        let limit = self.limits.presence_ids;
        if users.len() > limit {
            let what = "the number of ids";
            return Err(ChatError::LimitExceeded { what, limit });
        }
        let found = self.store.users(users).await?;
        let ids: Vec<UserId> = found.iter().map(|user| user.id).collect();
        let online = self.presence.online(&ids).await.map_err(|error| {
            tracing::warn!(%error, "presence unavailable");
            ChatError::Unavailable
        })?;
        let all = found.iter().zip(online).map(|(user, online)| PresenceOf {
            user: user.id,
            online,
            last_seen_at: user.last_seen_at,
        });
        Ok(all.collect())
    }

    pub(super) async fn require_user(&self, user: UserId) -> Result<(), ChatError> {
        let found = self.store.users(&[user]).await?;
        found.first().map(|_| ()).ok_or(ChatError::UserNotFound)
    }
}
