//! What clients read is fixed here, field by field.

use serde_json::{Value, json};

use super::*;
use crate::domain::{
    Body, ClientMessageId, Content, ConversationId, Emoji, Event, EventId, Fingerprint, Message,
    Reactions, Role, RoomId, RoomName, Seq, Timestamp, UserId,
};

fn user(byte: u8) -> UserId {
    UserId::from_bytes([byte; 12])
}

fn text(byte: u8) -> String {
    user(byte).to_string()
}

fn room() -> ConversationId {
    ConversationId::Room(RoomId::from_bytes([7; 12]))
}

fn event(conversation: ConversationId, body: Body) -> Event {
    Event {
        id: EventId::from_bytes([5; 12]),
        conversation,
        seq: Seq::new(3),
        sender: user(1),
        at: Timestamp::from_millis(1_700_000_000_050),
        body,
    }
}

fn message(client_message_id: &str) -> Message {
    let content = Content::stored("hello \"you\"".to_owned());
    Message {
        fingerprint: Fingerprint::of(&content),
        content: Some(content),
        client_message_id: ClientMessageId::parse(client_message_id).unwrap(),
        original: None,
        edited_at: None,
        deleted_at: None,
        reactions: Reactions::default(),
    }
}

fn json_of(event: &Event) -> (&'static str, Value) {
    let (name, bytes) = event_json(event).unwrap();
    let name = name.as_str();
    (name, serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn a_private_message_names_its_receiver_and_is_not_seen_yet() {
    let direct = ConversationId::direct(user(2), user(1));
    let (name, object) = json_of(&event(direct, Body::Message(message("m-1"))));
    assert_eq!(name, "receive_message");
    assert_eq!(
        object,
        json!({
            "_id": text(5), "conversationId": format!("{}-{}", text(1), text(2)), "seq": 3, "type": "private",
            "senderId": text(1), "receiverId": text(2), "content": "hello \"you\"",
            "timestamp": "2023-11-14T22:13:20.050Z", "clientMessageId": "m-1", "seen": false,
        })
    );
}

#[test]
fn a_group_message_names_its_room_and_hides_an_id_that_the_gateway_made() {
    let (name, object) = json_of(&event(room(), Body::Message(message(&text(5)))));
    assert_eq!(name, "receive_group_message");
    assert_eq!(
        object,
        json!({
            "_id": text(5), "conversationId": text(7), "seq": 3, "type": "group", "senderId": text(1),
            "roomId": text(7), "content": "hello \"you\"", "timestamp": "2023-11-14T22:13:20.050Z",
        })
    );
}

#[test]
fn a_deleted_message_says_nothing_and_shows_when() {
    let deleted = Message {
        content: None,
        edited_at: Some(Timestamp::from_millis(0)),
        deleted_at: Some(Timestamp::from_millis(1)),
        reactions: Reactions::default().with(&Emoji::parse("👍").unwrap(), user(2), true),
        ..message("m-1")
    };
    let (_, object) = json_of(&event(room(), Body::Message(deleted)));
    assert_eq!(object["content"], "");
    assert_eq!(object["editedAt"], "1970-01-01T00:00:00.000Z");
    assert_eq!(object["deletedAt"], "1970-01-01T00:00:00.001Z");
    assert_eq!(object["reactions"], json!({"👍": [text(2)]}));
}

#[test]
fn a_private_message_is_seen_once_its_receiver_s_cursor_has_reached_it() {
    let direct = ConversationId::direct(user(2), user(1));
    let event = event(direct, Body::Message(message("m-1")));
    let seen_with = |cursor| {
        MessageJson::of(&event, |asked| {
            assert_eq!(asked, user(2), "the receiver's cursor counts");
            Seq::new(cursor)
        })
        .and_then(|message| message.seen)
    };
    assert_eq!(seen_with(2), Some(false));
    assert_eq!(seen_with(3), Some(true));
}

#[test]
fn changes_of_messages_name_their_target() {
    let edited = Body::Edited {
        target: Seq::new(2),
        content: Some(Content::stored("better".to_owned())),
    };
    let (name, object) = json_of(&event(room(), edited));
    assert_eq!(name, "message_edited");
    assert_eq!(
        object,
        json!({
            "_id": text(5), "conversationId": text(7), "seq": 3, "senderId": text(1), "roomId": text(7),
            "timestamp": "2023-11-14T22:13:20.050Z", "target": 2, "content": "better",
        })
    );
    let direct = ConversationId::direct(user(2), user(1));
    let (name, object) = json_of(&event(
        direct,
        Body::Deleted {
            target: Seq::new(2),
        },
    ));
    assert_eq!((name, &object["target"]), ("message_deleted", &json!(2)));
    assert_eq!(object["receiverId"], text(2));
    let reacted = Body::Reacted {
        target: Seq::new(2),
        emoji: Emoji::parse("👍").unwrap(),
        added: true,
    };
    let (name, object) = json_of(&event(room(), reacted));
    assert_eq!(name, "reaction");
    assert_eq!(
        (&object["emoji"], &object["added"]),
        (&json!("👍"), &json!(true))
    );
}

#[test]
fn changes_of_a_room_say_what_changed() {
    let named = Body::Renamed {
        name: RoomName::parse("Tea").unwrap(),
    };
    let made = Body::Created {
        name: RoomName::parse("Coffee").unwrap(),
    };
    let left = Body::MemberRemoved {
        user: user(1),
        heir: Some(user(2)),
    };
    let (user, role) = (user(2), Role::Admin);
    let bodies = [
        (
            Body::MemberAdded { user, role },
            json!({"change": "member_added", "userId": text(2), "role": "admin"}),
        ),
        (
            left,
            json!({"change": "member_removed", "userId": text(1), "newOwnerId": text(2)}),
        ),
        (
            Body::RoleChanged { user, role },
            json!({"change": "role_changed", "userId": text(2), "role": "admin"}),
        ),
        (named, json!({"change": "renamed", "name": "Tea"})),
        (Body::RoomDeleted, json!({"change": "deleted"})),
        (made, json!({"change": "created", "name": "Coffee"})),
    ];
    for (body, expected) in bodies {
        let (name, mut object) = json_of(&event(room(), body));
        assert_eq!(name, "room_updated");
        let fields = object.as_object_mut().unwrap();
        for common in [
            "_id",
            "conversationId",
            "seq",
            "senderId",
            "roomId",
            "timestamp",
        ] {
            assert!(fields.remove(common).is_some(), "{common}");
        }
        assert_eq!(object, expected);
    }
}
