//! One message's way through several gateways is one trace.

use serde_json::{Value, json};

use super::collector::{Collector, Exported};
use crate::support::fold::{FIRST, seq};
use crate::support::gateway::{Cluster, Gateway};
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// Who exports to this collector, and soon.
pub(super) async fn traced_cluster(collector: &Collector, gateways: usize) -> Cluster {
    let url = collector.url();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_SERVICE_NAME", "chat-of-the-tests"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    Cluster::start_with(gateways, &settings).await
}

pub(super) fn named<'a>(spans: &'a [Exported], name: &str) -> Vec<&'a Exported> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn only<'a>(spans: &'a [Exported], name: &str) -> &'a Exported {
    let found = named(spans, name);
    assert_eq!(found.len(), 1, "{name} in {spans:#?}");
    found[0]
}

/// The delivery on the gateway that published it, or on another.
fn delivered<'a>(spans: &'a [Exported], origin: &str) -> &'a Exported {
    let mut deliveries = named(spans, "message deliver").into_iter();
    let found = deliveries.find(|span| span.get("hobnob.origin") == origin);
    found.unwrap_or_else(|| panic!("no {origin} delivery: {spans:#?}"))
}

/// The five spans of a message that reached two gateways, and how they hang together.
fn assert_is_one_trace(spans: &[Exported]) {
    let receive = only(spans, "message receive");
    let (store, publish) = (only(spans, "message store"), only(spans, "message publish"));
    let deliveries = named(spans, "message deliver");
    assert_eq!((spans.len(), deliveries.len()), (5, 2), "{spans:#?}");
    for span in spans {
        assert_eq!(span.trace, receive.trace, "{spans:#?}");
        assert_eq!(span.service, "chat-of-the-tests");
        assert!(span.took_nanos >= 0, "{span:?}");
    }
    assert_eq!(
        (&store.parent, &publish.parent),
        (&receive.span, &receive.span)
    );
    assert_eq!(store.get("hobnob.append.conflicts"), "0");
    assert_eq!(store.get("hobnob.batch.size"), "1");
    let [local, remote] = ["local", "remote"].map(|origin| delivered(spans, origin));
    assert_eq!(local.instance, receive.instance);
    assert_ne!(remote.instance, receive.instance);
    assert!(!remote.instance.is_empty());
    assert_eq!(
        (&local.parent, &remote.parent),
        (&publish.span, &publish.span)
    );
}

/// Nothing of what was said, nor by whom.
fn assert_is_discreet(spans: &[Exported], words: &[&str]) {
    let shown = format!("{spans:?}");
    for word in words {
        assert!(!shown.contains(word), "{word} in {shown}");
    }
}

#[tokio::test]
async fn a_message_is_one_trace_over_all_gateways_it_reaches() {
    let collector = Collector::start().await;
    let cluster = traced_cluster(&collector, 3).await;
    let (first, second) = (cluster.gateway(0), cluster.gateway(1));
    let (ann, bob) = Person::pair(first, first).await;
    let room = ann.room(first, &[&bob]).await;
    let (here, there) = (Ws::join(first, &ann).await, Ws::join(second, &bob).await);
    let (also, third) = (Ws::join(second, &bob).await, Ws::join(second, &ann).await);

    let said = json!({"roomId": room, "content": "of the socket"});
    let say = async || {
        let answer = here.granted("send_group_message", said.clone()).await;
        seq(&answer["message"])
    };
    let is_full = |span: &Exported| span.get("hobnob.fan_out") == "3";
    let spans = collector.live(&room, say, |spans| {
        spans.len() >= 5 && spans.iter().any(is_full)
    });
    let spans = spans.await;
    for client in [&there, &also, &third] {
        client.hears("of the socket").await;
    }
    assert_is_one_trace(&spans);
    assert_is_discreet(&spans, &["of the socket", &ann.name, &bob.name]);
    let receive = only(&spans, "message receive");
    assert_eq!(receive.get("hobnob.protocol"), "websocket");
    assert!(!receive.get("hobnob.session.id").is_empty());
    assert!(receive.parent.is_empty());
    assert_eq!(delivered(&spans, "remote").get("hobnob.fan_out"), "3");

    // A direct message. The first of a conversation is found in its log by who did not have it yet.
    let say = async || seq(&here.write(&bob, "to bob").await);
    say().await;
    let conversation = ann.direct_with(&bob);
    let spans = collector.live(&conversation, say, |spans| spans.len() >= 5);
    assert_is_one_trace(&spans.await);
}

