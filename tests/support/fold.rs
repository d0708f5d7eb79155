//! What a client received, folded into one log per conversation, in the order of arrival, repeats included.
//!
//! Knows that an event of a log has a `conversationId` and a `seq`; refuses to know how it travelled.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

/// A guard against waiting for ever; no test measures time by it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// One client's logs, shared between the task that receives and the test that waits.
#[derive(Default)]
pub(crate) struct Fold {
    logs: Mutex<HashMap<String, Vec<Value>>>,
    changed: watch::Sender<u64>,
}

impl Fold {
    /// Takes in an event if it is one of a log: others have no `seq` and `_id`.
    pub(crate) fn add(&self, event: &Value) {
        let (Some(conversation), true, true) = (
            event["conversationId"].as_str(),
            event["seq"].is_u64(),
            event["_id"].is_string(),
        ) else {
            return;
        };
        let mut logs = self.logs.lock();
        logs.entry(conversation.to_owned())
            .or_default()
            .push(event.clone());
        drop(logs);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Everything received of a conversation.
    pub(crate) fn log(&self, conversation: &str) -> Vec<Value> {
        self.logs
            .lock()
            .get(conversation)
            .cloned()
            .unwrap_or_default()
    }

    /// Its seqs, in the order of arrival.
    pub(crate) fn seqs(&self, conversation: &str) -> Vec<u64> {
        seqs(&self.log(conversation))
    }

    /// The conversations of which something was received.
    pub(crate) fn conversations(&self) -> Vec<String> {
        self.logs.lock().keys().cloned().collect()
    }

    /// Waits until the last event received of a conversation has this seq or a later one, and returns its log.
    ///
    /// # Panics
    /// When that does not happen before the deadline.
    pub(crate) async fn wait_seq(&self, conversation: &str, seq: u64) -> Vec<Value> {
        let mut changed = self.changed.subscribe();
        let reached = tokio::time::timeout(DEADLINE, async {
            loop {
                if self.last(conversation) >= seq {
                    return;
                }
                changed.changed().await.expect("the fold lives");
            }
        });
        if reached.await.is_err() {
            panic!(
                "waited in vain for seq {seq} of {conversation}: {} events, the last {}",
                self.log(conversation).len(),
                self.last(conversation)
            );
        }
        self.log(conversation)
    }

    fn last(&self, conversation: &str) -> u64 {
        let logs = self.logs.lock();
        let last = logs.get(conversation).and_then(|log| log.last());
        last.map_or(0, |event| event["seq"].as_u64().unwrap_or_default())
    }
}

/// The seqs of events or messages.
pub(crate) fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().map(seq).collect()
}

/// The seq of an event or a message.
#[track_caller]
pub(crate) fn seq(event: &Value) -> u64 {
    event["seq"]
        .as_u64()
        .unwrap_or_else(|| panic!("no seq in {event}"))
}

/// Where the first message of a room goes: behind the event that made the room.
pub(crate) const FIRST: u64 = 2;

/// What was received of a room from its beginning on, without the event that made it.
#[track_caller]
pub(crate) fn behind_making(log: &[Value]) -> &[Value] {
    let (made, rest) = log.split_first().expect("an event");
    assert_eq!(
        (seq(made), &made["change"]),
        (1, &"created".into()),
        "{made}"
    );
    rest
}

/// `from..=to` as a list, to compare with what was received.
pub(crate) fn dense(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn events_are_kept_in_the_order_of_arrival_with_repeats() {
        let fold = Fold::default();
        for seq in [1, 2, 2] {
            fold.add(&json!({"_id": "e", "conversationId": "c", "seq": seq}));
        }
        fold.add(&json!({"conversationId": "c", "seq": 9}));
        assert_eq!(seqs(&fold.wait_seq("c", 2).await), [1, 2, 2]);
        assert_eq!(fold.conversations(), ["c"]);
        assert!(fold.seqs("other").is_empty());
    }
}
