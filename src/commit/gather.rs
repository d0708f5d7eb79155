//! Gathers what waits for the same kind of round trip, and makes one of it: group commit, and the same for reads. What a
//! command costs the store is mostly its own, and its wait for a majority. No timer: a round trip begins as soon as a slot is
//! free, so who is alone waits for nobody. Knows nothing of what is asked.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::logging::served::task;

/// How many round trips may be under way at once: one is answered while the next is being sent.
pub(super) const SLOTS: usize = 2;

/// A kind of round trip.
pub(super) struct Trip<Q, A> {
    /// Its task's name.
    pub(super) name: &'static str,
    /// How much one question counts towards [`Self::most`].
    pub(super) weight: fn(&Q) -> usize,
    /// The most that is asked with one trip, by weight; a question that is heavier goes alone.
    pub(super) most: usize,
    /// Answers questions in their order.
    pub(super) make: Box<dyn Fn(Vec<Q>) -> BoxFuture<'static, Vec<A>> + Send + Sync>,
}

/// Asks together what is asked at the same time.
pub(super) struct Gather<Q, A>(Arc<GatherInner<Q, A>>);

struct GatherInner<Q, A> {
    trip: Trip<Q, A>,
    queue: Mutex<Queue<Q, A>>,
    tracker: TaskTracker,
}

type Question<Q, A> = (Q, oneshot::Sender<A>);

struct Queue<Q, A> {
    waiting: VecDeque<Question<Q, A>>,
    under_way: usize,
}

impl<Q: Send + 'static, A: Send + 'static> Gather<Q, A> {
    pub(super) fn new(tracker: TaskTracker, trip: Trip<Q, A>) -> Self {
        Self(Arc::new(GatherInner {
            trip,
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                under_way: 0,
            }),
            tracker,
        }))
    }

    /// The answer; none when the trip came to a bad end.
    pub(super) async fn ask(&self, question: Q) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.0.queue.lock().waiting.push_back((question, answer));
        GatherInner::pump(&self.0);
        answered.await.ok()
    }
}

impl<Q: Send + 'static, A: Send + 'static> GatherInner<Q, A> {
    fn pump(this: &Arc<Self>) {
        while let Some(asked) = this.next() {
            let shared = Arc::clone(this);
            this.tracker.spawn(task(this.trip.name, async move {
                let name = shared.trip.name;
                let (questions, answers): (Vec<Q>, Vec<oneshot::Sender<A>>) =
                    asked.into_iter().unzip();
                // A panic leaves them without an answer, and must not keep the slot.
                let made = AssertUnwindSafe((shared.trip.make)(questions)).catch_unwind();
                match made.await {
                    Ok(made) => {
                        for (to, answer) in answers.into_iter().zip(made) {
                            // Whoever has gone does not need it.
                            let _ = to.send(answer);
                        }
                    }
                    Err(_) => tracing::error!(name, "a round trip has panicked"),
                }
                shared.queue.lock().under_way -= 1;
                Self::pump(&shared);
            }));
        }
    }

    fn next(&self) -> Option<Vec<Question<Q, A>>> {
        let mut queue = self.queue.lock();
        if queue.under_way >= SLOTS || queue.waiting.is_empty() {
            return None;
        }
        let (mut size, mut together) = (0, Vec::new());
        while let Some((question, _)) = queue.waiting.front() {
            size += (self.trip.weight)(question);
            if size > self.trip.most && !together.is_empty() {
                break;
            }
            together.extend(queue.waiting.pop_front());
        }
        queue.under_way += 1;
        Some(together)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    /// Answers with how many were asked together.
    fn counting() -> Gather<u8, usize> {
        let make = |asked: Vec<u8>| {
            let made = async move {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                assert!(!asked.contains(&9), "told so");
                vec![asked.len(); asked.len()]
            };
            made.boxed()
        };
        let trip = Trip {
            name: "counting",
            weight: |asked| usize::from(*asked),
            most: 5,
            make: Box::new(make),
        };
        Gather::new(TaskTracker::new(), trip)
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_meanwhile_is_asked_together() {
        let gather = counting();
        let answers = join_all((0..6).map(|_| gather.ask(1))).await;
        assert_eq!(answers, [1, 1, 4, 4, 4, 4].map(Some));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trip_takes_no_more_than_it_may_and_at_least_one_question() {
        let gather = counting();
        let asked = [1, 1, 3, 2, 7, 1];
        let answers = join_all(asked.map(|question| gather.ask(question))).await;
        assert_eq!(answers, [1, 1, 2, 2, 1, 1].map(Some));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trip_that_ends_badly_keeps_no_slot() {
        let gather = counting();
        let answers = join_all([9, 9, 9].map(|question| gather.ask(question))).await;
        assert_eq!(answers, [None; 3]);
        assert_eq!(gather.ask(1).await, Some(1));
    }
}
