//! Sending by REST, histories and the list of conversations.

use hobnob::domain::{ChangeKind, ConversationId, Seq};
use hobnob::store::CursorMove;
use serde_json::{Value, json};

use super::server::{Person, Server, each};

#[tokio::test]
async fn a_message_by_rest_is_stored_announced_and_in_the_history() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let room = ann.room("Tea", &[&bob]).await;
    let body = json!({
        "roomId": room, "content": "hello <b>&amp;</b>", "clientMessageId": "m-1", "senderId": ann.id,
    });
    let message = ann.post("/group", body).await.expect(201);
    let id = message["_id"].clone();
    assert_eq!(
        message,
        json!({
            "_id": id, "conversationId": room, "seq": 2, "type": "group", "senderId": ann.id, "roomId": room,
            "content": "hello <b>&amp;</b>", "timestamp": "2023-11-14T22:13:20.000Z", "clientMessageId": "m-1",
        })
    );
    let history = bob.get(&format!("/room/{room}")).await.expect(200);
    assert_eq!(history, json!([message]));
    let announced = server.announced.committed.lock().clone();
    // The room's making, and this.
    assert_eq!(announced.len(), 2);
    let live: Value =
        serde_json::from_slice(&hobnob::wire::event_json(&announced[1]).unwrap().1).unwrap();
    assert_eq!(live, message, "REST and sockets show the same object");
}

#[tokio::test]
async fn a_retry_returns_the_original_and_a_reused_id_is_refused() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let room = ann.room("Tea", &[]).await;
    let send = |content: &str| {
        let body = json!({"roomId": room, "content": content, "clientMessageId": "m-1"});
        ann.post("/group", body)
    };
    let first = send("hello").await.expect(201);
    assert_eq!(send("hello").await.expect(201), first);
    send("other").await.refused(409, "client_message_id_reused");
    let unnamed = ann.say(&room, "without an id").await;
    assert!(unnamed.get("clientMessageId").is_none());
    assert_eq!(unnamed["seq"], 3);
}

#[tokio::test]
async fn a_message_that_breaks_a_rule_is_refused() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let room = ann.room("Tea", &[&bob]).await;
    const ID: &str = "clientMessageId";
    let long = "x".repeat(16 * 1024 + 1);
    for (field, value, status, code) in [
        ("content", json!("  "), 400, "content_empty"),
        ("content", json!(long), 400, "content_too_long"),
        ("content", json!(null), 400, "invalid_request"),
        (ID, json!("a b"), 400, "invalid_client_message_id"),
        ("senderId", json!(bob.id), 403, "wrong_user"),
        ("senderId", json!("x"), 400, "invalid_id"),
    ] {
        let mut body = json!({"roomId": room, "content": "hello"});
        body[field] = value;
        ann.post("/group", body).await.refused(status, code);
    }
    let history = ann.get(&format!("/room/{room}")).await.expect(200);
    assert_eq!(history, json!([]));
}

async fn seqs(person: &Person<'_>, path: &str) -> (Vec<Value>, Option<String>, Option<String>) {
    let page = person.get(path).await;
    let (prev, next) = (page.link("prev"), page.link("next"));
    (each(&page.expect(200), "seq"), prev, next)
}

