//! SIGTERM under light load (P10, D33): clients are asked to reconnect, their transports close, the process ends with
//! status 0, and nothing is lost or repeated.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::balancer::Balancer;
use crate::support::fold::{dense, seq, seqs};
use crate::support::gateway::Cluster;
use crate::support::node::{Node, SocketIo};
use crate::support::rest::Person;
use crate::support::until;
use crate::support::ws::Ws;

/// Sends one after the other until told to stop; a send whose answer the reconnect swallowed is sent again. The seq of
/// the last.
async fn send_until(stop: &AtomicBool, client: &SocketIo, to: &Person) -> u64 {
    let mut last = 0;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let body = json!([{
            "receiverId": to.id, "content": format!("message {number}"), "clientMessageId": format!("m{number}"),
        }]);
        let answer = loop {
            let reference = client.emit_for_ack("send_message", body.clone()).await;
            if let Some(answer) = client.wait_outcome(reference).await {
                break answer;
            }
        };
        assert_eq!(answer["ok"], true, "{answer}");
        // The next of a log that nobody else writes: nothing was stored twice.
        assert_eq!(seq(&answer["message"]), last + 1);
        last = seq(&answer["message"]);
    }
    last
}

/// A client through the balancer, joined.
async fn joined(node: &std::sync::Arc<Node>, balancer: &Balancer, person: &Person) -> SocketIo {
    let options = json!({
        "auth": {"token": person.token}, "transports": ["websocket"],
        "reconnectionDelay": 50, "reconnectionDelayMax": 200,
    });
    let client = node.client(&balancer.url(), options).await;
    let connected = client.wait_connected().await;
    connected.expect("a gateway takes the token");
    client.join(person, json!({})).await;
    client
}

/// The client loses its transport and finds another gateway.
async fn moves(client: &SocketIo, person: &Person) {
    assert!(client.wait_for("reconnect").await["afterMs"].is_u64());
    assert_eq!(client.wait_disconnected().await, "transport close");
    until("it connects elsewhere", async || {
        client.wait_connected().await
    })
    .await;
    client.join(person, json!({})).await;
}

#[tokio::test]
async fn a_stopped_gateway_hands_its_clients_over_and_loses_and_repeats_nothing() {
    let mut cluster = Cluster::start_with(2, &[("HOBNOB_DRAIN_GRACE", "4s")]).await;
    let balancer = Balancer::start(vec![cluster.gateway(0).port()]).await;
    let node = Node::start().await;
    let (ann, bob) = Person::pair(cluster.gateway(0), cluster.gateway(0)).await;
    let conversation = ann.direct_with(&bob);
    let sender = joined(&node, &balancer, &ann).await;
    let receiver = joined(&node, &balancer, &bob).await;
    let plain = Ws::join(cluster.gateway(0), &bob).await;

    let stop = AtomicBool::new(false);
    let sending = send_until(&stop, &sender, &bob);
    let moving = async {
        receiver.fold().wait_seq(&conversation, 20).await;
        cluster.gateway(0).terminate();
        cluster.gateway(0).until_ready(false).await;
        balancer.point_to(vec![cluster.gateway(1).port()]);
        tokio::join!(moves(&receiver, &bob), moves(&sender, &ann));
        let moved = receiver.fold().seqs(&conversation).len() as u64;
        receiver.fold().wait_seq(&conversation, moved + 20).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (last, ()) = tokio::join!(sending, moving);

    let log = receiver.fold().wait_seq(&conversation, last).await;
    assert_eq!(seqs(&log), dense(1, last));
    let told = plain.told("reconnect").await;
    assert!(told["afterMs"].is_u64(), "{told}");
    assert_eq!(plain.closed().await, (1012, "draining".to_owned()));
    assert_eq!(cluster.gateways[0].ended().await, Some(0));
    let history = bob.direct_history(cluster.gateway(1), &ann).await;
    assert_eq!(seqs(&history), dense(1, last));
    // The device on `/ws` goes on from where it was, by `since`.
    let before = plain.fold().seqs(&conversation);
    let position = before.last().copied().unwrap_or_default();
    let since = json!({"since": {conversation.clone(): position}});
    let plain = Ws::join_with(cluster.gateway(1), &bob, since).await;
    let body = json!([{"receiverId": bob.id, "content": "and on"}]);
    sender.emit_with_ack("send_message", body).await;
    plain.fold().wait_seq(&conversation, last + 1).await;
    let all = [before, plain.fold().seqs(&conversation)].concat();
    assert_eq!(all, dense(1, last + 1));
}
