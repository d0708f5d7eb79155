//! Somebody who is there or not: connected to whichever gateway takes them, or not at all. Knows no role and no fault.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::accounts::User;
use crate::client::{Connection, Dial, Joining, Protocol};
use crate::gateways::Gateways;

/// Before the next gateway is tried.
const BACKOFF: Duration = Duration::from_millis(250);

/// One person with one device.
#[derive(Debug)]
pub(super) struct Guest {
    user: User,
    present: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Who is online, as a watcher was told; nothing while the watcher is not connected.
#[derive(Debug, Clone)]
pub(super) struct View {
    ids: Arc<Vec<String>>,
    told: Arc<Mutex<Option<HashMap<String, bool>>>>,
}

/// The answer to `watch_presence`, or a `presence` event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    presence: Option<HashMap<String, Standing>>,
    user_id: Option<String>,
    online: Option<bool>,
}

/// What is said of one user.
#[derive(Deserialize)]
pub(super) struct Standing {
    online: bool,
}

impl Standing {
    /// Who is online.
    pub(super) fn of_all(said: HashMap<String, Self>) -> HashMap<String, bool> {
        said.into_iter()
            .map(|(id, said)| (id, said.online))
            .collect()
    }
}

impl View {
    /// Of these users.
    pub(super) fn of(ids: Vec<String>) -> Self {
        Self {
            ids: Arc::new(ids),
            told: Arc::default(),
        }
    }

    pub(super) fn get(&self) -> Option<HashMap<String, bool>> {
        self.lock().clone()
    }

    fn forget(&self) {
        *self.lock() = None;
    }

    fn heed(&self, text: &str) {
        let Ok(told) = serde_json::from_str::<Told>(text) else {
            return;
        };
        let mut view = self.lock();
        if let Some(presence) = told.presence {
            *view = Some(Standing::of_all(presence));
        } else if let (Some(view), Some(user), Some(online)) =
            (view.as_mut(), told.user_id, told.online)
        {
            view.insert(user, online);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<HashMap<String, bool>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Somebody who is not there yet, will come to the gateway of this number first, and watches others or nobody.
    pub(super) fn invite(
        gateways: &Gateways,
        number: usize,
        user: User,
        view: Option<View>,
    ) -> Self {
        let (present, wanted) = watch::channel(false);
        let life = Life {
            gateways: gateways.clone(),
            gateway: number,
            user: user.clone(),
            view,
            wanted,
        };
        Self {
            user,
            present,
            task: tokio::spawn(life.run()),
        }
    }

    pub(super) fn user(&self) -> &User {
        &self.user
    }

    pub(super) fn is_present(&self) -> bool {
        *self.present.borrow()
    }

    pub(super) fn set_present(&self, is_present: bool) {
        self.present.send_replace(is_present);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a guest does all the time.
struct Life {
    gateways: Gateways,
    gateway: usize,
    user: User,
    view: Option<View>,
    wanted: watch::Receiver<bool>,
}

impl Life {
    async fn run(mut self) {
        while until(&mut self.wanted, true).await {
            if let Some(connection) = self.connect().await {
                self.stay(connection).await;
            }
            if let Some(view) = &self.view {
                view.forget();
            }
            if *self.wanted.borrow() {
                self.gateway += 1;
                sleep(BACKOFF).await;
            }
        }
    }

    async fn connect(&self) -> Option<Connection> {
        let since = BTreeMap::new();
        let joining = Joining {
            user: &self.user.id,
            token: &self.user.token,
            since: &since,
            last: None,
            acknowledges: false,
        };
        let dial = Dial::to(&self.gateways, self.gateway);
        let opened = Connection::open(&dial, Protocol::Native, &joining, |_| {}).await;
        opened.ok()
    }

    /// Until the connection is lost, or nobody wants them to be there.
    async fn stay(&mut self, mut connection: Connection) {
        if let Some(view) = &self.view {
            let ids: Vec<&str> = view.ids.iter().map(String::as_str).collect();
            if connection
                .write(Protocol::Native.watch(1, &ids))
                .await
                .is_err()
            {
                return;
            }
        }
        loop {
            tokio::select! {
                heard = connection.next() => match (heard, &self.view) {
                    (None, _) => return,
                    (Some(Some(text)), Some(view)) => view.heed(&text),
                    _ => {}
                },
                _ = until(&mut self.wanted, false) => return connection.close().await,
            }
        }
    }
}

/// False when nobody wants anything any more.
async fn until(wanted: &mut watch::Receiver<bool>, is: bool) -> bool {
    wanted.wait_for(|wanted| *wanted == is).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_the_answer_and_what_is_told_after_it() {
        let view = View::of(Vec::new());
        view.heed(r#"{"type":"presence","userId":"a","online":true}"#);
        assert_eq!(view.get(), None, "nothing before the answer");
        view.heed(r#"{"type":"ok","presence":{"a":{"online":true},"b":{"online":false}}}"#);
        view.heed(r#"{"type":"presence","userId":"b","online":true}"#);
        view.heed("nonsense");
        let all = [("a", true), ("b", true)].map(|(id, online)| (id.to_owned(), online));
        assert_eq!(view.get(), Some(HashMap::from(all)));
        view.forget();
        assert_eq!(view.get(), None);
    }
}
