//! Which gateways hear the bus (D26): a document each in `gateways`, by the server's clock, since gateways' clocks
//! differ. No part of the store's port: a gateway alone has nobody to compare with.

use std::time::Duration;

use mongodb::bson::{Document, doc};

use super::MongoStore;
use crate::domain::GatewayId;
use crate::store::StoreResult;

impl MongoStore {
    /// This gateway hears the bus now.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unavailable`] when the database does not answer in time.
    pub async fn note_hearing(&self, gateway: GatewayId) -> StoreResult<()> {
        let now = doc! { "$currentDate": { "hearsAt": true } };
        let noting =
            doc! { "q": { "_id": gateway.to_string() }, "u": now, "upsert": true, "multi": false };
        self.within(self.write_command(doc! { "update": "gateways", "updates": [noting] }))
            .await
    }

    /// How long ago another gateway last heard the bus; none when none ever did, or long ago.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unavailable`] when the database does not answer in time.
    pub async fn last_heard_elsewhere(&self, than: GatewayId) -> StoreResult<Option<Duration>> {
        self.within(async {
            let others = doc! { "$match": { "_id": { "$ne": than.to_string() } } };
            let newest = doc! { "$group": { "_id": null, "hearsAt": { "$max": "$hearsAt" } } };
            let age = doc! { "$project": { "age": { "$subtract": ["$$NOW", "$hearsAt"] } } };
            let limit = i64::try_from(self.server_limit.as_millis()).unwrap_or(i64::MAX);
            let command = doc! {
                "aggregate": "gateways",
                "pipeline": [others, newest, age],
                "cursor": {},
                "readConcern": { "level": "majority" },
                "maxTimeMS": limit,
            };
            let reply = self.database.run_command(command).await?;
            Ok(age_in(&reply))
        })
        .await
    }
}

fn age_in(reply: &Document) -> Option<Duration> {
    let batch = reply.get_document("cursor").ok()?.get_array("firstBatch");
    let age = batch.ok()?.first()?.as_document()?.get_i64("age").ok()?;
    Some(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
}
