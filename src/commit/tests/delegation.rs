//! Two gateways that write to one room, one of them through the other.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use parking_lot::Mutex;

use super::*;
use crate::commit::delegation::GATHER;
use crate::commit::{Delegated, Settled};
use crate::domain::{GatewayId, Seq};

const OTHER: GatewayId = GatewayId::from_u64(2);

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Good,
    /// The request is lost.
    NotThere,
    /// The answer is lost.
    NotBack,
    /// The request is delivered so late that nobody waits for the answer any more.
    Late(Duration),
}

/// Carries messages to one other committer, which is named once it is there.
#[derive(Default)]
struct Carrier {
    to: OnceLock<Committer>,
    /// For the next requests, in turn; the others are carried well.
    ways: Mutex<VecDeque<Way>>,
    carried: Mutex<Vec<Vec<Settled>>>,
}

#[async_trait]
impl Delegation for Carrier {
    fn is_up(&self) -> bool {
        true
    }

    async fn delegate(
        &self,
        to: GatewayId,
        conversation: ConversationId,
        entries: Vec<Delegated>,
    ) -> Option<Vec<Settled>> {
        assert_eq!(to, OTHER);
        let way = self.ways.lock().pop_front().unwrap_or(Way::Good);
        let committer = self.to.get().unwrap().clone();
        match way {
            Way::NotThere => None,
            Way::NotBack => {
                let taken = committer.take_on(conversation, entries, |_| None);
                tokio::spawn(taken.settled());
                None
            }
            Way::Late(by) => {
                tokio::spawn(async move {
                    tokio::time::sleep(by).await;
                    let taken = committer.take_on(conversation, entries, |_| None);
                    taken.settled().await
                });
                None
            }
            Way::Good => {
                let taken = committer.take_on(conversation, entries, |_| None);
                let settled = taken.settled().await?;
                self.carried.lock().push(settled.clone());
                Some(settled)
            }
        }
    }
}

/// Two gateways on one store: the first hands over to the second.
struct Pair {
    ours: Scene,
    theirs: Scene,
    carrier: Arc<Carrier>,
}

impl Pair {
    fn new() -> Self {
        Self::bounded(CommitterConfig::default())
    }

    /// With these bounds on the second.
    fn bounded(config: CommitterConfig) -> Self {
        Self::onward(config, None)
    }

    /// With a second that leaves the writing to others in turn.
    fn onward(config: CommitterConfig, onward: Option<Arc<dyn Delegation>>) -> Self {
        let carrier = Arc::<Carrier>::default();
        let ours = Scene::delegating(Arc::clone(&carrier) as _);
        let theirs = Scene::on(Arc::clone(&ours.store), config, onward);
        carrier.to.set(theirs.committer.clone()).unwrap();
        let pair = Self {
            ours,
            theirs,
            carrier,
        };
        pair.leave();
        pair
    }

    /// The first leaves the writing to the second, whatever happened before.
    fn leave(&self) {
        self.ours.committer.0.writers.take_back(ROOM);
        self.ours.committer.0.writers.delegate_to(ROOM, OTHER);
    }

    fn way(&self, way: Way) {
        self.carrier.ways.lock().push_back(way);
    }

