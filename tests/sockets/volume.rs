//! Whoever is made a member of thousands of rooms, or keeps gigabytes of history unread, still comes in; and answers that
//! nobody reads do not fill a gateway.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use mongodb::bson::doc;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connect;
use crate::support::fold::{FIRST, dense, seq};
use crate::support::gateway::{Cluster, Gateway};
use crate::support::rest::Person;
use crate::support::until;
use crate::support::ws::Ws;

/// More than an answer names.
const ROOMS: usize = 1_050;
/// What unread answers may add to a gateway's memory, in bytes: what is reserved for answers, and the reading of them.
const MEMORY: u64 = 192 << 20;

const NO_QUOTAS: [(&str, &str); 4] = [
    ("HOBNOB_ROOMS_MADE_LIMIT", "0"),
    ("HOBNOB_ADDITIONS_LIMIT", "0"),
    ("HOBNOB_OUTBOX_BYTES", "262144"),
    ("HOBNOB_ROOMS_LIMIT", "2000"),
];

async fn make_rooms(gateway: &Gateway, owner: &Person, member: &Person, count: usize) {
    let members = vec![member.id.clone()];
    let making = stream::iter(0..count).map(|number| {
        let body = json!({"name": format!("room {number}"), "members": members});
        async move {
            // A busy machine may have none in time; then there may be one more.
            until("a room is made", async || {
                owner.post(gateway, "/room", body.clone()).await.status == 201
            })
            .await;
        }
    });
    making.buffer_unordered(16).collect::<Vec<_>>().await;
}

/// Pages through `GET /rooms`.
async fn all_rooms(gateway: &Gateway, person: &Person) -> Vec<Value> {
    let mut rooms: Vec<Value> = Vec::new();
    loop {
        let after = rooms
            .last()
            .map(|room| format!("&after={}", room["_id"].as_str().unwrap()));
        let path = format!("/rooms?limit=200{}", after.unwrap_or_default());
        let page = person.get(gateway, &path).await.expect(200);
        let page = page.as_array().unwrap().clone();
        let is_last = page.len() < 200;
        rooms.extend(page);
        if is_last {
            return rooms;
        }
    }
}

async fn who_is_in_thousands_of_rooms_joins(gateway: &Gateway) {
    let (ann, bob) = Person::pair(gateway, gateway).await;
    make_rooms(gateway, &ann, &bob, ROOMS).await;
    let rooms = all_rooms(gateway, &bob).await;
    assert!(rooms.len() >= ROOMS, "{}", rooms.len());

    let client = Ws::open(gateway.port()).await;
    let hello = json!({"type": "hello", "token": bob.token});
    let hello = client.request(hello).await;
    let told = hello["rooms"].as_array().expect("rooms");
    assert_eq!(told.len(), 1000);
    assert_eq!(hello["moreRooms"], true, "{hello}");
    let ids: Vec<&Value> = rooms.iter().map(|room| &room["_id"]).collect();
    assert!(told.iter().eq(ids[..1000].iter().copied()));
    // What is not named is delivered all the same.
    let last = ids[rooms.len() - 1].as_str().unwrap();
    let said = ann.say(gateway, last, "hello").await;
    client.fold().wait_seq(last, seq(&said)).await;
    assert!(bob.get(gateway, "/conversations").await.status.is_success());
}

#[tokio::test]
async fn who_is_in_thousands_of_rooms_joins_an_embedded_gateway() {
    let gateway = Gateway::embedded_with(&NO_QUOTAS).await;
    who_is_in_thousands_of_rooms_joins(&gateway).await;
}

#[tokio::test]
async fn who_is_in_thousands_of_rooms_joins_a_cluster() {
    let cluster = Cluster::start_with(1, &NO_QUOTAS).await;
    who_is_in_thousands_of_rooms_joins(cluster.gateway(0)).await;
}

#[tokio::test]
async fn a_resume_list_that_is_too_long_is_refused_by_its_name_and_the_next_hello_is_taken() {
    let gateway = Gateway::embedded().await;
    let ann = Person::register(&gateway, "ann").await;
    let client = Ws::open(gateway.port()).await;
    let since: serde_json::Map<String, Value> = (0..1001_u32)
        .map(|number| (format!("{number:024x}"), json!(1)))
        .collect();
    let hello = json!({"token": ann.token, "since": since});
    let answer = client.ask("hello", hello).await;
    assert_eq!(answer["error"]["code"], "resume_too_large", "{answer}");
    let answer = client.request(json!({"type": "hello"})).await;
    assert_eq!(answer["ok"], true, "{answer}");
}

