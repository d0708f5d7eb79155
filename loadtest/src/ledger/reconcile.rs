//! Compares the sessions' records with history: acknowledged ⊆ stored exactly once, delivered = stored for every
//! member, every log dense. Knows no connection.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use super::{Balance, Series, Shares};
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
    /// The id of a room whose log begins with the event that made it, which is not in the history.
    pub(crate) made: Option<String>,
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
    /// Within which time it counts how evenly senders are served.
    pub(crate) within: Range<Duration>,
    /// How many of the first sessions send more at once than the others.
    pub(crate) deep: usize,
}

/// What closed books say.
#[derive(Debug)]
pub(crate) struct Closed {
    /// Whether they agree.
    pub(crate) balance: Balance,
    /// What happened in each second.
    pub(crate) series: Series,
    /// How evenly senders were served.
    pub(crate) shares: Shares,
}

/// What is known of one message, by its number.
#[derive(Debug, Clone, Copy)]
struct Known {
    sender: usize,
    sent: Sent,
    acknowledged: Option<(u64, Duration)>,
}

/// Closes the books.
pub(crate) fn reconcile(books: &Books<'_>) -> Result<Closed, Invalid> {
    let mut closing = Closing {
        balance: Balance::default(),
        known: known(books.records),
        series: Series::new(books.origin)?,
    };
    closing.add_records(books.records)?;
    let received: Vec<HashMap<u64, Receipt>> = books.records.iter().map(receipts).collect();
    for (conversation, stored) in books.conversations.iter().zip(books.stored) {
        let first = closing.making(conversation, books.records);
        closing.log(conversation, stored, first, &received)?;
    }
    closing.delivered_and_not_stored(books);
    closing.acknowledged_and_not_stored(books.stored);
    let shares = Shares::of(books.records, &books.within, books.deep)?;
    Ok(closing.finish(shares))
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

    /// Whether every member was told that their room was made. Where the first message is to be.
    fn making(&mut self, conversation: &Conversation, records: &[Record]) -> u64 {
        let Some(room) = &conversation.made else {
            return 1;
        };
        for member in &conversation.members {
            if !records[*member].made.contains(room) {
                self.balance.not_delivered += 1;
                self.example(format!(
                    "session {member} was never told that {room} was made"
                ));
            }
        }
        2
    }

    /// One conversation's log, whose first message is to be at `next`, against its members' devices.
    fn log(
        &mut self,
        conversation: &Conversation,
        stored: &[(u64, Option<u64>)],
        mut next: u64,
        received: &[HashMap<u64, Receipt>],
    ) -> Result<(), Invalid> {
        let mut seen = HashMap::new();
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

    fn finish(mut self, shares: Shares) -> Closed {
        self.balance.acknowledgement_latency = self.series.acknowledgement.percentiles();
        self.balance.delivery_latency = self.series.delivery.percentiles();
        Closed {
            balance: self.balance,
            series: self.series,
            shares,
        }
    }
}

#[cfg(test)]
mod tests;