    async fn send(&self, texts: &[&str]) -> Vec<Result<u64, CommitError>> {
        let tickets: Vec<_> = texts
            .iter()
            .map(|text| self.ours.submit(message(1, text)))
            .collect();
        let answers = join_all(tickets.into_iter().map(Ticket::event)).await;
        let place = |answer: Result<Arc<Event>, CommitError>| Ok(answer?.seq.get());
        answers.into_iter().map(place).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_writing_to_another_has_its_messages_stored_there_and_announced_once() {
    let pair = Pair::new();
    assert_eq!(pair.send(&["a", "b"]).await, [Ok(1), Ok(2)]);
    assert_eq!(pair.send(&["c"]).await, [Ok(3)]);
    assert_eq!(pair.ours.stored(), ["a", "b", "c"]);
    assert_eq!(pair.theirs.committed(), [(1, None), (2, None), (3, None)]);
    assert_eq!(pair.ours.committed(), []);
    // Whose session takes the answer for the offer knows before it has it (D29).
    let delegated = pair.ours.told.delegated.lock().clone();
    assert_eq!(delegated, [1, 2, 3].map(|seq| (seq, Some(SESSION))));
    assert_eq!(pair.carrier.carried.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn d54_what_comes_together_travels_together() {
    let pair = Pair::new();
    let first = pair.ours.submit(message(1, "a"));
    tokio::time::sleep(GATHER / 2).await;
    let second = pair.ours.submit(message(2, "b"));
    assert!(first.event().await.is_ok() && second.event().await.is_ok());
    assert_eq!(pair.carrier.carried.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn d2_the_other_authorises_as_of_its_own_insert() {
    let pair = Pair::new();
    assert_eq!(pair.send(&["a"]).await, [Ok(1)]);
    pair.ours.step(|state, run| {
        state.remove(ROOM, ALICE);
        state.append(run)
    });
    assert_eq!(pair.send(&["b"]).await, [Err(refused())]);
    assert_eq!(pair.ours.stored(), ["a"]);
    assert_eq!(pair.carrier.carried.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn d3_a_retry_that_is_delegated_gets_the_original_and_another_content_is_refused() {
    let pair = Pair::new();
    assert_eq!(pair.send(&["a"]).await, [Ok(1)]);
    assert_eq!(pair.send(&["a", "b"]).await, [Ok(1), Ok(2)]);
    let mut other = message(1, "c");
    other.client_message_id = message(1, "a").client_message_id;
    let answer = pair.ours.send(other).await;
    assert_eq!(answer, Err(CommitError::ClientMessageIdReused));
    assert_eq!(pair.ours.stored(), ["a", "b"]);
    assert_eq!(pair.carrier.carried.lock().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn d5_without_an_answer_each_message_is_stored_once_and_in_order() {
    for way in [
        Way::NotThere,
        Way::NotBack,
        Way::Late(Duration::from_millis(1)),
        Way::Late(Duration::from_millis(50)),
    ] {
        let pair = Pair::new();
        pair.way(way);
        assert_eq!(pair.send(&["a", "b"]).await, [Ok(1), Ok(2)], "{way:?}");
        // Who did not answer is not asked again.
        assert_eq!(pair.send(&["c"]).await, [Ok(3)], "{way:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(pair.ours.stored(), ["a", "b", "c"], "{way:?}");
        assert_eq!(pair.carrier.carried.lock().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_other_does_not_take_is_written_from_here() {
    let config = CommitterConfig {
        // A conversation holds at most half of it (D47).
        waiting: 4,
        ..CommitterConfig::default()
    };
    let pair = Pair::bounded(config);
    let sent = pair.send(&["a", "b", "c", "d"]).await;
    assert_eq!(sent, [Ok(1), Ok(2), Ok(3), Ok(4)]);
    assert_eq!(pair.ours.stored(), ["a", "b", "c", "d"]);
    assert_eq!(pair.theirs.committed().len(), 2);
    assert_eq!(pair.ours.committed().len(), 2);

    // Nothing behind what it has no room for.
    let config = CommitterConfig {
        waiting_bytes: 3,
        ..CommitterConfig::default()
    };
    let pair = Pair::bounded(config);
    assert_eq!(pair.send(&["long", "b"]).await, [Ok(1), Ok(2)]);
    assert_eq!(pair.ours.stored(), ["long", "b"]);

    // And whoever leaves the room to another itself takes nothing.
    let pair = Pair::new();
    pair.theirs.committer.0.writers.delegate_to(ROOM, OTHER);
    assert_eq!(pair.send(&["a"]).await, [Ok(1)]);
    assert_eq!(*pair.carrier.carried.lock(), [vec![]]);
    assert_eq!(pair.ours.committed().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_places_in_a_row_lost_to_a_gateway_that_is_heard_make_it_the_writer() {
    let pair = Pair::new();
    pair.ours.committer.0.writers.take_back(ROOM);
    assert_eq!(pair.send(&["a"]).await, [Ok(1)]);
    for _ in 0..2 {
        let frontier = Arc::clone(pair.ours.committer.frontier());
        pair.ours.step(move |state, run| {
            state.intrude(run.conversation);
            frontier.hear(run.conversation, run.first, Some(OTHER));
            state.append(run)
        });
    }
    assert_eq!(pair.send(&["b"]).await, [Ok(4)]);
    assert_eq!(pair.carrier.carried.lock().len(), 1);
    assert_eq!(pair.theirs.committed(), [(4, None)]);
}

/// Whatever is lost on the way, and whoever writes: everything is stored once, and each sender's messages are in order.
#[tokio::test(start_paused = true)]
async fn d2_d5_order_and_number_survive_every_loss_on_the_way() {
    for seed in 0..300 {
        let (pair, entropy) = (Pair::new(), Entropy::seeded(seed));
        let dice = |sides: u64| entropy.next_u64() % sides;
        let mut answers = Vec::new();
        for number in 0..40 {
            match dice(4) {
                0 => pair.way(Way::NotBack),
                1 => pair.way(Way::NotThere),
                2 => pair.way(Way::Late(Duration::from_millis(dice(8)))),
                _ => pair.way(Way::Good),
            }
            let (here, there) = (dice(3) == 0, dice(4) == 0);
            if here {
                pair.leave();
            }
            if there {
                let ticket = pair.theirs.submit(message(2, &format!("b{number}")));
                answers.push(ticket.event());
            }
            let ticket = pair.ours.submit(message(1, &format!("a{number}")));
            answers.push(ticket.event());
            if dice(3) == 0 {
                tokio::time::sleep(Duration::from_millis(dice(6))).await;
            }
        }
        for answer in join_all(answers).await {
            let event = answer.unwrap();
            let own = |event: &Event| pair.ours.stored()[event.seq.get() as usize - 1].clone();
            let crate::domain::Body::Message(message) = &event.body else {
                panic!("{event:?}")
            };
            assert_eq!(own(&event), message.client_message_id.as_str(), "{seed}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let stored = pair.ours.stored();
        for sender in ["a", "b"] {
            let of_sender = stored.iter().filter(|text| text.starts_with(sender));
            let numbers: Vec<u32> = of_sender.map(|text| text[1..].parse().unwrap()).collect();
            assert!(
                numbers.is_sorted_by(|one, next| one < next),
                "{seed}: {numbers:?}"
            );
            assert!(sender == "b" || numbers.len() == 40, "{seed}: {numbers:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_writing_is_left_to_the_other_while_others_write_as_well() {
    for is_contended in [true, false] {
        let pair = Pair::new();
        // Whoever has lost places knows the log.
        let frontier = pair.ours.committer.frontier();
        frontier.learn_head(ROOM, Seq::ZERO);
        for text in ["a", "b", "c"] {
            if is_contended {
                pair.ours.step(|state, run| {
                    state.intrude(run.conversation);
                    state.append(run)
                });
            }
            assert!(pair.send(&[text]).await[0].is_ok());
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        let carried = pair.carrier.carried.lock().len();
        assert_eq!(carried, if is_contended { 3 } else { 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn d5_what_may_be_stored_elsewhere_is_never_refused_for_good() {
    let pair = Pair::new();
    pair.way(Way::NotThere);
    pair.ours.step(|state, run| {
        state.remove(ROOM, ALICE);
        state.append(run)
    });
    // Were she a member again when the other comes to it, it would store the message.
    assert_eq!(pair.send(&["a"]).await, [Err(CommitError::Unavailable)]);
    assert_eq!(pair.send(&["a"]).await, [Err(refused())]);
    assert_eq!(pair.ours.stored(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn d5_after_a_lost_answer_all_that_is_stored_is_found_at_once() {
    let pair = Pair::new();
    pair.way(Way::NotBack);
    let texts: Vec<String> = (0..50).map(|number| format!("m{number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let places: Vec<_> = (1..=50).map(Ok).collect();
    assert_eq!(pair.send(&texts).await, places);
    // The other's inserts, the refused one from here, and no more: one for each would take a while.
    let inserts = pair.ours.state().firsts.len();
    assert!(inserts <= 3, "{inserts} inserts");
}

#[tokio::test(start_paused = true)]
async fn what_is_delegated_is_not_delegated_further() {
    let onward = Arc::<Carrier>::default();
    let pair = Pair::onward(CommitterConfig::default(), Some(Arc::clone(&onward) as _));
    onward.to.set(pair.ours.committer.clone()).unwrap();
    let theirs = pair.theirs.committer.clone();
    pair.ours.step(move |state, run| {
        state.intrude(run.conversation);
        theirs.0.writers.delegate_to(ROOM, OTHER);
        state.append(run)
    });
    assert_eq!(pair.send(&["a"]).await, [Ok(2)]);
    assert_eq!(pair.theirs.committed(), [(2, None)]);
    assert_eq!(onward.carried.lock().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_other_has_not_tried_in_time_it_gives_up() {
    let pair = Pair::new();
    pair.ours.state().blocked.insert(ROOM);
    let theirs = pair.theirs.submit(message(2, "b"));
    pair.ours
        .store
        .until(|state| state.hanging.contains(&ROOM))
        .await;
    let ours = [
        pair.ours.submit(message(1, "a")),
        pair.ours.submit(message(1, "c")),
    ];
    tokio::time::sleep(Duration::from_secs(6)).await;
    pair.ours.state().blocked.clear();
    pair.ours.store.moved.notify_waiters();
    assert!(theirs.event().await.is_ok());
    for ticket in ours {
        assert!(ticket.event().await.is_ok());
    }
    assert_eq!(pair.theirs.committed().len(), 1);
    assert_eq!(pair.ours.committed().len(), 2);
    let mut own = pair.ours.stored();
    own.retain(|text| text != "b");
    assert_eq!(own, ["a", "c"]);
}
