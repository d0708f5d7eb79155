//! Finding people and asking whether they are there.

use hobnob::api::ApiConfig;
use hobnob::chat::{Directory, Limits, Rates, UserSearch};
use hobnob::domain::{Clock, Timestamp};
use hobnob::presence::Presence;
use hobnob::throttle::Rate;
use serde_json::json;
use tokio::time::Instant;

use super::server::{Mood, Person, Server, each};

#[tokio::test]
async fn people_are_found_by_the_beginning_of_their_name_in_any_case() {
    let server = Server::start().await;
    let ann = server.person("Ann").await;
    for name in ["anna", "ANDREW", "bob"] {
        server.person(name).await;
    }
    let search = async |query: &str| {
        let found = ann.get(&format!("/users?query={query}")).await.expect(200);
        each(&found, "username")
    };
    assert_eq!(search("aN").await, ["ANDREW", "Ann", "anna"]);
    assert_eq!(search("ann").await, ["Ann", "anna"]);
    assert_eq!(search("nn").await, Vec::<String>::new());
    assert_eq!(search("%25").await, Vec::<String>::new());
    assert_eq!(search("_").await, Vec::<String>::new());
    assert_eq!(search("an&limit=1").await, ["ANDREW"]);
    for nothing in ["/users?query=", "/users?query=%20"] {
        ann.get(nothing).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_profile_tells_whether_somebody_is_there_when_that_is_known() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let path = format!("/users/{}", bob.id);
    assert_eq!(ann.get(&path).await.expect(200)["online"], false);
    let _ = server.presence.enter(bob.user()).await.unwrap();
    assert_eq!(ann.get(&path).await.expect(200)["online"], true);
    *server.presence.mood.lock() = Mood::Away;
    let profile = ann.get(&path).await.expect(200);
    assert!(profile.get("online").is_none());
    assert_eq!(profile["username"], "bob");
    let nobody = format!("/users/{}", "0".repeat(24));
    ann.get(&nobody).await.refused(404, "user_not_found");
}

#[tokio::test]
async fn presence_is_told_of_many_users_at_once() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let nobody = "0".repeat(24);
    let _ = server.presence.enter(ann.user()).await.unwrap();
    let seen: Timestamp = server.clock.now();
    let touched = server.store.touch_last_seen(&[bob.user()], seen).await;
    touched.unwrap();
    let path = format!("/presence?ids={},{},{nobody}", ann.id, bob.id);
    let hidden = ann.get(&path).await.expect(200);
    let offline = json!({"online": false, "lastSeenAt": null});
    assert_eq!(hidden[&bob.id], offline);
    ann.room("ours", &[&bob]).await;
    let mut expected = json!({});
    expected[&ann.id] = json!({"online": true, "lastSeenAt": null});
    expected[&bob.id] = json!({"online": false, "lastSeenAt": seen.to_rfc3339()});
    assert_eq!(ann.get(&path).await.expect(200), expected);
    assert_eq!(ann.get("/presence?ids=").await.expect(200), json!({}));
}

#[tokio::test]
async fn when_somebody_was_last_seen_is_told_to_who_shares_a_conversation_only() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let cid = server.person("cid").await;
    let seen: Timestamp = server.clock.now();
    let everybody = [ann.user(), bob.user(), cid.user()];
    let touched = server.store.touch_last_seen(&everybody, seen).await;
    touched.unwrap();
    let room = ann.room("ours", &[&bob]).await;
    let opened = server.chat.open_direct(ann.user(), cid.user()).await;
    opened.unwrap();
    let shown = async |reader: &Person<'_>, of: &Person<'_>| {
        let profile = reader.get(&format!("/users/{}", of.id)).await.expect(200);
        let query = format!("/users?query={}", profile["username"].as_str().unwrap());
        let found = reader.get(&query).await.expect(200);
        let query = format!("/presence?ids={}", of.id);
        let presence = reader.get(&query).await.expect(200);
        let all =
            [&profile, &found[0], &presence[&of.id]].map(|shape| shape["lastSeenAt"].is_string());
        assert!(
            all.iter().all(|one| *one == all[0]),
            "{profile} {found} {presence}"
        );
        all[0]
    };
    for (reader, of, is_shown) in [
        (&ann, &bob, true),
        (&bob, &ann, true),
        (&ann, &cid, true),
        (&cid, &ann, true),
        (&bob, &cid, false),
        (&cid, &bob, false),
        (&bob, &bob, true),
    ] {
        assert_eq!(shown(reader, of).await, is_shown);
    }
    let member = format!("/rooms/{room}/members/{}", bob.id);
    bob.delete(&member).await.expect(204);
    assert!(!shown(&ann, &bob).await);
}

#[tokio::test]
async fn a_search_shows_little_at_a_time_and_not_often_and_may_be_off() {
    let with = async |search, rate| {
        let directory = Directory {
            search,
            ..Directory::default()
        };
        let rates = Rates {
            search: Rate::per_second(rate),
            ..Rates::default()
        };
        let limits = Limits {
            directory,
            rates,
            ..Limits::default()
        };
        Server::with(ApiConfig::default(), limits).await
    };
    let server = with(UserSearch::Prefix, 1).await;
    let ann = server.person("ann").await;
    for number in 0..25 {
        server.person(&format!("bob {number}")).await;
    }
    let begun = Instant::now();
    let found = ann.get("/users?query=b&limit=200").await.expect(200);
    assert_eq!(found.as_array().unwrap().len(), 20);
    let mut granted = 1;
    let refused = loop {
        let answer = ann.get("/users?query=b").await;
        if answer.status != 200 {
            break answer.expect(429);
        }
        granted += 1;
    };
    // Five at once, and what has come back meanwhile.
    let most = 5 + begun.elapsed().as_secs() + 1;
    assert!((5..=most).contains(&granted), "{granted} of {most}");
    assert_eq!(refused["error"]["code"], "rate_limited");

    let server = with(UserSearch::Exact, 0).await;
    let ann = server.person("Ann").await;
    let found = ann.get("/users?query=aNN").await.expect(200);
    assert_eq!(each(&found, "username"), ["Ann"]);
    assert_eq!(ann.get("/users?query=an").await.expect(200), json!([]));

    let server = with(UserSearch::Off, 0).await;
    let ann = server.person("ann").await;
    let search = ann.get("/users?query=ann").await;
    search.refused(403, "search_disabled");
}

#[tokio::test]
async fn presence_has_a_limit_and_may_be_away() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let many = vec![ann.id.as_str(); 101].join(",");
    let asked = ann.get(&format!("/presence?ids={many}")).await;
    asked.refused(400, "limit_exceeded");
    *server.presence.mood.lock() = Mood::Away;
    let away = ann.get(&format!("/presence?ids={}", ann.id)).await;
    assert_eq!(away.header("retry-after"), "1");
    away.refused(503, "unavailable");
}
