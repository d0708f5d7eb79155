//! Makes good what failed: entries that Redis does not know rightly, and entries that would end by themselves. Knows
//! neither leases nor heirs.

use futures_util::StreamExt;
use futures_util::stream::iter;
use tokio::time::Instant;

use super::super::{PresenceError, PresenceSignal};
use super::{Agreed, RedisPresence};
use crate::domain::UserId;

/// The most users settled or renewed at once, and then the next.
const BATCH: usize = 256;

/// How many names of the index are read at once.
const PAGE: i64 = 1_000;

/// How many of them are asked about at the same time.
const AT_ONCE: usize = 64;

impl RedisPresence {
    /// Settles and verifies, for ever, at the heartbeat's pace or as fast as there is work.
    pub(super) async fn settle_for_ever(&self) {
        let mut index_due = Instant::now() + self.renewal();
        loop {
            let progress = match self.settle().await {
                Ok(true) => true,
                Ok(false) => self.verify().await,
                Err(error) => {
                    tracing::debug!(%error, "presence is not settled yet");
                    false
                }
            };
            if self.roll.take_index_doubt() || index_due <= Instant::now() {
                index_due = Instant::now() + self.renewal();
                if let Err(error) = self.read_index().await {
                    tracing::debug!(%error, "the index was not read");
                    self.roll.doubt_index();
                }
            }
            if !progress {
                tokio::time::sleep(self.config.heartbeat / 5).await;
            }
        }
    }

    /// Settles some of the unsettled. True when there were any.
    async fn settle(&self) -> Result<bool, PresenceError> {
        self.redis.client()?;
        let users = self.roll.take_unsettled(BATCH);
        let progress = !users.is_empty();
        let mut settled = iter(users)
            .map(|(user, tell)| async move { (user, tell, self.agree(user).await) })
            .buffer_unordered(AT_ONCE);
        let mut failure = None;
        // All of them, even after a failure: each puts itself back (`agree`).
        while let Some((user, tell, agreed)) = settled.next().await {
            match agreed {
                // The answer to the call that changed it may be what was lost: told once too often does no harm (D51).
                Ok(agreed) if tell || agreed.is_news() => self.tell_user(user, agreed).await,
                Ok(_) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(progress), Err)
    }

    async fn tell_user(&self, user: UserId, agreed: Agreed) {
        let signal = match agreed.is_here {
            true => PresenceSignal::Online(user),
            false => PresenceSignal::Offline(user),
        };
        // Nobody reads any more when the gateway is going away.
        let _ = self.sender.send(signal).await;
    }

    /// Writes some of the users anew whose turn it is, in case Redis has lost them, or has got back who had left (D52); so
    /// the backstop does not end them, either. True when there were any.
    async fn verify(&self) -> bool {
        if self.redis.client().is_err() {
            return false;
        }
        let users = self.roll.take_due(BATCH, self.renewal(), &self.entropy);
        let progress = !users.is_empty();
        let mut verified = iter(users)
            .map(|user| async move { (user, self.agree(user).await) })
            .buffer_unordered(AT_ONCE);
        while let Some((user, agreed)) = verified.next().await {
            match agreed {
                Ok(agreed) if agreed.is_news() => self.tell_user(user, agreed).await,
                Ok(_) => {}
                // It is unsettled now.
                Err(error) => tracing::debug!(%error, "a user was not verified"),
            }
        }
        progress
    }

    /// Looks for users in this gateway's index who are not here: an old snapshot of Redis may have them (D52).
    async fn read_index(&self) -> Result<(), PresenceError> {
        let (client, index) = (self.redis.client()?, self.index_key(&self.myself()));
        for page in 0.. {
            let names = client.names(&index, page * PAGE, PAGE).await?;
            let users = names.iter().filter_map(|name| name.parse().ok());
            users
                .filter(|user| !self.roll.is_here(*user))
                .for_each(|user| self.roll.suspect(user));
            if (names.len() as i64) < PAGE {
                break;
            }
        }
        Ok(())
    }
}
