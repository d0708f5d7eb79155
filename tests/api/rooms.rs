//! Rooms and their members: who may do what, and what outsiders are told.

use hobnob::domain::Body;
use serde_json::{Value, json};

use super::server::{Server, each, text};
use crate::support::gateway::Gateway;
use crate::support::rest::Person;

const NO_ROOM: &str = "000000000000000000000000";

#[tokio::test]
async fn who_makes_a_room_owns_it_and_all_members_are_told() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let members = [&bob.id, &bob.id, &ann.id];
    let tea = json!({"name": " Tea ", "members": members});
    let room = ann.post("/room", tea).await.expect(201);
    assert_eq!(room["name"], "Tea");
    assert_eq!(room["members"], json!([ann.id, bob.id]));
    assert_eq!(room["creator"], ann.id.as_str());
    assert_eq!(room["createdAt"], "2023-11-14T22:13:20.000Z");
    assert_eq!(room["conversationId"], room["_id"]);
    let told = server.announced.joined.lock().clone();
    let id = text(&room["_id"]).parse().unwrap();
    assert_eq!(told, [(id, vec![ann.user(), bob.user()])]);

    let path = format!("/rooms/{}", text(&room["_id"]));
    let seen = bob.get(&path).await.expect(200);
    assert_eq!([&seen["role"], &seen["name"]], ["member", "Tea"]);
    let listed = bob.get("/rooms").await.expect(200);
    assert_eq!(each(&listed, "_id"), [room["_id"].clone()]);
}

#[tokio::test]
async fn a_room_has_only_members_that_exist_and_not_too_many() {
    let limits = hobnob::chat::Limits {
        room_members: 2,
        ..Default::default()
    };
    let server = Server::with(hobnob::api::ApiConfig::default(), limits).await;
    let ann = server.person("ann").await;
    let (bob, cat) = (server.person("bob").await, server.person("cat").await);
    let make =
        |name: &str, members: Value| ann.post("/room", json!({"name": name, "members": members}));
    for (name, members, status, code) in [
        ("Tea", json!([NO_ROOM]), 404, "user_not_found"),
        ("Tea", json!([bob.id, cat.id]), 400, "limit_exceeded"),
        (" ", json!([]), 400, "invalid_name"),
    ] {
        make(name, members).await.refused(status, code);
    }
    assert_eq!(ann.get("/rooms").await.expect(200), json!([]));

    let room = ann.room("Tea", &[&bob]).await;
    let members = format!("/rooms/{room}/members");
    let add = ann.post(&members, json!({"userId": cat.id})).await;
    add.refused(409, "room_full");
}

