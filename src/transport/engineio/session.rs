//! One session: what its requests and its task share. Knows nothing of HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

use super::packet::{EnginePacket, InvalidEnginePacket};
use super::poller::Poller;
use super::{EngineConfig, EngineHandler, EngineMessage};
use crate::transport::brake::Brake;
use crate::transport::lobby::LobbyPlace;
use crate::transport::outbox::{Outbox, Reason};
use crate::transport::websocket::WebSocket;

/// One Engine.IO session, as its requests and its task share it.
pub(super) struct EngineSession {
    id: Box<str>,
    outbox: Outbox,
    pub(super) config: Arc<EngineConfig>,
    pub(super) state: Mutex<SessionState>,
    /// Slows down what asks for nothing, on all transports of the session together.
    pub(super) brake: Brake,
    /// A poll has taken frames that the handler has not been told of.
    taken: AtomicBool,
    /// Its place in the lobby, until it has settled or ended.
    stranger: Mutex<Option<LobbyPlace>>,
}

/// Which claim: none of a session is like another, so that one that lost cannot be taken for the one that won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClaimId(pub(super) u64);

/// Where a session stands on its way from polling to WebSocket, and which claim took it there: only its holder moves it
/// on, or back (D39).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Polling,
    /// A WebSocket is open beside the polling and has not probed yet.
    Claimed { by: ClaimId },
    /// The probe was answered: from this moment on every poll is ended, so that the client can stop polling.
    Probed { by: ClaimId, release_from: Instant },
    /// Polls and posts are refused from here on.
    WebSocket,
}

/// What the requests of a session leave for each other and for its task.
#[derive(Default)]
pub(super) struct SessionState {
    pub(super) stage: Stage,
    /// How many times a WebSocket has claimed the session, to upgrade it.
    pub(super) claims: u64,
    /// It is among those counted as open, under the transport of its stage.
    pub(super) is_counted: bool,
    /// A poll is being answered.
    pub(super) polling: bool,
    /// A post is being read or handled.
    pub(super) posting: bool,
    /// What is known of the client by how it polls.
    pub(super) poller: Poller,
    /// A body for the task.
    pub(super) post: Option<Post>,
    /// The WebSocket the session continues on.
    pub(super) upgraded: Option<WebSocket>,
    /// The client said goodbye: its poll, pending or still on its way, is released.
    pub(super) goodbye: bool,
    /// The client was told that the session has ended.
    pub(super) told: bool,
}

/// The body of one request, and where its outcome goes.
pub(super) struct Post {
    pub(super) body: Bytes,
    /// `true` when everything in it was handled.
    pub(super) done: oneshot::Sender<bool>,
}

impl EngineSession {
    pub(super) fn new(
        id: String,
        config: Arc<EngineConfig>,
        stage: Stage,
        stranger: LobbyPlace,
    ) -> Self {
        Self {
            id: id.into_boxed_str(),
            outbox: Outbox::new(config.outbox_bytes),
            config,
            state: Mutex::new(SessionState {
                stage,
                ..SessionState::default()
            }),
            brake: Brake::default(),
            taken: AtomicBool::new(false),
            stranger: Mutex::new(Some(stranger)),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Its client has said what it wants.
    pub(super) fn settle(&self) {
        if let Some(stranger) = self.stranger.lock().take() {
            stranger.is_known();
        }
    }

    /// It has ended: another one may have its place in the lobby, whoever still holds this one.
    pub(super) fn leave_lobby(&self) {
        drop(self.stranger.lock().take());
    }

    pub(super) fn note_taken(&self) {
        self.taken.store(true, Ordering::Release);
        self.outbox.wake_session();
    }

    /// Waits until there is something for the session's task besides frames. Cancelling loses nothing.
    pub(super) async fn news(&self) {
        loop {
            // Whatever is wrong with a session, others get their turn (D39).
            consume_budget().await;
            let signal = self.outbox.session_signal();
            tokio::pin!(signal);
            signal.as_mut().enable();
            if self.has_news() {
                return;
            }
            signal.await;
        }
    }

    fn has_news(&self) -> bool {
        if self.taken.load(Ordering::Acquire) || self.outbox.has_news() {
            return true;
        }
        let state = self.state.lock();
        state.post.is_some() || state.upgraded.is_some()
    }

    /// Tells the handler what was taken and what was proved.
    pub(super) fn tell(&self, handler: &mut dyn EngineHandler) {
        // First, so that a proof that has come already proves it.
        if self.taken.swap(false, Ordering::AcqRel) {
            handler.taken();
        }
        if let Some(mark) = self.outbox.take_report() {
            handler.proved(mark);
        }
    }

    /// Hands a message to the application, and ends the session if it refuses.
    pub(super) async fn deliver(
        &self,
        handler: &mut dyn EngineHandler,
        message: EngineMessage<'_>,
    ) {
        self.outbox.set_busy(true);
        let outcome = handler.message(message).await;
        self.outbox.set_busy(false);
        if let Err(reason) = outcome {
            self.outbox.close(reason);
        }
    }

    /// Does what a text packet asks for.
    pub(super) async fn packet(
        &self,
        handler: &mut dyn EngineHandler,
        packet: Result<EnginePacket<'_>, InvalidEnginePacket>,
    ) {
        match packet {
            Ok(EnginePacket::Message(text)) => {
                self.deliver(handler, EngineMessage::Text(text)).await
            }
            Ok(EnginePacket::Pong) => {
                self.outbox.pong();
                self.brake.slow_down().await;
            }
            Ok(EnginePacket::Close) => {
                self.state.lock().goodbye = true;
                self.outbox.close(Reason::TransportClosed);
            }
            Ok(EnginePacket::Upgrade | EnginePacket::Noop) => self.brake.slow_down().await,
            // Since version 4 only the server pings.
            Ok(EnginePacket::Ping(_)) | Err(InvalidEnginePacket) => {
                self.outbox.close(Reason::ProtocolError)
            }
        }
    }
}

impl SessionState {
    /// A post first: it was sent before the upgrade.
    pub(super) fn take_news(&mut self) -> (Option<Post>, Option<WebSocket>) {
        match self.post.take() {
            Some(post) => (Some(post), None),
            None => (None, self.upgraded.take()),
        }
    }

    /// Nobody looks any more: the post is answered, the socket closed.
    pub(super) fn drop_news(&mut self) {
        self.post = None;
        self.upgraded = None;
    }
}