#[tokio::test]
async fn history_is_paged_both_ways_by_its_links() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let room = ann.room("Tea", &[]).await;
    for number in 1..=5 {
        ann.say(&room, &format!("number {number}")).await;
    }
    let path = format!("/room/{room}");
    let (all, prev, next) = seqs(&ann, &path).await;
    assert_eq!(all, [2, 3, 4, 5, 6]);
    assert_eq!((prev, next), (None, None));

    let (newest, prev, next) = seqs(&ann, &format!("{path}?limit=2")).await;
    assert_eq!((newest, next), (vec![json!(5), json!(6)], None));
    let (middle, prev, next) = seqs(&ann, &prev.unwrap()).await;
    assert_eq!(middle, [3, 4]);
    let (oldest, none, _) = seqs(&ann, &prev.unwrap()).await;
    assert_eq!((oldest, none), (vec![json!(2)], None));
    let (later, prev, none) = seqs(&ann, &next.unwrap()).await;
    assert_eq!((later, none), (vec![json!(5), json!(6)], None));
    assert!(prev.unwrap().contains("before=5"));

    let (from_start, _, next) = seqs(&ann, &format!("{path}?after=0&limit=3")).await;
    // The event that made the room is no message.
    assert_eq!(from_start, [2, 3, 4]);
    assert!(next.unwrap().contains("after=4"));
    let (between, ..) = seqs(&ann, &format!("{path}?after=2&before=5")).await;
    assert_eq!(between, [3, 4]);
    for nothing in [
        "after=6",
        "before=2",
        "after=4&before=5",
        "after=18446744073709551615",
    ] {
        let found = seqs(&ann, &format!("{path}?{nothing}")).await;
        assert_eq!(found, (vec![], None, None), "{nothing}");
    }
    let (least, ..) = seqs(&ann, &format!("{path}?limit=0")).await;
    assert_eq!(least, [6], "at least one");
    let (most, ..) = seqs(&ann, &format!("{path}?limit=1000")).await;
    assert_eq!(most.len(), 5, "at most 200");
}

#[tokio::test]
async fn a_new_member_reads_from_their_joining_on() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let room = ann.room("Tea", &[]).await;
    ann.say(&room, "before").await;
    let members = format!("/rooms/{room}/members");
    let of_bob = json!({"userId": bob.id});
    ann.post(&members, of_bob).await.expect(201);
    ann.say(&room, "after").await;
    for query in ["", "?after=0", "?before=3"] {
        let history = bob.get(&format!("/room/{room}{query}")).await.expect(200);
        let contents = each(&history, "content");
        assert!(!contents.contains(&json!("before")), "{query}");
    }
    let all = seqs(&bob, &format!("/room/{room}")).await;
    assert_eq!(all, (vec![json!(4)], None, None));
}

#[tokio::test]
async fn direct_messages_are_for_the_two_and_show_what_was_seen() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let eve = server.person("eve").await;
    let path = format!("/message/{}/{}", ann.id, bob.id);
    assert_eq!(ann.get(&path).await.expect(200), json!([]));
    ann.tell(&bob, "hello").await;
    bob.tell(&ann, "hello yourself").await;

    let reversed = format!("/message/{}/{}", bob.id, ann.id);
    let history = ann.get(&path).await.expect(200);
    assert_eq!(each(&history, "content"), ["hello", "hello yourself"]);
    assert_eq!(each(&history, "receiverId"), [&*bob.id, &*ann.id]);
    assert_eq!(each(&history, "seen"), [false, false]);
    assert_eq!(bob.get(&reversed).await.expect(200), history);
    eve.get(&path).await.refused(403, "not_a_member");
    let nobody = format!("/message/{}/{}", ann.id, "0".repeat(24));
    ann.get(&nobody).await.refused(404, "user_not_found");

    let conversation = ConversationId::direct(ann.user(), bob.user());
    let moved = CursorMove {
        conversation,
        user: bob.user(),
        delivered: Seq::new(1),
        read: Seq::ZERO,
    };
    server.store.move_cursors(&[moved]).await.unwrap();
    let history = ann.get(&path).await.expect(200);
    assert_eq!(each(&history, "seen"), [true, false]);
}

