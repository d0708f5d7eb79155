//! A message that another gateway writes stays one trace.

use serde_json::json;

use super::collector::{Collector, Exported};
use super::messages::{named, traced_cluster};
use crate::support::rest::Person;
use crate::support::until;
use crate::support::ws::Ws;

/// How many messages each of the two sends at once, so that their gateways compete.
const AT_ONCE: usize = 100;

/// Sends that many and waits for all answers.
async fn speak(client: &Ws, room: &str) {
    let mut references = Vec::new();
    for _ in 0..AT_ONCE {
        let message = json!({"type": "send_group_message", "roomId": room, "content": "hello"});
        references.push(client.submit(message).await);
    }
    client.messages(references).await;
}

/// The five spans of a message that was stored on another gateway than the one that received it.
fn delegated(spans: &[Exported]) -> Option<Vec<Exported>> {
    let received = spans.iter().filter(|span| span.name == "message receive");
    received.into_iter().find_map(|receive| {
        let of_trace = spans.iter().filter(|span| span.trace == receive.trace);
        let of_trace: Vec<Exported> = of_trace.cloned().collect();
        let is_elsewhere = of_trace
            .iter()
            .any(|span| span.name == "message store" && span.instance != receive.instance);
        (is_elsewhere && of_trace.len() == 5).then_some(of_trace)
    })
}

#[tokio::test]
async fn a_message_that_is_delegated_is_one_trace() {
    let collector = Collector::start().await;
    let cluster = traced_cluster(&collector, 2).await;
    let (first, second) = (cluster.gateway(0), cluster.gateway(1));
    let (ann, bob) = Person::pair(first, first).await;
    let room = ann.room(first, &[&bob]).await;
    let (here, there) = (Ws::join(first, &ann).await, Ws::join(second, &bob).await);
    let spans = until("a message that is delegated", async || {
        tokio::join!(speak(&here, &room), speak(&there, &room));
        delegated(&collector.all())
    })
    .await;
    let [receive, store, publish] =
        ["receive", "store", "publish"].map(|what| named(&spans, &format!("message {what}"))[0]);
    assert_eq!(
        (&store.parent, &publish.parent),
        (&receive.span, &receive.span)
    );
    assert_eq!(store.instance, publish.instance);
    let deliveries = named(&spans, "message deliver");
    assert_eq!(deliveries.len(), 2, "{spans:#?}");
    for delivery in deliveries {
        assert_eq!(delivery.parent, publish.span);
        let is_local = delivery.instance == publish.instance;
        let origin = if is_local { "local" } else { "remote" };
        assert_eq!(delivery.get("hobnob.origin"), origin);
    }
}
