//! The outbox's promises, without any transport.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, advance};

use super::*;
use crate::transport::heartbeat::Wheel;

fn text(content: &str) -> Frame {
    Frame::from(content.to_owned())
}

fn frames(batch: &Batch) -> Vec<Frame> {
    batch.frames.iter().cloned().collect()
}

#[test]
fn over_the_limit_the_session_ends_as_a_slow_consumer_and_the_queue_is_dropped() {
    let outbox = Outbox::new(2 * text("1234").cost());
    assert_eq!(outbox.push(text("1234")), Ok(()));
    assert_eq!(outbox.push(text("1234")), Ok(()));
    assert_eq!(outbox.push(text("1")), Err(Closed));
    assert_eq!(outbox.reason(), Some(Reason::SlowConsumer));
    assert_eq!(outbox.queued_bytes(), 0);
    assert!(outbox.try_take(usize::MAX, Pings::ForProof).is_none());
    outbox.close(Reason::Draining);
    assert_eq!(outbox.reason(), Some(Reason::SlowConsumer));
}

#[test]
fn the_writer_takes_all_in_order_or_up_to_its_limit_but_at_least_one() {
    let outbox = Outbox::new(10_000);
    outbox.push_all([text("a"), text("b"), text("c")]).unwrap();
    let first = outbox.try_take(1, Pings::ForProof).unwrap();
    assert_eq!(frames(&first), [text("a")]);
    let rest = outbox.try_take(10_000, Pings::ForProof).unwrap();
    assert_eq!(frames(&rest), [text("b"), text("c")]);
    assert_eq!(outbox.queued_bytes(), 0);
    assert!(outbox.try_take(1, Pings::ForProof).is_none());
}

#[tokio::test]
async fn room_waits_until_half_is_free_and_ends_with_the_session() {
    let outbox = Outbox::new(4 * text("").cost());
    outbox.push_all([text(""), text(""), text("")]).unwrap();
    assert!(!outbox.has_room());
    let waiting = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.room().await }
    });
    tokio::task::yield_now().await;
    outbox.try_take(1, Pings::ForProof).unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(()));
    outbox.close(Reason::ServerClosed);
    assert_eq!(outbox.room().await, Err(Closed));
}

#[tokio::test]
async fn a_graceful_end_lets_the_writer_finish() {
    let outbox = Outbox::new(1_000);
    outbox.push(text("last words")).unwrap();
    outbox.close(Reason::Draining);
    assert_eq!(outbox.push(text("late")), Err(Closed));
    let batch = outbox.take(1_000, Pings::ForProof).await.unwrap();
    assert_eq!(frames(&batch), [text("last words")]);
    assert!(outbox.take(1_000, Pings::ForProof).await.is_none());
    assert_eq!(outbox.closed().await, Reason::Draining);
}

#[tokio::test]
async fn a_mark_brings_a_ping_behind_its_frames_and_its_pong_the_proof() {
    let outbox = Outbox::new(1_000);
    outbox.push(text("a")).unwrap();
    let mark = outbox.mark();
    let batch = outbox.take(1_000, Pings::ForProof).await.unwrap();
    assert_eq!(frames(&batch), [text("a")]);
    assert!(batch.ping);
    outbox.push(text("b")).unwrap();
    let later = outbox.mark();
    let batch = outbox.take(1_000, Pings::ForProof).await.unwrap();
    assert!(!batch.ping, "one ping at a time");
    outbox.pong();
    assert_eq!(outbox.take_report(), Some(mark));
    let batch = outbox.take(1_000, Pings::ForProof).await.unwrap();
    assert!(batch.ping && batch.frames.is_empty());
    outbox.pong();
    assert_eq!(outbox.take_report(), Some(later));
}

#[test]
fn on_polling_the_next_poll_proves_and_no_ping_is_spent() {
    let outbox = Outbox::new(1_000);
    outbox.push(text("a")).unwrap();
    let mark = outbox.mark();
    let batch = outbox.try_take(1_000, Pings::HeartbeatOnly).unwrap();
    assert!(!batch.ping);
    assert_eq!(outbox.take_report(), None);
    outbox.prove_taken();
    assert_eq!(outbox.take_report(), Some(mark));
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_pings_and_a_missing_pong_ends_the_session() {
    let outbox = Outbox::new(1_000);
    let start = Instant::now();
    let (interval, timeout) = (Duration::from_secs(25), Duration::from_secs(20));
    outbox.start_heartbeat(&Wheel::default(), interval, timeout, None);
    let batch = outbox.take(1_000, Pings::ForProof).await.unwrap();
    assert!(batch.ping);
    assert_eq!(start.elapsed(), interval);
    outbox.pong();
    let batch = outbox.take(1_000, Pings::ForProof).await.unwrap();
    assert!(batch.ping);
    assert_eq!(start.elapsed(), interval * 2);
    assert_eq!(outbox.closed().await, Reason::PingTimeout);
    assert_eq!(start.elapsed(), interval * 2 + timeout);
}

#[tokio::test(start_paused = true)]
async fn a_ping_for_a_mark_counts_as_the_heartbeat() {
    let outbox = Outbox::new(1_000);
    let start = Instant::now();
    let wheel = Wheel::default();
    outbox.start_heartbeat(
        &wheel,
        Duration::from_secs(25),
        Duration::from_secs(20),
        None,
    );
    advance(Duration::from_secs(10)).await;
    outbox.push(text("a")).unwrap();
    let _ = outbox.mark();
    assert!(outbox.take(1_000, Pings::ForProof).await.unwrap().ping);
    outbox.pong();
    assert!(outbox.take(1_000, Pings::ForProof).await.unwrap().ping);
    assert_eq!(start.elapsed(), Duration::from_secs(35));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_timed_out_while_the_handler_keeps_the_session_from_reading() {
    let outbox = Outbox::new(1_000);
    let second = Duration::from_secs(1);
    outbox.start_heartbeat(&Wheel::default(), second, second, None);
    outbox.set_busy(true);
    tokio::time::sleep(second * 10).await;
    assert_eq!(outbox.reason(), None);
    outbox.set_busy(false);
    assert_eq!(outbox.closed().await, Reason::PingTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_never_says_what_it_wants_ends_and_a_settled_one_does_not() {
    let wheel = Wheel::default();
    let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
    let [silent, settled] = [Outbox::new(1_000), Outbox::new(1_000)];
    for outbox in [&silent, &settled] {
        outbox.start_heartbeat(&wheel, minute, minute, Some(second));
    }
    settled.settle();
    assert_eq!(silent.closed().await, Reason::ConnectTimeout);
    assert!(settled.closed().now_or_never().is_none());
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_proof_does_not_wake_who_waits_for_the_end() {
    let outbox = Outbox::new(1024);
    let wakes = Arc::<Wakes>::default();
    let count = || wakes.0.load(std::sync::atomic::Ordering::Relaxed);
    let waker = std::task::Waker::from(Arc::clone(&wakes));
    let mut context = std::task::Context::from_waker(&waker);
    let mut closed = std::pin::pin!(outbox.closed());
    assert!(closed.as_mut().poll(&mut context).is_pending());
    let mark = outbox.push_and_mark(text("a")).unwrap();
    assert!(outbox.try_take(1024, Pings::ForProof).unwrap().ping);
    outbox.pong();
    assert_eq!((outbox.take_report(), count()), (Some(mark), 0));
    outbox.close(Reason::Draining);
    assert_eq!(count(), 1);
    assert!(closed.as_mut().poll(&mut context).is_ready());
}
