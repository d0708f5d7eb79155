//! Brings the schema up to date, under a lock that a crashed holder loses. Every step may be repeated, and be run by
//! two at once: the lock spares work, nothing rests on it.

use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::schema::{CollectionSchema, VERSION, collections};
use super::{MongoStore, failure};
use crate::store::{StoreError, StoreResult};

/// How long a lock holds without being renewed, by the server's clock.
const LEASE: Duration = Duration::from_secs(30);

/// How often the lock is renewed, and looked at by those who wait.
const RENEWAL: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(500);

const NAMESPACE_EXISTS: i32 = 48;
const INDEX_OPTIONS_CONFLICT: i32 = 85;
const INDEX_KEY_SPECS_CONFLICT: i32 = 86;

/// A conversation in which a cursor is beyond the log.
#[derive(Deserialize)]
struct BeyondDocument {
    #[serde(rename = "_id")]
    conversation: String,
    head: i64,
}

impl MongoStore {
    pub(super) async fn migrate_under_lock(&self) -> StoreResult<()> {
        let holder = format!("{:016x}", self.entropy.next_u64());
        while !self.take_lock(&holder).await? {
            tokio::time::sleep(LOOK / 2 + self.entropy.jitter(LOOK)).await;
        }
        let outcome = tokio::select! {
            outcome = self.apply_schema() => outcome,
            lost = self.keep_lock(&holder) => lost,
        };
        let mine = doc! { "_id": "lock", "holder": &holder };
        self.locks().delete_one(mine).await?;
        outcome
    }

    /// The lock, and beside it the schema's version.
    fn locks(&self) -> mongodb::Collection<Document> {
        self.database.collection("migrations")
    }

