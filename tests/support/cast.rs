//! Somebody of each kind around a room, for the tests that hold docs/permissions.md to the server. Knows how people come
//! to be members, admins, owners and former members; refuses to know what they try.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::fold::seq;
use super::gateway::{Gateway, SECRET};
use super::matrix::Caller;
use super::rest::{Person, text};
use super::tokens::{EARLIER, LATER, OTHER_SECRET, token};
use super::until;
use super::ws::Ws;

/// No limit on how much the few people of a test may do, and a session's end is noted at once.
const UNLIMITED: [(&str, &str); 7] = [
    ("HOBNOB_USER_RATE", "0"),
    ("HOBNOB_SESSION_RATE", "0"),
    ("HOBNOB_SEARCH_RATE", "0"),
    ("HOBNOB_ROOMS_MADE_LIMIT", "0"),
    ("HOBNOB_ADDITIONS_LIMIT", "0"),
    ("HOBNOB_NEW_CONVERSATIONS_LIMIT", "0"),
    ("HOBNOB_OFFLINE_GRACE", "0s"),
];

/// What everybody said once in every room, and under which clientMessageId.
pub(crate) const SAID: &str = "between us";
pub(crate) const SAID_AS: &str = "said-before";

/// Their gateway and they. The others are there to have something done to them, or to their messages.
pub(crate) struct Cast {
    pub(crate) gateway: Gateway,
    pub(crate) owner: Person,
    pub(crate) other_owner: Person,
    pub(crate) admin: Person,
    pub(crate) other_admin: Person,
    pub(crate) member: Person,
    pub(crate) other_member: Person,
    pub(crate) former: Person,
    pub(crate) stranger: Person,
    /// In no room, and not one of those who try anything.
    pub(crate) newcomer: Person,
}

impl Cast {
    pub(crate) async fn assemble() -> Arc<Self> {
        let gateway = Gateway::embedded_with(&UNLIMITED).await;
        let cast = Self {
            owner: Person::register(&gateway, "owner").await,
            other_owner: Person::register(&gateway, "other-owner").await,
            admin: Person::register(&gateway, "admin").await,
            other_admin: Person::register(&gateway, "other-admin").await,
            member: Person::register(&gateway, "member").await,
            other_member: Person::register(&gateway, "other-member").await,
            former: Person::register(&gateway, "former").await,
            stranger: Person::register(&gateway, "stranger").await,
            newcomer: Person::register(&gateway, "newcomer").await,
            gateway,
        };
        cast.begin().await;
        Arc::new(cast)
    }

    /// Two of them have a direct conversation, and one of these two has been seen.
    async fn begin(&self) {
        let speaker = Ws::join(&self.gateway, &self.other_owner).await;
        speaker.write(&self.newcomer, SAID).await;
        speaker.close().await;
        until("the end of a session is noted", async || {
            let me = self.other_owner.get(&self.gateway, "/me").await.body;
            !me["lastSeenAt"].is_null()
        })
        .await;
    }

    /// The one of them who asks. A token without truth names an owner, so that nothing else stands in its way.
    pub(crate) fn person(&self, caller: Caller) -> &Person {
        match caller {
            Caller::NoToken | Caller::Forged | Caller::Expired | Caller::Owner => &self.owner,
            Caller::Stranger => &self.stranger,
            Caller::Former => &self.former,
            Caller::Member => &self.member,
            Caller::Admin => &self.admin,
        }
    }

    /// What the caller shows.
    pub(crate) fn token(&self, caller: Caller) -> Option<String> {
        match caller {
            Caller::NoToken => None,
            Caller::Forged => Some(self.forged()),
            Caller::Expired => Some(self.expired()),
            _ => Some(self.person(caller).token.clone()),
        }
    }

    pub(crate) fn forged(&self) -> String {
        token(&self.owner.id, OTHER_SECRET, SECRET, LATER)
    }

    pub(crate) fn expired(&self) -> String {
        token(&self.owner.id, SECRET, SECRET, EARLIER)
    }

    /// The direct conversation of two who try nothing.
    pub(crate) fn private(&self) -> String {
        self.other_owner.direct_with(&self.newcomer)
    }

