//! In a room that several gateways write to, one writes for all; and it may freeze or die in the midst of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::fold::{FIRST, behind_making, dense, seq, seqs};
use crate::support::gateway::{Cluster, Gateway};
use crate::support::rest::Person;
use crate::support::until;
use crate::support::ws::Ws;

/// How many messages each sender has under way.
const WINDOW: usize = 8;

/// Somebody who writes without a pause, on one gateway.
struct Sender {
    person: Person,
    client: Arc<Ws>,
    going: Arc<AtomicBool>,
    acknowledged: JoinHandle<Vec<Value>>,
}

impl Sender {
    async fn start(gateway: &Gateway, person: Person, room: &str) -> Self {
        let client = Arc::new(Ws::join(gateway, &person).await);
        let going = Arc::new(AtomicBool::new(true));
        let talk = talk(Arc::clone(&client), room.to_owned(), Arc::clone(&going));
        Self {
            person,
            client,
            going,
            acknowledged: tokio::spawn(talk),
        }
    }
}

/// The acknowledged messages, in the order of sending.
async fn talk(client: Arc<Ws>, room: String, going: Arc<AtomicBool>) -> Vec<Value> {
    let (mut number, mut acknowledged) = (0, Vec::new());
    let mut under_way = VecDeque::new();
    loop {
        while going.load(Ordering::Relaxed) && under_way.len() < WINDOW {
            number += 1;
            let message = json!({
                "type": "send_group_message", "roomId": room, "content": number.to_string(),
            });
            under_way.push_back(client.submit(message).await);
        }
        let Some(reference) = under_way.pop_front() else {
            return acknowledged;
        };
        let mut answer = client.answer(reference).await;
        assert_eq!(answer["ok"], true, "{answer}");
        acknowledged.push(answer["message"].take());
    }
}

/// How many messages a gateway has delegated, with this outcome.
async fn delegated(gateway: &Gateway, outcome: &str) -> f64 {
    let series = format!("hobnob_appends_delegated_total{{outcome=\"{outcome}\"}}");
    gateway.metric(&series).await
}

/// Waits until all gateways but one delegate; that one's number.
async fn writer(gateways: &[&Gateway]) -> usize {
    let stored = async || join_all(gateways.iter().map(|one| delegated(one, "stored"))).await;
    until("one writes for all", async || {
        let before = stored().await;
        // Time in which to delegate: who counts no more afterwards is the writer.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let counts = before.into_iter().zip(stored().await).enumerate();
        let still = counts.filter(|(_, (before, after))| before == after);
        match still.collect::<Vec<_>>()[..] {
            [(writer, _)] => Ok(writer),
            ref others => Err(others.to_vec()),
        }
    })
    .await
}

#[tokio::test]
async fn d2_d5_the_gateway_that_writes_for_others_may_freeze_or_die() {
    let mut cluster = Cluster::start(3).await;
    let first = cluster.gateway(0);
    let mut people = Vec::new();
    for name in ["ann", "bob", "cid"] {
        people.push(Person::register(first, name).await);
    }
    let room = people[0].room(first, &[&people[1], &people[2]]).await;
    let mut senders = Vec::new();
    for (number, person) in people.into_iter().enumerate() {
        senders.push(Sender::start(cluster.gateway(number), person, &room).await);
    }

    let gateways: Vec<&Gateway> = cluster.gateways.iter().collect();
    let frozen = writer(&gateways).await;
    let other = gateways[(frozen + 1) % 3];
    gateways[frozen].stop();
    until("a delegation without an answer", async || {
        delegated(other, "unknown").await > 0.0
    })
    .await;
    // What was delegated to it before is committed late, beside those that were tired of waiting.
    gateways[frozen].cont();

    let dead = writer(&gateways).await;
    cluster.gateways[dead].kill9();
    let gone = senders.remove(dead);
    gone.acknowledged.abort();
    let alive = cluster.gateway((dead + 1) % 3);
    for sender in &senders {
        let seen = sender.client.fold().log(&room).len() as u64;
        sender.client.fold().wait_seq(&room, seen + 100).await;
        sender.going.store(false, Ordering::Relaxed);
    }

    let mut answers = Vec::new();
    for sender in &mut senders {
        answers.push((&mut sender.acknowledged).await.expect("no send fails"));
    }
    let history = senders[0].person.room_history(alive, &room).await;
    let last = 1 + history.len() as u64;
    assert_eq!(seqs(&history), dense(FIRST, last));
    for (sender, acknowledged) in senders.iter().zip(&answers) {
        let own = |message: &&Value| message["senderId"] == sender.person.id.as_str();
        assert!(
            history.iter().filter(own).eq(acknowledged),
            "{}'s messages are others than was answered",
            sender.person.name
        );
        let log = sender.client.fold().wait_seq(&room, last).await;
        assert!(behind_making(&log) == history);
    }
    // In order and once, though not all were answered.
    let own = |message: &&Value| message["senderId"] == gone.person.id.as_str();
    let said = history
        .iter()
        .filter(own)
        .map(|message| message["content"].clone());
    assert!(
        said.eq((1..)
            .map(|number: u32| json!(number.to_string()))
            .take(history.iter().filter(own).count()))
    );
}

#[tokio::test]
async fn d29_who_sends_a_direct_message_gets_it_once_whoever_writes_it() {
    let cluster = Cluster::start(2).await;
    let (first, second) = (cluster.gateway(0), cluster.gateway(1));
    let (ann, bob) = Person::pair(first, first).await;
    let (here, there) = (Ws::join(first, &ann).await, Ws::join(second, &bob).await);
    let speak = async |client: &Ws, to: &Person| {
        let mut references = Vec::new();
        for number in 0..100 {
            let message = json!({
                "type": "send_message", "receiverId": to.id, "content": number.to_string(),
            });
            references.push(client.submit(message).await);
        }
        seqs(&client.messages(references).await)
    };
    let (mut answered, mut rounds) = ([Vec::new(), Vec::new()], 0);
    while rounds < 3 || delegated(first, "stored").await + delegated(second, "stored").await < 100.0
    {
        let (one, other) = tokio::join!(speak(&here, &bob), speak(&there, &ann));
        answered[0].extend(one);
        answered[1].extend(other);
        rounds += 1;
        assert!(rounds < 100, "nothing is delegated");
    }
    let total = 200 * rounds;
    let everything = dense(1, total);
    for (client, places) in [(&here, &answered[0]), (&there, &answered[1])] {
        assert!(places.is_sorted_by(|one, next| one < next));
        let conversation = &client.fold().conversations()[0];
        let others: Vec<u64> = everything
            .iter()
            .copied()
            .filter(|place| places.binary_search(place).is_err())
            .collect();
        let last = *others.last().expect("the other speaks");
        client.fold().wait_seq(conversation, last).await;
        let frames = client.frames("receive_message");
        let received: Vec<u64> = frames.iter().map(|frame| seq(&frame["message"])).collect();
        assert_eq!(received, others, "the other's, in order, and no own");
    }
}
