//! What changes of many conversations need of the store at the same time, in one round trip each.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio_util::task::TaskTracker;

use super::gather::{Gather, Trip};
use crate::domain::{Change, Facts};
use crate::store::{Projected, Store, StoreError, StoreResult};

/// The most changes that are read for, or events of which is written what follows, in one round trip.
const TOGETHER: usize = 200;

/// Reads together what changes are decided by.
pub(super) fn gather_facts(
    store: &Arc<dyn Store>,
    tracker: &TaskTracker,
) -> Gather<Change, StoreResult<Facts>> {
    let store = Arc::clone(store);
    let read = move |changes: Vec<Change>| {
        let store = Arc::clone(&store);
        let facts = async move {
            match store.facts(&changes).await {
                Ok(facts) => facts.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); changes.len()],
            }
        };
        facts.boxed()
    };
    let trip = Trip {
        name: "facts",
        weight: |_| 1,
        most: TOGETHER,
        make: Box::new(read),
    };
    Gather::new(tracker.clone(), trip)
}

/// Writes together what follows from changes of many logs. If any of it cannot be written for its own sake, each log's is
/// written for itself.
pub(super) fn gather_projections(
    store: &Arc<dyn Store>,
    tracker: &TaskTracker,
) -> Gather<Vec<Projected>, StoreResult<()>> {
    let store = Arc::clone(store);
    let write = move |asked: Vec<Vec<Projected>>| {
        let store = Arc::clone(&store);
        let written = async move {
            match store.project(&asked.concat()).await {
                Err(StoreError::Broken(_)) if asked.len() > 1 => {
                    join_all(asked.iter().map(|events| store.project(events))).await
                }
                outcome => vec![outcome; asked.len()],
            }
        };
        written.boxed()
    };
    let trip = Trip {
        name: "projections",
        weight: Vec::len,
        most: TOGETHER,
        make: Box::new(write),
    };
    Gather::new(tracker.clone(), trip)
}

pub(super) fn abandoned() -> StoreError {
    StoreError::Unavailable("the round trip was abandoned".to_owned())
}
