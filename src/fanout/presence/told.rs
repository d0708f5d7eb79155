//! A change of somebody's presence, as the sessions that watch them are told of it. Knows who may learn when somebody
//! was last seen.

use bytes::Bytes;
use serde::Serialize;

use super::super::envelope::PresenceChange;
use super::super::offer::Encoded;
use super::super::session::Session;
use crate::domain::{ConversationId, UserId};
use crate::wire::{self, EventName};

pub(super) struct Told {
    fully: Encoded,
    /// Without the time at which the user was last seen, where there is one.
    briefly: Option<Encoded>,
    is_for_all: bool,
}

impl Told {
    /// Of this change. `is_for_all`: everybody may learn when the user was last seen.
    pub(super) fn of(change: PresenceChange, is_for_all: bool) -> Self {
        let last_seen = (!change.online).then(|| change.at.to_rfc3339());
        Self {
            is_for_all,
            briefly: last_seen.is_some().then(|| encode(change, None)),
            fully: encode(change, last_seen),
        }
    }

    /// How a session is told: with the time where its user has a direct conversation with the one who went. (Who shares
    /// a room only may ask for it.)
    pub(super) fn to(&self, session: &Session, user: UserId) -> &Encoded {
        let direct = ConversationId::direct(session.user(), user);
        match &self.briefly {
            Some(briefly) if !self.is_for_all && !session.knows(direct) => briefly,
            _ => &self.fully,
        }
    }
}

fn encode(change: PresenceChange, last_seen_at: Option<String>) -> Encoded {
    let shape = PresenceChangeJson {
        user_id: change.user.to_string(),
        online: change.online,
        last_seen_at,
    };
    Encoded::new(EventName::Presence, Bytes::from(wire::encode(&shape)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PresenceChangeJson {
    user_id: String,
    online: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<String>,
}