#[tokio::test]
async fn an_outsider_cannot_tell_a_room_from_none() {
    let server = Server::start().await;
    let (ann, eve) = (server.person("ann").await, server.person("eve").await);
    let real = ann.room("Secret", &[]).await;
    let mut answers = Vec::new();
    for room in [real.as_str(), NO_ROOM] {
        let (path, members) = (format!("/rooms/{room}"), format!("/rooms/{room}/members"));
        let member = format!("{members}/{}", ann.id);
        let all = [
            eve.get(&path).await,
            eve.get(&members).await,
            eve.get(&format!("/room/{room}")).await,
            eve.patch(&path, json!({"name": "Mine"})).await,
            eve.delete(&path).await,
            eve.post(&members, json!({"userId": eve.id})).await,
            eve.post(&members, json!({"userId": NO_ROOM})).await,
            eve.patch(&member, json!({"role": "member"})).await,
            eve.delete(&member).await,
            eve.post("/group", json!({"roomId": room, "content": "hi"}))
                .await,
        ];
        answers.push(all.map(|answer| {
            let text = answer.text.clone();
            answer.refused(403, "not_a_member");
            text
        }));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn roles_decide_who_may_change_a_room() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let cat = server.person("cat").await;
    let room = ann.room("Tea", &[&bob]).await;
    let path = format!("/rooms/{room}");
    let members = format!("{path}/members");
    let [anns, bobs, nobodys] = [&*ann.id, &bob.id, NO_ROOM].map(|id| format!("{members}/{id}"));
    let (coffee, of_cat) = (json!({"name": "Coffee"}), json!({"userId": cat.id}));
    let role = |role: &str| json!({"role": role});

    for answer in [
        bob.patch(&path, coffee.clone()).await,
        bob.post(&members, of_cat.clone()).await,
        bob.delete(&path).await,
        bob.patch(&bobs, role("owner")).await,
    ] {
        answer.refused(403, "not_allowed");
    }

    let made = ann.patch(&bobs, role("admin")).await.expect(200);
    assert_eq!(made, json!({"userId": bob.id, "role": "admin"}));
    let renamed = bob.patch(&path, coffee).await.expect(200);
    assert_eq!(renamed["name"], "Coffee");
    let added = bob.post(&members, of_cat.clone()).await.expect(201);
    assert_eq!(added, json!({"userId": cat.id, "role": "member"}));
    let of_nobody = json!({"userId": NO_ROOM});
    for (answer, status, code) in [
        (ann.patch(&bobs, role("king")).await, 400, "invalid_request"),
        (bob.post(&members, of_cat).await, 409, "already_a_member"),
        (bob.post(&members, of_nobody).await, 404, "user_not_found"),
        (bob.delete(&anns).await, 403, "not_allowed"),
        (bob.delete(&nobodys).await, 404, "no_such_member"),
    ] {
        answer.refused(status, code);
    }

    let listed = cat.get(&members).await.expect(200);
    let mut names = each(&listed, "username");
    names.sort_by_key(Value::to_string);
    assert_eq!(names, ["ann", "bob", "cat"]);
}

#[tokio::test]
async fn every_change_is_an_event_that_is_announced() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let room = ann.room("Tea", &[]).await;
    let members = format!("/rooms/{room}/members");
    let (path, bobs) = (format!("/rooms/{room}"), format!("{members}/{}", bob.id));
    let (of_bob, coffee) = (json!({"userId": bob.id}), json!({"name": "Coffee"}));
    ann.post(&members, of_bob).await.expect(201);
    ann.patch(&path, coffee).await.expect(200);
    bob.delete(&bobs).await.expect(204);
    ann.delete(&path).await.expect(204);
    let events = server.announced.committed.lock().clone();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| match event.body {
            Body::Created { .. } => "created",
            Body::MemberAdded { .. } => "added",
            Body::Renamed { .. } => "renamed",
            Body::MemberRemoved { .. } => "removed",
            Body::RoomDeleted => "deleted",
            _ => "other",
        })
        .collect();
    let expected = ["created", "added", "renamed", "removed", "deleted"];
    assert_eq!(kinds, expected);
    let seqs: Vec<u64> = events.iter().map(|event| event.seq.get()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn who_left_was_removed_or_whose_room_was_deleted_is_an_outsider() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let cat = server.person("cat").await;
    let room = ann.room("Tea", &[&bob, &cat]).await;
    let path = format!("/rooms/{room}");
    let [bobs, cats] = [&bob.id, &cat.id].map(|id| format!("{path}/members/{id}"));
    bob.delete(&bobs).await.expect(204);
    ann.delete(&cats).await.expect(204);
    for former in [&bob, &cat] {
        let history = former.get(&format!("/room/{room}")).await;
        history.refused(403, "not_a_member");
        let body = json!({"roomId": room, "content": "still here"});
        let said = former.post("/group", body).await;
        said.refused(403, "not_a_member");
        assert_eq!(former.get("/rooms").await.expect(200), json!([]));
        assert_eq!(former.get("/conversations").await.expect(200), json!([]));
    }
    ann.delete(&path).await.expect(204);
    ann.get(&path).await.refused(403, "not_a_member");
    assert_eq!(ann.get("/rooms").await.expect(200), json!([]));
}

#[tokio::test]
async fn lists_of_rooms_and_members_are_paged() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let mut rooms = Vec::new();
    for name in ["One", "Two", "Three"] {
        rooms.push(ann.room(name, &[&bob]).await);
    }
    rooms.sort();
    let mut users = [ann.id.clone(), bob.id.clone()];
    users.sort();
    let members = format!("/rooms/{}/members?limit=1", rooms[0]);
    for (first, field, expected) in [
        ("/rooms?limit=1".to_owned(), "_id", &rooms[..]),
        (members, "userId", &users[..]),
    ] {
        let (mut next, mut found) = (Some(first), Vec::new());
        while let Some(path) = next {
            let page = ann.get(&path).await;
            next = page.link("next");
            found.extend(each(&page.expect(200), field));
        }
        assert_eq!(found, expected);
    }
}

/// A limit that is raised would be none if no request were allowed to be as long.
#[tokio::test]
async fn a_request_may_name_as_many_members_as_a_room_may_have() {
    let gateway = Gateway::embedded_with(&[("HOBNOB_ROOM_MEMBER_LIMIT", "20000")]).await;
    let ann = Person::register(&gateway, "ann").await;
    let strangers: Vec<String> = (1..20_000).map(|number| format!("{number:024x}")).collect();
    let body = json!({"name": "all", "members": strangers});
    let answer = ann.post(&gateway, "/room", body).await;
    assert_eq!(answer.expect(404)["error"]["code"], "user_not_found");
}
