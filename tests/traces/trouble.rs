//! A collector that hangs or is not there costs no message anything.

use std::time::{Duration, Instant};

use super::collector::Collector;
use crate::support::fold::DEADLINE;
use crate::support::gateway::Gateway;
use crate::support::leash::free_port;
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// Beyond the queue of 16 spans and the batch of 8 that waits for an answer, in spans of four a message.
const MESSAGES: usize = 30;

async fn spans_dropped(gateway: &Gateway) -> u64 {
    let metrics = gateway.metrics().await;
    let series = "hobnob_spans_dropped_total ";
    let value = metrics.lines().find_map(|line| line.strip_prefix(series));
    value.expect("the series").parse().expect("a number")
}

/// `limit` is how many milliseconds an export may take; `says` what is waited for in the log, if anything.
async fn messages_flow_and_the_end_is_soon(endpoint: &str, limit: &str, says: &str) -> Gateway {
    let mut gateway = Gateway::embedded_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", limit),
        ("OTEL_BSP_EXPORT_TIMEOUT", limit),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
    ])
    .await;
    let ann = Person::register(&gateway, "ann").await;
    let room = ann.room(&gateway, &[]).await;
    let client = Ws::join(&gateway, &ann).await;
    for number in 0..MESSAGES {
        let content = format!("number {number}");
        ann.say(&gateway, &room, &content).await;
        client
            .frame("the message", |frame| {
                frame["message"]["content"] == content.as_str()
            })
            .await;
    }
    assert!(spans_dropped(&gateway).await > 0);
    let deadline = Instant::now() + DEADLINE;
    while !gateway.output().contains(says) {
        assert!(Instant::now() < deadline, "{}", gateway.output());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.close().await;
    let begun = Instant::now();
    gateway.terminate();
    assert_eq!(gateway.ended().await, Some(0));
    // Not the collector's minute, of which the last export had hardly taken any.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    gateway
}

#[tokio::test]
async fn a_collector_that_hangs_holds_nothing_up() {
    let collector = Collector::hanging().await;
    let gateway = messages_flow_and_the_end_is_soon(&collector.url(), "60000", "").await;
    assert_eq!(collector.requests(), 1);
    let said = "the collector did not take the last spans";
    assert!(gateway.output().contains(said), "{}", gateway.output());
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_named_once() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let said = "the collector does not take spans";
    let gateway = messages_flow_and_the_end_is_soon(&nobody, "200", said).await;
    let log = gateway.output();
    assert_eq!(log.matches(said).count(), 1, "{log}");
}
