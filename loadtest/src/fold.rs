//! A conversation as its events make it: what each message says, who reacted with what, who belongs to the room and as
//! what, its name. Fold what a device was told, or the log itself, and compare. Knows events as clients get them;
//! refuses to know how they travelled and whether they may come so.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::Deserialize;

/// An event of a log that is no message, as clients get it: the fields of all kinds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a> {
    /// Its conversation.
    #[serde(borrow)]
    pub conversation_id: Cow<'a, str>,
    /// Its place in the conversation's log.
    pub seq: u64,
    /// Who caused it.
    #[serde(borrow, default)]
    pub sender_id: Cow<'a, str>,
    target: Option<u64>,
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    emoji: Option<Cow<'a, str>>,
    added: Option<bool>,
    #[serde(borrow)]
    change: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    new_owner_id: Option<Cow<'a, str>>,
}

/// What an event does to its conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A message stands at the event's place.
    Said(Saying),
    /// A message says something else; empty when it has been deleted since.
    Edited {
        /// The message's seq.
        target: u64,
        /// What it says.
        content: String,
    },
    /// A message says nothing any more.
    Deleted {
        /// The message's seq.
        target: u64,
    },
    /// Somebody put a reaction on a message, or took it off.
    Reacted {
        /// The message's seq.
        target: u64,
        /// The reaction.
        emoji: String,
        /// Put on, or taken off.
        added: bool,
    },
    /// Somebody belongs to the room now, as this.
    Added(String, String),
    /// Somebody does not belong to it any more, and somebody may have inherited it.
    Removed(String, Option<String>),
    /// A member is something else now.
    Appointed(String, String),
    /// The room has another name.
    Renamed(String),
    /// The room was made under this name.
    Made(String),
    /// Nothing that is folded.
    Nothing,
}

/// What a message says, and what people think of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saying {
    /// What it says; nothing once deleted.
    pub content: String,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// Reactions and who put each.
    pub reactions: BTreeSet<(String, String)>,
}

/// A conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// The room's name.
    pub name: String,
    /// Who belongs to it, as what.
    pub members: BTreeMap<String, String>,
    /// By seq.
    pub messages: BTreeMap<u64, Saying>,
}

impl Event<'_> {
    /// What the event of this name does.
    #[must_use]
    pub fn effect(&self, name: &str) -> Effect {
        let text = |field: &Option<Cow<'_, str>>| field.as_deref().unwrap_or_default().to_owned();
        let target = self.target.unwrap_or_default();
        let user = || text(&self.user_id);
        match (name, self.change.as_deref()) {
            ("message_edited", _) => Effect::Edited {
                target,
                content: text(&self.content),
            },
            ("message_deleted", _) => Effect::Deleted { target },
            ("reaction", _) => Effect::Reacted {
                target,
                emoji: text(&self.emoji),
                added: self.added.unwrap_or_default(),
            },
            ("room_updated", Some("member_added")) => Effect::Added(user(), text(&self.role)),
            ("room_updated", Some("role_changed")) => Effect::Appointed(user(), text(&self.role)),
            ("room_updated", Some("member_removed")) => {
                Effect::Removed(user(), self.new_owner_id.as_deref().map(str::to_owned))
            }
            ("room_updated", Some("renamed")) => Effect::Renamed(text(&self.name)),
            ("room_updated", Some("created")) => Effect::Made(text(&self.name)),
            _ => Effect::Nothing,
        }
    }
}

impl Folded {
    /// A conversation to which these belong from the beginning on, the first as its owner.
    pub fn of<'a>(members: impl IntoIterator<Item = &'a str>) -> Self {
        let roles = std::iter::once("owner").chain(std::iter::repeat("member"));
        let members = members.into_iter().zip(roles);
        Self {
            members: members
                .map(|(user, role)| (user.to_owned(), role.to_owned()))
                .collect(),
            ..Self::default()
        }
    }

    /// Takes in an event. What is about a message that is not there, because it is older than one's membership, is
    /// nothing to this state.
    pub fn take(&mut self, seq: u64, sender: &str, effect: &Effect) {
        let (messages, members) = (&mut self.messages, &mut self.members);
        match effect {
            Effect::Said(saying) => drop(messages.insert(seq, saying.clone())),
            Effect::Edited { target, content } => {
                if let Some(saying) = messages.get_mut(target) {
                    saying.content.clone_from(content);
                }
            }
            Effect::Deleted { target } => {
                if let Some(saying) = messages.get_mut(target) {
                    saying.content.clear();
                    saying.is_deleted = true;
                }
            }
            Effect::Reacted {
                target,
                emoji,
                added,
            } => {
                if let Some(saying) = messages.get_mut(target) {
                    let reaction = (emoji.clone(), sender.to_owned());
                    match added {
                        true => saying.reactions.insert(reaction),
                        false => saying.reactions.remove(&reaction),
                    };
                }
            }
            Effect::Added(user, role) | Effect::Appointed(user, role) => {
                members.insert(user.clone(), role.clone());
            }
            Effect::Removed(user, heir) => {
                members.remove(user);
                if let Some(heir) = heir {
                    members.insert(heir.clone(), "owner".to_owned());
                }
            }
            Effect::Renamed(name) | Effect::Made(name) => self.name.clone_from(name),
            Effect::Nothing => {}
        }
    }

    /// Where another state is not this one, in words.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.name != other.name {
            found.push(format!("the name is {:?}, not {:?}", other.name, self.name));
        }
        compare("member", &self.members, &other.members, &mut found);
        compare("message", &self.messages, &other.messages, &mut found);
        found
    }
}

