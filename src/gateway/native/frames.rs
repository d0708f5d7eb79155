//! The frames of `/ws`: how requests are read, and answers and events written.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

use crate::chat::ChatError;
use crate::fanout::offer::{Encoding, Protocol};
use crate::gateway::requests::{Answer, JoinOptions};
use crate::transport::outbox::Frame;

/// The longest `ref`, in bytes of JSON.
const REF_LIMIT: usize = 128;

/// How `/ws` writes events: `{"type": name, …}`, a message under `message` since it has a `type` of its own.
pub(super) static ENCODING: Encoding = Encoding {
    protocol: Protocol::WebSocket,
    encode: event,
};

fn event(name: &str, json: &[u8]) -> Frame {
    let text = std::str::from_utf8(json).unwrap_or("{}");
    let is_message = matches!(name, "receive_message" | "receive_group_message");
    let frame = if is_message {
        format!(r#"{{"type":"{name}","message":{text}}}"#)
    } else {
        format!(r#"{{"type":"{name}"{}"#, rest_of(text))
    };
    Frame::from(frame)
}

/// The answer to the request with this head: of the type `ok` or `error`, with the request's `ref`. A `hello` is
/// answered by a `hello`.
pub(super) fn answer(head: &Head, answer: &Answer) -> Frame {
    let kind = match (answer, head.name.as_str()) {
        (Answer::Refused(_), _) => "error",
        (Answer::Done(_), "hello") => "hello",
        (Answer::Done(_), _) => "ok",
    };
    let reference = head.reference.as_deref();
    let reference = reference
        .map(|reference| format!(r#","ref":{reference}"#))
        .unwrap_or_default();
    let text = answer.text();
    Frame::from(format!(r#"{{"type":"{kind}"{reference}{}"#, rest_of(&text)))
}

/// An object's text after its opening brace, to be written behind other fields.
fn rest_of(object: &str) -> Cow<'_, str> {
    match object.strip_prefix('{') {
        None | Some("}") => Cow::Borrowed("}"),
        Some(rest) => Cow::Owned(format!(",{rest}")),
    }
}

/// What every request has. The default is what is known of one that could not be read: nothing.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Its `type`: `hello`, `send_message`…
    pub(super) name: String,
    /// Its `ref`, by which a client finds the answer, as JSON text.
    pub(super) reference: Option<String>,
}

#[derive(Deserialize)]
struct RawHead<'a> {
    #[serde(rename = "type", borrow)]
    name: Cow<'a, str>,
    #[serde(rename = "ref", borrow)]
    reference: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Hello {
    pub(super) token: Option<String>,
    #[serde(default)]
    since: HashMap<String, u64>,
    ack: Option<String>,
}

impl Hello {
    /// How the client wants to resume; the default here is `ack: "client"` (D32).
    pub(super) fn options(self) -> Result<JoinOptions, ChatError> {
        JoinOptions::new(self.since, self.ack.as_deref().unwrap_or("client"))
    }
}

/// Reads what every request has.
pub(super) fn head(text: &str) -> Result<Head, ChatError> {
    let wrong = |what: &str| ChatError::InvalidRequest(what.to_owned());
    let head: RawHead<'_> =
        serde_json::from_str(text).map_err(|_| wrong("a frame is one JSON object with a type"))?;
    let reference = head.reference.map(RawValue::get);
    if reference.is_some_and(|text| text.starts_with(['{', '[']) || text.len() > REF_LIMIT) {
        return Err(wrong(
            "ref must be a string or a number of at most 128 bytes",
        ));
    }
    Ok(Head {
        name: head.name.into_owned(),
        reference: reference.map(str::to_owned),
    })
}

pub(super) fn hello(text: &str) -> Result<Hello, ChatError> {
    serde_json::from_str(text)
        .map_err(|_| ChatError::InvalidRequest("hello is not of the documented form".to_owned()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Room {
    room_id: String,
}

pub(super) fn room(text: &str) -> Result<String, ChatError> {
    let room: Result<Room, _> = serde_json::from_str(text);
    room.map(|room| room.room_id)
        .map_err(|_| ChatError::InvalidRequest("roomId is missing".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frame: &Frame) -> serde_json::Value {
        let Frame::Text(text) = frame else {
            panic!("binary")
        };
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_message_keeps_its_own_type() {
        let frame = event("receive_message", br#"{"_id":"1","type":"private"}"#);
        assert_eq!(
            text(&frame),
            serde_json::json!({"type": "receive_message", "message": {"_id": "1", "type": "private"}})
        );
    }

    #[test]
    fn other_events_and_answers_are_flat() {
        assert_eq!(
            text(&event("typing", br#"{"a":1}"#)),
            serde_json::json!({"type": "typing", "a": 1})
        );
        let done = Answer::Done(br#"{"ok":true}"#.to_vec());
        let asked = |name: &str, reference: Option<&str>| Head {
            name: name.to_owned(),
            reference: reference.map(str::to_owned),
        };
        assert_eq!(
            text(&answer(&asked("react", Some("7")), &done)),
            serde_json::json!({"type": "ok", "ref": 7, "ok": true})
        );
        assert_eq!(
            text(&answer(&asked("hello", None), &done)),
            serde_json::json!({"type": "hello", "ok": true})
        );
        assert_eq!(
            text(&answer(&Head::default(), &Answer::Done(b"{}".to_vec()))),
            serde_json::json!({"type": "ok"})
        );
    }

    #[test]
    fn a_refusal_is_an_error_whatever_was_asked() {
        for name in ["", "hello", "react"] {
            let head = Head {
                name: name.to_owned(),
                reference: None,
            };
            let frame = text(&answer(&head, &Answer::Refused(ChatError::UnknownEvent)));
            assert_eq!(frame["type"], "error");
            assert_eq!(frame["error"]["code"], "unknown_event");
        }
    }

    #[test]
    fn a_ref_is_short_and_flat() {
        assert_eq!(
            head(r#"{"type":"x","ref":"a"}"#)
                .unwrap()
                .reference
                .as_deref(),
            Some(r#""a""#)
        );
        for bad in [
            r#"{"type":"x","ref":{}}"#,
            r#"{"ref":1}"#,
            "[]",
            "7",
            r#"{"type":7}"#,
        ] {
            assert!(head(bad).is_err(), "{bad}");
        }
        assert!(head(&format!(r#"{{"type":"x","ref":"{}"}}"#, "a".repeat(200))).is_err());
    }
}
