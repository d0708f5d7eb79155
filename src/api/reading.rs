//! Answers that may be large: how many bytes of them are made and on their way, of one user and of all, and how long a
//! client may take over one. Knows no shape.
//!
//! A share is reserved before the store is read, shrinks to what the answer is, and is free again with its last piece:
//! hyper buffers no more than about 64 KiB of a connection besides. Whoever finds no room waits, and is told `busy` when
//! there is none in time.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::ApiError;
use super::answer::json;
use super::extract::Bearer;
use crate::chat::{Chat, ChatError, Limits};
use crate::domain::UserId;
use crate::store::PAGE_BYTES;

/// JSON writes one byte of text in six at worst: `\u0001`.
pub(super) const WORST_ESCAPE: usize = 6;

/// What is counted in: a kibibyte.
const UNIT: usize = 1024;
/// All answers of a user at once, in bytes; more when one answer may need more than a quarter of it.
const OF_ONE: usize = 8 << 20;
/// All answers of all users at once, in bytes; more when one answer may need more than an eighth of it.
const OF_ALL: usize = 64 << 20;
/// How long a request waits for room.
const ROOM_WITHIN: Duration = Duration::from_secs(5);
/// What is handed to the connection at a time, in bytes.
const PIECE: usize = 16 * 1024;
/// The slowest client that is waited for, in bytes a second, after a start of [`START`]. One that takes longer loses the
/// rest of its answer, and with it the connection.
const SLOWEST: usize = 32 * 1024;
const START: Duration = Duration::from_secs(10);
/// Users that are remembered before those without an answer are looked for.
const USERS: usize = 1024;

/// The room for answers, and who has how much of it.
#[derive(Debug)]
pub(super) struct Answers {
    /// What one answer may need, in units.
    reserve: u32,
    of_one: usize,
    all: Arc<Semaphore>,
    users: Mutex<UserShares>,
}

#[derive(Debug, Default)]
struct UserShares {
    shares: HashMap<UserId, Weak<Semaphore>>,
    /// When there are so many, those without an answer are forgotten.
    swept_at: usize,
}

impl Answers {
    /// Room for answers of pages of messages within these limits.
    pub(super) fn new(limits: &Limits) -> Self {
        // The page as it is read, and as it is written; the heaviest message may come on top.
        let heaviest = limits.content_bytes * WORST_ESCAPE;
        let reserve = 2 * (PAGE_BYTES + heaviest) / UNIT;
        let all = (OF_ALL / UNIT).max(8 * reserve);
        Self {
            reserve: u32::try_from(reserve).unwrap_or(u32::MAX),
            of_one: (OF_ONE / UNIT).max(4 * reserve),
            all: Arc::new(Semaphore::new(all)),
            users: Mutex::default(),
        }
    }

    async fn reserve(&self, user: UserId) -> Result<AnswerPermit, ApiError> {
        let own = self.users.lock().of(user, self.of_one);
        let waiting = async {
            let own = own.acquire_many_owned(self.reserve).await.ok()?;
            let all = Arc::clone(&self.all).acquire_many_owned(self.reserve);
            Some(AnswerPermit(own, all.await.ok()?))
        };
        let share = timeout(ROOM_WITHIN, waiting).await.ok().flatten();
        share.ok_or(ApiError::Chat(ChatError::Busy))
    }
}

impl UserShares {
    fn of(&mut self, user: UserId, room: usize) -> Arc<Semaphore> {
        if let Some(share) = self.shares.get(&user).and_then(Weak::upgrade) {
            return share;
        }
        if self.shares.len() >= self.swept_at {
            self.shares.retain(|_, share| share.strong_count() > 0);
            self.swept_at = USERS.max(2 * self.shares.len());
        }
        let share = Arc::new(Semaphore::new(room));
        self.shares.insert(user, Arc::downgrade(&share));
        share
    }
}

/// The room of one answer: the user's, and that of all.
#[derive(Debug)]
struct AnswerPermit(OwnedSemaphorePermit, OwnedSemaphorePermit);

impl AnswerPermit {
    /// Gives back what an answer of this length does not need.
    fn shrink_to(&mut self, bytes: usize) {
        let needed = bytes.div_ceil(UNIT);
        for permit in [&mut self.0, &mut self.1] {
            drop(permit.split(permit.num_permits().saturating_sub(needed)));
        }
    }
}

/// A caller who asks for a page, with room for it.
#[derive(Debug)]
pub(super) struct PageReader {
    pub(super) caller: UserId,
    share: AnswerPermit,
}