    /// Takes the lock when it is free, expired or one's own (then it is renewed). Compares times on the server, so that
    /// clocks of gateways do not matter.
    async fn take_lock(&self, holder: &str) -> StoreResult<bool> {
        let lease = i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
        let free = doc! { "$lt": [{ "$ifNull": ["$until", DateTime::from_millis(0)] }, "$$NOW"] };
        let mine = doc! { "$eq": ["$holder", holder] };
        let taken = doc! {
            "_id": "lock",
            "holder": { "$literal": holder },
            "until": { "$add": ["$$NOW", lease] },
        };
        let take = doc! { "$cond": [{ "$or": [free, mine] }, taken, "$$ROOT"] };
        let attempt = self
            .locks()
            .find_one_and_update(doc! { "_id": "lock" }, vec![doc! { "$replaceWith": take }])
            .upsert(true)
            .return_document(ReturnDocument::After)
            .await;
        match attempt {
            Ok(lock) => {
                Ok(lock.is_some_and(|lock| lock.get_str("holder").is_ok_and(|it| it == holder)))
            }
            // Somebody else made the lock at the same moment.
            Err(error) if failure::is_duplicate(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn keep_lock(&self, holder: &str) -> StoreResult<()> {
        loop {
            tokio::time::sleep(RENEWAL).await;
            self.take_lock(holder).await?;
        }
    }

    async fn apply_schema(&self) -> StoreResult<()> {
        let found = self.schema_version().await?;
        if found > VERSION {
            // Narrowed to what this version knows, it would refuse the events of gateways that are newer.
            tracing::info!(
                found,
                known = VERSION,
                "the schema is a later version's: left as it is"
            );
            return Ok(());
        }
        for schema in collections() {
            self.apply_validator(&schema).await?;
            self.apply_indexes(&schema).await?;
        }
        let raise = doc! { "$max": { "version": VERSION } };
        let schema = doc! { "_id": "schema" };
        self.locks().update_one(schema, raise).upsert(true).await?;
        Ok(())
    }

    /// The version of the last to apply its own; 0 before versions were counted.
    async fn schema_version(&self) -> StoreResult<i64> {
        let found = self.locks().find_one(doc! { "_id": "schema" }).await?;
        let version = found.and_then(|found| found.get_i64("version").ok());
        Ok(version.unwrap_or_default())
    }

    async fn apply_validator(&self, schema: &CollectionSchema) -> StoreResult<()> {
        let create = doc! {
            "create": schema.name,
            "validator": schema.validator.clone(),
            "validationLevel": "moderate",
        };
        match self.schema_command(create).await {
            Err(SchemaError::Refused(NAMESPACE_EXISTS, _)) => {}
            outcome => return Ok(outcome?),
        }
        if self.validator_of(schema.name).await? == Some(schema.validator.clone()) {
            return Ok(()); // Setting it again would lock the collection for nothing.
        }
        let modify = doc! {
            "collMod": schema.name,
            "validator": schema.validator.clone(),
            "validationLevel": "moderate",
        };
        Ok(self.schema_command(modify).await?)
    }

    async fn validator_of(&self, name: &str) -> StoreResult<Option<Document>> {
        let found = self
            .database
            .list_collections()
            .filter(doc! { "name": name });
        let found: Vec<_> = found.await?.try_collect().await?;
        Ok(found
            .into_iter()
            .find_map(|collection| collection.options.validator))
    }

    /// An index that exists with other options is left alone: to drop a unique one while gateways run would break the
    /// log, so that is the operator's decision.
    async fn apply_indexes(&self, schema: &CollectionSchema) -> StoreResult<()> {
        if schema.indexes.is_empty() {
            return Ok(());
        }
        let create = doc! { "createIndexes": schema.name, "indexes": schema.indexes.clone() };
        match self.schema_command(create).await {
            Err(SchemaError::Refused(
                INDEX_OPTIONS_CONFLICT | INDEX_KEY_SPECS_CONFLICT,
                reason,
            )) => Err(StoreError::Broken(format!(
                "an index of {} differs from hobnob's; stop all gateways, drop it, and migrate again: {reason}",
                schema.name
            ))),
            outcome => Ok(outcome?),
        }
    }

    /// Like a write, but without a limit of time of its own: building an index takes as long as it takes.
    async fn schema_command(&self, mut command: Document) -> Result<(), SchemaError> {
        command.insert("writeConcern", doc! { "w": "majority", "j": true });
        match self.database.run_command(command).await {
            Ok(_) => Ok(()),
            Err(error) => match &*error.kind {
                ErrorKind::Command(refused) if !failure::is_not_now_code(refused.code) => {
                    Err(SchemaError::Refused(refused.code, refused.message.clone()))
                }
                _ => Err(SchemaError::Other(error.into())),
            },
        }
    }

    /// D37: after a restore, cursors may be beyond the log. The server reads the cursors before the heads, so what it
    /// finds is so; should a gateway move a cursor at this very moment, some events come twice.
    pub(super) async fn clamp_every_cursor(&self) -> StoreResult<()> {
        let head = vec![
            doc! { "$sort": { "seq": -1 } },
            doc! { "$limit": 1 },
            doc! { "$project": { "_id": 0, "seq": 1 } },
        ];
        let pipeline = [
            doc! { "$group": {
                "_id": "$conversation",
                "cursor": { "$max": { "$max": ["$deliveredSeq", "$readSeq"] } },
            }},
            doc! { "$match": { "cursor": { "$gt": 0 } } },
            doc! { "$lookup": {
                "from": "events",
                "localField": "_id",
                "foreignField": "conversation",
                "pipeline": head,
                "as": "newest",
            }},
            doc! { "$set": { "head": { "$ifNull": [{ "$first": "$newest.seq" }, 0_i64] } } },
            doc! { "$match": { "$expr": { "$gt": ["$cursor", "$head"] } } },
            doc! { "$project": { "head": 1 } },
        ];
        let found = self.members.aggregate(pipeline).allow_disk_use(true);
        let mut found = found.with_type::<BeyondDocument>().await?;
        while let Some(beyond) = found.try_next().await? {
            let clamp = doc! { "$min": { "deliveredSeq": beyond.head, "readSeq": beyond.head } };
            self.members
                .update_many(doc! { "conversation": beyond.conversation }, clamp)
                .await?;
        }
        Ok(())
    }
}

/// Why a command about the schema failed.
enum SchemaError {
    /// The server refused it, with this code and these words.
    Refused(i32, String),
    Other(StoreError),
}

impl From<SchemaError> for StoreError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Refused(code, reason) => Self::Broken(format!("code {code}: {reason}")),
            SchemaError::Other(error) => error,
        }
    }
}