#[tokio::test]
async fn a_client_s_own_trace_is_linked_and_decides_nothing() {
    let collector = Collector::start().await;
    let cluster = traced_cluster(&collector, 1).await;
    let gateway = cluster.gateway(0);
    let ann = Person::register(gateway, "ann").await;
    let room = ann.room(gateway, &[]).await;
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    // Traced whether the client samples it or not; a broken header is nobody's trace.
    for (flags, is_linked) in [("-01", true), ("-00", true), ("", false)] {
        let header = format!("00-{trace}-{parent}{flags}");
        let seq = said_as_part_of(&ann, gateway, &room, &header).await;
        let spans = collector.spans_of(&room, seq, 3).await;
        let receive = only(&spans, "message receive");
        let links = receive.links.iter();
        let links: Vec<_> = links.map(|(trace, span)| (hex(trace), hex(span))).collect();
        let expected = is_linked.then(|| (trace.to_owned(), parent.to_owned()));
        assert_eq!(links, Vec::from_iter(expected), "{spans:#?}");
        assert!(receive.parent.is_empty() && hex(&receive.trace) != trace);
    }
}

/// Says something over REST as part of a trace of the client's; its seq.
async fn said_as_part_of(ann: &Person, gateway: &Gateway, room: &str, parent: &str) -> u64 {
    let request = ann.http.post(gateway.url("/group")).bearer_auth(&ann.token);
    let body = json!({"roomId": room, "content": "part of it"});
    let answer = request.header("traceparent", parent).json(&body).send();
    let message: Value = answer.await.unwrap().json().await.unwrap();
    seq(&message)
}

#[tokio::test]
async fn no_client_makes_a_sampler_take_what_it_does_not() {
    let collector = Collector::start().await;
    let url = collector.url();
    let mut gateway = Gateway::embedded_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
    ])
    .await;
    let ann = Person::register(&gateway, "ann").await;
    let room = ann.room(&gateway, &[]).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    said_as_part_of(&ann, &gateway, &room, parent).await;
    // At its end it would export what there is.
    gateway.terminate();
    assert_eq!(gateway.ended().await, Some(0));
    assert_eq!(collector.requests(), 0);
}

#[tokio::test]
async fn a_retry_is_traced_as_one() {
    let collector = Collector::start().await;
    let cluster = traced_cluster(&collector, 1).await;
    let gateway = cluster.gateway(0);
    let ann = Person::register(gateway, "ann").await;
    let room = ann.room(gateway, &[]).await;
    let body = json!({"roomId": room, "content": "once", "clientMessageId": "c1"});
    for _ in 0..2 {
        ann.post(gateway, "/group", body.clone()).await.expect(201);
    }
    let spans = collector.spans_of(&room, FIRST, 6).await;
    let stores = named(&spans, "message store");
    let before = |span: &&&Exported| span.get("hobnob.stored.before") == "true";
    assert_eq!(
        (stores.len(), stores.iter().filter(before).count()),
        (2, 1),
        "{spans:#?}"
    );
}

/// Says something over a gateway and stops it, which would export what it has.
async fn said_and_stopped(settings: &[(&str, &str)]) -> String {
    let mut gateway = Gateway::embedded_with(settings).await;
    let ann = Person::register(&gateway, "ann").await;
    let room = ann.room(&gateway, &[]).await;
    let client = Ws::join(&gateway, &ann).await;
    ann.say(&gateway, &room, "untraced").await;
    client.hears("untraced").await;
    let metrics = gateway.metrics().await;
    client.close().await;
    gateway.terminate();
    assert_eq!(gateway.ended().await, Some(0));
    metrics
}

#[tokio::test]
async fn nothing_is_exported_unless_it_is_asked_for() {
    let collector = Collector::start().await;
    let url = collector.url();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str());
    for settings in [
        &[][..],
        &[endpoint, ("OTEL_SDK_DISABLED", "true")],
        &[endpoint, ("OTEL_TRACES_SAMPLER", "always_off")],
    ] {
        let metrics = said_and_stopped(settings).await;
        for name in ["exported", "dropped"] {
            let series = format!("hobnob_spans_{name}_total 0");
            assert!(metrics.lines().any(|line| line == series), "{metrics}");
        }
        assert_eq!(collector.requests(), 0, "{settings:?}");
    }
    // The same, asked for: what is waiting is exported at the end. Within a second, which a busy machine may not have.
    let mut left = 10;
    while collector.requests() == 0 {
        assert!(left > 0, "nothing was exported");
        left -= 1;
        said_and_stopped(&[endpoint, ("OTEL_BSP_SCHEDULE_DELAY", "600000")]).await;
    }
}
