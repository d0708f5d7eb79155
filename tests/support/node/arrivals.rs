//! What a Node process said: lines that wait to be taken, acknowledgements, and everything a client ever received.
//!
//! Knows the driver's lines; refuses to know what they mean to a test.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use crate::support::fold::Fold;

/// What the process said and nobody took yet, in order, and everything it ever said.
#[derive(Default)]
pub(super) struct Arrivals {
    waiting: Mutex<HashMap<String, VecDeque<Value>>>,
    /// Acknowledgements by their reference: thousands may be under way.
    answers: Mutex<HashMap<u64, Value>>,
    history: Mutex<HashMap<String, Vec<Value>>>,
    folds: Mutex<HashMap<String, Arc<Fold>>>,
    changed: watch::Sender<u64>,
}

impl Arrivals {
    /// What this client receives is folded into logs, too.
    pub(super) fn fold_into(&self, id: &str, fold: &Arc<Fold>) {
        self.folds.lock().insert(id.to_owned(), Arc::clone(fold));
    }

    /// Tells of every line.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes the answer to one emit.
    pub(super) fn answer(&self, reference: u64) -> Option<Value> {
        self.answers.lock().remove(&reference)
    }

    /// The first arguments of all events of this name that a client received.
    pub(super) fn received(&self, id: &str, event: &str) -> Vec<Value> {
        let history = self.history.lock();
        let mine = history.get(id).into_iter().flatten();
        mine.filter(|line| line["type"] == "event" && line["event"] == event)
            .map(|line| line["args"][0].clone())
            .collect()
    }

    /// What of a client nobody took, in short.
    pub(super) fn summary(&self, id: &str) -> String {
        let waiting = self.waiting.lock();
        let Some(waiting) = waiting.get(id) else {
            return "nothing came".to_owned();
        };
        let last: Vec<&Value> = waiting.iter().rev().take(5).collect();
        format!("{} lines not taken, the last {last:?}", waiting.len())
    }

    /// Takes in a line.
    pub(super) fn add(&self, line: Value) {
        assert_ne!(line["type"], "bad_command", "{line}");
        match line["ref"].as_u64() {
            Some(reference) => drop(self.answers.lock().insert(reference, line)),
            None => self.keep(line),
        }
        self.changed.send_modify(|count| *count += 1);
    }

    fn keep(&self, line: Value) {
        let id = line["id"].as_str().unwrap_or_default().to_owned();
        if line["type"] == "event"
            && let Some(fold) = self.folds.lock().get(&id)
        {
            fold.add(&line["args"][0]);
        }
        let mut history = self.history.lock();
        history.entry(id.clone()).or_default().push(line.clone());
        drop(history);
        self.waiting.lock().entry(id).or_default().push_back(line);
    }

    /// Takes the first waiting line of a client that `wanted` accepts; the others stay, in order.
    pub(super) fn take(&self, id: &str, wanted: &dyn Fn(&Value) -> bool) -> Option<Value> {
        let mut waiting = self.waiting.lock();
        let waiting = waiting.get_mut(id)?;
        let index = waiting.iter().position(wanted)?;
        waiting.remove(index)
    }
}
