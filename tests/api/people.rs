//! Finding people and asking whether they are there.

use hobnob::domain::{Clock, Timestamp};
use hobnob::presence::Presence;
use serde_json::json;

use super::server::{Mood, Server, each};

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
    ann.get("/users?query=")
        .await
        .refused(400, "invalid_request");
    ann.get("/users?query=%20")
        .await
        .refused(400, "invalid_request");
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
    ann.get(&format!("/users/{}", "0".repeat(24)))
        .await
        .refused(404, "user_not_found");
}

#[tokio::test]
async fn presence_is_told_of_many_users_at_once() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let nobody = "0".repeat(24);
    let _ = server.presence.enter(ann.user()).await.unwrap();
    let seen: Timestamp = server.clock.now();
    server
        .store
        .touch_last_seen(&[bob.user()], seen)
        .await
        .unwrap();
    let path = format!("/presence?ids={},{},{nobody}", ann.id, bob.id);
    let mut expected = json!({});
    expected[&ann.id] = json!({"online": true, "lastSeenAt": null});
    expected[&bob.id] = json!({"online": false, "lastSeenAt": seen.to_rfc3339()});
    assert_eq!(ann.get(&path).await.expect(200), expected);
    assert_eq!(ann.get("/presence?ids=").await.expect(200), json!({}));
}

#[tokio::test]
async fn presence_has_a_limit_and_may_be_away() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let many = vec![ann.id.as_str(); 101].join(",");
    ann.get(&format!("/presence?ids={many}"))
        .await
        .refused(400, "limit_exceeded");
    *server.presence.mood.lock() = Mood::Away;
    let away = ann.get(&format!("/presence?ids={}", ann.id)).await;
    assert_eq!(away.header("retry-after"), "1");
    away.refused(503, "unavailable");
}
