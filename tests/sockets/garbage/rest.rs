//! Garbage over REST gets its status and its code.

use super::{LIMIT, Scene, short};
use crate::support::table::{filled, rows};

/// What is posted where, and the status and the code of the answer.
const POSTED: &str = r#"
/group    | 400 | content_empty       | {"roomId": "ROOM", "content": ""}
/group    | 400 | content_too_long    | {"roomId": "ROOM", "content": "LONG"}
/group    | 400 | invalid_request     | {"roomId": {"$ne": 1}, "content": "x"}
/group    | 400 | invalid_id          | {"roomId": "x", "content": "x"}
/group    | 400 | invalid_request     | {"roomId": "ROOM", "content": 7}
/group    | 413 | payload_too_large   | {"roomId": "ROOM", "content": "HUGE"}
/group    | 400 | invalid_request     | []
/room     | 400 | invalid_name        | {"name": "", "members": []}
/room     | 400 | invalid_request     | {"name": "x", "members": "me"}
/room     | 400 | invalid_request     | {"name": "x", "members": [{}]}
/room     | 400 | invalid_id          | {"name": "x", "members": ["x"]}
/room     | 404 | user_not_found      | {"name": "x", "members": ["ffffffffffffffffffffffff"]}
/register | 400 | invalid_username    | {"username": "", "password": "long enough"}
/register | 400 | invalid_request     | {"username": {"$gt": ""}, "password": "long enough"}
/register | 400 | invalid_password    | {"username": "somebody", "password": "short"}
/login    | 400 | invalid_request     | {"username": "ANN", "password": {"$ne": ""}}
/login    | 401 | invalid_credentials | {"username": "ANN", "password": "not this one"}
/login    | 401 | invalid_credentials | {"username": "nobody at all", "password": "not this one"}
/refresh  | 401 | token_invalid       | {"refreshToken": "x"}
/nowhere  | 404 | not_found           | {}
/me       | 405 | method_not_allowed  | {}
"#;

#[tokio::test]
async fn garbage_over_rest_gets_its_code() {
    let scene = Scene::new().await;
    let (gateway, ann) = (scene.gateway, &scene.ann);
    let (long, huge) = ("x".repeat(LIMIT + 1), "x".repeat(LIMIT * 10));
    let words = [
        ("ROOM", scene.room.as_str()),
        ("ANN", &ann.name),
        ("LONG", &long),
        ("HUGE", &huge),
    ];
    for [path, status, code, body] in rows(POSTED) {
        let body = filled(body, &words);
        let answer = ann.post(gateway, path, body.clone()).await;
        let refused = answer.refused(status.parse().unwrap());
        assert_eq!(refused, code, "{path} {}", short(&body));
    }
    let direct = format!("/message/{}/{}", ann.id, scene.bob.id);
    let cases = [
        (format!("{direct}?limit=many"), "invalid_request"),
        (format!("{direct}?before=-1"), "invalid_request"),
        (format!("/message/{}/x", ann.id), "invalid_id"),
        ("/room/%00".to_owned(), "invalid_id"),
        ("/presence?ids=x".to_owned(), "invalid_id"),
    ];
    for (path, code) in cases {
        assert_eq!(ann.get(gateway, &path).await.refused(400), code, "{path}");
    }
    scene.goes_on().await;
}
