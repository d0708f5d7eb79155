//! Reads a request's body: how large it may be, and how many large ones there may be at a time. Knows no packet.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::request::RequestRefusal;
use super::session::EngineSession;

/// Bodies over one frame's size that are held at a time, from their first byte beyond it until they are handled: 64 MB of
/// the default size. The next is read on once one is handled, or its session ends.
const LARGE_BODIES: usize = 64;

/// The places for large bodies of one engine.
#[derive(Debug)]
pub(super) struct Bodies(Semaphore);

impl Default for Bodies {
    fn default() -> Self {
        Self(Semaphore::new(LARGE_BODIES))
    }
}

/// A body as it was sent; its place is free again when dropped.
pub(super) struct Whole<'a> {
    pub(super) bytes: Bytes,
    _place: Option<SemaphorePermit<'a>>,
}

impl Bodies {
    /// Reads a body to its end. A body that trickles in is given up when its session ends.
    pub(super) async fn read(
        &self,
        session: &EngineSession,
        body: Body,
    ) -> Result<Whole<'_>, RequestRefusal> {
        tokio::select! {
            _ = session.outbox().closed() => Err(RequestRefusal::SessionUnknown),
            whole = self.collect(session, body) => whole,
        }
    }

    async fn collect(
        &self,
        session: &EngineSession,
        mut body: Body,
    ) -> Result<Whole<'_>, RequestRefusal> {
        let most = most_bytes(session);
        let (mut whole, mut place) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| RequestRefusal::BadRequest)?.into_data() else {
                continue;
            };
            let length = whole.len() + data.len();
            if length > most {
                return Err(RequestRefusal::TooLarge);
            }
            if place.is_none() && length > session.config.max_payload {
                place = self.0.acquire().await.ok();
            }
            whole.extend_from_slice(&data);
        }
        Ok(Whole {
            bytes: whole.freeze(),
            _place: place,
        })
    }
}

/// Several packets only of a client that has said who it is.
fn most_bytes(session: &EngineSession) -> usize {
    let config = &session.config;
    if session.outbox().is_settled() {
        config.max_body.max(config.max_payload)
    } else {
        config.max_payload
    }
}
