//! The three ways a run ends, and why one may prove nothing. Knows no particular run.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use futures_util::FutureExt;

/// Why a run proves nothing: it could not be carried out as described.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl From<std::io::Error> for Invalid {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<reqwest::Error> for Invalid {
    fn from(error: reqwest::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Invalid {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<mongodb::error::Error> for Invalid {
    fn from(error: mongodb::error::Error) -> Self {
        Self(error.to_string())
    }
}

/// Carries out what needs the testbed, which panics when a server does not do what it must: then the run is invalid.
pub(crate) async fn carried_out<T>(
    run: impl Future<Output = Result<T, Invalid>>,
) -> Result<T, Invalid> {
    let outcome = AssertUnwindSafe(run).catch_unwind().await;
    outcome.unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or_else(|| panic.downcast_ref().map(|why: &&str| (*why).to_owned()));
        Err(Invalid(why.unwrap_or_else(|| "a panic".to_owned())))
    })
}

/// How a run ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every promise was kept: exit status 0.
    Pass,
    /// A promise was broken: exit status 1.
    Broken,
    /// The run proves nothing, for example because the generator itself fell behind: exit status 2.
    Invalid,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        Self::from(match verdict {
            Verdict::Pass => 0,
            Verdict::Broken => 1,
            Verdict::Invalid => 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_fails_makes_a_run_invalid() {
        let run = carried_out(async { panic!("no {}", "mongod") });
        let outcome: Result<(), _> = run.await;
        assert_eq!(
            outcome.map_err(|Invalid(why)| why),
            Err("no mongod".to_owned())
        );
    }
}
