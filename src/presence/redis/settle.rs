//! Makes good what failed: entries that Redis does not know rightly, and entries that would end by themselves. Knows
//! neither leases nor heirs.

use futures_util::StreamExt;
use futures_util::stream::{FuturesUnordered, iter};

use super::super::{PresenceError, PresenceSignal, Transition};
use super::RedisPresence;
use crate::domain::UserId;

/// The most users settled or renewed at once, and then the next.
const BATCH: usize = 256;

/// How many of them are asked about at the same time.
const AT_ONCE: usize = 64;

impl RedisPresence {
    /// Settles and renews, for ever, at the heartbeat's pace or as fast as there is work.
    pub(super) async fn settle_for_ever(&self) {
        loop {
            let progress = match self.settle().await {
                Ok(true) => true,
                Ok(false) => self.renew().await,
                Err(error) => {
                    tracing::debug!(%error, "presence is not settled yet");
                    false
                }
            };
            if !progress {
                tokio::time::sleep(self.config.heartbeat / 5).await;
            }
        }
    }

    /// Settles some of the unsettled. True when there were any.
    async fn settle(&self) -> Result<bool, PresenceError> {
        self.link.ask()?;
        let users = self.roll.take_unsettled(BATCH);
        let progress = !users.is_empty();
        let mut settled = iter(users)
            .map(|user| async move { (user, self.agree(user).await) })
            .buffer_unordered(AT_ONCE);
        let mut failure = None;
        // All of them, even after a failure: each puts itself back (`agree`).
        while let Some((user, agreed)) = settled.next().await {
            match agreed {
                Ok((here, Transition::Changed)) => self.tell_user(user, here).await,
                Ok((_, Transition::Unchanged)) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(progress), Err)
    }

    async fn tell_user(&self, user: UserId, online: bool) {
        let signal = if online {
            PresenceSignal::Online(user)
        } else {
            PresenceSignal::Offline(user)
        };
        // Nobody reads any more when the gateway is going away.
        let _ = self.sender.send(signal).await;
    }

    /// Renews some of what is due, so that the backstop does not end it. True when something was. An entry that is
    /// gone is written anew.
    async fn renew(&self) -> bool {
        let Ok(asking) = self.link.ask() else {
            return false;
        };
        let backstop = self.config.backstop.as_millis();
        let users = self.roll.take_due(BATCH, self.renewal(), &self.entropy);
        let progress = !users.is_empty();
        if progress {
            let index = self.index_key(&self.myself());
            if let Err(error) = asking.expire(index, backstop).await {
                tracing::debug!(%error, "an index was not renewed");
            }
        }
        let asking = &asking;
        let mut renewed: FuturesUnordered<_> =
            users
                .into_iter()
                .map(|user| async move {
                    (user, asking.expire(self.presence_key(user), backstop).await)
                })
                .collect();
        while let Some((user, found)) = renewed.next().await {
            if !matches!(found, Ok(true)) {
                self.roll.unsettle(user);
            }
        }
        progress
    }
}
