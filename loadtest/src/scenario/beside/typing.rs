//! People who type: second devices of those who talk tell their room so, at a steady rate, and count what they are told.
//! Typing is not stored and may be dropped; what matters is what it costs the messages beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::super::figures::Figures;
use super::scene::{Scene, Speaks, figure, open};
use crate::Invalid;
use crate::client::{Connection, Incoming, Protocol};

/// Requests that wait for their connection; more are not sent.
const WAITING: usize = 64;

/// How they type.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Typing {
    /// How many people.
    typists: usize,
    /// How often a second, over all.
    rate: f64,
    #[serde(default)]
    protocol: Speaks,
}

impl Typing {
    pub(super) async fn run(&self, scene: Scene<'_>) -> Result<Figures, Invalid> {
        let stage = scene.stage()?;
        let protocol = Protocol::from(self.protocol);
        let (heard, mut typists) = (Arc::new(AtomicUsize::new(0)), Vec::new());
        let mut hands = JoinSet::new();
        for index in 0..self.typists.min(stage.users().len()) {
            let (user, room) = (&stage.users()[index], stage.room_of(index));
            let connection = open(&scene.dial(index), protocol, user, |_| {}).await;
            let connection = connection.map_err(|error| Invalid(format!("a typist: {error:?}")))?;
            let (orders, waiting) = mpsc::channel(WAITING);
            typists.push((orders, room.unwrap_or_default().to_owned()));
            hands.spawn(keep(connection, waiting, Arc::clone(&heard)));
        }
        let (begin, interval) = (
            Instant::now(),
            Duration::from_secs_f64(1.0 / self.rate.max(0.001)),
        );
        let end = begin + Duration::from_secs(scene.seconds);
        let (mut due, mut sent, mut number) = (begin, 0_usize, 0);
        while due < end && !typists.is_empty() {
            sleep_until(due).await;
            let (orders, room) = &typists[sent % typists.len()];
            number += 2;
            if orders.try_send(protocol.typing(number, room)).is_ok() {
                sent += 1;
            }
            due += interval;
        }
        Ok(Figures::from([
            ("typingSent".to_owned(), figure(sent)),
            (
                "typingReceived".to_owned(),
                figure(heard.load(Ordering::Relaxed)),
            ),
        ]))
    }
}

/// One device: writes what it is told, counts what it hears.
async fn keep(
    mut connection: Connection,
    mut orders: mpsc::Receiver<String>,
    heard: Arc<AtomicUsize>,
) {
    let mut count = |_: &Incoming<'_>, text: &str| {
        if text.contains("\"typing\"") {
            heard.fetch_add(1, Ordering::Relaxed);
        }
    };
    loop {
        let going_on = tokio::select! {
            heard = connection.hear(&mut count) => heard,
            Some(order) = orders.recv() => connection.write(order).await,
        };
        if going_on.is_err() {
            return;
        }
    }
}
