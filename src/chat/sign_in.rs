//! Who may try to sign in, and how often, counted over all gateways (docs/operations.md, "Guessed passwords"). Knows
//! networks and accounts; what a password is worth is `auth`'s.
//!
//! - From one network so many sign-ins a second, whatever for.
//! - For one account from one network a delay that grows with each wrong password, up to a minute, and is forgotten with
//!   the right one. Nobody else feels it.
//! - For one account from all networks together, without those it was lately signed in to from: its owner, at home, gets
//!   in however many guess elsewhere; and from a new place between their guesses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::ChatError;
use crate::domain::{ClientNetwork, Username};
use crate::throttle::{Rate, Step, Throttle};

/// Wrong passwords for one account from one network.
const OF_NETWORK: [Step; 3] = [step(5, 1), step(15, 10), step(30, 60)];
/// Attempts for one account from all networks that are new to it.
const OF_ACCOUNT: [Step; 2] = [step(50, 1), step(200, 10)];
/// How long a network counts as one of the account's after each log-in from it.
const FAMILIAR: Duration = Duration::from_secs(90 * 86_400);

const fn step(burst: u32, seconds: u64) -> Step {
    Step {
        burst,
        interval: Duration::from_secs(seconds),
    }
}

pub(super) struct SignIns {
    throttle: Arc<dyn Throttle>,
    /// Of one network; none: no limit. The setting sign_in_rate, which may change.
    rate: Mutex<Option<Step>>,
}

/// One attempt to log in, which was admitted.
pub(super) struct Attempt {
    /// For one account, from one network.
    key: String,
}

impl SignIns {
    pub(super) fn new(throttle: Arc<dyn Throttle>, rate: Rate) -> Self {
        Self {
            throttle,
            rate: Mutex::new(rate.step()),
        }
    }

    pub(super) fn set_rate(&self, rate: Rate) {
        *self.rate.lock() = rate.step();
    }

    /// Counts whatever a stranger asks for.
    pub(super) async fn admit(&self, network: ClientNetwork) -> Result<(), ChatError> {
        let Some(step) = *self.rate.lock() else {
            return Ok(());
        };
        self.take(&format!("sign-in:{network}"), &[step]).await
    }

    /// Counts an attempt to log in to an account, whether there is one of this name or not.
    pub(super) async fn attempt(
        &self,
        username: &Username,
        network: ClientNetwork,
    ) -> Result<Attempt, ChatError> {
        let account = digest(username);
        let key = format!("{account}:{network}");
        self.take(&format!("guess:{key}"), &OF_NETWORK).await?;
        if !self.throttle.is_noted(&format!("home:{key}")).await {
            self.take(&format!("guess:{account}"), &OF_ACCOUNT).await?;
        }
        Ok(Attempt { key })
    }

    /// The password was right: earlier guesses are forgotten, and this network is familiar for a while.
    pub(super) async fn succeeded(&self, Attempt { key }: Attempt) {
        self.throttle.clear(&format!("guess:{key}")).await;
        self.throttle.note(&format!("home:{key}"), FAMILIAR).await;
    }

    async fn take(&self, key: &str, steps: &[Step]) -> Result<(), ChatError> {
        let taken = self.throttle.take(key, steps).await;
        taken.map_err(|retry_after| ChatError::RateLimited { retry_after })
    }
}

impl fmt::Debug for SignIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignIns")
    }
}

/// A name as keys have it: of one length, and not to be read by who sees them.
fn digest(username: &Username) -> String {
    let digest = Sha256::digest(username.folded().as_bytes());
    URL_SAFE_NO_PAD.encode(&digest[..16])
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::domain::Entropy;
    use crate::throttle::LocalThrottle;

    fn sign_ins() -> SignIns {
        let throttle = LocalThrottle::new(Arc::new(Entropy::seeded(1)));
        SignIns::new(Arc::new(throttle), Rate::UNLIMITED)
    }

    fn network(address: &str) -> ClientNetwork {
        ClientNetwork::of(address.parse().unwrap())
    }

    fn ann() -> Username {
        Username::parse("ann").unwrap()
    }

    /// How many wrong passwords are tried within an hour from one network, by who asks again as soon as they may.
    async fn guesses(sign_ins: &SignIns, from: &str) -> usize {
        let (end, mut tried) = (Instant::now() + Duration::from_secs(3600), 0);
        while Instant::now() < end {
            match sign_ins.attempt(&ann(), network(from)).await {
                Ok(_) => tried += 1,
                Err(error) => tokio::time::sleep(error.retry_after().unwrap()).await,
            }
        }
        tried
    }

    #[tokio::test(start_paused = true)]
    async fn a_guesser_waits_longer_and_longer_and_the_owner_at_home_does_not_wait() {
        let sign_ins = sign_ins();
        let home = network("198.51.100.1");
        let attempt = sign_ins.attempt(&ann(), home).await.unwrap();
        sign_ins.succeeded(attempt).await;
        let tried = guesses(&sign_ins, "192.0.2.1").await;
        assert!((60..=100).contains(&tried), "{tried}");
        let attempt = sign_ins.attempt(&ann(), home).await.unwrap();
        sign_ins.succeeded(attempt).await;
        // Somewhere new, too: one guesser does not use up what all may try.
        assert!(
            sign_ins
                .attempt(&ann(), network("203.0.113.1"))
                .await
                .is_ok()
        );
        // Behind the guesser's own address nobody waits for longer than a minute.
        let refused = sign_ins.attempt(&ann(), network("192.0.2.1")).await.err();
        let wait = refused.map_or(Duration::ZERO, |error| error.retry_after().unwrap());
        assert!(wait <= Duration::from_secs(60), "{wait:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn guessers_in_many_places_share_one_rate_and_the_owner_at_home_has_none_of_it() {
        let sign_ins = sign_ins();
        let home = network("198.51.100.1");
        sign_ins
            .succeeded(sign_ins.attempt(&ann(), home).await.unwrap())
            .await;
        let mut granted = 0;
        for number in 0..200 {
            let from = network(&format!("2001:db8:{number:x}::1"));
            granted += usize::from(sign_ins.attempt(&ann(), from).await.is_ok());
        }
        // The owner's first log-in came from somewhere new as well.
        assert_eq!(granted, 49);
        for _ in 0..100 {
            let attempt = sign_ins.attempt(&ann(), home).await.unwrap();
            sign_ins.succeeded(attempt).await;
        }
    }
}
