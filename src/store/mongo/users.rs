//! Users. Knows hashes, never passwords.

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};

use super::documents::{UserDocument, date, user_key};
use super::{MongoStore, backoff, failure};
use crate::domain::{Timestamp, User, UserId};
use crate::store::{Inserted, NewUser, StoreResult};

impl MongoStore {
    /// The unique index decides; the answer waits until a majority read shows whose the name is, since a first attempt
    /// of this very call may be under way (D5).
    pub(super) async fn insert_user(&self, new: &NewUser) -> StoreResult<Inserted> {
        let document = UserDocument::from(new);
        let mut backoff = backoff();
        loop {
            match self.users.insert_one(&document).await {
                Ok(_) => return Ok(Inserted::Yes),
                Err(error) if !failure::is_duplicate(&error) => return Err(error.into()),
                Err(_) => {}
            }
            let same = doc! { "$or": [
                { "usernameFolded": new.user.username.folded() },
                { "_id": user_key(new.user.id) },
            ]};
            if let Some(owner) = self.find_user(same).await? {
                let mine = User::try_from(owner)?.id == new.user.id;
                return Ok(if mine { Inserted::Yes } else { Inserted::Taken });
            }
            self.pause(&mut backoff).await;
        }
    }

    async fn find_user(&self, filter: Document) -> StoreResult<Option<UserDocument>> {
        let found = self.users.find_one(filter).max_time(self.server_limit);
        Ok(found.await?)
    }

    pub(super) async fn find_user_by_name(
        &self,
        folded: &str,
    ) -> StoreResult<Option<(User, String)>> {
        let found = self.find_user(doc! { "usernameFolded": folded }).await?;
        let Some(mut document) = found else {
            return Ok(None);
        };
        let hash = document.password_hash.take().unwrap_or_default();
        Ok(Some((document.try_into()?, hash)))
    }

    pub(super) async fn find_users(&self, ids: &[UserId]) -> StoreResult<Vec<User>> {
        let keys: Vec<_> = ids.iter().copied().map(user_key).collect();
        self.list_users(doc! { "_id": { "$in": keys } }, None).await
    }

    pub(super) async fn find_users_by_prefix(
        &self,
        prefix: &str,
        limit: usize,
    ) -> StoreResult<Vec<User>> {
        if limit == 0 {
            return Ok(Vec::new()); // MongoDB reads a limit of zero as none.
        }
        let mut range = doc! { "$gte": prefix };
        if let Some(end) = end_of_prefix(prefix) {
            range.insert("$lt", end);
        }
        let filter = doc! { "usernameFolded": range };
        self.list_users(filter, Some(limit)).await
    }

    async fn list_users(&self, filter: Document, limit: Option<usize>) -> StoreResult<Vec<User>> {
        let mut find = self
            .users
            .find(filter)
            .projection(doc! { "passwordHash": 0 })
            .max_time(self.server_limit);
        if let Some(limit) = limit {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            find = find.sort(doc! { "usernameFolded": 1 }).limit(limit);
        }
        let found: Vec<UserDocument> = find.await?.try_collect().await?;
        found.into_iter().map(User::try_from).collect()
    }

    pub(super) async fn move_last_seen(&self, users: &[UserId], at: Timestamp) -> StoreResult<()> {
        let keys: Vec<_> = users.iter().copied().map(user_key).collect();
        let later = doc! { "$max": { "lastSeenAt": date(at) } };
        self.users
            .update_many(doc! { "_id": { "$in": keys } }, later)
            .await?;
        Ok(())
    }
}

/// The first text, in the order of MongoDB's binary comparison, that comes after all that begin with this prefix; none
/// when there is no such.
fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // The range skips the surrogates, which are not characters; UTF-8 sorts as its characters do.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_comes_after_all_that_begin_with_it() {
        assert_eq!(end_of_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(end_of_prefix("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(end_of_prefix("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(end_of_prefix("\u{10FFFF}"), None);
        assert_eq!(end_of_prefix(""), None);
    }
}
