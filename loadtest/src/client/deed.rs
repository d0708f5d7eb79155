//! One thing a session does: what it asks for, over the socket or over REST, and which event it is to lead to. Knows the
//! requests; neither connections nor retries.

use serde_json::{Value, json};

use super::protocol::{Protocol, Target};
use super::shared::Shared;
use crate::fold::Effect;
use crate::mix::Kind;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Send a message, which says what its number says.
    Send(Target),
    /// Change a message: its conversation, and what is to become of it.
    Change(String, Effect),
    /// Change a room: its id, and what is to become of it.
    Manage(String, Effect),
}

/// A request over REST: method, path, body.
pub(super) type Asked = (&'static str, String, Option<Value>);

impl Deed {
    /// What is to become of the conversation; a message has a number instead.
    pub(crate) fn effect(&self) -> Option<&Effect> {
        match self {
            Self::Send(_) => None,
            Self::Change(_, effect) | Self::Manage(_, effect) => Some(effect),
        }
    }

    /// Which kind it is.
    pub(crate) fn kind(&self) -> Kind {
        match self.effect() {
            None => Kind::Messages,
            Some(Effect::Reacted { .. }) => Kind::Reactions,
            Some(Effect::Edited { .. }) => Kind::Edits,
            Some(Effect::Deleted { .. }) => Kind::Deletions,
            Some(_) => Kind::Members,
        }
    }

    /// What is written to the socket, with a request's number; `None` for what is asked over REST.
    pub(super) fn frame(&self, protocol: Protocol, number: u64, shared: &Shared) -> Option<String> {
        let id = number * 2 + 1;
        match self {
            Self::Send(target) => {
                let (content, own_id) = (shared.content(number), shared.own_id(number));
                Some(protocol.send(id, target, &content, &own_id))
            }
            Self::Change(conversation, effect) => {
                let (name, target, body) = change(effect)?;
                Some(protocol.change(id, name, (conversation, target), body))
            }
            Self::Manage(..) => None,
        }
    }

    /// What is asked over REST; `None` for what goes over the socket.
    pub(super) fn asked(&self) -> Option<Asked> {
        let Self::Manage(room, effect) = self else {
            return None;
        };
        let room = format!("/rooms/{room}");
        Some(match effect {
            Effect::Added(user, role) => {
                let body = json!({"userId": user, "role": role});
                ("POST", format!("{room}/members"), Some(body))
            }
            Effect::Appointed(user, role) => {
                let path = format!("{room}/members/{user}");
                ("PATCH", path, Some(json!({"role": role})))
            }
            Effect::Removed(user, _) => ("DELETE", format!("{room}/members/{user}"), None),
            Effect::Renamed(name) => ("PATCH", room, Some(json!({"name": name}))),
            _ => return None,
        })
    }
}

/// The name of the request, the message it is about, and the rest of its body.
fn change(effect: &Effect) -> Option<(&'static str, u64, Value)> {
    match effect {
        Effect::Edited { target, content } => {
            Some(("edit_message", *target, json!({"content": content})))
        }
        Effect::Deleted { target } => Some(("delete_message", *target, json!({}))),
        Effect::Reacted {
            target,
            emoji,
            added,
        } => Some(("react", *target, json!({"emoji": emoji, "added": added}))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manage(effect: Effect) -> Option<Asked> {
        Deed::Manage("r".to_owned(), effect).asked()
    }

    #[test]
    fn an_owner_asks_over_rest() {
        let user = || "u".to_owned();
        let (method, path, body) = manage(Effect::Added(user(), "member".to_owned())).unwrap();
        assert_eq!((method, path.as_str()), ("POST", "/rooms/r/members"));
        assert_eq!(body, Some(json!({"userId": "u", "role": "member"})));
        let (method, path, _) = manage(Effect::Appointed(user(), "admin".to_owned())).unwrap();
        assert_eq!((method, path.as_str()), ("PATCH", "/rooms/r/members/u"));
        let (method, path, body) = manage(Effect::Removed(user(), None)).unwrap();
        assert_eq!((method, path.as_str()), ("DELETE", "/rooms/r/members/u"));
        assert_eq!(body, None);
        let renamed = manage(Effect::Renamed("n".to_owned())).unwrap();
        assert_eq!(renamed.2, Some(json!({"name": "n"})));
    }

    #[test]
    fn each_kind_is_asked_for_in_one_way() {
        let effect = Effect::Deleted { target: 3 };
        let deed = Deed::Change("c".to_owned(), effect.clone());
        assert_eq!((deed.kind(), deed.asked()), (Kind::Deletions, None));
        assert_eq!(change(&effect), Some(("delete_message", 3, json!({}))));
        let effect = Effect::Renamed("n".to_owned());
        assert_eq!(change(&effect), None);
        let deed = Deed::Manage("r".to_owned(), effect);
        assert_eq!(deed.kind(), Kind::Members);
    }
}