#[tokio::test]
async fn allowances_hold_over_all_gateways_and_the_refusal_says_until_when() {
    let settings = [
        ("HOBNOB_ROOMS_MADE_LIMIT", "3"),
        ("HOBNOB_ADDITIONS_LIMIT", "8"),
        ("HOBNOB_NEW_CONVERSATIONS_LIMIT", "2"),
        ("HOBNOB_ROOMS_LIMIT", "6"),
    ];
    let cluster = Cluster::start_with(2, &settings).await;
    let [one, two] = [0, 1].map(|number| cluster.gateway(number));
    let mut people = Vec::new();
    for name in ["ann", "bob", "cid", "dan", "eve"] {
        people.push(Person::register(one, name).await);
    }
    let [ann, bob, cid, dan, eve] = &people[..] else {
        panic!("five")
    };
    let make = async |gateway, maker: &Person, members: Vec<&str>| {
        let body = json!({"name": "a room", "members": members});
        maker.post(gateway, "/room", body).await
    };
    // Of all that bob may be added, ann has a quarter: two.
    make(one, ann, vec![&bob.id]).await.expect(201);
    make(two, ann, vec![&bob.id]).await.expect(201);
    let refused = make(one, ann, vec![&bob.id]).await;
    assert!(refused.body["error"]["retryAfterMs"].as_u64().unwrap() > 0);
    assert_eq!(refused.refused(429), "quota_exceeded");
    // What was refused counts as no room.
    make(two, ann, vec![]).await.expect(201);
    assert_eq!(make(one, ann, vec![]).await.refused(429), "quota_exceeded");
    for gateway in [one, two] {
        make(gateway, cid, vec![&bob.id]).await.expect(201);
        make(gateway, dan, vec![&bob.id]).await.expect(201);
    }
    let refused = make(one, eve, vec![&bob.id]).await;
    assert_eq!(refused.refused(409), "too_many_rooms");
    let room = make(two, eve, vec![]).await.expect(201);
    let members = format!("/rooms/{}/members", room["_id"].as_str().unwrap());
    let added = eve.post(one, &members, json!({"userId": bob.id})).await;
    assert_eq!(added.refused(409), "too_many_rooms");

    let client = Ws::join(one, eve).await;
    for (receiver, is_taken) in [
        (ann, true),
        (bob, true),
        (cid, false),
        (ann, true),
        (eve, true),
    ] {
        let hello = json!({"receiverId": receiver.id, "content": "hello"});
        let answer = client.ask("send_message", hello).await;
        assert_eq!(answer["ok"] == true, is_taken, "{answer}");
        assert!(is_taken || answer["error"]["code"] == "quota_exceeded");
    }
    // Who answers begins nothing.
    let client = Ws::join(two, ann).await;
    for _ in 0..3 {
        client.write(eve, "hi").await;
    }
}

#[tokio::test]
async fn history_that_nobody_reads_does_not_fill_the_memory() {
    let gateway = Gateway::embedded().await;
    let ann = Person::register(&gateway, "ann").await;
    let room = ann.room(&gateway, &[]).await;
    let long = "\u{1}".repeat(16 * 1024);
    for _ in 0..100 {
        ann.say(&gateway, &room, &long).await;
    }
    let before = gateway.resident_bytes();
    let mut readers = Vec::new();
    for _ in 0..40 {
        let person = Person::login(&gateway, &ann.name).await;
        let mut stream = connect(gateway.port()).await;
        let request = format!(
            "GET /room/{room}?limit=200 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
            person.token
        );
        for _ in 0..4 {
            stream.write_all(request.as_bytes()).await.unwrap();
        }
        readers.push(stream);
    }
    // Each is answered, if only that there is no room; the pages stay with the kernel and in the connections.
    for stream in &mut readers {
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert!(first.starts_with(b"HTTP/1.1 "), "{first:?}");
    }
    // A time in which nothing may happen: nobody reads on, so no more memory may be taken.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < MEMORY, "{} MiB", grown >> 20);
}

