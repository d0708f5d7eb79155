//! Bad requests that both socket protocols take, and the code of each (docs/errors.md).

use serde_json::{Value, json};

use super::LIMIT;
use crate::support::rest::Person;
use crate::support::table::{filled, rows};

/// What is asked, the code of the refusal, and the request. MANY are one person too many to be watched at once, and LABEL
/// is one character too long.
const TABLE: &str = r#"
no_such_event      | unknown_event             | {}
receive_message    | unknown_event             | {}
send_message       | invalid_request           | {}
send_message       | invalid_request           | {"receiverId": "OTHER"}
send_message       | invalid_request           | {"content": "to nobody"}
send_message       | invalid_request           | {"receiverId": {"$ne": null}, "content": "x"}
send_message       | invalid_request           | {"receiverId": ["x"], "content": "x"}
send_message       | invalid_id                | {"receiverId": "not an id", "content": "x"}
send_message       | invalid_id                | {"receiverId": "", "content": "x"}
send_message       | user_not_found            | {"receiverId": "ffffffffffffffffffffffff", "content": "x"}
send_message       | invalid_request           | {"receiverId": "OTHER", "content": "x", "senderId": 7}
send_message       | invalid_request           | {"receiverId": "OTHER", "content": 7}
send_message       | invalid_request           | {"receiverId": "OTHER", "content": {"text": "x"}}
send_message       | invalid_request           | {"receiverId": "OTHER", "content": null}
send_message       | content_empty             | {"receiverId": "OTHER", "content": ""}
send_message       | content_too_long          | {"receiverId": "OTHER", "content": "LONG"}
send_message       | content_too_long          | {"receiverId": "OTHER", "content": "WIDE"}
send_group_message | content_empty             | {"roomId": "ROOM", "content": ""}
send_group_message | content_too_long          | {"roomId": "ROOM", "content": "LONG"}
send_group_message | invalid_request           | {"roomId": {"$gt": ""}, "content": "x"}
send_group_message | invalid_id                | {"roomId": "xxxxxxxxxxxxxxxxxxxxxxxx", "content": "x"}
send_group_message | invalid_client_message_id | {"roomId": "ROOM", "content": "x", "clientMessageId": ""}
send_group_message | invalid_client_message_id | {"roomId": "ROOM", "content": "x", "clientMessageId": "a b"}
send_group_message | invalid_client_message_id | {"roomId": "ROOM", "content": "x", "clientMessageId": "LABEL"}
send_group_message | invalid_request           | {"roomId": "ROOM", "content": "x", "clientMessageId": {}}
message_ack        | invalid_request           | {"conversationId": "ROOM", "seq": "1"}
message_ack        | invalid_request           | {"conversationId": "ROOM", "seq": -1}
message_ack        | invalid_request           | {"conversationId": "ROOM", "seq": 1.5}
message_ack        | invalid_request           | {"conversationId": {}, "seq": 1}
message_read       | invalid_id                | {"conversationId": "nowhere", "seq": 1}
typing             | invalid_request           | {"typing": true}
typing             | invalid_request           | {"roomId": "ROOM", "typing": "yes"}
typing             | invalid_request           | {"roomId": "ROOM", "receiverId": "OTHER", "typing": true}
edit_message       | content_empty             | {"conversationId": "ROOM", "seq": 2, "content": ""}
edit_message       | no_such_message           | {"conversationId": "ROOM", "seq": 99, "content": "x"}
delete_message     | no_such_message           | {"conversationId": "ROOM", "seq": 0}
react              | invalid_emoji             | {"conversationId": "ROOM", "seq": 2, "emoji": ""}
react              | invalid_request           | {"conversationId": "ROOM", "seq": 2, "emoji": 1}
watch_presence     | invalid_request           | {"userIds": [{}]}
watch_presence     | invalid_id                | {"userIds": ["x"]}
watch_presence     | limit_exceeded            | {"userIds": MANY}
authenticate       | invalid_request           | {}
authenticate       | token_invalid             | {"token": "x"}
"#;

/// Requests that both protocols take, and the code of each.
pub(super) fn table(other: &Person, room: &str) -> Vec<(&'static str, Value, &'static str)> {
    let (many, label) = (json!(vec![&other.id; 501]).to_string(), "x".repeat(129));
    let wide = "ä".repeat(LIMIT / 2 + 1);
    let words = [
        ("OTHER", other.id.as_str()),
        ("ROOM", room),
        ("LONG", &"x".repeat(LIMIT + 1)),
        ("WIDE", &wide),
        ("MANY", &many),
        ("LABEL", &label),
    ];
    let cases = rows(TABLE).into_iter();
    cases
        .map(|[kind, code, body]| (kind, filled(body, &words), code))
        .collect()
}
