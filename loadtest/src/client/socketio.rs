//! Socket.IO 5 packets in Engine.IO 4 frames, as far as this client needs them: one packet a frame, no binary.
//! Source: the protocols' own documents, github.com/socketio/engine.io-protocol and socket.io-protocol.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::said::{Answer, CHANGES, Incoming, Joining, Message};
use crate::fold::Event;

/// Engine.IO's pong.
pub(super) const PONG: &str = "3";

/// CONNECT to the default namespace, with the token.
pub(super) fn connect(joining: &Joining<'_>) -> String {
    format!("40{}", json!({"token": joining.token}))
}

/// The event that starts delivery.
pub(super) fn join(joining: &Joining<'_>) -> String {
    let ack = if joining.acknowledges {
        "client"
    } else {
        "auto"
    };
    let mut options = json!({"since": joining.since, "ack": ack});
    if let Some(last) = joining.last {
        options["last"] = last.into();
    }
    format!("420{}", json!(["join", joining.user, options]))
}

/// An event with an acknowledgement.
pub(super) fn request(id: u64, name: &str, body: &Value) -> String {
    format!("42{id}{}", json!([name, body]))
}

/// Reads a frame.
pub(super) fn read(text: &str) -> Option<Incoming<'_>> {
    match text.as_bytes() {
        [b'0', ..] => Some(Incoming::Opened),
        [b'2', ..] => Some(Incoming::Ping),
        [b'4', b'0', ..] => Some(Incoming::Connected),
        [b'4', b'2', ..] => event(&text[2..]),
        [b'4', b'3', ..] => answer(&text[2..]),
        [b'4', b'4', ..] => Some(Incoming::Refused(refusal(&text[2..]))),
        [b'1' | b'4' | b'6', ..] => Some(Incoming::Other),
        _ => None,
    }
}

fn event(text: &str) -> Option<Incoming<'_>> {
    // The name is read first, so that of presence and typing nothing else is.
    let name = text.strip_prefix(r#"[""#)?.split('"').next()?;
    if CHANGES.contains(&name) {
        let (_, change): (Cow<'_, str>, Event<'_>) = serde_json::from_str(text).ok()?;
        let effect = change.effect(name);
        return Some(Incoming::Changed(change, effect));
    }
    if !matches!(name, "receive_message" | "receive_group_message") {
        return Some(Incoming::Other);
    }
    let (_, message): (Cow<'_, str>, Message<'_>) = serde_json::from_str(text).ok()?;
    Some(Incoming::Message(message))
}

fn answer(text: &str) -> Option<Incoming<'_>> {
    let (id, body) = text.split_at(text.find('[')?);
    let (answer,): (Answer<'_>,) = serde_json::from_str(body).ok()?;
    Some(Incoming::Answer {
        id: id.parse().ok()?,
        outcome: answer.outcome(),
    })
}

/// The code in a CONNECT_ERROR.
fn refusal(text: &str) -> String {
    let refusal: Value = serde_json::from_str(text).unwrap_or_default();
    refusal["data"]["code"]
        .as_str()
        .unwrap_or("connect_error")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::said::Answered;

    #[test]
    fn events_and_answers_are_read() {
        let text = r#"42["receive_group_message",{"conversationId":"c","seq":2,"senderId":"s","roomId":"c","content":"x"}]"#;
        assert!(
            matches!(read(text), Some(Incoming::Message(message)) if message.seq == Some(2) && message.receiver_id.is_none())
        );
        let text =
            r#"42["room_updated",{"conversationId":"c","seq":1,"change":"created","name":"n"}]"#;
        assert!(matches!(read(text), Some(Incoming::Changed(change, _)) if change.seq == 1));
        let answered = |outcome| Some(Incoming::Answer { id: 15, outcome });
        let nothing = Ok(Answered::default());
        assert_eq!(read(r#"4315[{"ok":true}]"#), answered(nothing));
        let made = Answered {
            seq: Some(4),
            ..Answered::default()
        };
        let text = r#"4315[{"ok":true,"event":{"seq":4,"target":2}}]"#;
        assert_eq!(read(text), answered(Ok(made)));
        let refused = read(r#"44{"message":"m","data":{"code":"token_expired"}}"#);
        assert_eq!(refused, Some(Incoming::Refused("token_expired".to_owned())));
        assert_eq!(read(r#"42["typing",{}]"#), Some(Incoming::Other));
        assert_eq!(read(""), None);
    }
}
