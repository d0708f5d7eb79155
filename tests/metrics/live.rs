//! Gateways under a little traffic, alone and in a cluster, and what their metrics say of it.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use super::document::{Metrics, documented, served};
use crate::support::gateway::{Cluster, Gateway, shared_cluster};
use crate::support::leash::tool;
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::ws::Ws;

async fn text_of(gateway: &Gateway) -> String {
    let answer = reqwest::get(gateway.admin_url("/metrics")).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

/// The value of a series, named with its labels.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    let line = line.unwrap_or_else(|| panic!("{series} is not in {text}"));
    line.trim().parse().unwrap()
}

/// Asks until a series has at least this value.
async fn reaches(gateway: &Gateway, series: &str, least: f64) {
    for _ in 0..1200 {
        if value(&text_of(gateway).await, series) >= least {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{series} never reached {least}: {}", text_of(gateway).await);
}

/// A direct message, a room's over REST, and a refusal; the last message is received on the second gateway.
async fn chat(first: &Gateway, second: &Gateway) {
    let (anna, ben) = (
        Person::register(first, "anna").await,
        Person::register(second, "ben").await,
    );
    let (here, there) = (Ws::join(first, &anna).await, Ws::join(second, &ben).await);
    let text = json!({"receiverId": ben.id, "content": "hello"});
    assert_eq!(here.ask("send_message", text.clone()).await["type"], "ok");
    let room = anna.room(first, &[&ben]).await;
    let text = json!({"roomId": room, "content": "all"});
    anna.post(first, "/group", text).await.expect(201);
    for (client, kind) in [
        (&there, "receive_message"),
        (&there, "receive_group_message"),
        (&here, "receive_group_message"),
    ] {
        client.frame(kind, |frame| frame["type"] == kind).await;
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
    compare(&documented(), &served(&text_of(&gateway).await));
}

#[tokio::test]
async fn the_document_and_a_gateway_of_a_cluster_name_the_same_metrics() {
    let cluster = shared_cluster().await;
    let (first, second) = (cluster.gateway(0), cluster.gateway(1));
    chat(first, second).await;
    compare(&documented(), &served(&text_of(first).await));
    reaches(
        second,
        "hobnob_delivery_seconds_count{origin=\"remote\"}",
        1.0,
    )
    .await;
    reaches(first, "hobnob_bus_lag_seconds_count", 1.0).await;
    reaches(
        first,
        "hobnob_dependency_seconds_count{dependency=\"presence\"}",
        1.0,
    )
    .await;
    for dependency in ["store", "bus", "presence"] {
        reaches(
            first,
            &format!("hobnob_dependency_up{{dependency=\"{dependency}\"}}"),
            1.0,
        )
        .await;
    }
}

#[tokio::test]
async fn traffic_is_counted_where_it_belongs() {
    let gateway = Gateway::embedded().await;
    chat(&gateway, &gateway).await;
    reaches(
        &gateway,
        "hobnob_sessions_closed_total{reason=\"transport_closed\",class=\"normal\"}",
        2.0,
    )
    .await;
    let text = text_of(&gateway).await;
    for (series, expected) in [
        ("hobnob_sessions{protocol=\"websocket\"}", 0.0),
        ("hobnob_sessions_opened_total{protocol=\"websocket\"}", 2.0),
        ("hobnob_messages_in_total{protocol=\"websocket\"}", 1.0),
        ("hobnob_messages_in_total{protocol=\"rest\"}", 1.0),
        // The direct message to its receiver; the room's making and its message to both.
        ("hobnob_deliveries_out_total{protocol=\"websocket\"}", 5.0),
        ("hobnob_ack_seconds_count", 2.0),
        (
            "hobnob_handshake_seconds_count{protocol=\"websocket\"}",
            2.0,
        ),
        ("hobnob_resumes_total{from=\"cursor\"}", 2.0),
        ("hobnob_presence_transitions_total{to=\"online\"}", 2.0),
        ("hobnob_ready", 1.0),
        ("hobnob_draining", 0.0),
        ("hobnob_connection_limit", 10_000.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series} in {text}");
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
        assert!(value(&text, series) > 0.0, "{series} in {text}");
    }
}

#[tokio::test]
async fn a_stranger_is_counted_as_refused() {
    let gateway = Gateway::embedded().await;
    let client = Ws::open(gateway.port()).await;
    let hello = json!({"type": "hello", "token": "nonsense"});
    client.send_text(&hello.to_string()).await;
    client.closed().await;
    reaches(
        &gateway,
        "hobnob_connections_refused_total{reason=\"unauthorized\"}",
        1.0,
    )
    .await;
}

#[tokio::test]
async fn promtool_has_nothing_to_say() {
    let gateway = Gateway::embedded().await;
    chat(&gateway, &gateway).await;
    let text = text_of(&gateway).await;
    let mut check = Command::new(tool("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
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
    let open = async |transports: &[&str]| {
        let client = node
            .connect(&gateway.url(""), &anna.token, transports)
            .await;
        client.expect("the gateway takes the token")
    };
    let polling = open(&["polling"]).await;
    let _both = [open(&["websocket"]).await, open(&["websocket"]).await];
    let text = text_of(&gateway).await;
    assert_eq!(
        (
            value(&text, &series("polling")),
            value(&text, &series("websocket"))
        ),
        (1.0, 2.0)
    );
    // Begins as one and goes on as the other.
    let _upgraded = open(&["polling", "websocket"]).await;
    reaches(&gateway, &series("websocket"), 3.0).await;
    polling.disconnect().await;
    for _ in 0..400 {
        if value(&text_of(&gateway).await, &series("polling")) == 0.0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{}", text_of(&gateway).await);
}

#[tokio::test]
async fn gaps_and_ghosts_are_counted() {
    let short = [
        // Long enough for a busy machine: a gateway that lives must not be taken for a ghost.
        ("HOBNOB_LEASE_TTL", "8s"),
        ("HOBNOB_LEASE_HEARTBEAT", "1s"),
    ];
    let mut cluster = Cluster::start_with(2, &short).await;
    let anna = Person::register(cluster.gateway(0), "anna").await;
    let ben = Person::register(cluster.gateway(1), "ben").await;
    let (here, there) = (
        Ws::join(cluster.gateway(0), &anna).await,
        Ws::join(cluster.gateway(1), &ben).await,
    );
    let text = |content: &str| json!({"receiverId": ben.id, "content": content});
    here.ask("send_message", text("heard")).await;
    there.fold().wait_seq(&anna.direct_with(&ben), 1).await;
    let of =
        async |cluster: &Cluster, series: &str| value(&text_of(cluster.gateway(1)).await, series);
    let before = of(&cluster, "hobnob_gaps_found_total").await;
    let doubts = "hobnob_bus_publish_doubts_total";
    let doubted = value(&text_of(cluster.gateway(0)).await, doubts);

    // Stored without a hint; the next one shows the hole, or the head that is announced again.
    cluster.refuse_publishing(0);
    here.ask("send_message", text("not heard")).await;
    // It is acknowledged before it is published.
    reaches(cluster.gateway(0), doubts, doubted + 1.0).await;
    cluster.let_back_to_redis(0);
    here.ask("send_message", text("heard again")).await;
    there.fold().wait_seq(&anna.direct_with(&ben), 3).await;
    reaches(cluster.gateway(1), "hobnob_gaps_found_total", before + 1.0).await;
    let found = of(&cluster, "hobnob_gaps_found_total").await;
    reaches(cluster.gateway(1), "hobnob_gaps_repaired_total", found).await;
    assert_eq!(of(&cluster, "hobnob_ghosts_reaped_total").await, 0.0);

    cluster.gateways[0].kill9();
    reaches(cluster.gateway(1), "hobnob_ghosts_reaped_total", 1.0).await;
    assert_eq!(of(&cluster, "hobnob_ghosts_reaped_total").await, 1.0);
}