#[tokio::test]
async fn a_direct_conversation_is_made_and_announced_once() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    for _ in 0..2 {
        ann.tell(&bob, "hello").await;
        bob.tell(&ann, "hello").await;
    }
    let conversation = ConversationId::direct(ann.user(), bob.user());
    let joined = server.announced.joined.lock().clone();
    assert_eq!(joined.len(), 1);
    assert_eq!(joined[0].0, conversation);
    ann.tell(&ann, "a note").await;
    let own = format!("/message/{0}/{0}", ann.id);
    let notes = ann.get(&own).await.expect(200);
    assert_eq!(each(&notes, "content"), ["a note"]);
    let nobody = "0".repeat(24).parse().unwrap();
    let draft = server.chat.draft("hello?", None).unwrap();
    let sending = server.chat.submit_direct(ann.user(), nobody, draft, None);
    let refused = sending.await.err();
    assert_eq!(refused.unwrap().code(), "user_not_found");
}

#[tokio::test]
async fn edits_deletions_and_reactions_show_in_the_history() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let room = ann.room("Tea", &[&bob]).await;
    ann.say(&room, "helo").await;
    ann.say(&room, "regret").await;
    let (chat, id) = (&server.chat, room.parse().unwrap());
    let (one, two) = (Seq::new(2), Seq::new(3));
    let edited = chat.edit_message(ann.user(), id, one, "hello").await;
    let deleted = chat
        .change(id, ann.user(), ChangeKind::Delete { target: two })
        .await;
    let react = || chat.react(bob.user(), id, one, ("👍", true));
    for made in [edited, deleted, react().await] {
        assert!(made.unwrap().is_some());
    }
    assert!(react().await.unwrap().is_none(), "as wanted already");
    let refused = chat.edit_message(bob.user(), id, one, "mine").await;
    assert_eq!(refused.unwrap_err().code(), "not_allowed");

    let history = ann.get(&format!("/room/{room}")).await.expect(200);
    assert_eq!(each(&history, "content"), ["hello", ""]);
    assert!(history[0]["editedAt"].is_string() && history[1]["deletedAt"].is_string());
    assert_eq!(history[0]["reactions"], json!({"👍": [bob.id]}));
}

#[tokio::test]
async fn conversations_are_listed_newest_first_with_what_is_unread() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let room = ann.room("Tea", &[&bob]).await;
    ann.say(&room, "one").await;
    ann.say(&room, "two").await;
    server.clock.advance(std::time::Duration::from_secs(1));
    ann.tell(&bob, "psst").await;

    let listed = bob.get("/conversations").await.expect(200);
    assert_eq!(each(&listed, "type"), ["private", "group"]);
    let (direct, group) = (&listed[0], &listed[1]);
    assert_eq!([&direct["userId"], &direct["username"]], [&*ann.id, "ann"]);
    assert_eq!(direct["lastMessage"]["content"], "psst");
    assert_eq!(direct["lastMessage"]["seen"], false);
    assert_eq!(direct["unreadCount"], 1);
    assert_eq!([&group["roomId"], &group["name"]], [&*room, "Tea"]);
    let counts = ["lastSeq", "unreadCount", "readSeq", "deliveredSeq"].map(|field| &group[field]);
    assert_eq!(counts, [3, 2, 0, 0]);
    let anns = ann.get("/conversations").await.expect(200);
    assert_eq!(each(&anns, "unreadCount"), [0, 0]);

    let first = bob.get("/conversations?limit=1").await;
    let next = first.link("next").unwrap();
    let (first, second) = (first.expect(200), bob.get(&next).await.expect(200));
    assert_eq!((&first[0], &second[0]), (direct, group));
}

#[tokio::test]
async fn the_list_shows_whether_the_last_own_message_was_seen() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let seq = ann.tell(&bob, "psst").await;
    let seen = |listed: Value| listed[0]["lastMessage"]["seen"].clone();
    assert_eq!(seen(ann.get("/conversations").await.expect(200)), false);
    let moved = CursorMove {
        conversation: ConversationId::direct(ann.user(), bob.user()),
        user: bob.user(),
        delivered: seq,
        read: seq,
    };
    server.store.move_cursors(&[moved]).await.unwrap();
    assert_eq!(seen(ann.get("/conversations").await.expect(200)), true);
}
