//! What operators do to a running gateway: new settings by SIGHUP, and the requests behind the admin token.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::program::{Gateway, Program};
use crate::support::ws::Ws;

const TOKEN: &str = "the-admin-token-of-these-tests-00";
const OLD: &str = "the-old-secret-of-these-tests-000";
const NEW: &str = "the-new-secret-of-these-tests-000";

fn configuration(content_limit: u32, secrets: &[&str]) -> String {
    format!(
        "[server]\nadmin_token = \"{TOKEN}\"\n[auth]\njwt_secret = {secrets:?}\n[limits]\ncontent_limit = {content_limit}\n"
    )
}

async fn started(text: &str) -> (Program, String, Gateway) {
    let program = Program::new();
    let path = program.file("hobnob.toml", text);
    let program = program.with("HOBNOB_CONFIG", &path);
    let gateway = program.serve().await;
    while reqwest::get(format!("http://{}/readyz", gateway.admin))
        .await
        .unwrap()
        .status()
        != 200
    {
        tokio::task::yield_now().await;
    }
    (program, path, gateway)
}

async fn post(address: &str, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
    let request = reqwest::Client::new().post(format!("http://{address}{path}"));
    let answer = request.bearer_auth(token).json(&body).send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

/// Registers somebody; their answer.
async fn register(gateway: &Gateway, name: &str) -> Value {
    let body = json!({"username": name, "password": "correct horse"});
    let (status, person) = post(&gateway.public, "/register", "", body).await;
    assert_eq!(status, 201, "{person}");
    person
}

async fn room(gateway: &Gateway, token: &str) -> String {
    let body = json!({"name": "room", "members": []});
    let (status, room) = post(&gateway.public, "/room", token, body).await;
    assert_eq!(status, 201, "{room}");
    room["_id"].as_str().unwrap().to_owned()
}

async fn reload(gateway: &mut Gateway, path: &str, text: &str, says: &str) -> Value {
    std::fs::write(path, text).unwrap();
    gateway.signal("HUP").await;
    gateway.record(says).await
}

const TAKEN: &str = "the configuration was read again";
const REFUSED: &str = "the new configuration is refused, the old one stays";

#[tokio::test]
async fn sighup_changes_limits_and_refuses_what_is_invalid() {
    let (_program, path, mut gateway) = started(&configuration(100, &[OLD])).await;
    let anna = register(&gateway, "anna").await;
    let token = anna["token"].as_str().unwrap().to_owned();
    let room = room(&gateway, &token).await;
    let public = gateway.public.clone();
    let say = async |length: usize| {
        let body = json!({"roomId": room, "content": "x".repeat(length)});
        post(&public, "/group", &token, body).await
    };
    assert_eq!(say(50).await.0, 201);
    let record = reload(&mut gateway, &path, &configuration(10, &[OLD]), TAKEN).await;
    assert_eq!(
        (&record["changed"], &record["needs_restart"]),
        (&json!(true), &json!(false))
    );
    assert!(record["gateway_id"].is_string(), "{record}");
    let (status, refusal) = say(50).await;
    assert_eq!(
        (status.as_u16(), &refusal["error"]["code"]),
        (400, &json!("content_too_long"))
    );
    let invalid = [
        configuration(0, &[OLD]),
        "nonsense".to_owned(),
        configuration(20, &["short"]),
        configuration(101, &[OLD]),
    ];
    for bad in &invalid {
        reload(&mut gateway, &path, bad, REFUSED).await;
        assert_eq!(
            (say(11).await.0.as_u16(), say(10).await.0.as_u16()),
            (400, 201),
            "{bad}"
        );
    }
    gateway.signal("TERM").await;
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn sighup_rotates_the_keys_of_tokens() {
    let (_program, path, mut gateway) = started(&configuration(100, &[OLD])).await;
    let anna = register(&gateway, "anna").await;
    let old = anna["token"].as_str().unwrap().to_owned();
    let public = gateway.public.clone();
    let me = async |token: &str| {
        let request = reqwest::Client::new().get(format!("http://{public}/me"));
        request
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    reload(&mut gateway, &path, &configuration(100, &[NEW, OLD]), TAKEN).await;
    let new = register(&gateway, "ben").await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!((me(&old).await, me(&new).await), (200, 200));
    reload(&mut gateway, &path, &configuration(100, &[NEW]), TAKEN).await;
    assert_eq!((me(&old).await, me(&new).await), (401, 200));
    gateway.signal("TERM").await;
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn operators_list_and_end_sessions_and_drain() {
    let (_program, _path, gateway) = started(&configuration(100, &[OLD])).await;
    let anna = register(&gateway, "anna").await;
    let port = gateway.public.rsplit_once(':').unwrap().1.parse().unwrap();
    let client = Ws::open(port).await;
    let hello = client
        .request(json!({"type": "hello", "token": anna["token"]}))
        .await;
    assert_eq!(hello["type"], "hello", "{hello}");
    let list = reqwest::Client::new().get(format!("http://{}/admin/connections", gateway.admin));
    let list: Value = list
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let session = &list["sessions"][0];
    assert_eq!(
        (&list["total"], &session["userId"]),
        (&json!(1), &anna["userId"]),
        "{list}"
    );
    assert_eq!(
        (&session["protocol"], &session["joined"]),
        (&json!("websocket"), &json!(true))
    );
    let whom = json!({"sessionId": session["sessionId"]});
    let (status, ended) = post(&gateway.admin, "/admin/disconnect", TOKEN, whom).await;
    assert_eq!((status.as_u16(), ended), (200, json!({"disconnected": 1})));
    assert_eq!(client.closed().await.0, 1013);
    assert_eq!(
        post(&gateway.admin, "/admin/drain", "another", json!({}))
            .await
            .0,
        401
    );
    assert_eq!(
        post(&gateway.admin, "/admin/drain", TOKEN, json!({}))
            .await
            .0,
        202
    );
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn the_admin_token_is_never_printed() {
    let program = Program::new();
    let outcome = program.run(&["check-config", "--admin-token", TOKEN]).await;
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("admin_token") && !outcome.stdout.contains(TOKEN),
        "{}",
        outcome.stdout
    );
    let short = program
        .run(&["check-config", "--admin-token", "hunter2"])
        .await;
    assert!(
        short.status == Some(2) && !short.stderr.contains("hunter2"),
        "{}",
        short.stderr
    );
}
