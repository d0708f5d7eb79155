//! Clients that ask as fast as they can, or read next to nothing: bounded by their rates and their outboxes, told so by
//! a stable code, and felt by nobody else.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::narrow;
use crate::support::fold::{DEADLINE, dense, seq};
use crate::support::gateway::Gateway;
use crate::support::node::Node;
use crate::support::rest::{PASSWORD, Person, unique};
use crate::support::ws::Ws;

/// What may come at once after a pause, in seconds' worth of a rate.
const BURST: u64 = 5;
/// How much a flood may add to a gateway's memory, in bytes.
const MEMORY: u64 = 64 << 20;

const CLOSED_AS_SLOW: &str =
    r#"hobnob_sessions_closed_total{reason="slow_consumer",class="reconnect"}"#;

fn typing(person: &Person) -> Value {
    json!({"type": "typing", "receiverId": person.id, "typing": true})
}

fn is_limited(answer: &Value) -> bool {
    answer["error"]["code"] == "rate_limited"
}

/// In seconds.
fn retry_after(answer: &reqwest::Response) -> u64 {
    let header = answer.headers()["retry-after"].to_str().unwrap();
    header.parse().unwrap()
}

/// Sends this many requests at once; how many were granted, and the longest hint of the others, in milliseconds.
async fn flood(client: &Ws, request: Value, count: u64) -> (u64, u64) {
    let mut references = Vec::new();
    for _ in 0..count {
        references.push(client.submit(request.clone()).await);
    }
    let (mut granted, mut hint) = (0, 0);
    for reference in references {
        let answer = client.answer(reference).await;
        match is_limited(&answer) {
            true => hint = hint.max(answer["error"]["retryAfterMs"].as_u64().expect("a hint")),
            false => granted += 1,
        }
    }
    (granted, hint)
}

#[tokio::test]
async fn a_session_that_asks_too_fast_is_told_when_to_ask_again_and_others_are_not_held_up() {
    let gateway = Gateway::embedded_with(&[("HOBNOB_SESSION_RATE", "20")]).await;
    let (ann, bob) = Person::pair(&gateway, &gateway).await;
    let (fast, calm) = (
        Ws::join(&gateway, &ann).await,
        Ws::join(&gateway, &bob).await,
    );
    let begin = Instant::now();
    let flooding = flood(&fast, typing(&ann), 400);
    let asking = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let asked = Instant::now();
            let answer = calm.request(typing(&bob)).await;
            assert_eq!(answer["ok"], true, "{answer}");
            slowest = slowest.max(asked.elapsed());
        }
        slowest
    };
    let ((granted, hint), slowest) = tokio::join!(flooding, asking);
    let most = 20 * (BURST + begin.elapsed().as_secs() + 1);
    assert!((20 * BURST - 1..=most).contains(&granted), "{granted}");
    assert!(granted < 400 && (1..=1000).contains(&hint), "{hint}");
    // The flood takes seconds, because it is slowed down; nobody else waits for it.
    assert!(slowest < begin.elapsed(), "{slowest:?}");
    let answer = loop {
        let answer = fast.request(typing(&ann)).await;
        match answer["error"]["retryAfterMs"].as_u64() {
            Some(hint) => tokio::time::sleep(Duration::from_millis(hint)).await,
            None => break answer,
        }
    };
    assert_eq!(answer["ok"], true, "{answer}");
    let limited = r#"hobnob_requests_failed_total{code="rate_limited"}"#;
    assert!(gateway.metric(limited).await > 0.0);
}

#[tokio::test]
async fn the_official_client_is_told_in_its_acknowledgement() {
    let gateway = Gateway::embedded_with(&[("HOBNOB_SESSION_RATE", "1")]).await;
    let node = Node::start().await;
    let ann = Person::register(&gateway, "ann").await;
    let client = node.open(&gateway, &ann).await;
    let mut answers = Vec::new();
    for _ in 0..=BURST {
        answers.push(client.emit_with_ack("typing", json!([typing(&ann)])).await);
    }
    // The first is granted in any case; one second's worth may have come back meanwhile.
    assert_eq!(answers[0]["ok"], true, "{answers:?}");
    while !is_limited(answers.last().unwrap()) {
        answers.push(client.emit_with_ack("typing", json!([typing(&ann)])).await);
    }
    let error = &answers.last().unwrap()["error"];
    assert!((1..=1000).contains(&error["retryAfterMs"].as_u64().unwrap()));
}

