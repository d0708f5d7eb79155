//! For servers whose messages carry no number (the peers): what happened on a device is kept as it happened, and judged
//! by [`super::place`]'s rules once history has said which number each message has. Knows no wire.

use std::collections::{HashMap, HashSet};

use super::place::{Arrival, Place};

/// Conversation and seq of each message that is stored, by the message's number in this run.
#[derive(Debug, Default)]
pub(crate) struct Numbering(HashMap<u64, (usize, u64)>);

impl Numbering {
    /// The first place of each message, by what each conversation's history shows.
    pub(crate) fn of(stored: &[Vec<(u64, Option<u64>)>]) -> Self {
        let mut numbering = HashMap::new();
        for (conversation, log) in stored.iter().enumerate() {
            for (seq, number) in log {
                if let Some(number) = number {
                    numbering.entry(*number).or_insert((conversation, *seq));
                }
            }
        }
        Self(numbering)
    }

    pub(super) fn get(&self, number: u64) -> Option<(usize, u64)> {
        self.0.get(&number).copied()
    }
}

/// Everything that happened on a device without a seq.
#[derive(Debug, Default)]
pub(crate) struct Hindsight {
    happenings: Vec<Happening>,
    had: HashSet<u64>,
    last: Option<String>,
}

#[derive(Debug)]
enum Happening {
    Reconnected,
    Answered { number: u64, is_first_try: bool },
    Arrived { number: u64, own_direct: bool },
}

impl Hindsight {
    /// When the latest message was stored that has arrived, as the server writes times.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Whether nothing has happened.
    pub(super) fn is_empty(&self) -> bool {
        self.happenings.is_empty()
    }

    /// Judges what happened by the seqs of history: how each message came, with a description. What history does not know
    /// is left out.
    pub(super) fn arrivals(&mut self, numbering: &Numbering) -> Vec<(Arrival, String)> {
        let mut places: HashMap<usize, Place> = HashMap::new();
        let mut arrivals = Vec::new();
        for happening in self.happenings.drain(..) {
            match happening {
                Happening::Reconnected => {
                    places
                        .values_mut()
                        .for_each(|place| place.reconnected(None));
                }
                Happening::Answered {
                    number,
                    is_first_try,
                } => {
                    if let Some((conversation, seq)) = numbering.get(number) {
                        let place = places.entry(conversation).or_default();
                        place.answered(seq, is_first_try);
                    }
                }
                Happening::Arrived { number, own_direct } => {
                    if let Some((conversation, seq)) = numbering.get(number) {
                        let place = places.entry(conversation).or_default();
                        let arrival = place.arrived(seq, own_direct);
                        arrivals.push((arrival, format!("message {number}, {seq} in history")));
                    }
                }
            }
        }
        arrivals
    }

    pub(super) fn reconnected(&mut self) {
        if !self.happenings.is_empty() {
            self.happenings.push(Happening::Reconnected);
        }
    }

    /// True if it was not had before.
    pub(super) fn arrived(&mut self, number: u64, own_direct: bool, at: Option<&str>) -> bool {
        self.happenings
            .push(Happening::Arrived { number, own_direct });
        // RFC 3339 in UTC sorts as text.
        if at > self.last.as_deref() {
            self.last = at.map(str::to_owned);
        }
        self.had.insert(number)
    }

    /// True if it was not had before.
    pub(super) fn answered(&mut self, number: u64, is_first_try: bool) -> bool {
        self.happenings.push(Happening::Answered {
            number,
            is_first_try,
        });
        self.had.insert(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Receipt, Record};
    use std::time::Duration;

    fn numbering(numbers: [u64; 3]) -> Numbering {
        let numbered = (1..).zip(numbers.map(Some));
        Numbering::of(&[numbered.collect()])
    }

    fn record(numbers: &[u64]) -> Record {
        let mut record = Record::default();
        for number in numbers {
            if record.hindsight.arrived(*number, false, None) {
                record.receipts.push(Receipt {
                    number: *number,
                    seq: 0,
                    at: Duration::ZERO,
                });
            }
        }
        record
    }

    #[test]
    fn the_order_of_history_is_the_order() {
        let mut record = record(&[10, 11, 12]);
        record.judge(&numbering([10, 12, 11]));
        assert_eq!((record.out_of_order, record.repeated), (1, 0));
        let seqs: Vec<_> = record.receipts.iter().map(|receipt| receipt.seq).collect();
        assert_eq!(seqs, [1, 3, 2]);
    }

    #[test]
    fn a_repeat_is_permitted_after_a_reconnect_only() {
        let mut record = record(&[10, 11, 11]);
        record.hindsight.reconnected();
        assert!(!record.hindsight.arrived(11, false, None));
        record.judge(&numbering([10, 11, 12]));
        assert_eq!((record.repeated, record.repeated_after_reconnect), (1, 1));
    }

    #[test]
    fn the_latest_time_is_where_to_catch_up() {
        let mut hindsight = Hindsight::default();
        assert!(hindsight.arrived(1, false, Some("2026-01-01T00:00:02Z")));
        assert!(hindsight.arrived(2, false, Some("2026-01-01T00:00:01Z")));
        assert!(hindsight.answered(3, true));
        assert_eq!(hindsight.last(), Some("2026-01-01T00:00:02Z"));
    }
}
