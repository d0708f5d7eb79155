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
    gateway.ready().await;
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

/// Everything else of `[limits]`, and the log's filter.
fn limited(room_members: u32, watched: u32, session_rate: u32, log: &str) -> String {
    let limits = format!(
        "room_member_limit = {room_members}\nwatch_limit = {watched}\nsession_rate = {session_rate}"
    );
    format!(
        "{}{limits}\n[logging]\nlog = \"{log}\"\n",
        configuration(100, &[OLD])
    )
}

#[tokio::test]
async fn sighup_changes_every_limit_and_what_is_logged() {
    let (_program, path, mut gateway) = started(&limited(3, 2, 1000, "info")).await;
    let people = [
        register(&gateway, "anna").await,
        register(&gateway, "ben").await,
        register(&gateway, "carl").await,
    ];
    let ids: Vec<&str> = people
        .iter()
        .map(|one| one["userId"].as_str().unwrap())
        .collect();
    let token = people[0]["token"].as_str().unwrap();
    let public = gateway.public.clone();
    let made = async || {
        let body = json!({"name": "room", "members": ids});
        post(&public, "/room", token, body).await.0.as_u16()
    };
    let client = Ws::open(public.rsplit_once(':').unwrap().1.parse().unwrap()).await;
    client
        .request(json!({"type": "hello", "token": token}))
        .await;
    let watched = async |ids: &[&str]| {
        let answer = client.ask("watch_presence", json!({"userIds": ids})).await;
        answer["error"]["code"].as_str().unwrap_or("ok").to_owned()
    };
    assert_eq!(
        (made().await, watched(&ids).await.as_str()),
        (201, "limit_exceeded")
    );

    let record = reload(&mut gateway, &path, &limited(2, 3, 1000, "debug"), TAKEN).await;
    assert_eq!(
        (&record["changed"], &record["needs_restart"]),
        (&json!(true), &json!(false))
    );
    assert_eq!((made().await, watched(&ids).await.as_str()), (400, "ok"));
    // At the level debug only.
    gateway.record("answered").await;

    reload(&mut gateway, &path, &limited(3, 3, 1, "info"), TAKEN).await;
    assert_eq!(made().await, 201);
    let mut refused = false;
    for _ in 0..50 {
        refused |= watched(&[]).await == "rate_limited";
    }
    assert!(refused);
    gateway.signal("TERM").await;
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn sign_ins_are_counted_by_the_address_that_a_trusted_proxy_names() {
    let trusting = |proxies: &str| {
        let server = format!("[server]\ntrusted_proxies = [{proxies}]\n");
        let rest = configuration(100, &[OLD]).replacen("[server]\n", &server, 1);
        format!("{rest}sign_in_rate = 1\n")
    };
    let (_program, _path, gateway) = started(&trusting("\"127.0.0.0/8\"")).await;
    let same = |_| "192.0.2.1".to_owned();
    assert!(is_limited(&gateway, same).await);
    // Others' log-ins are not refused for that; nor does it help to claim other addresses before one's own.
    let others = |number| format!("198.51.100.{number}");
    assert!(!is_limited(&gateway, others).await);
    let claimed = |number| format!("203.0.113.{number}, 192.0.2.1");
    assert!(is_limited(&gateway, claimed).await);
    let (_program, _path, distrusting) = started(&trusting("")).await;
    assert!(is_limited(&distrusting, others).await);
}

/// Whether log-ins are refused that come all at once, five times as many as are granted so, through a proxy that names
/// these addresses.
async fn is_limited(gateway: &Gateway, address: impl Fn(u32) -> String) -> bool {
    let http = reqwest::Client::new();
    let log_in = |number| {
        let request = http.post(format!("http://{}/login", gateway.public));
        let body = json!({"username": "nobody", "password": "correct horse"});
        let request = request.header("x-forwarded-for", address(number));
        request.json(&body).send()
    };
    let answers = futures_util::future::join_all((0..25).map(log_in)).await;
    let mut statuses = answers.into_iter().map(|answer| answer.unwrap().status());
    statuses.any(|status| status == 429)
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
    // Removed, it stays in force until there is a restart to make one.
    let without = configuration(100, &[]).replace("jwt_secret = []\n", "");
    let record = reload(&mut gateway, &path, &without, TAKEN).await;
    assert_eq!(
        (&record["changed"], &record["needs_restart"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(me(&new).await, 200);
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