impl FromRequestParts<Arc<Chat>> for PageReader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, chat: &Arc<Chat>) -> Result<Self, ApiError> {
        let Bearer(caller) = Bearer::from_request_parts(parts, chat).await?;
        let answers = parts.extensions.get::<Arc<Answers>>().cloned();
        let answers = answers.ok_or(ApiError::Chat(ChatError::Internal))?;
        let share = answers.reserve(caller).await?;
        Ok(Self { caller, share })
    }
}

impl PageReader {
    /// The answer, which goes out piece by piece.
    pub(super) fn answer(self, headers: HeaderMap, shape: &impl Serialize) -> Response {
        let ([(_, kind)], text) = json(shape);
        let mut share = self.share;
        share.shrink_to(text.len());
        let body = Body::new(Pieces::new(text.into(), share));
        (headers, [(CONTENT_TYPE, kind)], body).into_response()
    }
}

/// What is left of an answer.
type Rest = Arc<Mutex<Option<(Bytes, AnswerPermit)>>>;

/// An answer in pieces. The rest, and the room it takes, is given up when its client is too slow.
struct Pieces {
    rest: Rest,
    left: usize,
    /// Gives the rest up, for an answer that does not fit into the connection's buffers.
    giving_up: Option<JoinHandle<()>>,
}

/// The client was too slow.
#[derive(Debug, thiserror::Error)]
#[error("the client took too long over its answer")]
struct TooSlow;

impl Pieces {
    fn new(text: Bytes, share: AnswerPermit) -> Self {
        let left = text.len();
        let rest: Rest = Arc::new(Mutex::new((left > 0).then_some((text, share))));
        let giving_up = (left > PIECE).then(|| {
            let rest = Arc::clone(&rest);
            let within = START + Duration::from_millis((left * 1000 / SLOWEST) as u64);
            tokio::spawn(async move {
                tokio::time::sleep(within).await;
                rest.lock().take();
            })
        });
        Self {
            rest,
            left,
            giving_up,
        }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = TooSlow;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooSlow>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = match &mut *self.rest.lock() {
            None => return Poll::Ready(Some(Err(TooSlow))),
            // A copy: a slice would keep the whole answer for as long as its last piece waits.
            Some((text, _)) => Bytes::copy_from_slice(&text.split_to(PIECE.min(text.len()))),
        };
        self.left -= piece.len();
        if self.left == 0 {
            self.rest.lock().take();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if let Some(giving_up) = &self.giving_up {
            giving_up.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Arc<Answers> {
        Arc::new(Answers::new(&Limits::default()))
    }

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 12])
    }

    fn taken(answers: &Answers) -> usize {
        OF_ALL / UNIT - answers.all.available_permits()
    }

    async fn next(body: &mut Pieces) -> Option<Result<Bytes, TooSlow>> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_holds_what_it_is_until_its_last_piece_is_taken() {
        let answers = answers();
        let mut share = answers.reserve(user(1)).await.unwrap();
        let text = Bytes::from(vec![b'x'; 3 * PIECE + 1]);
        share.shrink_to(text.len());
        assert_eq!(taken(&answers), 3 * PIECE / UNIT + 1);
        let mut body = Pieces::new(text.clone(), share);
        let mut got = Vec::new();
        while let Some(piece) = next(&mut body).await {
            got.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(got, text);
        assert_eq!(taken(&answers), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_loses_the_rest_and_the_room_is_free() {
        let answers = answers();
        let share = answers.reserve(user(1)).await.unwrap();
        let mut body = Pieces::new(Bytes::from(vec![b'x'; PAGE_BYTES]), share);
        assert!(next(&mut body).await.unwrap().is_ok());
        tokio::time::sleep(START + Duration::from_secs((PAGE_BYTES / SLOWEST) as u64 + 1)).await;
        assert_eq!(taken(&answers), 0);
        assert!(next(&mut body).await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn one_user_takes_a_part_of_the_room_and_waits_for_more() {
        let answers = answers();
        let mut held = Vec::new();
        while let Ok(share) = answers.reserve(user(1)).await {
            held.push(share);
        }
        assert!(held.len() >= 4 && taken(&answers) <= OF_ONE / UNIT);
        let others = answers.reserve(user(2)).await;
        assert!(others.is_ok(), "others have room");
        let waiting = answers.reserve(user(1));
        held.pop();
        assert!(waiting.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_answer_is_forgotten() {
        let answers = answers();
        for number in 0..5000_u32 {
            let mut id = [0; 12];
            id[..4].copy_from_slice(&number.to_be_bytes());
            drop(answers.reserve(UserId::from_bytes(id)).await.unwrap());
        }
        assert!(answers.users.lock().shares.len() <= USERS);
    }
}