    /// Whoever is in a room at first, with the role they get.
    fn members(&self) -> [(&Person, &'static str); 6] {
        [
            (&self.other_owner, "owner"),
            (&self.admin, "admin"),
            (&self.other_admin, "admin"),
            (&self.member, "member"),
            (&self.other_member, "member"),
            (&self.former, "member"),
        ]
    }

    /// A new room in which everybody has said something, and that the former member left like this.
    async fn room(&self, ending: Ending) -> Room {
        let members = self.members();
        let others: Vec<&Person> = members.iter().map(|(person, _)| *person).collect();
        let id = self.owner.room(&self.gateway, &others).await;
        for (person, role) in members.iter().filter(|(_, role)| *role != "member") {
            let path = format!("/rooms/{id}/members/{}", person.id);
            let body = json!({"role": role});
            self.owner
                .patch(&self.gateway, &path, body)
                .await
                .expect(200);
        }
        let mut said = HashMap::new();
        for person in others.into_iter().chain([&self.owner]) {
            let body = json!({"roomId": id, "content": SAID, "clientMessageId": SAID_AS});
            let message = person.post(&self.gateway, "/group", body).await.expect(201);
            said.insert(person.id.clone(), message);
        }
        let membership = format!("/rooms/{id}/members/{}", self.former.id);
        let (who, path) = match ending {
            Ending::Removed => (&self.owner, membership),
            Ending::Left => (&self.former, membership),
            Ending::Deleted => (&self.owner, format!("/rooms/{id}")),
        };
        who.delete(&self.gateway, &path).await.expect(204);
        let last = said.values().map(seq).max().unwrap_or_default();
        let as_made = self.seen_inside(&id).await;
        Room {
            end: last + 1,
            id,
            said,
            as_made,
        }
    }

    /// All that members see of a room and of the two others' conversation. A refusal changes nothing of it.
    async fn seen_inside(&self, room: &str) -> Vec<Value> {
        let paths = [
            format!("/rooms/{room}"),
            format!("/rooms/{room}/members"),
            format!("/room/{room}"),
            format!("/message/{}/{}", self.other_owner.id, self.newcomer.id),
        ];
        let mut seen = Vec::new();
        for path in paths {
            seen.push(self.other_owner.get(&self.gateway, &path).await.body);
        }
        seen
    }
}

/// How somebody became a former member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ending {
    Removed,
    Left,
    /// The room was deleted, and with it everybody's membership.
    Deleted,
}

/// A room of the cast.
pub(crate) struct Room {
    pub(crate) id: String,
    /// The last seq of the former member's log.
    pub(crate) end: u64,
    /// What each said, by their id.
    said: HashMap<String, Value>,
    as_made: Vec<Value>,
}

impl Room {
    /// What this person said; those who never were in the room take the owner's message for theirs.
    pub(crate) fn message_of(&self, cast: &Cast, person: &Person) -> &Value {
        self.said
            .get(&person.id)
            .unwrap_or(&self.said[&cast.owner.id])
    }
}

/// One attempt: who makes it, and where.
pub(crate) struct Stage {
    pub(crate) cast: Arc<Cast>,
    pub(crate) room: Arc<Room>,
    pub(crate) caller: Caller,
    is_used_up: Cell<bool>,
}

impl Stage {
    pub(crate) fn actor(&self) -> &Person {
        self.cast.person(self.caller)
    }

    /// Nobody tries anything else in this room, whatever comes of this attempt: something was granted on the way that others
    /// do not see.
    pub(crate) fn use_up(&self) {
        self.is_used_up.set(true);
    }

    /// What this person said in the room.
    pub(crate) fn message_of(&self, person: &Person) -> &Value {
        self.room.message_of(&self.cast, person)
    }

    /// Its `_id`.
    pub(crate) fn message_id_of(&self, person: &Person) -> String {
        text(&self.message_of(person)["_id"])
    }
}

/// Rooms for attempts: each has one of its own, unless all before it were refused in the same one and changed nothing.
pub(crate) struct Stages {
    pub(crate) cast: Arc<Cast>,
    unused: HashMap<Ending, Arc<Room>>,
}

impl Stages {
    pub(crate) fn new(cast: Arc<Cast>) -> Self {
        Self {
            cast,
            unused: HashMap::new(),
        }
    }

    /// What comes of an attempt by this caller. A former member makes it once for each way to become one; outcomes that
    /// differ are told together.
    pub(crate) async fn outcome(
        &mut self,
        caller: Caller,
        attempt: impl AsyncFn(&Stage) -> String,
    ) -> String {
        let endings = match caller {
            Caller::Former => &[Ending::Removed, Ending::Left, Ending::Deleted][..],
            _ => &[Ending::Removed],
        };
        let mut outcomes = BTreeSet::new();
        let mut all = Vec::new();
        for ending in endings {
            let outcome = self.outcome_after(*ending, caller, &attempt).await;
            all.push(format!("{outcome} ({ending:?})"));
            outcomes.insert(outcome);
        }
        match outcomes.len() {
            1 => outcomes.pop_first().unwrap_or_default(),
            _ => all.join(", "),
        }
    }

    async fn outcome_after(
        &mut self,
        ending: Ending,
        caller: Caller,
        attempt: &impl AsyncFn(&Stage) -> String,
    ) -> String {
        let room = match self.unused.remove(&ending) {
            Some(room) => room,
            None => Arc::new(self.cast.room(ending).await),
        };
        let stage = Stage {
            cast: Arc::clone(&self.cast),
            room: Arc::clone(&room),
            caller,
            is_used_up: Cell::new(false),
        };
        let outcome = attempt(&stage).await;
        if outcome == "yes" || outcome == "hidden" {
            return outcome;
        }
        if self.cast.seen_inside(&room.id).await != room.as_made {
            return format!("{outcome}, and changes something");
        }
        if !stage.is_used_up.get() {
            self.unused.insert(ending, room);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_that_changes_something_is_not_taken_for_one() {
        let cast = Cast::assemble().await;
        let say = async |stage: &Stage| {
            let room = &stage.room.id;
            stage.actor().say(&stage.cast.gateway, room, "hello").await;
            "not_allowed".to_owned()
        };
        let outcome = Stages::new(cast).outcome(Caller::Member, say).await;
        assert_eq!(outcome, "not_allowed, and changes something");
    }
}
