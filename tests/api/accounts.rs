//! Registering, logging in and out, and tokens.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::server::{PASSWORD, SIXTEEN_MINUTES, Server, text};

#[tokio::test]
async fn who_registers_is_logged_in() {
    let server = Server::start().await;
    let typed = json!({"username": "Ann", "password": PASSWORD});
    let answer = server.post("/register", typed).await.expect(201);
    assert_eq!(answer["username"], "Ann");
    assert_eq!(answer["expiresIn"], 900);
    let token = answer["token"].as_str();
    let me = server.call(Method::GET, "/me", token, None).await;
    let me = me.expect(200);
    assert_eq!(me["userId"], answer["userId"]);
    assert_eq!(me["username"], "Ann");
    assert_eq!(me["lastSeenAt"], json!(null));
    assert!(me.get("password").is_none() && !me.to_string().contains("argon2"));
}

#[tokio::test]
async fn a_name_is_taken_in_every_case_of_letters() {
    let server = Server::start().await;
    server.person("Ann").await;
    let typed = json!({"username": "aNN", "password": PASSWORD});
    let again = server.post("/register", typed).await;
    again.refused(409, "username_taken");
}

#[tokio::test]
async fn names_and_passwords_outside_their_limits_are_refused() {
    let server = Server::start().await;
    for (username, password, code) in [
        ("", PASSWORD, "invalid_username"),
        (" ann", PASSWORD, "invalid_username"),
        (&*"x".repeat(65), PASSWORD, "invalid_username"),
        ("ann", "short", "invalid_password"),
        ("ann", &*"x".repeat(257), "invalid_password"),
    ] {
        let typed = json!({"username": username, "password": password});
        server.post("/register", typed).await.refused(400, code);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let login = |username: &str, password: &str| {
        let typed = json!({"username": username, "password": password});
        server.post("/login", typed)
    };
    let right = login("ANN", PASSWORD).await.expect(200);
    assert_eq!(right["userId"], ann.id.as_str());
    let wrong = login("ann", "wrong horse").await;
    let unknown = login("bob", PASSWORD).await;
    let impossible = login("bob", "x").await;
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    assert_eq!(wrong.text, unknown.text);
    assert_eq!(wrong.text, impossible.text);
    wrong.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn a_refresh_token_is_good_for_one_refresh() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let refresh = |token: String| server.post("/refresh", json!({"refreshToken": token}));
    let renewed = refresh(ann.refresh_token.clone()).await.expect(200);
    assert_eq!(renewed["userId"], ann.id.as_str());
    assert_ne!(renewed["token"], ann.token.as_str());
    let again = refresh(ann.refresh_token.clone()).await.expect(200);
    assert_eq!(again["refreshToken"], renewed["refreshToken"]);
    let nonsense = refresh("nonsense".to_owned()).await;
    nonsense.refused(401, "token_invalid");
    refresh(text(&renewed["refreshToken"])).await.expect(200);
}

#[tokio::test]
async fn a_refresh_token_used_again_later_ends_all_that_came_of_its_log_in() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let refresh = |token: String| server.post("/refresh", json!({"refreshToken": token}));
    let renewed = refresh(ann.refresh_token.clone()).await.expect(200);
    server.clock.advance(Duration::from_secs(61));
    for ended in [ann.refresh_token.clone(), text(&renewed["refreshToken"])] {
        refresh(ended).await.refused(401, "token_invalid");
    }
    refresh(bob.refresh_token.clone()).await.expect(200);
}

#[tokio::test]
async fn a_refresh_token_ends_by_time_and_by_logging_out() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let token = json!({"refreshToken": ann.refresh_token});
    ann.post("/logout", token.clone()).await.expect(204);
    ann.post("/logout", token.clone()).await.expect(204);
    let ended = server.post("/refresh", token).await;
    ended.refused(401, "token_invalid");

    server.clock.advance(Duration::from_secs(31 * 24 * 3600));
    let token = json!({"refreshToken": bob.refresh_token});
    let expired = server.post("/refresh", token).await;
    expired.refused(401, "token_expired");
}

/// Whoever comes back later logs out, and an answer that says so is true.
#[tokio::test]
async fn logging_out_needs_no_access_token_that_is_still_valid() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    server.clock.advance(SIXTEEN_MINUTES);
    ann.get("/me").await.refused(401, "token_expired");
    let of_ann = json!({"refreshToken": ann.refresh_token});
    ann.post("/logout", of_ann.clone()).await.expect(204);
    let of_bob = json!({"refreshToken": bob.refresh_token});
    server.post("/logout", of_bob.clone()).await.expect(204);
    for ended in [of_ann, of_bob] {
        let again = server.post("/refresh", ended).await;
        again.refused(401, "token_invalid");
    }
}

#[tokio::test]
async fn a_request_needs_a_valid_token() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let me = |token| server.call(Method::GET, "/me", token, None);
    let missing = me(None).await;
    assert_eq!(missing.header("www-authenticate"), "Bearer");
    missing.refused(401, "token_missing");
    me(Some("nonsense")).await.refused(401, "token_invalid");
    let forged = format!("{}x", ann.token);
    me(Some(&forged)).await.refused(401, "token_invalid");

    server.clock.advance(SIXTEEN_MINUTES);
    let expired = me(Some(&ann.token)).await;
    let challenge = expired.header("www-authenticate");
    assert_eq!(challenge, r#"Bearer error="invalid_token""#);
    expired.refused(401, "token_expired");
}
