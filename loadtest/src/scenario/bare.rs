//! The floor of a durable message: a bare majority-committed insert into the same MongoDB, in the same minutes. Knows no
//! chat.

use std::time::Duration;

use mongodb::bson::doc;
use mongodb::options::{Acknowledgment, CollectionOptions, WriteConcern};
use mongodb::{Client, Collection};
use tokio::time::{Instant, sleep_until};

use super::figures::Figures;
use crate::Invalid;
use crate::measure::Latencies;

/// Few enough to change nothing for the messages beside them.
const EVERY: Duration = Duration::from_millis(100);

/// Inserts until `end`, and says how long each took.
pub(super) async fn inserts(uri: &str, end: Instant) -> Result<Figures, Invalid> {
    let client = Client::with_uri_str(uri).await?;
    let concern = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build();
    let options = CollectionOptions::builder().write_concern(concern).build();
    let database = client.database("bare");
    let inserts: Collection<mongodb::bson::Document> =
        database.collection_with_options("inserts", options);
    inserts
        .insert_one(doc! { "content": "the first makes the collection" })
        .await?;
    let (mut latencies, mut due) = (Latencies::new()?, Instant::now());
    while due < end {
        sleep_until(due).await;
        inserts
            .insert_one(doc! { "content": "x".repeat(128) })
            .await?;
        latencies.add(due.elapsed());
        due += EVERY;
    }
    let times = latencies.percentiles();
    Ok(Figures::from([
        ("bareInsertP50Ms".to_owned(), times.p50),
        ("bareInsertP99Ms".to_owned(), times.p99),
    ]))
}
