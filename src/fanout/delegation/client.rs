//! Asks another gateway to commit messages and changes, and gets its answer. Knows no committer here.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::super::envelope::{self, DelegationAnswer};
use super::super::offering::Offering;
use super::super::publisher::{Publisher, lane};
use crate::bus::Channel;
use crate::commit::{Delegated, Delegation, Settled};
use crate::domain::{ConversationId, GatewayId};

/// Sends entries to another gateway's committer, and waits for the answer.
pub struct DelegationClient {
    publisher: Arc<Publisher>,
    offering: Arc<Offering>,
    requests: Mutex<OpenRequests>,
}

/// Those that wait for an answer: one a conversation at most, as the committer asks.
#[derive(Default)]
struct OpenRequests {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Vec<Settled>>>,
}

/// A request whose answer is waited for; forgotten when it is dropped.
struct OpenRequest<'a> {
    of: &'a DelegationClient,
    number: u64,
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        self.of.end(self.number);
    }
}

impl DelegationClient {
    pub(in crate::fanout) fn new(publisher: Arc<Publisher>, offering: Arc<Offering>) -> Self {
        Self {
            publisher,
            offering,
            requests: Mutex::default(),
        }
    }

    /// An answer has come, perhaps too late.
    pub(in crate::fanout) fn settled(&self, answer: DelegationAnswer) {
        if let Some(waiting) = self.end(answer.number) {
            let _ = waiting.send(answer.settled);
        }
    }

    fn begin(&self) -> (OpenRequest<'_>, oneshot::Receiver<Vec<Settled>>) {
        let (answer, settled) = oneshot::channel();
        let mut requests = self.requests.lock();
        requests.last += 1;
        let number = requests.last;
        requests.waiting.insert(number, answer);
        let waiting = OpenRequest { of: self, number };
        (waiting, settled)
    }

    fn end(&self, number: u64) -> Option<oneshot::Sender<Vec<Settled>>> {
        self.requests.lock().waiting.remove(&number)
    }
}

#[async_trait]
impl Delegation for DelegationClient {
    fn is_up(&self) -> bool {
        self.publisher.is_up()
    }

    async fn delegate(
        &self,
        to: GatewayId,
        conversation: ConversationId,
        entries: Vec<Delegated>,
    ) -> Option<Vec<Settled>> {
        let (waiting, answer) = self.begin();
        let from = self.publisher.gateway();
        let payload = envelope::encode_request(waiting.number, from, conversation, &entries);
        self.publisher
            .publish(Channel::Gateway(to), lane(conversation), payload);
        let settled = answer.await.ok()?;
        let stored = settled.iter().filter_map(|settled| match settled {
            Settled::Stored(seq) => Some(*seq),
            _ => None,
        });
        // Sessions have been offered these events, unless the bus has lost them.
        if let Some(last) = stored.max() {
            self.offering.hear_head(conversation, last);
        }
        Some(settled)
    }
}
