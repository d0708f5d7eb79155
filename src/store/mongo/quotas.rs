//! What was counted against quotas: one document per key, which the server removes when its time is over. Knows no quota.

use std::collections::BTreeSet;

use mongodb::bson::{Document, doc};

use super::documents::date;
use super::{MongoStore, backoff, failure};
use crate::store::{Charge, StoreError, StoreResult};

/// How often what the unique key refused is counted again: two that make a key at once are no full quota.
const ATTEMPTS: u32 = 3;

impl MongoStore {
    /// A key that is full does not match its statement, whose upsert the unique key then refuses.
    pub(super) async fn count_charges(&self, charges: &[Charge]) -> StoreResult<Option<usize>> {
        let mut open: BTreeSet<usize> = (0..charges.len()).collect();
        let mut backoff = backoff();
        for _ in 0..ATTEMPTS {
            let counting = open.iter().copied().collect::<Vec<_>>();
            let statements = counting.iter().map(|place| count(&charges[*place]));
            let refused = self.update_quotas(statements.collect()).await?;
            open = refused.into_iter().map(|index| counting[index]).collect();
            if open.is_empty() {
                return Ok(None);
            }
            self.pause(&mut backoff).await;
        }
        let counted = (0..charges.len()).filter(|place| !open.contains(place));
        let given_back = counted.map(|place| give_back(&charges[place]));
        self.update_quotas(given_back.collect()).await?;
        Ok(open.first().copied())
    }

    /// Runs these statements and returns the places of those that the unique key refused.
    async fn update_quotas(&self, updates: Vec<Document>) -> StoreResult<Vec<usize>> {
        if updates.is_empty() {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(self.server_limit.as_millis()).unwrap_or(i64::MAX);
        let reply = self
            .database
            .run_command(doc! {
                "update": "quotas",
                "updates": updates,
                "ordered": false,
                "writeConcern": { "w": "majority", "j": true, "wtimeout": limit },
                "maxTimeMS": limit,
            })
            .await?;
        if let Ok(concern) = reply.get_document("writeConcernError") {
            return Err(StoreError::Unavailable(format!("write concern: {concern}")));
        }
        let Ok(errors) = reply.get_array("writeErrors") else {
            return Ok(Vec::new());
        };
        let errors = errors.iter().filter_map(|error| error.as_document());
        errors.map(refused_place).collect()
    }
}

fn count(charge: &Charge) -> Document {
    let used = i64::from(charge.limit);
    doc! {
        "q": { "_id": &charge.key, "used": { "$lt": used } },
        "u": { "$inc": { "used": 1_i64 }, "$setOnInsert": { "until": date(charge.until) } },
        "upsert": true,
    }
}

fn give_back(charge: &Charge) -> Document {
    doc! { "q": { "_id": &charge.key }, "u": { "$inc": { "used": -1_i64 } } }
}

fn refused_place(error: &Document) -> StoreResult<usize> {
    let code = error.get_i32("code").unwrap_or_default();
    let place = error.get_i32("index").ok();
    match place.and_then(|place| usize::try_from(place).ok()) {
        Some(place) if code == failure::DUPLICATE_KEY => Ok(place),
        _ if failure::is_not_now_code(code) => Err(StoreError::Unavailable(error.to_string())),
        _ => Err(StoreError::Broken(error.to_string())),
    }
}
