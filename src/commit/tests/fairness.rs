//! Nobody starves beside others who send more, or from elsewhere (D54).

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;

use super::*;
use crate::commit::batcher::ROOM as TOGETHER;
use crate::commit::driver::FOR_OTHERS;
use crate::commit::{Delegated, Delegation, Entry, Settled};
use crate::domain::{Change, ChangeKind, GatewayId, Seq};
use crate::store::Run;

const WRITER: GatewayId = GatewayId::from_u64(2);
/// Rooms whose inserts keep both slots of the batcher taken.
const PLUGS: [ConversationId; 2] = [room(201), room(202)];

/// Makes everything wait that is sent from now on, until [`release`].
async fn hold_up(scene: &Scene) {
    scene.state().blocked.extend(PLUGS);
    for plug in PLUGS {
        let plugged = scene.committer.submit(plug, message(1, "plug"), None, None);
        drop(plugged.unwrap());
        let is_hanging = |state: &State| state.hanging.contains(&plug);
        scene.store.until(is_hanging).await;
    }
}

fn release(scene: &Scene) {
    scene.state().blocked.clear();
    scene.store.moved.notify_waiters();
}

fn submit_many(scene: &Scene, to: ConversationId, count: usize) -> Vec<Ticket<Changed>> {
    let submit = |number| {
        let message = message(1, &format!("m{number}"));
        scene.committer.submit(to, message, None, None).unwrap()
    };
    (0..count).map(submit).collect()
}

fn delegated(message: NewMessage) -> Delegated {
    let trace = None;
    let entry = Entry::Message(message);
    Delegated { entry, trace }
}

async fn all_stored(tickets: Vec<Ticket<Changed>>) {
    let outcomes = join_all(tickets.into_iter().map(Ticket::event)).await;
    assert!(outcomes.iter().all(Result::is_ok));
}

fn lengths(scene: &Scene, of: ConversationId) -> Vec<usize> {
    let state = scene.state();
    let runs = state.runs.iter().filter(|(room, _)| *room == of);
    runs.map(|(_, length)| *length).collect()
}

#[tokio::test(start_paused = true)]
async fn d54_one_long_run_has_its_share_of_an_insert_and_all_of_it_alone() {
    const OTHERS: u8 = 100;
    let scene = Scene::new();
    hold_up(&scene).await;
    let mut tickets = submit_many(&scene, ROOM, Run::LIMIT);
    for number in 0..OTHERS {
        tickets.extend(submit_many(&scene, room(2 + number), 1));
    }
    tokio::task::yield_now().await;
    release(&scene);
    all_stored(tickets).await;
    let lengths = lengths(&scene, ROOM);
    let share = TOGETHER / usize::from(OTHERS);
    assert!(lengths[0] <= share, "{lengths:?}");
    // What the others leave is for whoever has more.
    assert!(lengths.len() <= 4, "{lengths:?}");

    let scene = Scene::new();
    all_stored(submit_many(&scene, ROOM, Run::LIMIT)).await;
    assert_eq!(scene.state().runs, [(ROOM, Run::LIMIT)]);
}

#[tokio::test(start_paused = true)]
async fn d54_senders_take_turns_and_each_ones_messages_keep_their_order() {
    let scene = Scene::new();
    let send = |sender, text: String| scene.submit(message(sender, &text));
    let mut tickets: Vec<_> = (0..5).map(|number| send(1, format!("a{number}"))).collect();
    tickets.extend((0..3).map(|number| send(2, format!("b{number}"))));
    all_stored(tickets).await;
    let in_turn = ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "a4"];
    assert_eq!(scene.stored(), in_turn);

    // Another gateway's senders have two at each turn: they wait for an answer in between.
    let scene = Scene::new();
    let send = |number| scene.submit(message(1, &format!("a{number}")));
    let tickets: Vec<_> = (0..3).map(send).collect();
    let delegated = ["b0", "b1", "b2"].map(|text| delegated(message(2, text)));
    let taken = scene.committer.take_on(ROOM, delegated.into(), |_| None);
    all_stored(tickets).await;
    assert_eq!(taken.settled().await.map(|settled| settled.len()), Some(3));
    assert_eq!(scene.stored(), ["a0", "b0", "b1", "a1", "b2", "a2"]);
}

