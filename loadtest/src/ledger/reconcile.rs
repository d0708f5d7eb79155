//! Compares the sessions' records with history: acknowledged ⊆ stored exactly once, delivered = stored for every
//! member, every log dense. Knows no connection.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Balance, Series};
use crate::Invalid;
use crate::client::{Receipt, Record, Sent};

/// How many violations are described in words.
const EXAMPLES: usize = 20;

/// One conversation of a run.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    /// Its members, as indexes of sessions.
    pub(crate) members: Vec<usize>,
    /// Where its history is read.
    pub(crate) history: String,
}

/// Everything that is compared.
#[derive(Debug)]
pub(crate) struct Books<'a> {
    pub(crate) conversations: &'a [Conversation],
    /// One per session.
    pub(crate) records: &'a [Record],
    /// Per conversation, what history shows: seq, and the message's number if it is of this run.
    pub(crate) stored: &'a [Vec<(u64, Option<u64>)>],
    /// When the first second of the series begins.
    pub(crate) origin: Duration,
}

/// What is known of one message, by its number.
#[derive(Debug, Clone, Copy)]
struct Known {
    sender: usize,
    sent: Sent,
    acknowledged: Option<(u64, Duration)>,
}

/// Closes the books.
pub(crate) fn reconcile(books: &Books<'_>) -> Result<(Balance, Series), Invalid> {
    let mut closing = Closing {
        balance: Balance::default(),
        known: known(books.records),
        series: Series::new(books.origin)?,
    };
    closing.add_records(books.records)?;
    let received: Vec<HashMap<u64, Receipt>> = books.records.iter().map(receipts).collect();
    for (conversation, stored) in books.conversations.iter().zip(books.stored) {
        closing.log(conversation, stored, &received)?;
    }
    closing.delivered_and_not_stored(books);
    closing.acknowledged_and_not_stored(books.stored);
    Ok(closing.finish())
}

fn known(records: &[Record]) -> HashMap<u64, Known> {
    let mut known = HashMap::new();
    for (sender, record) in records.iter().enumerate() {
        for sent in &record.sent {
            let message = Known {
                sender,
                sent: *sent,
                acknowledged: None,
            };
            known.insert(sent.number, message);
        }
        for receipt in &record.acknowledged {
            if let Some(message) = known.get_mut(&receipt.number) {
                message.acknowledged = Some((receipt.seq, receipt.at));
            }
        }
    }
    known
}

fn receipts(record: &Record) -> HashMap<u64, Receipt> {
    let receipts = record.receipts.iter();
    receipts.map(|receipt| (receipt.number, *receipt)).collect()
}

struct Closing {
    balance: Balance,
    known: HashMap<u64, Known>,
    series: Series,
}

impl Closing {
    fn add_records(&mut self, records: &[Record]) -> Result<(), Invalid> {
        let balance = &mut self.balance;
        for record in records {
            balance.sent += record.sent.len() as u64;
            let times = record.sent.iter().map(|sent| sent.intended);
            times.into_iter().try_for_each(|at| self.series.sent(at))?;
            balance.acknowledged += record.acknowledged.len() as u64;
            balance.refused += record.refused.len() as u64;
            balance.repeated += record.repeated;
            balance.repeated_after_reconnect += record.repeated_after_reconnect;
            balance.repeated_after_retry += record.repeated_after_retry;
            balance.out_of_order += record.out_of_order;
            balance.wrong += record.foreign + record.unreadable;
            balance.reconnects += record.connections.saturating_sub(1);
            for (code, count) in &record.errors {
                *balance.errors.entry(code.clone()).or_default() += count;
            }
            let room = EXAMPLES.saturating_sub(balance.examples.len());
            balance
                .examples
                .extend(record.examples.iter().take(room).cloned());
        }
        balance.unanswered = balance
            .sent
            .saturating_sub(balance.acknowledged + balance.refused);
        Ok(())
    }

    /// One conversation's log against its members' devices.
    fn log(
        &mut self,
        conversation: &Conversation,
        stored: &[(u64, Option<u64>)],
        received: &[HashMap<u64, Receipt>],
    ) -> Result<(), Invalid> {
        let mut seen = HashMap::new();
        let mut next = 1;
        for (seq, number) in stored {
            self.balance.stored += 1;
            self.balance.holes += seq.saturating_sub(next);
            next = seq + 1;
            let Some(number) = number else {
                self.wrong(format!(
                    "{} shows a stranger at {seq}",
                    conversation.history
                ));
                continue;
            };
            if let Some(first) = seen.insert(*number, *seq) {
                self.balance.stored_twice += 1;
                self.example(format!(
                    "message {number} is stored as {first} and as {seq}"
                ));
                continue;
            }
            self.message(conversation, *seq, *number, received)?;
        }
        Ok(())
    }

