//! Gateways under a little traffic, alone and in a cluster, and what their metrics say of it.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use super::document::{Metrics, documented, served};
use crate::support::gateway::{Cluster, Gateway, metric, shared_gateways};
use crate::support::leash::tool;
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::until;
use crate::support::ws::Ws;

const HANDSHAKES: &str = r#"hobnob_handshake_seconds_count{protocol="websocket"}"#;

/// A direct message, a room's over REST, and a refusal; the last message is received on the second gateway.
async fn chat(first: &Gateway, second: &Gateway) {
    let (anna, ben) = Person::pair(first, second).await;
    let (here, there) = (Ws::join(first, &anna).await, Ws::join(second, &ben).await);
    let text = json!({"receiverId": ben.id, "content": "hello"});
    assert_eq!(here.ask("send_message", text).await["type"], "ok");
    let room = anna.room(first, &[&ben]).await;
    anna.say(first, &room, "all").await;
    for (client, kind) in [
        (&there, "receive_message"),
        (&there, "receive_group_message"),
        (&here, "receive_group_message"),
    ] {
        client.told(kind).await;
    }
    anna.get(first, "/rooms/none").await.refused(400);
    let unknown = here.ask("no_such_request", json!({})).await;
    assert_eq!(unknown["error"]["code"], "unknown_event");
    assert!(
        anna.http
            .get(first.url("/ws"))
            .send()
            .await
            .unwrap()
            .status()
            .is_client_error()
    );
    here.close().await;
    there.close().await;
}

fn compare(documented: &Metrics, served: &Metrics) {
    let names = |metrics: &Metrics| metrics.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(documented),
        names(served),
        "docs left, /metrics right"
    );
    for (name, live) in served {
        let written = &documented[name];
        assert_eq!(
            (&written.kind, &written.meaning),
            (&live.kind, &live.meaning),
            "{name}"
        );
        let labels =
            |metric: &super::document::Metric| metric.labels.keys().cloned().collect::<Vec<_>>();
        assert_eq!(labels(written), labels(live), "{name}");
        for (label, values) in written
            .labels
            .iter()
            .filter(|(_, values)| !values.is_empty())
        {
            assert_eq!(values, &live.labels[label], "{name} {label}");
        }
    }
}

#[tokio::test]
async fn the_document_and_a_gateway_alone_name_the_same_metrics() {
    let gateway = Gateway::embedded().await;
    chat(&gateway, &gateway).await;
    compare(&documented(), &served(&gateway.metrics().await));
}

#[tokio::test]
async fn the_document_and_a_gateway_of_a_cluster_name_the_same_metrics() {
    let [first, second, _] = shared_gateways().await;
    chat(first, second).await;
    compare(&documented(), &served(&first.metrics().await));
    let remote = r#"hobnob_delivery_seconds_count{origin="remote"}"#;
    second.until_metric(remote, 1.0).await;
    for series in [
        "hobnob_bus_lag_seconds_count",
        r#"hobnob_dependency_seconds_count{dependency="presence"}"#,
        r#"hobnob_dependency_up{dependency="store"}"#,
        r#"hobnob_dependency_up{dependency="bus"}"#,
        r#"hobnob_dependency_up{dependency="presence"}"#,
    ] {
        first.until_metric(series, 1.0).await;
    }
}

#[tokio::test]
async fn traffic_is_counted_where_it_belongs() {
    let gateway = Gateway::embedded().await;
    chat(&gateway, &gateway).await;
    let closed = r#"hobnob_sessions_closed_total{reason="transport_closed",class="normal"}"#;
    gateway.until_metric(closed, 2.0).await;
    let text = gateway.metrics().await;
    for (series, expected) in [
        ("hobnob_sessions{protocol=\"websocket\"}", 0.0),
        ("hobnob_sessions_opened_total{protocol=\"websocket\"}", 2.0),
        ("hobnob_messages_in_total{protocol=\"websocket\"}", 1.0),
        ("hobnob_messages_in_total{protocol=\"rest\"}", 1.0),
        // The direct message to its receiver; the room's making and its message to both.
        ("hobnob_deliveries_out_total{protocol=\"websocket\"}", 5.0),
        ("hobnob_ack_seconds_count", 2.0),
        (HANDSHAKES, 2.0),
        ("hobnob_resumes_total{from=\"cursor\"}", 2.0),
        ("hobnob_presence_transitions_total{to=\"online\"}", 2.0),
        ("hobnob_ready", 1.0),
        ("hobnob_draining", 0.0),
        ("hobnob_connection_limit", 10_000.0),
    ] {
        assert_eq!(metric(&text, series), expected, "{series} in {text}");
    }
    for series in [
        "hobnob_bytes_in_total{protocol=\"websocket\"}",
        "hobnob_bytes_out_total{protocol=\"websocket\"}",
        "hobnob_connections_accepted_total",
        "hobnob_commit_seconds_count",
        "hobnob_requests_failed_total{code=\"unknown_event\"}",
        "process_cpu_seconds_total",
        "hobnob_runtime_workers",
    ] {
        assert!(metric(&text, series) > 0.0, "{series} in {text}");
    }
}

