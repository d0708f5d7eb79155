//! Refresh tokens: documents of families, each begun by a log-in and named by the hash of its first token. Knows no
//! user but by id.

use mongodb::bson::{Binary, doc};
use mongodb::options::ReturnDocument;

use super::documents::{TokenDocument, binary, date, timestamp, user_id};
use super::{MongoStore, failure};
use crate::domain::{Timestamp, UserId};
use crate::store::{REPEAT_GRACE, RefreshToken, Rotation, StoreResult};

impl MongoStore {
    pub(super) async fn insert_token(&self, token: &RefreshToken) -> StoreResult<()> {
        let document = TokenDocument::new(token, binary(&token.hash));
        self.insert_token_once(&document).await
    }

    async fn insert_token_once(&self, document: &TokenDocument) -> StoreResult<()> {
        match self.refresh_tokens.insert_one(document).await {
            Err(error) if !failure::is_duplicate(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Without a transaction: the mark decides, and what comes after it may be repeated within the grace. A family that
    /// ends meanwhile takes the successor with it, since who inserts it looks for its predecessor afterwards.
    pub(super) async fn exchange_token(
        &self,
        hash: &[u8; 32],
        (successor, expires_at): ([u8; 32], Timestamp),
        now: Timestamp,
    ) -> StoreResult<Rotation> {
        let Some(found) = self.mark_used(hash, now).await? else {
            return Ok(Rotation::Unknown);
        };
        if timestamp(found.expires_at) <= now {
            return Ok(Rotation::Expired);
        }
        let is_old = |used_at| timestamp(used_at).after(REPEAT_GRACE) < now;
        if found.used_at.is_some_and(is_old) {
            self.delete_family(found.family()).await?;
            return Ok(Rotation::Reused);
        }
        let user = user_id(found.user);
        let next = RefreshToken {
            hash: successor,
            user,
            expires_at,
        };
        let next = TokenDocument::new(&next, found.family().clone());
        self.insert_token_once(&next).await?;
        self.still_there(hash, &successor, user).await
    }

    /// The token, which was used now at the latest.
    async fn mark_used(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> StoreResult<Option<TokenDocument>> {
        let first_use = vec![doc! { "$set": { "usedAt": { "$ifNull": ["$usedAt", date(now)] } } }];
        let marked = self
            .refresh_tokens
            .find_one_and_update(doc! { "_id": binary(hash) }, first_use)
            .return_document(ReturnDocument::After)
            .max_time(self.server_limit);
        Ok(marked.await?)
    }

    async fn still_there(
        &self,
        hash: &[u8; 32],
        successor: &[u8; 32],
        user: UserId,
    ) -> StoreResult<Rotation> {
        let predecessor = self.refresh_tokens.find_one(doc! { "_id": binary(hash) });
        if predecessor.max_time(self.server_limit).await?.is_some() {
            return Ok(Rotation::Rotated(user));
        }
        let successor = doc! { "_id": binary(successor) };
        self.refresh_tokens.delete_one(successor).await?;
        Ok(Rotation::Unknown)
    }

    pub(super) async fn end_family_of(&self, hash: &[u8; 32]) -> StoreResult<()> {
        let found = self.refresh_tokens.find_one(doc! { "_id": binary(hash) });
        match found.max_time(self.server_limit).await? {
            Some(found) => self.delete_family(found.family()).await,
            None => Ok(()),
        }
    }

    /// The first of a family has its name as its id, also from before there were families.
    async fn delete_family(&self, family: &Binary) -> StoreResult<()> {
        let all = doc! { "$or": [{ "family": family }, { "_id": family }] };
        self.refresh_tokens.delete_many(all).await?;
        Ok(())
    }
}
