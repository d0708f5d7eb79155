//! Waiting for something that comes true, the only way in which anything waits here. Knows no server.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::leash::START_DEADLINE;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What a look brings: `false`, `None` and `Err` mean not yet.
pub trait Look {
    /// What is waited for.
    type Found;

    /// It, or why not yet.
    ///
    /// # Errors
    /// What was seen instead.
    fn found(self) -> Result<Self::Found, String>;
}

impl Look for bool {
    type Found = ();

    fn found(self) -> Result<(), String> {
        if self { Ok(()) } else { Err(String::new()) }
    }
}

impl<T> Look for Option<T> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.ok_or_else(String::new)
    }
}

impl<T, E: Debug> Look for Result<T, E> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.map_err(|error| format!(": {error:?}"))
    }
}

/// Looks again and again until what is described as `what` is found, and returns it.
///
/// # Panics
/// When it is not there within a minute, with what was seen last.
pub async fn until<L: Look>(what: &str, mut look: impl AsyncFnMut() -> L) -> L::Found {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let instead = match look().await.found() {
            Ok(found) => return found,
            Err(instead) => instead,
        };
        assert!(
            Instant::now() < deadline,
            "not within {START_DEADLINE:?}: {what}{instead}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_looks_until_it_is_found_and_returns_what_was_found() {
        let mut looks = 0;
        let third = until("the third look", async || {
            looks += 1;
            if looks < 3 { Err("early") } else { Ok(looks) }
        });
        assert_eq!(third.await, 3);
        until("what is true", async || true).await;
        assert_eq!(until("what is there", async || Some(7)).await, 7);
        assert_eq!(Err::<(), _>("late").found(), Err(": \"late\"".to_owned()));
    }
}
