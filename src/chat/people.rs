//! Finding users, and whether they are there. Knows no sessions: presence is asked of its port.

use crate::domain::{Timestamp, User, UserId, Username};

use super::{Chat, ChatError, LastSeen, UserSearch};

/// A user as others see them.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What is stored of the user.
    pub user: User,
    /// Whether they are online; unknown while presence is away.
    pub online: Option<bool>,
}

/// Whether a user is there.
#[derive(Debug, Clone, Copy)]
pub struct PresenceOf {
    /// The user.
    pub user: UserId,
    /// Whether they are online.
    pub online: bool,
    /// When their last session ended; none before the first.
    pub last_seen_at: Option<Timestamp>,
}

/// The most users that one search shows: whoever wants to read all of them needs many searches, which are metered.
const FOUND: usize = 20;

impl Chat {
    /// Users whose name begins with this text, whatever its case, by name; or the one whose name it is.
    ///
    /// # Errors
    /// `invalid_request` when the text is empty: nobody is shown everybody. `search_disabled`, `rate_limited`.
    pub async fn search_users(
        &self,
        caller: UserId,
        prefix: &str,
        limit: Option<usize>,
    ) -> Result<Vec<User>, ChatError> {
        let search = self.directory().search;
        if search == UserSearch::Off {
            return Err(ChatError::SearchDisabled);
        }
        self.metered.search(caller)?;
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
        let mut found = match search {
            UserSearch::Prefix => {
                let limit = self.limits.page(limit).min(FOUND);
                self.store.search_users(&folded, limit).await?
            }
            _ => {
                let found = self.store.user_by_name(&folded).await?;
                found.into_iter().map(|(user, _)| user).collect()
            }
        };
        self.hide_last_seen(caller, &mut found).await?;
        Ok(found)
    }

    /// A user's profile.
    ///
    /// # Errors
    /// `user_not_found`.
    pub async fn profile(&self, caller: UserId, user: UserId) -> Result<Profile, ChatError> {
        let mut found = self.store.users(&[user]).await?;
        self.hide_last_seen(caller, &mut found).await?;
        let user = found.pop().ok_or(ChatError::UserNotFound)?;
        // Presence is soft: without it the profile is still worth showing.
        let online = self.presence.online(&[user.id]).await;
        let online = online.ok().and_then(|states| states.first().copied());
        Ok(Profile { user, online })
    }

    /// Whether these users are online, and when they last were. Users that do not exist are left out.
    ///
    /// # Errors
    /// `limit_exceeded`; `unavailable` while presence is away.
    pub async fn presence_of(
        &self,
        caller: UserId,
        users: &[UserId],
    ) -> Result<Vec<PresenceOf>, ChatError> {
        let limit = self.limits.presence_ids;
        if users.len() > limit {
            let what = "the number of ids";
            return Err(ChatError::LimitExceeded { what, limit });
        }
        let mut found = self.store.users(users).await?;
        self.hide_last_seen(caller, &mut found).await?;
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

    /// Strangers do not learn when somebody was last seen, unless that is everybody's to know.
    async fn hide_last_seen(&self, caller: UserId, users: &mut [User]) -> Result<(), ChatError> {
        let is_theirs = |user: &User| user.id == caller || user.last_seen_at.is_none();
        let others = users.iter().filter(|user| !is_theirs(user));
        let others: Vec<UserId> = others.map(|user| user.id).collect();
        if others.is_empty() || self.directory().last_seen == LastSeen::Anybody {
            return Ok(());
        }
        let known = self.store.sharing(caller, &others).await?;
        for user in users.iter_mut().filter(|user| user.id != caller) {
            user.last_seen_at = user.last_seen_at.filter(|_| known.contains(&user.id));
        }
        Ok(())
    }

    pub(super) async fn require_user(&self, user: UserId) -> Result<(), ChatError> {
        let found = self.store.users(&[user]).await?;
        found.first().map(|_| ()).ok_or(ChatError::UserNotFound)
    }
}
