//! Clients that come and go: a hundred connections, each cut at a random place, each to a random gateway, while others
//! write. In the end a device has exactly the log, in order and once, on either protocol (P4, D30).

use std::sync::atomic::{AtomicBool, Ordering};

use rand::Rng;
use serde_json::{Value, json};

use crate::support::fold::{Fold, dense, seq};
use crate::support::gateway::{Cluster, Gateway, shared_cluster};
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::ws::Ws;

const CONNECTIONS: usize = 100;
/// A connection lasts for so many events of one conversation at most.
const EVENTS: u64 = 12;

/// What a device has of its two conversations, over all its connections.
struct Device {
    conversations: [String; 2],
    has: [Vec<u64>; 2],
}

impl Device {
    fn new(room: &str, direct: &str) -> Self {
        Self {
            conversations: [room.to_owned(), direct.to_owned()],
            has: Default::default(),
        }
    }

    /// Where its next connection resumes.
    fn since(&self) -> Value {
        let last = |has: &Vec<u64>| has.last().copied().unwrap_or_default();
        let points = self.conversations.iter().zip(&self.has);
        points.map(|(id, has)| (id.clone(), last(has))).collect()
    }

    /// Waits for a random number of events, 0 included, in one of the conversations.
    async fn wait(&self, fold: &Fold) {
        let (which, more) = {
            let mut random = rand::rng();
            (random.random_range(0..2), random.random_range(0..=EVENTS))
        };
        let last = self.has[which].last().copied().unwrap_or_default();
        if more > 0 {
            fold.wait_seq(&self.conversations[which], last + more).await;
        }
    }

    /// Takes what a connection brought, which is then dropped: what it brings after this moment counts as lost with it.
    fn take(&mut self, fold: &Fold) {
        for (id, has) in self.conversations.iter().zip(&mut self.has) {
            has.extend(fold.seqs(id));
        }
    }
}

fn anywhere(cluster: &Cluster) -> &Gateway {
    cluster.gateway(rand::rng().random_range(0..cluster.gateways.len()))
}

/// Writes to the room and to the person, one after the other, over one session per gateway, until told to stop. The last
/// seq of each.
async fn write(
    cluster: &Cluster,
    writer: &Person,
    room: &str,
    to: &Person,
    stop: &AtomicBool,
) -> [u64; 2] {
    let mut sessions = Vec::new();
    for gateway in &cluster.gateways {
        sessions.push(Ws::join(gateway, writer).await);
    }
    let mut last = [0, 0];
    for session in sessions.iter().cycle() {
        let all = json!({"roomId": room, "content": "all"});
        let group = session.granted("send_group_message", all);
        let (group, direct) = tokio::join!(group, session.write(to, "you"));
        last = [seq(&group["message"]), seq(&direct)];
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    last
}

/// The rest comes over a last connection; then the device has everything.
async fn finish(mut device: Device, fold: &Fold, last: [u64; 2]) {
    for ((conversation, has), last) in device.conversations.iter().zip(&device.has).zip(last) {
        if has.last() != Some(&last) {
            fold.wait_seq(conversation, last).await;
        }
    }
    device.take(fold);
    assert_eq!(device.has, last.map(|last| dense(1, last)));
}

#[tokio::test]
async fn a_hundred_connections_to_random_gateways_end_with_exactly_the_log_on_ws() {
    let cluster = shared_cluster().await;
    let (ann, bob) = Person::pair(cluster.gateway(0), cluster.gateway(1)).await;
    let room = ann.room(cluster.gateway(2), &[&bob]).await;
    let mut device = Device::new(&room, &ann.direct_with(&bob));
    let stop = AtomicBool::new(false);
    let travelling = async {
        for _ in 0..CONNECTIONS {
            let options = json!({"since": device.since()});
            let client = Ws::join_with(anywhere(cluster), &bob, options).await;
            device.wait(client.fold()).await;
            device.take(client.fold());
            // Dropped without a word.
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (last, ()) = tokio::join!(write(cluster, &ann, &room, &bob, &stop), travelling);
    let client = Ws::join_with(anywhere(cluster), &bob, json!({"since": device.since()})).await;
    finish(device, client.fold(), last).await;
}

#[tokio::test]
async fn a_hundred_connections_to_random_gateways_end_with_exactly_the_log_on_socket_io() {
    let cluster = shared_cluster().await;
    let node = Node::start().await;
    let (ann, bob) = Person::pair(cluster.gateway(0), cluster.gateway(1)).await;
    let room = ann.room(cluster.gateway(2), &[&bob]).await;
    let mut device = Device::new(&room, &ann.direct_with(&bob));
    let stop = AtomicBool::new(false);
    let travelling = async {
        for number in 0..CONNECTIONS {
            // Every transport in turn: WebSocket, polling, and the upgrade from one to the other.
            let transports =
                [&["websocket"][..], &["polling"], &["polling", "websocket"]][number % 3];
            let options = json!({
                "auth": {"token": bob.token}, "transports": transports, "reconnection": false, "forceNew": true,
            });
            let client = node.client(&anywhere(cluster).url(""), options).await;
            let connected = client.wait_connected().await;
            connected.expect("the gateway takes the token");
            let since = json!({"since": device.since()});
            client.join(&bob, since).await;
            device.wait(client.fold()).await;
            client.cut().await;
            client.wait_disconnected().await;
            device.take(client.fold());
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (last, ()) = tokio::join!(write(cluster, &ann, &room, &bob, &stop), travelling);
    let client = node.open(anywhere(cluster), &bob).await;
    let since = json!({"since": device.since()});
    client.join(&bob, since).await;
    finish(device, client.fold(), last).await;
}
