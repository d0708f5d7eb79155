//! Waiting for what must come about soon. Knows nothing of what that is.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Invalid;

/// How long anything may take to come up.
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Waits for a condition.
///
/// # Errors
/// `what`, when it is not met within a minute.
pub(crate) async fn wait_until(
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> Result<(), Invalid> {
    let deadline = Instant::now() + START;
    while !condition().await {
        if Instant::now() > deadline {
            return Err(Invalid(what.to_owned()));
        }
        sleep(LOOK).await;
    }
    Ok(())
}
