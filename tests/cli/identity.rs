//! Whom a log line is about: every one that is written while a request or a session is served says so, whatever the
//! filter.

use serde_json::{Value, json};

use crate::support::gateway::{Cluster, Gateway};
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// The log's records with this message.
fn records(gateway: &Gateway, message: &str) -> Vec<Value> {
    let log = gateway.output();
    let lines = log.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str::<Value>(line).expect("a log line is JSON"))
        .filter(|record| record["message"] == message)
        .collect()
}

/// The ids of this kind on the records with this message; each must name the gateway.
fn ids(gateway: &Gateway, message: &str, field: &str) -> Vec<String> {
    let all = records(gateway, message);
    let of_gateways: Vec<_> = all.iter().map(|record| &record["gateway_id"]).collect();
    assert!(of_gateways.iter().all(|id| id.is_string()), "{all:?}");
    let ids = all.iter().filter_map(|record| record[field].as_str());
    ids.map(str::to_owned).collect()
}

/// The ids of the open sessions.
async fn sessions(gateway: &Gateway) -> Vec<String> {
    let list = reqwest::Client::new().get(gateway.admin_url("/admin/connections"));
    let list = list.bearer_auth(TOKEN).send().await.unwrap();
    let list: Value = list.json().await.unwrap();
    let sessions = list["sessions"].as_array().expect("a list");
    sessions
        .iter()
        .map(|session| session["sessionId"].as_str().unwrap().to_owned())
        .collect()
}

const TOKEN: &str = "the-admin-token-of-these-tests-00";

#[tokio::test]
async fn lines_name_the_request_or_the_session_they_are_about() {
    let settings = [
        ("HOBNOB_LOG", "warn"),
        ("HOBNOB_LOG_FORMAT", "json"),
        ("HOBNOB_ADMIN_TOKEN", TOKEN),
    ];
    let cluster = Cluster::start_with(1, &settings).await;
    let (gateway, node) = (cluster.gateway(0), Node::start().await);
    let ann = Person::register(gateway, "ann").await;
    let plain = Ws::join(gateway, &ann).await;
    let mut official = Vec::new();
    for transport in ["websocket", "polling"] {
        official.push(node.open_by(gateway, &ann, &[transport]).await);
    }
    let mut open = sessions(gateway).await;
    assert_eq!(open.len(), 3);
    cluster.cut_from_redis(0);

    // A quotation mark in an id must not end the line's text.
    let id = "of-\"this\"-test";
    let path = gateway.url(&format!("/presence?ids={}", ann.id));
    let request = ann.http.get(path).bearer_auth(&ann.token);
    let answer = request.header("x-request-id", id).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["x-request-id"], id);
    assert_eq!(ids(gateway, "presence unavailable", "request_id"), [id]);

    let me = json!({"userIds": [ann.id]});
    let watched = plain.ask("watch_presence", me).await;
    assert_eq!(watched["error"]["code"], "unavailable", "{watched}");
    for client in &official {
        let me = json!([[ann.id]]);
        let watched = client.emit_with_ack("watch_presence", me).await;
        assert_eq!(watched["error"]["code"], "unavailable", "{watched}");
    }
    let mut named = ids(gateway, "presence not asked", "session_id");
    open.sort();
    named.sort();
    assert_eq!(named, open);
}

#[tokio::test]
async fn every_path_answers_with_the_id_of_the_request() {
    let gateway = crate::support::gateway::shared_embedded().await;
    for path in [
        "/",
        "/ws",
        "/socket.io/?EIO=4&transport=polling",
        "/nothing",
    ] {
        let answer = reqwest::get(gateway.url(path)).await.unwrap();
        let id = answer.headers().get("x-request-id");
        assert_eq!(id.map(|id| id.len()), Some(16), "{path}");
    }
}
