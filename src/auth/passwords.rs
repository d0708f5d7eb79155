//! Passwords on threads of their own, so that hashing them, which takes 13 ms and 19 MiB each, neither stalls the
//! runtime nor exhausts the memory. Knows no users.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::AuthError;
use super::hashing::Hasher;
use crate::domain::Entropy;

/// A password as somebody typed it: 8 to 256 bytes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

impl Password {
    /// The shortest, in bytes.
    pub const SHORTEST: usize = 8;
    /// The longest, in bytes.
    pub const LONGEST: usize = 256;

    /// Takes a password.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        let allowed = (Self::SHORTEST..=Self::LONGEST).contains(&text.len());
        allowed
            .then(|| Self(text.as_bytes().into()))
            .ok_or(AuthError::InvalidPassword)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

enum Job {
    Hash {
        password: Password,
        reply: oneshot::Sender<Result<String, AuthError>>,
    },
    Verify {
        password: Password,
        stored: Option<String>,
        reply: oneshot::Sender<Result<bool, AuthError>>,
    },
}

/// A few threads that hash passwords, and the queue before them. The threads end when this is dropped.
#[derive(Debug)]
pub struct Passwords {
    queue: SyncSender<Job>,
}

impl Passwords {
    /// Starts `threads` threads (at least one) behind a queue of `queue` places.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: usize, queue: usize, entropy: &Arc<Entropy>) -> Result<Self, AuthError> {
        let (sender, receiver) = sync_channel(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads.max(1) {
            let (receiver, entropy) = (Arc::clone(&receiver), Arc::clone(entropy));
            thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&receiver, &entropy))
                .map_err(|error| AuthError::Broken(error.to_string()))?;
        }
        Ok(Self { queue: sender })
    }

    /// The PHC string under which a password may be stored.
    ///
    /// # Errors
    /// [`AuthError::Busy`] when the queue is full.
    pub async fn hash(&self, password: Password) -> Result<String, AuthError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Hash { password, reply })?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Whether a password is the one stored; with nothing stored it is not, after as much work, so that the time it
    /// takes does not tell whether there is such a user.
    ///
    /// # Errors
    /// [`AuthError::Busy`] when the queue is full, [`AuthError::Broken`] when what is stored cannot be read.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<bool, AuthError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Verify {
            password,
            stored,
            reply,
        };
        self.submit(job)?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    fn submit(&self, job: Job) -> Result<(), AuthError> {
        self.queue.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => AuthError::Busy,
            TrySendError::Disconnected(_) => gone(),
        })
    }
}

fn gone() -> AuthError {
    AuthError::Broken("the password threads are gone".to_owned())
}

fn work(jobs: &Mutex<Receiver<Job>>, entropy: &Entropy) {
    let mut hasher = Hasher::new();
    loop {
        // The lock is held while waiting: the other threads wait for the lock instead of for the queue.
        let job = jobs.lock().recv();
        match job {
            // Nobody waits any more: their connection has gone. An answer that finds nobody is dropped as well.
            Ok(Job::Hash { reply, .. }) if reply.is_closed() => {}
            Ok(Job::Verify { reply, .. }) if reply.is_closed() => {}
            Ok(Job::Hash { password, reply }) => {
                let mut salt = [0; 16];
                entropy.fill(&mut salt);
                let _ = reply.send(hasher.hash(&password.0, salt));
            }
            Ok(Job::Verify {
                password,
                stored,
                reply,
            }) => {
                let _ = reply.send(hasher.verify(&password.0, stored.as_deref()));
            }
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(queue: usize) -> Passwords {
        Passwords::start(1, queue, &Arc::new(Entropy::seeded(1))).unwrap()
    }

    fn typed(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_verified_and_each_hash_has_its_own_salt() {
        let passwords = passwords(4);
        let first = passwords.hash(typed("correct horse")).await.unwrap();
        let second = passwords.hash(typed("correct horse")).await.unwrap();
        assert_ne!(first, second);
        let verified = passwords.verify(typed("correct horse"), Some(first.clone()));
        assert_eq!(verified.await, Ok(true));
        let verified = passwords.verify(typed("wrong horse"), Some(first));
        assert_eq!(verified.await, Ok(false));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_instead_of_growing() {
        let passwords = passwords(1);
        let many = (0..8).map(|_| passwords.verify(typed("correct horse"), None));
        let answers = futures_util::future::join_all(many).await;
        // All eight are submitted before the first is done: one or two are at work or waiting, the rest is refused.
        assert!(answers.contains(&Ok(false)), "{answers:?}");
        assert!(answers.contains(&Err(AuthError::Busy)), "{answers:?}");
    }

    #[test]
    fn passwords_have_8_to_256_bytes_and_are_never_printed() {
        assert_eq!(Password::parse("1234567"), Err(AuthError::InvalidPassword));
        assert!(Password::parse(&"x".repeat(256)).is_ok());
        assert!(Password::parse(&"x".repeat(257)).is_err());
        assert_eq!(
            format!("{:?}", typed("correct horse")),
            "Password(redacted)"
        );
    }
}
