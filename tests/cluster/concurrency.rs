//! Many senders on several gateways write to one room at once: one dense order for everybody (P2).

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::fold::{FIRST, Fold, behind_making, dense, seq, seqs};
use crate::support::gateway::shared_cluster;
use crate::support::node::{Node, SocketIo};
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// Messages of each sender.
const EACH: u64 = 1_000;

/// A sender on either protocol.
enum Client {
    Official(SocketIo),
    Plain(Ws),
}

impl Client {
    fn fold(&self) -> &Fold {
        match self {
            Self::Official(client) => client.fold(),
            Self::Plain(client) => client.fold(),
        }
    }

    /// Sends all its messages, all under way at once; the acknowledged messages in the order of sending.
    async fn send_all(&self, room: &str, name: &str) -> Vec<Value> {
        let mut references = Vec::new();
        for number in 1..=EACH {
            let mut body = json!({"roomId": room, "content": format!("{name} {number}")});
            references.push(match self {
                Self::Official(client) => {
                    client
                        .emit_for_ack("send_group_message", json!([body]))
                        .await
                }
                Self::Plain(client) => {
                    body["type"] = json!("send_group_message");
                    client.submit(body).await
                }
            });
        }
        let mut acknowledged = Vec::new();
        for reference in references {
            let mut answer = match self {
                Self::Official(client) => client.wait_ack(reference).await,
                Self::Plain(client) => client.answer(reference).await,
            };
            assert_eq!(answer["ok"], true, "{answer}");
            acknowledged.push(answer["message"].take());
        }
        acknowledged
    }
}

#[tokio::test]
async fn four_senders_on_two_gateways_make_one_dense_order() {
    let cluster = shared_cluster().await;
    let [one, two, three] = [0, 1, 2].map(|number| cluster.gateway(number));
    let node = Node::start().await;
    let mut people = Vec::new();
    for name in ["ann", "bob", "cid", "dot"] {
        people.push(Person::register(one, name).await);
    }
    let [ann, bob, cid, dot] = people.iter().collect::<Vec<_>>()[..] else {
        unreachable!("four people");
    };
    let reader = Person::register(three, "reader").await;
    let room = ann.room(one, &[bob, cid, dot, &reader]).await;
    let clients = [
        Client::Official(node.join(one, ann).await),
        Client::Plain(Ws::join(one, bob).await),
        Client::Official(node.join(two, cid).await),
        Client::Plain(Ws::join(two, dot).await),
    ];
    let reading = Ws::join(three, &reader).await;

    let acknowledged = tokio::join!(
        clients[0].send_all(&room, "ann"),
        clients[1].send_all(&room, "bob"),
        clients[2].send_all(&room, "cid"),
        clients[3].send_all(&room, "dot"),
    );
    let acknowledged = [
        acknowledged.0,
        acknowledged.1,
        acknowledged.2,
        acknowledged.3,
    ];

    let last = 1 + 4 * EACH;
    let log = reading.fold().wait_seq(&room, last).await;
    assert_eq!(seqs(&log), dense(1, last));
    let said = behind_making(&log);
    for client in &clients {
        // The whole messages, not only the numbers.
        let theirs = client.fold().wait_seq(&room, last).await;
        assert!(behind_making(&theirs) == said);
    }
    // Each sender's own in their order, with the places they were told.
    for (person, theirs) in people.iter().zip(&acknowledged) {
        let shown = said
            .iter()
            .filter(|message| message["senderId"] == person.id.as_str());
        assert!(shown.eq(theirs), "{} saw another order", person.name);
    }
    let mut places: Vec<u64> = acknowledged.iter().flatten().map(seq).collect();
    places.sort_unstable();
    assert_eq!(places, dense(FIRST, last));
    // And so it is stored.
    let history = reader.room_history(two, &room).await;
    assert!(history == said);
    let ids: HashSet<&str> = history
        .iter()
        .filter_map(|message| message["_id"].as_str())
        .collect();
    assert_eq!(ids.len() as u64, 4 * EACH);
    // Asked of MongoDB itself: history may not be the only one to skip a repeat.
    let database = cluster.database().await;
    let events = database.collection::<mongodb::bson::Document>("events");
    let stored = events.count_documents(mongodb::bson::doc! { "conversation": room });
    assert_eq!(stored.await.unwrap(), last);
}
