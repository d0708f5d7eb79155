//! Through the proxies that are shipped, by clients that keep no cookies: each stays on its gateway, whatever its transport.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{TRANSPORTS, private, register};
use crate::support::gateway::Cluster;
use crate::support::node::Node;
use crate::support::servers::Proxy;

const CLIENTS: usize = 20;
/// How many connections one address may have, where that is tried.
const SHARE: u32 = 50;

/// One client's life on one connection: lost once, it would not come back.
async fn live(node: &Arc<Node>, url: &str, user: &Value, transports: &[&str]) {
    let options = json!({
        "auth": { "token": user["token"] }, "transports": transports, "reconnection": false,
    });
    let client = node.client(url, options).await;
    client.wait_connected().await.expect("a connection");
    client.granted("join", json!([])).await;
    if transports.len() == 2 {
        assert_eq!(client.wait_transport("upgrade").await, "websocket");
    }
    for number in 0..5 {
        let message = private(user, &format!("{transports:?} {number}"));
        client.granted("send_message", message).await;
    }
    client.disconnect().await;
}

async fn all_connect_in_every_mode(cluster: &Cluster, url: &str) {
    let users = (0..CLIENTS).map(|number| {
        let name = format!("user{number}");
        async move { register(cluster.gateway(0), &name).await }
    });
    let users = join_all(users).await;
    let node = Node::start().await;
    for transports in TRANSPORTS {
        join_all(users.iter().map(|user| live(&node, url, user, transports))).await;
    }
}

async fn handshake(http: &reqwest::Client, url: &str, path: &str) -> String {
    let url = format!("{url}{path}?EIO=4&transport=polling&t=Nx1");
    let answer = http.get(url).send().await.expect("an answer");
    let body = answer.text().await.expect("a body");
    let open: Value = serde_json::from_str(&body[1..]).expect("a handshake");
    open["sid"].as_str().expect("a session's id").to_owned()
}

async fn post(http: &reqwest::Client, url: &str, path: &str, sid: &str) -> u16 {
    let url = format!("{url}{path}?EIO=4&transport=polling&sid={sid}");
    let answer = http.post(url).body("40").send().await;
    answer.expect("an answer").status().as_u16()
}

/// Sessions are on several gateways, each on one alone, and found there on both paths. Each request has a connection of
/// its own, so that none is kept on its gateway by that.
async fn a_session_is_found_by_its_id(cluster: &Cluster, url: &str) {
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build();
    let http = http.expect("a client");
    let mut gateways = BTreeSet::new();
    for path in ["/socket.io/", "/socket.io"] {
        for _ in 0..6 {
            let sid = handshake(&http, url, path).await;
            let name = sid.split('.').next().expect("a prefix").to_owned();
            let elsewhere = (0..3).find(|number| name != format!("gateway{}", number + 1));
            let elsewhere = cluster.gateway(elsewhere.expect("another gateway"));
            // The control: no other gateway knows it.
            assert_eq!(post(&http, &elsewhere.url(""), path, &sid).await, 400);
            assert_eq!(post(&http, url, path, &sid).await, 200, "{path} {sid}");
            gateways.insert(name);
        }
    }
    assert!(gateways.len() > 1, "{gateways:?}");
}

/// A WebSocket from one of this machine's addresses: the stream when it was opened, none when it was refused.
async fn websocket(proxy: &Proxy, from: [u8; 4]) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("a local address");
    let to = ([127, 0, 0, 1], proxy.port()).into();
    let mut stream = socket.connect(to).await.ok()?;
    let request = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.ok()?;
    match &status {
        b"HTTP/1.1 101" => Some(stream),
        b"HTTP/1.1 429" => None,
        other => panic!("{}", String::from_utf8_lossy(other)),
    }
}

/// One address gets its share of the proxy's connections and no more; the gateways believe the proxy and count none.
async fn an_address_has_its_share(proxy: &Proxy) {
    let (greedy, neighbour) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    let mut held = Vec::new();
    for number in 0..SHARE {
        let stream = websocket(proxy, greedy).await;
        held.push(stream.unwrap_or_else(|| panic!("number {number} was refused")));
    }
    for _ in 0..SHARE {
        assert!(websocket(proxy, greedy).await.is_none(), "beyond its share");
    }
    assert!(websocket(proxy, neighbour).await.is_some());
}

#[tokio::test]
async fn behind_haproxy_an_address_has_its_share_of_connections() {
    let cluster = Cluster::start(3).await;
    an_address_has_its_share(&Proxy::haproxy_sharing(&cluster.gateways, SHARE).await).await;
}

#[tokio::test]
async fn behind_nginx_an_address_has_its_share_of_connections() {
    let cluster = Cluster::start(3).await;
    an_address_has_its_share(&Proxy::nginx_sharing(&cluster.gateways, SHARE).await).await;
}

#[tokio::test]
async fn behind_haproxy_every_client_stays_on_its_gateway() {
    let cluster = Cluster::start(3).await;
    let proxy = Proxy::haproxy(&cluster.gateways).await;
    a_session_is_found_by_its_id(&cluster, &proxy.url("")).await;
    all_connect_in_every_mode(&cluster, &proxy.url("")).await;
}

#[tokio::test]
async fn behind_nginx_every_client_stays_on_its_gateway() {
    let cluster = Cluster::start(3).await;
    let proxy = Proxy::nginx(&cluster.gateways).await;
    a_session_is_found_by_its_id(&cluster, &proxy.url("")).await;
    all_connect_in_every_mode(&cluster, &proxy.url("")).await;
}
