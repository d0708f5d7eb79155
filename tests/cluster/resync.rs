//! What was published while a gateway's subscriber was cut, and is followed by nothing that would show the gap: it comes
//! by the resync, in a room, in a known direct conversation and in one that did not exist before (P5, D16).

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::fold::{FIRST, dense};
use crate::support::gateway::Cluster;
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// From the moment at which Redis can be used again (P5), and something for a busy machine. The slow sweep, which would
/// find it too, comes every 60 s.
const WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn what_a_cut_subscriber_missed_comes_without_a_further_event() {
    let cluster = Cluster::start(2).await;
    let (here, there) = (cluster.gateway(0), cluster.gateway(1));
    let ann = Person::register(here, "ann").await;
    let bob = Person::register(here, "bob").await;
    let cid = Person::register(here, "cid").await;
    let room = ann.room(here, &[&bob]).await;
    let (writer, stranger) = (Ws::join(here, &ann).await, Ws::join(here, &cid).await);
    let reader = Ws::join(there, &bob).await;
    let to_bob = json!({"receiverId": bob.id, "content": "direct"});
    ann.say(here, &room, "live").await;
    writer.ask("send_message", to_bob.clone()).await;
    for (conversation, last) in [(&room, FIRST), (&ann.direct_with(&bob), 1)] {
        reader.fold().wait_seq(conversation, last).await;
    }

    // Frozen, so that it cannot subscribe again before everything has been published.
    there.stop();
    cluster.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    ann.say(here, &room, "missed").await;
    for sender in [&writer, &stranger] {
        let answer = sender.ask("send_message", to_bob.clone()).await;
        assert_eq!(answer["ok"], true, "{answer}");
    }
    there.cont();
    let woken = Instant::now();
    for (conversation, last) in [
        (&room, FIRST + 1),
        (&ann.direct_with(&bob), 2),
        (&cid.direct_with(&bob), 1),
    ] {
        reader.fold().wait_seq(conversation, last).await;
        assert_eq!(reader.fold().seqs(conversation), dense(1, last));
    }
    assert!(woken.elapsed() < WITHIN, "{:?}", woken.elapsed());
}
