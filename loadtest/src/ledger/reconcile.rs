//! Compares the sessions' records with history: acknowledged ⊆ stored exactly once, delivered = stored for every
//! member, every log dense. Knows no connection.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Balance, Books, Conversation, Elsewhere, Series, Shares, changes, devices};
use crate::Invalid;
use crate::client::{Receipt, Record, Sent, Waits};

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
        // Where there are changes between the messages, the whole log is looked at.
        let first = books.truths.is_empty().then_some(first);
        closing.log(conversation, stored, first, &received)?;
    }
    closing.delivered_and_not_stored(books);
    closing.acknowledged_and_not_stored(books.stored);
    changes::reconcile(books, &mut closing.balance);
    devices::reconcile(books, &mut closing.balance);
    closing.balance.elsewhere = elsewhere(books.records.iter().map(|record| &record.waits));
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

/// What all sessions together met at gateways to which nothing was done.
fn elsewhere<'a>(waits: impl Iterator<Item = &'a Waits>) -> Elsewhere {
    let mut elsewhere = Elsewhere::default();
    let mut slowest = None;
    for waits in waits {
        for (kind, count) in &waits.refused {
            *elsewhere.refused.entry(kind.name()).or_default() += count;
        }
        slowest = slowest.max(waits.slowest);
    }
    if let Some((wait, kind)) = slowest {
        elsewhere.slowest_ms = wait.as_secs_f64() * 1000.0;
        elsewhere.slowest = Some(kind.name());
    }
    elsewhere
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
            let examples = record.examples.iter().cloned();
            examples.for_each(|example| balance.example(example));
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
                self.balance.example(format!(
                    "session {member} was never told that {room} was made"
                ));
            }
        }
        2
    }

    /// One conversation's messages, which are to follow each other from `next` on if that is given, against its members'
    /// devices.
    fn log(
        &mut self,
        conversation: &Conversation,
        stored: &[(u64, Option<u64>)],
        mut next: Option<u64>,
        received: &[HashMap<u64, Receipt>],
    ) -> Result<(), Invalid> {
        let mut seen = HashMap::new();
        for (seq, number) in stored {
            self.balance.stored += 1;
            if let Some(next) = &mut next {
                self.balance.holes += seq.saturating_sub(*next);
                *next = seq + 1;
            }
            let Some(number) = number else {
                self.balance.wrong(format!(
                    "{} shows a stranger at {seq}",
                    conversation.history
                ));
                continue;
            };
            if let Some(first) = seen.insert(*number, *seq) {
                self.balance.stored_twice += 1;
                self.balance.example(format!(
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
            self.balance
                .wrong(format!("message {number} was never sent"));
            return Ok(());
        };
        if let Some((acknowledged, at)) = known.acknowledged {
            let latency = at.saturating_sub(known.sent.intended);
            self.series.acknowledged(at, latency)?;
            if acknowledged != seq {
                self.balance.wrong(format!(
                    "message {number} is {seq}, acknowledged as {acknowledged}"
                ));
            }
        }
        let mut last = Duration::ZERO;
        for member in &conversation.members {
            self.balance.deliveries += 1;
            let Some(receipt) = received[*member].get(&number) else {
                self.balance.not_delivered += 1;
                self.balance.example(format!(
                    "message {number}, {seq} of {}, never reached session {member}",
                    conversation.history
                ));
                continue;
            };
            if receipt.seq != seq {
                self.balance.wrong(format!(
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
            self.balance.wrong(format!(
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
        let known = self.known.values();
        for known in known.filter(|known| known.acknowledged.is_some()) {
            self.balance.acknowledged_not_stored += 1;
            self.balance.example(format!(
                "message {} was acknowledged as {:?} and is not stored",
                known.sent.number, known.acknowledged
            ));
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
