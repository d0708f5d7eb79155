//! Passwords on threads of their own, so that hashing them, which takes 13 ms and 19 MiB each, neither stalls the
//! runtime nor exhausts the memory. Knows no users.

use std::fmt;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::bounds::{PASSWORD_LONGEST, PASSWORD_SHORTEST};
use super::error::AuthError;
use super::hashing::Hasher;
use super::turns::Turns;
use crate::domain::{ClientNetwork, Entropy};

/// A password as somebody typed it: 8 to 256 bytes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

impl Password {
    /// The shortest, in bytes.
    pub const SHORTEST: usize = PASSWORD_SHORTEST;
    /// The longest, in bytes.
    pub const LONGEST: usize = PASSWORD_LONGEST;

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

enum HashJob {
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

/// A few threads that hash passwords, and the turns before them. The threads end when this is dropped.
pub struct Passwords(Arc<PasswordsInner>);

struct PasswordsInner {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    turns: Turns<HashJob>,
    is_over: bool,
}

impl Passwords {
    /// Starts `threads` threads (at least one), for which `queue` passwords may wait.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: usize, queue: usize, entropy: &Arc<Entropy>) -> Result<Self, AuthError> {
        let state = State {
            turns: Turns::new(queue),
            is_over: false,
        };
        let waiting = Arc::new(PasswordsInner {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        // Already: if one cannot be started, the others end.
        let passwords = Self(Arc::clone(&waiting));
        for number in 0..threads.max(1) {
            let (waiting, entropy) = (Arc::clone(&waiting), Arc::clone(entropy));
            thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&waiting, &entropy))
                .map_err(|error| AuthError::Broken(error.to_string()))?;
        }
        Ok(passwords)
    }

    /// The PHC string under which a password may be stored. Who asks from one network waits behind each other, not
    /// before those of other networks.
    ///
    /// # Errors
    /// [`AuthError::Busy`] when too many wait.
    pub async fn hash(
        &self,
        password: Password,
        from: Option<ClientNetwork>,
    ) -> Result<String, AuthError> {
        let (reply, answer) = oneshot::channel();
        self.submit(from, HashJob::Hash { password, reply })?;
        // It had to leave for somebody else who waits in a shorter line.
        answer.await.unwrap_or(Err(AuthError::Busy))
    }

    /// Whether a password is the one stored; with nothing stored it is not, after as much work, so that the time it
    /// takes does not tell whether there is such a user. Turns as for [`Self::hash`].
    ///
    /// # Errors
    /// [`AuthError::Busy`] when too many wait, [`AuthError::Broken`] when what is stored cannot be read.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
        from: Option<ClientNetwork>,
    ) -> Result<bool, AuthError> {
        let (reply, answer) = oneshot::channel();
        let job = HashJob::Verify {
            password,
            stored,
            reply,
        };
        self.submit(from, job)?;
        answer.await.unwrap_or(Err(AuthError::Busy))
    }

    fn submit(&self, from: Option<ClientNetwork>, job: HashJob) -> Result<(), AuthError> {
        if !self.0.state.lock().turns.push(from, job) {
            return Err(AuthError::Busy);
        }
        self.0.changed.notify_one();
        Ok(())
    }
}

impl Drop for Passwords {
    fn drop(&mut self) {
        self.0.state.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

impl PasswordsInner {
    /// The next one whose client still waits; none when all is over.
    fn next(&self) -> Option<HashJob> {
        let mut state = self.state.lock();
        loop {
            if state.is_over {
                return None;
            }
            match state.turns.pop() {
                Some(job) if job.is_given_up() => {}
                Some(job) => return Some(job),
                None => self.changed.wait(&mut state),
            }
        }
    }
}

impl HashJob {
    /// Nobody waits any more: their connection has gone.
    fn is_given_up(&self) -> bool {
        match self {
            Self::Hash { reply, .. } => reply.is_closed(),
            Self::Verify { reply, .. } => reply.is_closed(),
        }
    }
}

fn work(waiting: &PasswordsInner, entropy: &Entropy) {
    let mut hasher = Hasher::new();
    while let Some(job) = waiting.next() {
        // An answer that finds nobody is dropped.
        match job {
            HashJob::Hash { password, reply } => {
                let mut salt = [0; 16];
                entropy.fill(&mut salt);
                let _ = reply.send(hasher.hash(&password.0, salt));
            }
            HashJob::Verify {
                password,
                stored,
                reply,
            } => {
                let _ = reply.send(hasher.verify(&password.0, stored.as_deref()));
            }
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
        let first = passwords.hash(typed("correct horse"), None).await.unwrap();
        let second = passwords.hash(typed("correct horse"), None).await.unwrap();
        assert_ne!(first, second);
        let verified = passwords.verify(typed("correct horse"), Some(first.clone()), None);
        assert_eq!(verified.await, Ok(true));
        let verified = passwords.verify(typed("wrong horse"), Some(first), None);
        assert_eq!(verified.await, Ok(false));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_instead_of_growing() {
        let passwords = passwords(1);
        let many = (0..8).map(|_| passwords.verify(typed("correct horse"), None, None));
        let answers = futures_util::future::join_all(many).await;
        // All eight are submitted before the first is done: one or two are at work or waiting, the rest is refused.
        assert!(answers.contains(&Ok(false)), "{answers:?}");
        assert!(answers.contains(&Err(AuthError::Busy)), "{answers:?}");
    }

    #[tokio::test]
    async fn who_brings_one_password_does_not_wait_for_all_of_another_address() {
        let passwords = passwords(256);
        let network = |address: &str| Some(ClientNetwork::of(address.parse().unwrap()));
        let done = std::cell::RefCell::new(Vec::new());
        let verify = async |from: &str| {
            let verified = passwords.verify(typed("correct horse"), None, network(from));
            assert_eq!(verified.await, Ok(false));
            done.borrow_mut().push(from.to_owned());
        };
        let many = futures_util::future::join_all((0..40).map(|_| verify("192.0.2.1")));
        futures_util::future::join(many, verify("198.51.100.1")).await;
        let place = done.borrow().iter().position(|from| from == "198.51.100.1");
        // One of theirs may be at work, and one before it in the circle; the rest waits.
        assert!(place.unwrap() < 20, "{place:?}");
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