/// A change is made between what was sent before it and what was sent after it.
#[tokio::test(start_paused = true)]
async fn d54_nobodys_turn_passes_a_change() {
    let scene = Scene::new();
    let mut tickets = vec![
        scene.submit(message(1, "a0")),
        scene.submit(message(1, "a1")),
    ];
    let change = Change {
        id: EventId::from_bytes([7; 12]),
        conversation: ROOM,
        actor: ALICE,
        at: Timestamp::from_millis(0),
        kind: ChangeKind::RemoveMember { user: ALICE },
    };
    let changing = scene.committer.change(change);
    let mut changing = std::pin::pin!(changing);
    assert!(changing.as_mut().now_or_never().is_none());
    scene.step(|state, run| {
        assert_eq!((run.events.len(), state.changes), (2, 0));
        state.append(run)
    });
    scene.step(|state, run| {
        assert_eq!((run.events.len(), state.changes), (1, 1));
        state.append(run)
    });
    tickets.push(scene.submit(message(2, "b0")));
    all_stored(tickets).await;
    assert!(changing.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn d54_who_writes_for_others_need_not_cut_its_runs() {
    for is_delegated in [true, false] {
        let scene = Scene::new();
        scene.state().intrude(ROOM);
        let frontier = scene.committer.frontier();
        frontier.learn_head(ROOM, Seq::ZERO);
        frontier.note_read(ROOM, Seq::new(1), false);
        hold_up(&scene).await;
        let mut tickets = Vec::new();
        for number in 2..12 {
            tickets.extend(submit_many(&scene, room(number), 2));
        }
        let messages = ["a", "b", "c"].map(|text| message(2, text));
        if is_delegated {
            let delegated = messages.map(delegated);
            let taken = scene.committer.take_on(ROOM, delegated.into(), |_| None);
            tokio::spawn(taken.settled());
        } else {
            tickets.extend(messages.map(|message| scene.submit(message)));
        }
        tokio::task::yield_now().await;
        release(&scene);
        all_stored(tickets).await;
        scene.committer.idle().await;
        let first = lengths(&scene, ROOM)[0];
        assert_eq!(first, if is_delegated { 3 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn d54_who_writes_for_others_has_shorter_runs_or_they_wait_long() {
    let scene = Scene::new();
    let taken = scene
        .committer
        .take_on(ROOM, vec![delegated(message(2, "b"))], |_| None);
    let tickets = submit_many(&scene, ROOM, Run::LIMIT);
    all_stored(tickets).await;
    assert!(taken.settled().await.is_some());
    let lengths = lengths(&scene, ROOM);
    assert!(
        lengths.iter().all(|length| *length <= FOR_OTHERS),
        "{lengths:?}"
    );
}

/// A gateway that stores what is delegated to it after as many other events as it is told; what it writes is heard.
struct Busy {
    /// Who delegates to it, once it is there.
    scene: OnceLock<Arc<Scene>>,
    before: u64,
    every: Duration,
}

#[async_trait]
impl Delegation for Busy {
    fn is_up(&self) -> bool {
        true
    }

    async fn delegate(
        &self,
        to: GatewayId,
        conversation: ConversationId,
        entries: Vec<Delegated>,
    ) -> Option<Vec<Settled>> {
        let scene = self.scene.get().unwrap();
        for _ in 0..self.before {
            tokio::time::sleep(self.every).await;
            let head = {
                let mut state = scene.state();
                state.intrude(conversation);
                state.logs[&conversation].len() as u64
            };
            let frontier = scene.committer.frontier();
            frontier.hear(conversation, Seq::new(head), Some(to));
        }
        let places = (1..).zip(&entries);
        Some(
            places
                .map(|(place, _)| Settled::Stored(Seq::new(self.before + place)))
                .collect(),
        )
    }
}

/// Sends one message through a gateway that writes so often before its turn comes; whether that is waited for.
async fn is_waited_for(before: u64, every: Duration) -> bool {
    let writer = Arc::new(Busy {
        scene: OnceLock::new(),
        before,
        every,
    });
    let scene = Arc::new(Scene::delegating(Arc::clone(&writer) as _));
    assert!(writer.scene.set(Arc::clone(&scene)).is_ok());
    scene.committer.frontier().learn_head(ROOM, Seq::ZERO);
    scene.committer.0.writers.delegate_to(ROOM, WRITER);
    assert!(scene.submit(message(1, "a")).event().await.is_ok());
    scene.state().runs.is_empty()
}

#[tokio::test(start_paused = true)]
async fn d54_a_writer_that_is_heard_is_waited_for_and_a_silent_one_is_not() {
    assert!(is_waited_for(5, Duration::from_millis(400)).await);
    assert!(!is_waited_for(1, Duration::from_millis(1200)).await);
    // Nor one that never comes to it: the sender has to be answered.
    assert!(!is_waited_for(30, Duration::from_millis(400)).await);
}