#[tokio::test]
async fn pages_of_long_messages_are_short_and_lead_to_each_other() {
    let gateway = Gateway::embedded().await;
    let ann = Person::register(&gateway, "ann").await;
    let room = ann.room(&gateway, &[]).await;
    let long = "\u{1}".repeat(16 * 1024);
    for _ in 0..25 {
        ann.say(&gateway, &room, &long).await;
    }
    for rel in ["prev", "next"] {
        let after = if rel == "next" { "&after=0" } else { "" };
        let start = format!("?limit=200{after}");
        let (mut path, mut seen, mut pages) = (format!("/room/{room}{start}"), Vec::new(), 0);
        loop {
            let request = ann.http.get(gateway.url(&path)).bearer_auth(&ann.token);
            let answer = request.send().await.unwrap();
            let link = answer.headers().get("link").cloned();
            let text = answer.text().await.unwrap();
            assert!(text.len() < 1 << 20, "{}", text.len());
            let page: Vec<Value> = serde_json::from_str(&text).unwrap();
            let seqs = page.iter().map(|message| message["seq"].as_u64().unwrap());
            if rel == "next" {
                seen.extend(seqs);
            } else {
                seen.splice(0..0, seqs);
            }
            pages += 1;
            let wanted = format!("; rel=\"{rel}\"");
            let link = link.as_ref().map_or("", |link| link.to_str().unwrap());
            let Some(next) = link.split(", ").find_map(|link| link.strip_suffix(&wanted)) else {
                break;
            };
            path = next.trim_matches(['<', '>']).to_owned();
        }
        assert_eq!(seen, dense(FIRST, FIRST + 24));
        assert!(pages > 3, "{pages}");
    }
}

/// Plants a cursor of 50 for somebody in a conversation whose log ends at 3.
trait Plant {
    async fn plant(&self, room: &str, person: &Person);
}

impl Plant for Gateway {
    async fn plant(&self, room: &str, person: &Person) {
        let database = rusqlite::Connection::open(self.data().join("hobnob.db")).unwrap();
        let planted = database.execute(
            "UPDATE members SET delivered_seq = 50, read_seq = 50
             WHERE hex(conversation) = upper(?1) AND hex(user) = upper(?2)",
            [room, &person.id],
        );
        assert_eq!(planted.unwrap(), 1);
    }
}

impl Plant for Cluster {
    async fn plant(&self, room: &str, person: &Person) {
        let database = self.database().await;
        let user: mongodb::bson::oid::ObjectId = person.id.parse().unwrap();
        let members = database.collection::<mongodb::bson::Document>("members");
        let beyond = doc! { "$set": { "deliveredSeq": 50_i64, "readSeq": 50_i64 } };
        let planted = members.update_one(doc! { "conversation": room, "user": user }, beyond);
        assert_eq!(planted.await.unwrap().modified_count, 1);
    }
}

/// What is said after somebody's cursor was planted beyond the log reaches them (D37): whether they join before or after,
/// and whether a message or a change is the first thing after it.
async fn said_after(gateway: &Gateway, planted: &[(String, Person)], ann: &Person) {
    for (number, (room, person)) in planted.iter().enumerate() {
        let early = match number {
            0 => Some(Ws::join(gateway, person).await),
            _ => None,
        };
        if number == 2 {
            let path = format!("/rooms/{room}");
            let renamed = ann.patch(gateway, &path, json!({"name": "other"})).await;
            renamed.expect(200);
        }
        let head = seq(&ann.say(gateway, room, "after").await);
        let client = match early {
            Some(client) => client,
            None => Ws::join(gateway, person).await,
        };
        client.fold().wait_seq(room, head).await;
        assert_eq!(client.fold().seqs(room), dense(4, head));
        let listed = person.listed(gateway, room).await;
        assert!(listed["deliveredSeq"].as_u64().unwrap() <= head, "{listed}");
    }
}

async fn rooms_of_three(gateway: &Gateway, ann: &Person) -> Vec<(String, Person)> {
    let mut rooms = Vec::new();
    for name in ["bob", "cid", "dan"] {
        let person = Person::register(gateway, name).await;
        let room = ann.room(gateway, &[&person]).await;
        // Up to seq 3.
        for number in 1..=2 {
            ann.say(gateway, &room, &format!("message {number}")).await;
        }
        rooms.push((room, person));
    }
    rooms
}

#[tokio::test]
async fn d37_a_planted_cursor_hides_nothing_on_an_embedded_gateway() {
    let mut gateway = Gateway::embedded().await;
    let ann = Person::register(&gateway, "ann").await;
    let rooms = rooms_of_three(&gateway, &ann).await;
    gateway.kill9();
    for (room, person) in &rooms {
        gateway.plant(room, person).await;
    }
    gateway.restart().await;
    said_after(&gateway, &rooms, &ann).await;
}

#[tokio::test]
async fn d37_a_planted_cursor_hides_nothing_in_a_cluster() {
    let mut cluster = Cluster::start(1).await;
    let ann = Person::register(cluster.gateway(0), "ann").await;
    let rooms = rooms_of_three(cluster.gateway(0), &ann).await;
    cluster.gateways[0].kill9();
    for (room, person) in &rooms {
        cluster.plant(room, person).await;
    }
    cluster.gateways[0].restart().await;
    said_after(cluster.gateway(0), &rooms, &ann).await;
}