#[tokio::test]
async fn a_user_has_one_rate_over_all_sessions_and_rest() {
    let gateway = Gateway::embedded_with(&[("HOBNOB_USER_RATE", "10")]).await;
    let (ann, bob) = Person::pair(&gateway, &gateway).await;
    let (one, two) = (
        Ws::join(&gateway, &ann).await,
        Ws::join(&gateway, &ann).await,
    );
    let begin = Instant::now();
    let (one, two) = tokio::join!(flood(&one, typing(&ann), 60), flood(&two, typing(&ann), 60));
    let most = 10 * (BURST + begin.elapsed().as_secs() + 1);
    assert!(one.0 + two.0 <= most, "{one:?} {two:?} of {most}");
    let refused = loop {
        let answer = ann.http.get(gateway.url("/me"));
        let answer = answer.bearer_auth(&ann.token).send().await.unwrap();
        if answer.status() == 429 {
            break answer;
        }
    };
    let seconds = retry_after(&refused);
    assert!((1..=2).contains(&seconds));
    let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert!(is_limited(&body), "{body}");
    assert!(body["error"]["retryAfterMs"].is_u64(), "{body}");
    bob.get(&gateway, "/me").await.expect(200);
}

#[tokio::test]
async fn log_ins_and_registrations_from_one_address_are_limited() {
    let gateway = Gateway::embedded_with(&[("HOBNOB_SIGN_IN_RATE", "1")]).await;
    let ann = Person::register(&gateway, "ann").await;
    let attempt = async |path: &str, name: &str| {
        let typed = json!({"username": name, "password": PASSWORD});
        let answer = ann.http.post(gateway.url(path)).json(&typed);
        answer.send().await.unwrap()
    };
    let limited = loop {
        // A wrong name, so that it costs what a guess costs.
        let answer = attempt("/login", "nobody").await;
        if answer.status() != 401 {
            break answer;
        }
    };
    assert_eq!(limited.status(), 429);
    let seconds = retry_after(&limited);
    // Who is known already is not limited with the strangers.
    ann.get(&gateway, "/me").await.expect(200);
    // As the answer says.
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    assert_eq!(attempt("/register", &unique("bob")).await.status(), 201);
}

#[tokio::test]
async fn a_client_that_reads_a_byte_a_second_is_closed_as_slow_and_the_room_goes_on() {
    let settings = [
        ("HOBNOB_OUTBOX_BYTES", "262144"),
        ("HOBNOB_OFFLINE_GRACE", "0s"),
    ];
    let gateway = Gateway::embedded_with(&settings).await;
    let (ann, bob) = Person::pair(&gateway, &gateway).await;
    let cid = Person::register(&gateway, "cid").await;
    let room = ann.room(&gateway, &[&bob, &cid]).await;
    let (writer, reader) = (
        Ws::join(&gateway, &ann).await,
        Ws::join(&gateway, &cid).await,
    );
    let mut slow = narrow(&gateway, &bob).await;
    let reading = tokio::spawn(async move {
        while slow.get_mut().read_u8().await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    writer.watch(&bob).await;
    let mut last = 0;
    while writer.frames("presence").is_empty() {
        let body = json!({"roomId": room, "content": "x".repeat(16 * 1024)});
        last = seq(&writer.granted("send_group_message", body).await["message"]);
        assert!(last < 4_000, "64 MB wait for a client that does not read");
    }
    reader.fold().wait_seq(&room, last).await;
    assert_eq!(reader.fold().seqs(&room), dense(1, last));
    gateway.until_metric(CLOSED_AS_SLOW, 1.0).await;
    assert_eq!(gateway.metric(CLOSED_AS_SLOW).await, 1.0);
    reading.abort();
}

#[tokio::test]
async fn a_flood_whose_answers_are_not_read_is_closed_as_slow_in_bounded_memory() {
    let settings = [
        ("HOBNOB_SESSION_RATE", "0"),
        ("HOBNOB_USER_RATE", "0"),
        ("HOBNOB_OUTBOX_BYTES", "262144"),
    ];
    let gateway = Gateway::embedded_with(&settings).await;
    let (ann, bob) = Person::pair(&gateway, &gateway).await;
    let calm = Ws::join(&gateway, &bob).await;
    let before = gateway.resident_bytes();
    let mut raw = narrow(&gateway, &ann).await;
    // The longest reference comes back with every answer.
    let mut request = typing(&ann);
    request["ref"] = json!("r".repeat(120));
    let request = Message::text(request.to_string());
    let flooding = async {
        let mut sent = 0;
        while raw.feed(request.clone()).await.is_ok() {
            sent += request.len() as u64;
            assert!(sent < 16 * MEMORY, "nothing stops it");
        }
    };
    let flooded = tokio::time::timeout(DEADLINE, flooding).await;
    flooded.expect("the gateway ends it");
    assert!(gateway.resident_bytes() < before + MEMORY);
    gateway.until_metric(CLOSED_AS_SLOW, 1.0).await;
    assert_eq!(gateway.metric(CLOSED_AS_SLOW).await, 1.0);
    calm.granted("typing", typing(&bob)).await;
}