    fn message(
        &mut self,
        conversation: &Conversation,
        seq: u64,
        number: u64,
        received: &[HashMap<u64, Receipt>],
    ) -> Result<(), Invalid> {
        let Some(known) = self.known.get(&number).copied() else {
            self.wrong(format!("message {number} was never sent"));
            return Ok(());
        };
        if let Some((acknowledged, at)) = known.acknowledged {
            let latency = at.saturating_sub(known.sent.intended);
            self.series.acknowledged(at, latency)?;
            if acknowledged != seq {
                self.wrong(format!(
                    "message {number} is {seq}, acknowledged as {acknowledged}"
                ));
            }
        }
        let mut last = Duration::ZERO;
        for member in &conversation.members {
            self.balance.deliveries += 1;
            let Some(receipt) = received[*member].get(&number) else {
                self.balance.not_delivered += 1;
                self.example(format!(
                    "message {number}, {seq} of {}, never reached session {member}",
                    conversation.history
                ));
                continue;
            };
            if receipt.seq != seq {
                self.wrong(format!(
                    "message {number} is {seq}, delivered as {}",
                    receipt.seq
                ));
            }
            let latency = receipt.at.saturating_sub(known.sent.intended);
            let is_other = *member != known.sender;
            self.series
                .delivered(receipt.at, is_other.then_some(latency))?;
            last = last.max(receipt.at);
        }
        if let Some((_, at)) = known.acknowledged {
            let gap = last.saturating_sub(at).as_secs_f64() * 1000.0;
            self.balance.longest_gap_ms = self.balance.longest_gap_ms.max(gap);
        }
        Ok(())
    }

    /// What a device was shown must be in history (P1).
    fn delivered_and_not_stored(&mut self, books: &Books<'_>) {
        let stored: HashSet<u64> = books
            .stored
            .iter()
            .flatten()
            .filter_map(|(_, number)| *number)
            .collect();
        let shown = books.records.iter().flat_map(|record| &record.receipts);
        for receipt in shown.filter(|receipt| !stored.contains(&receipt.number)) {
            self.wrong(format!(
                "message {} was delivered and is not stored",
                receipt.number
            ));
        }
    }

    fn acknowledged_and_not_stored(&mut self, stored: &[Vec<(u64, Option<u64>)>]) {
        let numbers = stored.iter().flatten().filter_map(|(_, number)| *number);
        for number in numbers {
            self.known.remove(&number);
        }
        let lost: Vec<_> = self
            .known
            .values()
            .filter(|known| known.acknowledged.is_some())
            .collect();
        self.balance.acknowledged_not_stored = lost.len() as u64;
        let examples = lost.iter().take(EXAMPLES).map(|known| {
            format!(
                "message {} was acknowledged as {:?} and is not stored",
                known.sent.number, known.acknowledged
            )
        });
        self.balance.examples.extend(examples);
    }

    fn wrong(&mut self, what: String) {
        self.balance.wrong += 1;
        self.example(what);
    }

    fn example(&mut self, what: String) {
        if self.balance.examples.len() < EXAMPLES {
            self.balance.examples.push(what);
        }
    }

    fn finish(mut self) -> (Balance, Series) {
        self.balance.acknowledgement_latency = self.series.acknowledgement.percentiles();
        self.balance.delivery_latency = self.series.delivery.percentiles();
        (self.balance, self.series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn receipt(number: u64, seq: u64) -> Receipt {
        Receipt {
            number,
            seq,
            at: at(number + 2),
        }
    }

    /// Two sessions of one room; the first sent messages 0, 1, … with an acknowledgement a second later.
    fn records(count: u64) -> Vec<Record> {
        let sender = Record {
            sent: (0..count)
                .map(|number| Sent {
                    number,
                    intended: at(number),
                })
                .collect(),
            acknowledged: (0..count)
                .map(|number| Receipt {
                    number,
                    seq: number + 1,
                    at: at(number + 1),
                })
                .collect(),
            receipts: (0..count)
                .map(|number| receipt(number, number + 1))
                .collect(),
            ..Record::default()
        };
        let receiver = Record {
            receipts: (0..count)
                .map(|number| receipt(number, number + 1))
                .collect(),
            ..Record::default()
        };
        vec![sender, receiver]
    }

    fn close(records: &[Record], stored: &[(u64, Option<u64>)]) -> Balance {
        let conversation = Conversation {
            members: vec![0, 1],
            history: "/room/r".to_owned(),
        };
        let books = Books {
            conversations: &[conversation],
            records,
            stored: &[stored.to_vec()],
            origin: Duration::ZERO,
        };
        reconcile(&books).unwrap().0
    }

    #[test]
    fn agreeing_books_are_in_balance() {
        let balance = close(&records(2), &[(1, Some(0)), (2, Some(1))]);
        assert_eq!(
            (balance.broken(), balance.stored, balance.deliveries),
            (0, 2, 4)
        );
        assert!((balance.longest_gap_ms - 1000.0).abs() < 1e-9);
        assert_eq!(balance.delivery_latency.count, 2);
    }

    #[test]
    fn an_acknowledged_message_missing_in_history_is_lost() {
        let balance = close(&records(2), &[(1, Some(0))]);
        assert_eq!((balance.acknowledged_not_stored, balance.lost()), (1, 1));
        // And both devices were shown it.
        assert_eq!(balance.wrong, 2);
    }

    #[test]
    fn a_stored_message_missing_on_a_device_is_lost() {
        let mut records = records(2);
        records[1].receipts.pop();
        assert_eq!(
            close(&records, &[(1, Some(0)), (2, Some(1))]).not_delivered,
            1
        );
    }

    #[test]
    fn holes_doubles_and_strangers_are_found() {
        let balance = close(
            &records(2),
            &[(1, Some(0)), (3, Some(1)), (4, Some(1)), (5, None)],
        );
        assert_eq!((balance.holes, balance.stored_twice), (1, 1));
        // Acknowledged and delivered (twice) as 2, shown as 3; and the stranger.
        assert_eq!(balance.wrong, 4);
    }

    #[test]
    fn what_was_neither_acknowledged_nor_refused_is_unanswered() {
        let mut records = records(2);
        records[0].acknowledged.pop();
        let balance = close(&records, &[(1, Some(0)), (2, Some(1))]);
        assert_eq!((balance.unanswered, balance.broken()), (1, 1));
    }
}
