//! Takes on what other gateways delegate to this one, and answers them. Knows the committer here, and nothing of how
//! the other goes on.

use std::sync::Arc;

use super::super::envelope::{self, DelegationAnswer, DelegationRequest};
use super::super::publisher::{Publisher, lane};
use super::super::sessions::Sessions;
use super::super::tasks::Tasks;
use crate::bus::Channel;
use crate::commit::{Committer, TakenOn};
use crate::traces::Traces;

pub(in crate::fanout) struct TakingOn {
    committer: Arc<Committer>,
    publisher: Arc<Publisher>,
    sessions: Arc<Sessions>,
    tasks: Tasks,
    traces: Traces,
}

impl TakingOn {
    pub(in crate::fanout) fn new(
        committer: Arc<Committer>,
        publisher: Arc<Publisher>,
        sessions: Arc<Sessions>,
        tasks: Tasks,
        traces: Traces,
    ) -> Self {
        Self {
            committer,
            publisher,
            sessions,
            tasks,
            traces,
        }
    }

    /// Takes on what another gateway delegates, behind what waits there already, and answers once all outcomes are
    /// known; nothing while this gateway is draining. The answer follows the events themselves on their lane: who gets
    /// it has mostly heard of them.
    pub(in crate::fanout) fn take_on(self: &Arc<Self>, request: DelegationRequest) {
        let DelegationRequest {
            number,
            from,
            conversation,
            entries,
        } = request;
        let taken = if self.sessions.is_draining() {
            TakenOn::default()
        } else {
            let storing = |context| self.traces.store(context);
            self.committer.take_on(conversation, entries, storing)
        };
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            let settled = this.tasks.unless_stopped(taken.settled()).await;
            if let Some(Some(settled)) = settled {
                let payload = envelope::encode_answer(&DelegationAnswer { number, settled });
                this.publisher
                    .publish(Channel::Gateway(from), lane(conversation), payload);
            }
        });
    }
}
