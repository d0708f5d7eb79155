//! A collector that hangs or is not there costs no message anything.

use super::collector::Collector;
use crate::support::gateway::Gateway;
use crate::support::leash::free_port;
use crate::support::rest::Person;
use crate::support::until;
use crate::support::ws::Ws;

/// Beyond the queue of 16 spans and the batch of 8 that waits for an answer, in spans of four a message.
const MESSAGES: usize = 30;

/// In milliseconds.
const TEN_MINUTES: &str = "600000";

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
        client.hears(&content).await;
    }
    let dropped = "hobnob_spans_dropped_total";
    gateway.until_metric(dropped, 1.0).await;
    until("it complains", async || {
        let output = gateway.output();
        output.contains(says).then_some(()).ok_or(output)
    })
    .await;
    client.close().await;
    gateway.terminate();
    // Nobody waits as long for this as an export may take, of which the last has hardly begun.
    assert_eq!(gateway.ended().await, Some(0));
    gateway
}

#[tokio::test]
async fn a_collector_that_hangs_holds_nothing_up() {
    let collector = Collector::hanging().await;
    let gateway = messages_flow_and_the_end_is_soon(&collector.url(), TEN_MINUTES, "").await;
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
