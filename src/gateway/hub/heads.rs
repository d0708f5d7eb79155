//! The newest seq of each conversation this gateway committed lately (D10): published again when its payloads may have
//! been lost, or the tail of a conversation stays unseen, since no later event reveals the gap.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::envelope;
use super::{Hub, announce, channels_of};
use crate::domain::{ConversationId, Seq};

/// How long a head is remembered.
const LIFETIME: Duration = Duration::from_secs(30);
/// How many are; beyond it the oldest half is forgotten, and the sweep finds what it announced (D16).
const LIMIT: usize = 50_000;
/// How many are published at once, and the pause after that.
const CHUNK: usize = 500;
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<HashMap<ConversationId, (Seq, Instant)>>);

impl Heads {
    /// This gateway committed and published an event.
    pub(super) fn note(&self, conversation: ConversationId, seq: Seq) {
        let mut heads = self.0.lock();
        if heads.len() >= LIMIT {
            forget(&mut heads, LIFETIME / 2);
        }
        let (newest, at) = heads.entry(conversation).or_insert((seq, Instant::now()));
        (*newest, *at) = (seq.max(*newest), Instant::now());
    }

    /// Forgets what is too old.
    pub(super) fn sweep(&self) {
        forget(&mut self.0.lock(), LIFETIME);
    }

    fn all(&self) -> Vec<(ConversationId, Seq)> {
        self.0
            .lock()
            .iter()
            .map(|(conversation, (seq, _))| (*conversation, *seq))
            .collect()
    }
}

fn forget(heads: &mut HashMap<ConversationId, (Seq, Instant)>, after: Duration) {
    heads.retain(|_, (_, at)| at.elapsed() < after);
    if heads.len() >= LIMIT {
        heads.clear();
    }
}

impl Hub {
    /// Payloads of this gateway may have been lost: tells again soon how far its conversations reach.
    pub(super) fn publish_heads(&self) {
        self.heads_wanted.notify_one();
    }

    /// At a pace that leaves the publishing queues room for what is live.
    pub(super) async fn publish_heads_when_wanted(&self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(self.heads_wanted.notified())
            .await
            .is_some()
        {
            for heads in self.heads.all().chunks(CHUNK) {
                self.publish_some(heads);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn publish_some(&self, heads: &[(ConversationId, Seq)]) {
        for (conversation, seq) in heads {
            self.metrics.hints.heads_republished.increment(1);
            let payload = envelope::encode_head(*conversation, *seq);
            for channel in channels_of(*conversation) {
                self.publish(channel, announce::lane(*conversation), payload.clone());
            }
        }
    }
}
