//! Bad requests that both socket protocols take, and the code of each (docs/errors.md).

use serde_json::{Value, json};

use super::LIMIT;
use crate::support::rest::Person;

/// Requests that both protocols take, and the code of each.
pub(super) fn table(other: &Person, room: &str) -> Vec<(&'static str, Value, &'static str)> {
    let to = |content: Value| json!({"receiverId": other.id, "content": content});
    let say = |content: Value| json!({"roomId": room, "content": content});
    vec![
        ("no_such_event", json!({}), "unknown_event"),
        ("receive_message", json!({}), "unknown_event"),
        ("send_message", json!({}), "invalid_request"),
        (
            "send_message",
            json!({"receiverId": other.id}),
            "invalid_request",
        ),
        (
            "send_message",
            json!({"content": "to nobody"}),
            "invalid_request",
        ),
        (
            "send_message",
            json!({"receiverId": {"$ne": null}, "content": "x"}),
            "invalid_request",
        ),
        (
            "send_message",
            json!({"receiverId": ["x"], "content": "x"}),
            "invalid_request",
        ),
        (
            "send_message",
            json!({"receiverId": "not an id", "content": "x"}),
            "invalid_id",
        ),
        (
            "send_message",
            json!({"receiverId": "", "content": "x"}),
            "invalid_id",
        ),
        (
            "send_message",
            json!({"receiverId": "ffffffffffffffffffffffff", "content": "x"}),
            "user_not_found",
        ),
        (
            "send_message",
            json!({"receiverId": other.id, "content": "x", "senderId": 7}),
            "invalid_request",
        ),
        ("send_message", to(json!(7)), "invalid_request"),
        ("send_message", to(json!({"text": "x"})), "invalid_request"),
        ("send_message", to(json!(null)), "invalid_request"),
        ("send_message", to(json!("")), "content_empty"),
        (
            "send_message",
            to(json!("x".repeat(LIMIT + 1))),
            "content_too_long",
        ),
        (
            "send_message",
            to(json!("ä".repeat(LIMIT / 2 + 1))),
            "content_too_long",
        ),
        ("send_group_message", say(json!("")), "content_empty"),
        (
            "send_group_message",
            say(json!("x".repeat(LIMIT + 1))),
            "content_too_long",
        ),
        (
            "send_group_message",
            json!({"roomId": {"$gt": ""}, "content": "x"}),
            "invalid_request",
        ),
        (
            "send_group_message",
            json!({"roomId": "x".repeat(24), "content": "x"}),
            "invalid_id",
        ),
        (
            "send_group_message",
            json!({"roomId": room, "content": "x", "clientMessageId": ""}),
            "invalid_client_message_id",
        ),
        (
            "send_group_message",
            json!({"roomId": room, "content": "x", "clientMessageId": "a b"}),
            "invalid_client_message_id",
        ),
        (
            "send_group_message",
            json!({"roomId": room, "content": "x", "clientMessageId": "x".repeat(129)}),
            "invalid_client_message_id",
        ),
        (
            "send_group_message",
            json!({"roomId": room, "content": "x", "clientMessageId": {}}),
            "invalid_request",
        ),
        (
            "message_ack",
            json!({"conversationId": room, "seq": "1"}),
            "invalid_request",
        ),
        (
            "message_ack",
            json!({"conversationId": room, "seq": -1}),
            "invalid_request",
        ),
        (
            "message_ack",
            json!({"conversationId": room, "seq": 1.5}),
            "invalid_request",
        ),
        (
            "message_ack",
            json!({"conversationId": {}, "seq": 1}),
            "invalid_request",
        ),
        (
            "message_read",
            json!({"conversationId": "nowhere", "seq": 1}),
            "invalid_id",
        ),
        ("typing", json!({"typing": true}), "invalid_request"),
        (
            "typing",
            json!({"roomId": room, "typing": "yes"}),
            "invalid_request",
        ),
        (
            "typing",
            json!({"roomId": room, "receiverId": other.id, "typing": true}),
            "invalid_request",
        ),
        (
            "edit_message",
            json!({"conversationId": room, "seq": 2, "content": ""}),
            "content_empty",
        ),
        (
            "edit_message",
            json!({"conversationId": room, "seq": 99, "content": "x"}),
            "no_such_message",
        ),
        (
            "delete_message",
            json!({"conversationId": room, "seq": 0}),
            "no_such_message",
        ),
        (
            "react",
            json!({"conversationId": room, "seq": 2, "emoji": ""}),
            "invalid_emoji",
        ),
        (
            "react",
            json!({"conversationId": room, "seq": 2, "emoji": 1}),
            "invalid_request",
        ),
        (
            "watch_presence",
            json!({"userIds": [{}]}),
            "invalid_request",
        ),
        ("watch_presence", json!({"userIds": ["x"]}), "invalid_id"),
        (
            "watch_presence",
            json!({"userIds": vec![&other.id; 501]}),
            "limit_exceeded",
        ),
        ("authenticate", json!({}), "invalid_request"),
        ("authenticate", json!({"token": "x"}), "token_invalid"),
    ]
}
