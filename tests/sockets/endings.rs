//! Sessions that the gateway ends: of clients that do not read, and of tokens that have expired.

use futures_util::StreamExt;
use hobnob::domain::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::narrow;
use crate::support::fold::{Fold, dense, seq, seqs};
use crate::support::gateway::{Gateway, SECRET, shared_embedded};
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::tokens::token;
use crate::support::ws::Ws;

/// Bytes in one message: a thousandth of what the kernel may buffer.
const LARGE: usize = 16 * 1024;

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_resumes_from_where_it_was() {
    // Without a grace the presence of its user tells when the session ends.
    let settings = [
        ("HOBNOB_OUTBOX_BYTES", "262144"),
        ("HOBNOB_OFFLINE_GRACE", "0s"),
    ];
    let gateway = Gateway::embedded_with(&settings).await;
    let (ann, bob) = Person::pair(&gateway, &gateway).await;
    let conversation = ann.direct_with(&bob);
    let sender = Ws::join(&gateway, &ann).await;
    let mut lazy = narrow(&gateway, &bob).await;
    sender.watch(&bob).await;

    let mut last = 0;
    while sender.frames("presence").is_empty() {
        last = seq(&sender.write(&bob, &"x".repeat(LARGE)).await);
        assert!(last < 4_000, "64 MB wait for a client that does not read");
    }
    // Now it reads what was on its way, and why that was all.
    let got = Fold::default();
    let closing = loop {
        match lazy.next().await.expect("an end").expect("a whole frame") {
            Message::Text(text) => {
                let frame: Value = serde_json::from_str(text.as_str()).unwrap();
                got.add(&frame["message"]);
            }
            Message::Close(frame) => break frame.expect("a reason"),
            _ => {}
        }
    };
    assert_eq!(u16::from(closing.code), 4001, "{closing}");
    assert_eq!(closing.reason.as_str(), "slow_consumer");
    let received = got.seqs(&conversation);
    let end = received.last().copied().unwrap_or_default();
    assert_eq!(received, dense(1, end));
    assert!(end < last);
    let since = json!({"since": {conversation.clone(): end}});
    let eager = Ws::join_with(&gateway, &bob, since).await;
    // The backlog is larger than the outbox: it is read at the client's pace and closes nobody (D18).
    let rest = eager.fold().wait_seq(&conversation, last).await;
    assert_eq!(seqs(&rest), dense(end + 1, last));
}

#[tokio::test]
async fn a_session_ends_with_its_token_unless_it_brings_a_new_one() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let ann = Person::register(gateway, "ann").await;
    // Long enough for a busy machine to bring all three in.
    let soon = SystemClock.now().millis() / 1000 + 10;
    let brief = Person {
        token: token(&ann.id, SECRET, SECRET, soon),
        ..ann.clone()
    };
    let plain = Ws::join(gateway, &brief).await;
    let renewed = Ws::join(gateway, &brief).await;
    let official = node.open(gateway, &brief).await;
    let for_long = json!({"token": ann.token});
    renewed.granted("authenticate", for_long).await;

    assert_eq!(plain.closed().await, (4101, "unauthorized".to_owned()));
    assert_eq!(official.wait_disconnected().await, "transport close");
    renewed.write(&ann, "still here").await;
}
