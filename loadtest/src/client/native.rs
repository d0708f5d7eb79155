//! The frames of `/ws`. Knows no connection.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json};

use super::said::{Answer, CHANGES, EventPlace, Incoming, Joining, Message, Refusal};
use crate::fold::Event;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "ref")]
    reference: Option<u64>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    error: Option<Refusal<'a>>,
    event: Option<EventPlace>,
}

/// The first frame: who we are, and where we resume.
pub(super) fn hello(joining: &Joining<'_>) -> String {
    let ack = if joining.acknowledges {
        "client"
    } else {
        "auto"
    };
    let hello = json!({"type": "hello", "ref": 0, "token": joining.token, "since": joining.since, "ack": ack});
    hello.to_string()
}

/// A request; its answer carries the same number.
pub(super) fn request(id: u64, name: &str, mut body: Value) -> String {
    body["type"] = name.into();
    body["ref"] = id.into();
    body.to_string()
}

/// Reads a frame.
pub(super) fn read(text: &str) -> Option<Incoming<'_>> {
    let frame: Frame<'_> = serde_json::from_str(text).ok()?;
    Some(match (frame.kind.as_ref(), frame.reference) {
        ("receive_message" | "receive_group_message", _) => Incoming::Message(frame.message?),
        (name, _) if CHANGES.contains(&name) => {
            let change: Event<'_> = serde_json::from_str(text).ok()?;
            let effect = change.effect(name);
            Incoming::Changed(change, effect)
        }
        ("hello" | "ok" | "error", Some(id)) => {
            let answer = Answer {
                message: frame.message,
                error: frame.error,
                event: frame.event,
            };
            Incoming::Answer {
                id,
                outcome: answer.outcome(),
            }
        }
        _ => Incoming::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::Effect;

    #[test]
    fn a_delivered_message_is_read() {
        let text = r#"{"type":"receive_message","message":{"_id":"1","conversationId":"c","seq":7,"senderId":"s","receiverId":"r","content":"a\"b"}}"#;
        let Some(Incoming::Message(message)) = read(text) else {
            panic!("no message")
        };
        assert_eq!((message.seq, message.content.as_ref()), (Some(7), "a\"b"));
        assert_eq!(message.receiver_id.as_deref(), Some("r"));
    }

    #[test]
    fn a_room_that_was_made_is_read() {
        let text = r#"{"type":"room_updated","_id":"1","conversationId":"c","seq":1,"senderId":"s","change":"created","name":"n"}"#;
        let Some(Incoming::Changed(change, effect)) = read(text) else {
            panic!("no event")
        };
        assert_eq!((change.seq, effect), (1, Effect::Made("n".to_owned())));
    }

    #[test]
    fn the_answer_to_a_change_has_its_place() {
        let made = read(
            r#"{"type":"ok","ref":3,"event":{"_id":"1","conversationId":"c","seq":7,"target":2}}"#,
        );
        let Some(Incoming::Answer { id: 3, outcome }) = made else {
            panic!("no answer")
        };
        assert_eq!(outcome.unwrap().seq, Some(7));
    }

    #[test]
    fn answers_carry_the_requests_number() {
        let error = read(r#"{"type":"error","ref":3,"error":{"code":"busy","message":"m"}}"#);
        let expected = Incoming::Answer {
            id: 3,
            outcome: Err(Cow::Borrowed("busy")),
        };
        assert_eq!(error, Some(expected));
        assert_eq!(
            read(r#"{"type":"typing","userId":"x"}"#),
            Some(Incoming::Other)
        );
        assert_eq!(read("nonsense"), None);
    }
}
