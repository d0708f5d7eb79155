//! Carries what is delegated to the gateway that writes, and takes on what others delegate: requests and answers over the
//! gateways' own channels. What is lost on the way is an unknown outcome, which the committer resolves.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::super::envelope::{self, Answer, Request};
use super::{Hub, announce};
use crate::bus::Channel;
use crate::commit::{Committer, Delegated, Delegation, Settled, TakenOn};
use crate::domain::{ConversationId, GatewayId};

/// What this gateway has delegated and waits to hear of, and who commits what others delegate to it.
#[derive(Debug, Default)]
pub(super) struct Delegations {
    committer: OnceLock<Arc<Committer>>,
    requests: Mutex<Requests>,
}

#[derive(Debug, Default)]
struct Requests {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Vec<Settled>>>,
}

impl Delegations {
    fn begin(&self) -> (Waiting<'_>, oneshot::Receiver<Vec<Settled>>) {
        let (answer, settled) = oneshot::channel();
        let mut requests = self.requests.lock();
        requests.last += 1;
        let number = requests.last;
        requests.waiting.insert(number, answer);
        let waiting = Waiting { of: self, number };
        (waiting, settled)
    }

    fn end(&self, number: u64) -> Option<oneshot::Sender<Vec<Settled>>> {
        self.requests.lock().waiting.remove(&number)
    }
}

/// A request whose answer is waited for; forgotten when it is dropped.
struct Waiting<'a> {
    of: &'a Delegations,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.of.end(self.number);
    }
}

/// Delegates through a hub; a type of its own, since the hub's tasks need its `Arc`.
#[derive(Debug, Clone)]
pub struct HubDelegation(pub Arc<Hub>);

#[async_trait]
impl Delegation for HubDelegation {
    fn is_up(&self) -> bool {
        self.0.bus.health().is_ok()
    }

    async fn delegate(
        &self,
        to: GatewayId,
        conversation: ConversationId,
        entries: Vec<Delegated>,
    ) -> Option<Vec<Settled>> {
        let hub = &self.0;
        let (waiting, answer) = hub.delegations.begin();
        let payload = envelope::encode_request(waiting.number, hub.gateway, conversation, &entries);
        hub.publish(Channel::Gateway(to), announce::lane(conversation), payload);
        let settled = answer.await.ok()?;
        let stored = settled.iter().filter_map(|settled| match settled {
            Settled::Stored(seq) => Some(*seq),
            _ => None,
        });
        // Sessions have been offered these events, unless the bus has lost them.
        if let Some(last) = stored.max() {
            hub.hear_head(conversation, last);
        }
        Some(settled)
    }
}

impl Hub {
    /// Commits what other gateways delegate with this. Set once: a committer announces through the hub, so neither can be
    /// made with the other.
    pub fn write_with(&self, committer: Arc<Committer>) {
        let _ = self.delegations.committer.set(committer);
    }

    /// Takes on what another gateway delegates, behind what waits there already, and answers once all outcomes are
    /// known. The answer follows the events themselves on their lane: who gets it has mostly heard of them.
    pub(super) fn take_on(self: &Arc<Self>, request: Request) {
        let Request {
            number,
            from,
            conversation,
            entries,
        } = request;
        let taken = match self.delegations.committer.get() {
            Some(committer) if !self.is_draining() => {
                let storing = |context| self.traces.store(context);
                committer.take_on(conversation, entries, storing)
            }
            _ => TakenOn::default(),
        };
        let hub = Arc::clone(self);
        self.tracker.spawn(async move {
            let settled = hub.stop.run_until_cancelled(taken.settled()).await;
            if let Some(Some(settled)) = settled {
                let payload = envelope::encode_answer(&Answer { number, settled });
                hub.publish(
                    Channel::Gateway(from),
                    announce::lane(conversation),
                    payload,
                );
            }
        });
    }

    /// An answer has come, perhaps too late.
    pub(super) fn settled(&self, answer: Answer) {
        if let Some(waiting) = self.delegations.end(answer.number) {
            let _ = waiting.send(answer.settled);
        }
    }
}