fn compare<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    wanted: &BTreeMap<K, V>,
    is: &BTreeMap<K, V>,
    found: &mut Vec<String>,
) {
    let keys: BTreeSet<&K> = wanted.keys().chain(is.keys()).collect();
    for key in keys {
        match (wanted.get(key), is.get(key)) {
            (Some(wanted), Some(is)) if wanted == is => {}
            (Some(wanted), Some(is)) => {
                found.push(format!("{what} {key:?} is {is:?}, not {wanted:?}"));
            }
            (Some(_), None) => found.push(format!("{what} {key:?} is missing")),
            (None, _) => found.push(format!("{what} {key:?} should not be there")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fold(events: &[(&str, serde_json::Value)]) -> Folded {
        let mut folded = Folded::of(["a", "b"]);
        for said in [1, 2] {
            let saying = Saying {
                content: format!("m{said}"),
                ..Saying::default()
            };
            folded.take(said, "a", &Effect::Said(saying));
        }
        for (seq, (name, fields)) in (3..).zip(events) {
            let mut object = fields.clone();
            object["conversationId"] = "c".into();
            object["seq"] = seq.into();
            object["senderId"] = "b".into();
            let text = object.to_string();
            let change: Event<'_> = serde_json::from_str(&text).unwrap();
            folded.take(change.seq, &change.sender_id, &change.effect(name));
        }
        folded
    }

    #[test]
    fn messages_are_edited_deleted_and_reacted_to() {
        let react = |emoji: &str, added: bool| {
            let fields = json!({"target": 1, "emoji": emoji, "added": added});
            ("reaction", fields)
        };
        let folded = fold(&[
            ("message_edited", json!({"target": 1, "content": "better"})),
            react("x", true),
            react("y", true),
            react("x", false),
            ("message_deleted", json!({"target": 2})),
            ("message_edited", json!({"target": 9, "content": "older"})),
        ]);
        let one = &folded.messages[&1];
        assert_eq!((one.content.as_str(), one.is_deleted), ("better", false));
        let only = BTreeSet::from([("y".to_owned(), "b".to_owned())]);
        assert_eq!(one.reactions, only);
        let two = &folded.messages[&2];
        assert_eq!((two.content.as_str(), two.is_deleted), ("", true));
        assert_eq!(folded.messages.len(), 2);
    }

    #[test]
    fn people_come_and_go_and_inherit_and_rooms_are_renamed() {
        let room = |fields| ("room_updated", fields);
        let folded = fold(&[
            room(json!({"change": "created", "name": "Tea"})),
            room(json!({"change": "member_added", "userId": "c", "role": "member"})),
            room(json!({"change": "role_changed", "userId": "c", "role": "admin"})),
            room(json!({"change": "member_removed", "userId": "a", "newOwnerId": "b"})),
            room(json!({"change": "renamed", "name": "Coffee"})),
            room(json!({"change": "painted"})),
        ]);
        let members: Vec<_> = folded.members.iter().collect();
        let (b, c) = ("b".to_owned(), "c".to_owned());
        assert_eq!(
            members,
            [(&b, &"owner".to_owned()), (&c, &"admin".to_owned())]
        );
        assert_eq!(folded.name, "Coffee");
    }

    #[test]
    fn each_difference_is_told() {
        let one = fold(&[]);
        assert!(one.differences(&one).is_empty());
        let other = fold(&[
            ("message_deleted", json!({"target": 1})),
            (
                "room_updated",
                json!({"change": "member_removed", "userId": "a"}),
            ),
            ("room_updated", json!({"change": "renamed", "name": "Tea"})),
        ]);
        let found = one.differences(&other).join("\n");
        for told in [
            "the name is \"Tea\", not \"\"",
            "member \"a\" is missing",
            "message 1 is Saying",
        ] {
            assert!(found.contains(told), "{found}");
        }
        let back = other.differences(&one).join("\n");
        assert!(back.contains("\"a\" should not be there"), "{back}");
    }
}
