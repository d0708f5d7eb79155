//! Carries messages to the gateway that writes for this one, and takes those of others: requests and answers over the
//! gateways' own channels. What is lost on the way is an unknown outcome, which the committer resolves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::super::envelope::{self, Answer, Request};
use super::{Hub, announce};
use crate::bus::Channel;
use crate::domain::{ConversationId, GatewayId};
use crate::store::committer::{Committer, HandOver, HandedOver, Settled};

/// How long an answer is waited for: many times as long as a commit takes, and short enough to be borne by those who wait
/// when the other gateway, or the bus, has died.
const WITHIN: Duration = Duration::from_millis(500);

/// What this gateway has handed over and waits to hear of, and who commits what others hand to it.
#[derive(Debug, Default)]
pub(super) struct Handovers {
    committer: OnceLock<Arc<Committer>>,
    last: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Vec<Settled>>>>,
}

impl Handovers {
    fn begin(&self) -> (u64, oneshot::Receiver<Vec<Settled>>) {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let (answer, settled) = oneshot::channel();
        self.waiting.lock().insert(number, answer);
        (number, settled)
    }

    fn end(&self, number: u64) -> Option<oneshot::Sender<Vec<Settled>>> {
        self.waiting.lock().remove(&number)
    }
}

/// Hands messages to other gateways through a hub; a type of its own, since the hub's tasks need its `Arc`.
#[derive(Debug, Clone)]
pub struct HubCarrier(pub Arc<Hub>);

#[async_trait]
impl HandOver for HubCarrier {
    async fn hand_over(
        &self,
        to: GatewayId,
        conversation: ConversationId,
        messages: Vec<HandedOver>,
    ) -> Option<Vec<Settled>> {
        let hub = &self.0;
        if hub.bus.health().is_err() {
            return Some(Vec::new());
        }
        let (number, settled) = hub.handovers.begin();
        let payload = envelope::encode_request(number, hub.gateway, conversation, &messages);
        let lane = announce::lane(conversation);
        hub.publish(Channel::Gateway(to), lane, payload);
        let settled = tokio::time::timeout(WITHIN, settled).await;
        hub.handovers.end(number);
        settled.ok()?.ok()
    }
}

impl Hub {
    /// Commits what other gateways hand over with this. Set once: a committer announces through the hub, so neither can
    /// be made with the other.
    pub fn write_with(&self, committer: Arc<Committer>) {
        let _ = self.handovers.committer.set(committer);
    }

    /// Takes what another gateway hands over, in its turn behind what waits in the room already, and answers once all
    /// outcomes are known. The answer follows the events themselves on their lane: who gets it has heard of them.
    pub(super) fn take_over(self: &Arc<Self>, request: Request) {
        let Request {
            number,
            from,
            conversation,
            messages,
        } = request;
        let taken = match self.handovers.committer.get() {
            Some(committer) if !self.is_draining() => {
                let storing = |context| self.traces.store(context);
                Some(committer.take_over(conversation, messages, storing))
            }
            _ => None,
        };
        let hub = Arc::clone(self);
        self.tracker.spawn(async move {
            let settled = match taken {
                Some(taken) => hub.stop.run_until_cancelled(taken.settled()).await,
                None => Some(Vec::new()),
            };
            if let Some(settled) = settled {
                let payload = envelope::encode_answer(&Answer { number, settled });
                let lane = announce::lane(conversation);
                hub.publish(Channel::Gateway(from), lane, payload);
            }
        });
    }

    /// An answer has come, perhaps too late.
    pub(super) fn settled(&self, answer: Answer) {
        if let Some(waiting) = self.handovers.end(answer.number) {
            let _ = waiting.send(answer.settled);
        }
    }
}