#[tokio::test]
async fn a_stranger_is_counted_as_refused() {
    let gateway = Gateway::embedded().await;
    let client = Ws::open(gateway.port()).await;
    let hello = json!({"type": "hello", "token": "nonsense"});
    client.send_text(&hello.to_string()).await;
    client.closed().await;
    let refused = r#"hobnob_connections_refused_total{reason="unauthorized"}"#;
    gateway.until_metric(refused, 1.0).await;
}

#[tokio::test]
async fn promtool_has_nothing_to_say() {
    let gateway = Gateway::embedded().await;
    chat(&gateway, &gateway).await;
    let text = gateway.metrics().await;
    let mut check = Command::new(tool("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = check.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = check.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[tokio::test]
async fn transports_are_counted_while_they_are_open() {
    let (gateway, node) = (Gateway::embedded().await, Node::start().await);
    let anna = Person::register(&gateway, "anna").await;
    let series =
        |transport: &str| format!("hobnob_socketio_transports{{transport=\"{transport}\"}}");
    let open = async |transports: &[&str]| node.open_by(&gateway, &anna, transports).await;
    let polling = open(&["polling"]).await;
    let _both = [open(&["websocket"]).await, open(&["websocket"]).await];
    let text = gateway.metrics().await;
    let counts = ["polling", "websocket"].map(|transport| metric(&text, &series(transport)));
    assert_eq!(counts, [1.0, 2.0]);
    // Begins as one and goes on as the other.
    let _upgraded = open(&["polling", "websocket"]).await;
    gateway.until_metric(&series("websocket"), 3.0).await;
    polling.disconnect().await;
    until("no transport polls", async || {
        gateway.metric(&series("polling")).await == 0.0
    })
    .await;
}

#[tokio::test]
async fn gaps_and_ghosts_are_counted() {
    let short = [
        // Long enough for a busy machine: a gateway that lives must not be taken for a ghost.
        ("HOBNOB_LEASE_TTL", "8s"),
        ("HOBNOB_LEASE_HEARTBEAT", "1s"),
    ];
    let mut cluster = Cluster::start_with(2, &short).await;
    let (one, two) = (cluster.gateway(0), cluster.gateway(1));
    let (anna, ben) = Person::pair(one, two).await;
    let (here, there) = (Ws::join(one, &anna).await, Ws::join(two, &ben).await);
    here.write(&ben, "heard").await;
    there.fold().wait_seq(&anna.direct_with(&ben), 1).await;
    let gaps = "hobnob_gaps_found_total";
    let before = two.metric(gaps).await;
    let doubts = "hobnob_bus_publish_doubts_total";
    let doubted = one.metric(doubts).await;

    // Stored without a hint; the next one shows the hole, or the head that is announced again.
    cluster.refuse_publishing(0);
    here.write(&ben, "not heard").await;
    // It is acknowledged before it is published.
    one.until_metric(doubts, doubted + 1.0).await;
    cluster.let_back_to_redis(0);
    here.write(&ben, "heard again").await;
    there.fold().wait_seq(&anna.direct_with(&ben), 3).await;
    two.until_metric(gaps, before + 1.0).await;
    let found = two.metric(gaps).await;
    let repaired = "hobnob_gaps_repaired_total";
    two.until_metric(repaired, found).await;
    let ghosts = "hobnob_ghosts_reaped_total";
    assert_eq!(two.metric(ghosts).await, 0.0);

    cluster.gateways[0].kill9();
    let two = cluster.gateway(1);
    two.until_metric(ghosts, 1.0).await;
    assert_eq!(two.metric(ghosts).await, 1.0);
}
