//! The contract of the throttle port, run over every adapter, and what Redis can do to it. Refuses to know how an adapter
//! counts.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hobnob::domain::Entropy;
use hobnob::metrics::Metrics;
use hobnob::redis::RedisConfig;
use hobnob::throttle::{LocalThrottle, RedisThrottle, Step, Throttle};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::support::gateway::metric;
use crate::support::servers::{Redis as Server, shared_redis};
use crate::support::until;

/// Long enough that nothing comes back while a test runs.
const HOUR: Duration = Duration::from_secs(3600);

const fn step(burst: u32, interval: Duration) -> Step {
    Step { burst, interval }
}

/// Two gateways that count together.
type Pair = [Arc<dyn Throttle>; 2];

async fn local() -> Pair {
    let throttle = Arc::new(LocalThrottle::new(Arc::new(Entropy::from_os())));
    [Arc::clone(&throttle) as Arc<dyn Throttle>, throttle]
}

async fn redis() -> Pair {
    let prefix = format!("throttle-{:x}:", Entropy::from_os().next_u64());
    let config = RedisConfig::parse(&shared_redis().url()).unwrap();
    let config = config.with_prefix(&prefix).unwrap();
    let pair = [running(&config), running(&config)];
    until_shared(&pair).await;
    pair
}

fn running(config: &RedisConfig) -> Arc<dyn Throttle> {
    let throttle = RedisThrottle::new(config.clone(), Arc::new(Entropy::from_os()));
    let throttle: Arc<dyn Throttle> = Arc::new(throttle);
    let runner = Arc::clone(&throttle);
    // It ends with the test's runtime.
    tokio::spawn(async move { runner.run(CancellationToken::new()).await });
    throttle
}

/// Waits until what one notes the other knows, in both directions.
async fn until_shared([one, other]: &Pair) {
    until("both are connected", async || {
        let key = format!("{:x}", Entropy::from_os().next_u64());
        one.note(&key, HOUR).await;
        other.note(&format!("{key}-back"), HOUR).await;
        other.is_noted(&key).await && one.is_noted(&format!("{key}-back")).await
    })
    .await;
}

async fn of_concurrent_tries_of_both_no_more_than_the_burst_is_granted(pair: Pair) {
    let steps = [step(7, HOUR)];
    let tries = (0..40).map(|number| pair[number % 2].take("a", &steps));
    let granted = join_all(tries).await.iter().filter(|it| it.is_ok()).count();
    assert_eq!(granted, 7);
    let wait = pair[0].take("a", &steps).await.unwrap_err();
    assert!(wait > HOUR / 2 && wait <= HOUR, "{wait:?}");
    assert_eq!(pair[0].take("b", &steps).await, Ok(()));
}

async fn the_slowest_step_decides_and_what_is_refused_counts_nothing(pair: Pair) {
    let steps = [step(2, Duration::from_millis(1)), step(3, HOUR)];
    let mut granted = 0;
    for _ in 0..50 {
        granted += usize::from(pair[0].take("a", &steps).await.is_ok());
        // The first step alone grants one more each time.
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(granted, 3);
    let wait = pair[1].take("a", &steps).await.unwrap_err();
    assert!(wait <= HOUR, "{wait:?}");
}

async fn a_try_comes_back_after_its_interval(pair: Pair) {
    let interval = Duration::from_millis(300);
    let steps = [step(1, interval)];
    assert_eq!(pair[0].take("a", &steps).await, Ok(()));
    while let Err(wait) = pair[1].take("a", &steps).await {
        assert!(wait > Duration::ZERO && wait <= interval, "{wait:?}");
        sleep(wait).await;
    }
}

async fn what_is_cleared_is_as_new_and_notes_end(pair: Pair) {
    let steps = [step(1, HOUR)];
    assert_eq!(pair[0].take("a", &steps).await, Ok(()));
    pair[1].clear("a").await;
    assert_eq!(pair[0].take("a", &steps).await, Ok(()));
    assert!(pair[0].take("a", &steps).await.is_err());
    assert!(!pair[0].is_noted("a").await);
    pair[0].note("a", HOUR).await;
    assert!(pair[1].is_noted("a").await);
    pair[0].note("b", Duration::from_millis(50)).await;
    until("it ends", async || !pair[1].is_noted("b").await).await;
}

macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod on_local {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::local().await).await;
            })*
        }
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::redis().await).await;
            })*
        }
    };
}

suite!(
    of_concurrent_tries_of_both_no_more_than_the_burst_is_granted,
    the_slowest_step_decides_and_what_is_refused_counts_nothing,
    a_try_comes_back_after_its_interval,
    what_is_cleared_is_as_new_and_notes_end,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_each_gateway_counts_for_itself_and_says_so() {
    let mut server = Server::start();
    let (metrics, exporter) = Metrics::exported().unwrap();
    let config = RedisConfig::parse(&server.url()).unwrap();
    let config = config.with_metrics(metrics);
    let pair = [running(&config), running(&config)];
    until_shared(&pair).await;
    let alone = || metric(&exporter.render(), "hobnob_throttle_alone_total");
    let before = alone();
    let steps = [step(1, HOUR)];
    assert_eq!(pair[0].take("a", &steps).await, Ok(()));
    assert_eq!(alone(), before);
    server.kill9();
    // Each has one more of its own, and no more.
    for throttle in &pair {
        assert_eq!(throttle.take("a", &steps).await, Ok(()));
        assert!(throttle.take("a", &steps).await.is_err());
    }
    assert!(alone() > before);
    server.restart();
    until_shared(&pair).await;
}
