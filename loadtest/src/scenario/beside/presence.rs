//! People who come and go, and others who watch them: how long after a user's connect the watchers are told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::Rng;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::super::figures::Figures;
use super::scene::{Scene, Speaks, figure, open};
use crate::Invalid;
use crate::accounts::User;
use crate::client::{Dial, Protocol};
use crate::measure::Latencies;

/// After the last who came: time for its news.
const REST: Duration = Duration::from_secs(3);

/// Who comes, goes and watches.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Presence {
    /// Users who come and go.
    watched: usize,
    /// Users who are told of all of them.
    watchers: usize,
    /// How long a user stays and stays away, in seconds; more than the server's grace, or nobody is told.
    stay: f64,
    away: f64,
    #[serde(default)]
    protocol: Speaks,
}

/// When each user came last, how often somebody came, and what the watchers heard of it.
#[derive(Debug)]
struct News {
    came: HashMap<String, Instant>,
    count: usize,
    heard: usize,
    latencies: Latencies,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    user_id: String,
    online: bool,
}

impl Presence {
    pub(super) async fn run(&self, scene: Scene<'_>) -> Result<Figures, Invalid> {
        let run = format!("presence-{:08x}", rand::rng().random::<u32>());
        let users = scene
            .accounts()
            .register(&run, self.watched + self.watchers)
            .await?;
        let (watched, watchers) = users.split_at(self.watched);
        let news = Arc::new(Mutex::new(News {
            came: HashMap::new(),
            count: 0,
            heard: 0,
            latencies: Latencies::new()?,
        }));
        let mut watching = JoinSet::new();
        for (index, watcher) in watchers.iter().enumerate() {
            let ids: Vec<String> = watched.iter().map(|user| user.id.clone()).collect();
            let (dial, watcher, news) = (scene.dial(index), watcher.clone(), Arc::clone(&news));
            watching.spawn(watch(dial, self.protocol.into(), watcher, ids, news));
        }
        sleep(REST).await;
        let end = Instant::now() + Duration::from_secs(scene.seconds);
        let mut moving = JoinSet::new();
        for (index, user) in watched.iter().enumerate() {
            let (dial, user, news) = (scene.dial(index), user.clone(), Arc::clone(&news));
            moving.spawn(self.come_and_go(dial, user, news, end));
        }
        while moving.join_next().await.is_some() {}
        sleep(REST).await;
        let news = news.lock().unwrap_or_else(PoisonError::into_inner);
        let (wanted, times) = (news.count * self.watchers, news.latencies.percentiles());
        Ok(Figures::from([
            ("presenceChanges".to_owned(), figure(news.count)),
            ("presenceHeard".to_owned(), figure(news.heard)),
            (
                "presenceMissed".to_owned(),
                figure(wanted.saturating_sub(news.heard)),
            ),
            ("presenceP50Ms".to_owned(), times.p50),
            ("presenceP99Ms".to_owned(), times.p99),
        ]))
    }

    fn come_and_go(
        self,
        dial: Dial,
        user: User,
        news: Arc<Mutex<News>>,
        end: Instant,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (stay, away) = (
            Duration::from_secs_f64(self.stay),
            Duration::from_secs_f64(self.away),
        );
        let protocol = Protocol::from(self.protocol);
        async move {
            let first = away.mul_f64(rand::rng().random_range(0.0..1.0));
            sleep(first).await;
            while Instant::now() + stay < end {
                {
                    let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
                    news.came.insert(user.id.clone(), Instant::now());
                    news.count += 1;
                }
                if let Ok(mut connection) = open(&dial, protocol, &user, |_| {}).await {
                    let until = Instant::now() + stay;
                    while let Ok(Ok(())) = timeout_at(until, connection.hear(&mut |_, _| {})).await
                    {
                    }
                    connection.close().await;
                }
                sleep(away).await;
            }
        }
    }
}

async fn watch(
    dial: Dial,
    protocol: Protocol,
    watcher: User,
    ids: Vec<String>,
    news: Arc<Mutex<News>>,
) {
    let Ok(mut connection) = open(&dial, protocol, &watcher, |_| {}).await else {
        return;
    };
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    if connection.write(protocol.watch(2, &ids)).await.is_err() {
        return;
    }
    let heed = |text: &str| {
        let Some(change) = change(text).filter(|change| change.online) else {
            return;
        };
        let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(came) = news.came.get(&change.user_id).copied() {
            news.heard += 1;
            news.latencies.add(came.elapsed());
        }
    };
    while connection.hear(&mut |_, text| heed(text)).await.is_ok() {}
}

/// The change that a frame tells of, on either protocol.
fn change(text: &str) -> Option<Change> {
    let is_news = text.starts_with(r#"42["presence""#) || text.contains(r#""type":"presence""#);
    let body = text.get(text.find('{')?..).filter(|_| is_news)?;
    let mut values = serde_json::Deserializer::from_str(body).into_iter::<Change>();
    values.next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_on_both_protocols() {
        let body = r#"{"type":"presence","userId":"u","online":true}"#;
        assert!(change(body).is_some_and(|change| change.online && change.user_id == "u"));
        assert!(change(&format!(r#"42["presence",{body}]"#)).is_some());
        assert!(change(r#"{"type":"typing","userId":"u","typing":true}"#).is_none());
    }
}
