//! Users, rooms and history over REST. Knows the routes that a run needs.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::Invalid;
use crate::gateways::Gateways;
use crate::rest::{Failed, Rest};

/// How many registrations run at once: each costs the gateway 13 ms of CPU.
const AT_ONCE: usize = 4;
/// How long a gateway may be away or busy before a request is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(250);
/// The largest page of history.
const PAGE: usize = 200;
const PASSWORD: &str = "correct horse battery";

/// One registered user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) token: String,
}

/// A message as history shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredMessage {
    /// A peer has none: there the place in its history is the number, from 1.
    pub(crate) seq: Option<u64>,
    pub(crate) content: String,
    pub(crate) client_message_id: Option<String>,
    /// When it was deleted, if it was.
    pub(crate) deleted_at: Option<String>,
    /// Who reacted with what.
    #[serde(default)]
    pub(crate) reactions: BTreeMap<String, Vec<String>>,
}

/// How long the log of a conversation is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Head {
    pub(crate) conversation_id: String,
    pub(crate) last_seq: u64,
}

/// A member of a room.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Membership {
    pub(crate) user_id: String,
    pub(crate) role: String,
}

/// What a room is called.
#[derive(Debug, Deserialize)]
pub(crate) struct RoomName {
    pub(crate) name: String,
}

/// The REST side of all gateways.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    gateways: Vec<Rest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    user_id: String,
    token: String,
}

#[derive(Deserialize)]
struct Made {
    #[serde(rename = "_id")]
    id: String,
}

impl Accounts {
    pub(crate) fn new(gateways: &Gateways) -> Self {
        Self {
            gateways: Rest::of(gateways),
        }
    }

    /// The gateway of this number.
    pub(crate) fn gateway(&self, number: usize) -> Option<&Rest> {
        self.gateways.get(number)
    }

    /// Registers `count` new users whose names begin with `prefix`.
    pub(crate) async fn register(&self, prefix: &str, count: usize) -> Result<Vec<User>, Invalid> {
        let registrations = (0..count).map(|index| self.register_one(format!("{prefix}-{index}")));
        stream::iter(registrations)
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn register_one(&self, name: String) -> Result<User, Invalid> {
        let body = json!({"username": name, "password": PASSWORD});
        // A lost answer makes the next try a conflict: then the name is ours already.
        let registered: Registered = match self.call("/register", None, Some(&body)).await {
            Ok(registered) => registered,
            Err(Failed::Status(409)) => self.call("/login", None, Some(&body)).await?,
            Err(error) => return Err(error.into()),
        };
        Ok(User {
            id: registered.user_id,
            name,
            token: registered.token,
        })
    }

    /// Logs in again: the token has expired.
    pub(crate) async fn renew(&self, user: &mut User) -> Result<(), Invalid> {
        let body = json!({"username": user.name, "password": PASSWORD});
        let registered: Registered = self.call("/login", None, Some(&body)).await?;
        user.token = registered.token;
        Ok(())
    }

    /// Makes a room with these members, and returns its id.
    pub(crate) async fn room(
        &self,
        owner: &User,
        name: &str,
        members: &[&User],
    ) -> Result<String, Invalid> {
        let ids: Vec<_> = members.iter().map(|user| &user.id).collect();
        let body = json!({"name": name, "members": ids});
        let made: Made = self.call("/room", Some(owner), Some(&body)).await?;
        Ok(made.id)
    }

    /// All messages of a conversation, by its history's path, oldest first.
    pub(crate) async fn history(
        &self,
        reader: &mut User,
        path: &str,
    ) -> Result<Vec<StoredMessage>, Invalid> {
        let mut messages: Vec<StoredMessage> = Vec::new();
        loop {
            let after = messages.last().and_then(|message| message.seq);
            let after = after.unwrap_or_default();
            let page = format!("{path}?after={after}&limit={PAGE}");
            let page: Vec<StoredMessage> = self.get(reader, &page).await?;
            // History without seqs is not paged: it comes whole.
            let is_whole = page.first().is_some_and(|message| message.seq.is_none());
            let is_last = page.len() < PAGE || is_whole;
            messages.extend(page);
            if is_last {
                return Ok(messages);
            }
        }
    }

    /// What is at this path, for this reader.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        reader: &mut User,
        path: &str,
    ) -> Result<T, Invalid> {
        loop {
            match self.call(path, Some(reader), None).await {
                Err(Failed::Status(401)) => self.renew(reader).await?,
                found => return Ok(found?),
            }
        }
    }

    /// One request, at one gateway after the other while they are away or busy.
    async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        user: Option<&User>,
        body: Option<&Value>,
    ) -> Result<T, Failed> {
        let deadline = Instant::now() + PATIENCE;
        for gateway in self.gateways.iter().cycle() {
            let token = user.map(|user| user.token.as_str());
            match gateway.ask(path, token, body).await {
                Err(Failed::Away(_) | Failed::Status(429 | 500..)) if Instant::now() < deadline => {
                    sleep(AGAIN).await;
                }
                outcome => return outcome,
            }
        }
        Err(Failed::Away("there is no gateway".to_owned()))
    }
}

impl From<Failed> for Invalid {
    fn from(failed: Failed) -> Self {
        Self(match failed {
            Failed::Away(why) | Failed::Distrusted(why) => why,
            Failed::Status(status) => format!("a request was answered with status {status}"),
        })
    }
}
