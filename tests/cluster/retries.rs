//! One message, sent many times at once through every gateway and protocol, is stored once (P3).

use std::future::Future;
use std::pin::Pin;

use serde_json::{Value, json};

use crate::support::fold::{FIRST, behind_making, dense, seqs};
use crate::support::gateway::shared_cluster;
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// Attempts in all.
const ATTEMPTS: usize = 50;

#[tokio::test]
async fn fifty_concurrent_attempts_store_one_message_and_get_one_answer() {
    let cluster = shared_cluster().await;
    let node = Node::start().await;
    let (ann, bob) = Person::pair(cluster.gateway(0), cluster.gateway(0)).await;
    let room = ann.room(cluster.gateway(0), &[&bob]).await;
    let reading = Ws::join(cluster.gateway(2), &bob).await;
    let (mut official, mut plain) = (Vec::new(), Vec::new());
    for gateway in &cluster.gateways {
        official.push(node.open(gateway, &ann).await);
        plain.push(Ws::join(gateway, &ann).await);
    }

    for round in 0..3 {
        let id = format!("attempt-{round}");
        let body = json!({"roomId": room, "content": "once", "clientMessageId": id});
        let mut attempts: Vec<Pin<Box<dyn Future<Output = Value>>>> = Vec::new();
        for number in 0..ATTEMPTS {
            let place = number / 3 % 3;
            let (gateway, body) = (cluster.gateway(place), body.clone());
            let (official, plain, ann) = (&official[place], &plain[place], &ann);
            attempts.push(match number % 3 {
                0 => Box::pin(async move { ann.post(gateway, "/group", body).await.expect(201) }),
                1 => Box::pin(async move {
                    let answer = official.granted("send_group_message", json!([body]));
                    answer.await["message"].take()
                }),
                _ => Box::pin(async move {
                    let answer = plain.granted("send_group_message", body);
                    answer.await["message"].take()
                }),
            });
        }
        let answers = futures_util::future::join_all(attempts).await;
        assert_eq!(answers[0]["clientMessageId"], id.as_str());
        assert_eq!(answers[0]["seq"], FIRST + round);
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
    }

    let other = json!({"roomId": room, "content": "twice", "clientMessageId": "attempt-0"});
    let reused = plain[1].ask("send_group_message", other).await;
    assert_eq!(reused["error"]["code"], "client_message_id_reused");
    let last = FIRST + 2;
    let log = reading.fold().wait_seq(&room, last).await;
    assert_eq!(seqs(&log), dense(1, last));
    for client in &plain {
        assert_eq!(client.fold().wait_seq(&room, last).await, log);
    }
    let history = bob.room_history(cluster.gateway(1), &room).await;
    assert_eq!(history, behind_making(&log));
}
