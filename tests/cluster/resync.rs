//! What was published while a gateway's subscriber was cut, and is followed by nothing that would show the gap: it comes
//! by the resync, in a room, in a known direct conversation and in one that did not exist before (P5, D16).

use super::{sweeps, without_a_sweep};
use crate::support::fold::{FIRST, dense};
use crate::support::gateway::Cluster;
use crate::support::rest::Person;
use crate::support::ws::Ws;

#[tokio::test]
async fn what_a_cut_subscriber_missed_comes_without_a_further_event() {
    without_a_sweep(what_was_missed_comes).await;
}

/// Whether it came without a sweep.
async fn what_was_missed_comes() -> bool {
    let cluster = Cluster::start(2).await;
    let (here, there) = (cluster.gateway(0), cluster.gateway(1));
    let (ann, bob) = Person::pair(here, here).await;
    let cid = Person::register(here, "cid").await;
    let room = ann.room(here, &[&bob]).await;
    let (writer, stranger) = (Ws::join(here, &ann).await, Ws::join(here, &cid).await);
    let reader = Ws::join(there, &bob).await;
    ann.say(here, &room, "live").await;
    writer.write(&bob, "direct").await;
    for (conversation, last) in [(&room, FIRST), (&ann.direct_with(&bob), 1)] {
        reader.fold().wait_seq(conversation, last).await;
    }
    let before = sweeps(there).await;

    // Frozen, so that it cannot subscribe again before everything has been published.
    there.stop();
    cluster.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    ann.say(here, &room, "missed").await;
    for sender in [&writer, &stranger] {
        sender.write(&bob, "direct").await;
    }
    there.cont();
    for (conversation, last) in [
        (&room, FIRST + 1),
        (&ann.direct_with(&bob), 2),
        (&cid.direct_with(&bob), 1),
    ] {
        reader.fold().wait_seq(conversation, last).await;
        assert_eq!(reader.fold().seqs(conversation), dense(1, last));
    }
    sweeps(there).await == before
}
