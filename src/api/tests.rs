//! The documents tell what the code does: every route and every error.

use std::collections::BTreeMap;

use super::*;
use crate::domain::{InvalidText, Refusal};

/// Every refusal there is. The two functions below do not compile when a variant is added; this list follows them.
fn every_error() -> Vec<ApiError> {
    let texts = ["username", "name", "clientMessageId", "emoji", "content"];
    let (what, limit) = ("it", 1);
    let too_long = InvalidText::TooLong { limit, unit: what };
    let chat = [
        ChatError::InvalidRequest(String::new()),
        ChatError::InvalidId { field: "id" },
        ChatError::text("content", too_long),
        ChatError::InvalidPassword,
        ChatError::TokenMissing,
        ChatError::TokenInvalid,
        ChatError::TokenExpired,
        ChatError::InvalidCredentials,
        ChatError::UsernameTaken,
        ChatError::WrongUser { field: "senderId" },
        ChatError::UserNotFound,
        ChatError::ClientMessageIdReused,
        ChatError::LimitExceeded { what, limit },
        ChatError::SearchDisabled,
        ChatError::ResumeTooLarge { limit },
        ChatError::TooManyRooms { limit },
        ChatError::QuotaExceeded {
            what,
            retry_after: Duration::ZERO,
        },
        ChatError::UnknownEvent,
        ChatError::UpgradeRequired,
        ChatError::RateLimited {
            retry_after: Duration::ZERO,
        },
        ChatError::TooManySessions {
            whose: "user",
            limit,
        },
        ChatError::Busy,
        ChatError::Unavailable,
        ChatError::Internal,
    ];
    let edge = [
        ApiError::NotFound,
        ApiError::MethodNotAllowed,
        ApiError::PayloadTooLarge,
        ApiError::UnsupportedMediaType,
        ApiError::RequestTimeout,
        ApiError::HeadTooLarge,
        ApiError::InvalidHost,
        ApiError::WrongHost,
    ];
    let texts = texts.map(|field| ChatError::text(field, InvalidText::Empty));
    let chat = chat.into_iter().chain(texts);
    let chat = chat.chain(Refusal::ALL.map(ChatError::Refused));
    chat.map(ApiError::Chat).chain(edge).collect()
}

/// The number of a variant, and with [`VARIANTS`] the proof that [`every_error`] has all of them.
const fn variant(error: &ApiError) -> usize {
    match error {
        ApiError::NotFound => 0,
        ApiError::MethodNotAllowed => 1,
        ApiError::PayloadTooLarge => 2,
        ApiError::UnsupportedMediaType => 3,
        ApiError::Chat(ChatError::InvalidRequest(_)) => 4,
        ApiError::Chat(ChatError::InvalidId { .. }) => 5,
        ApiError::Chat(ChatError::InvalidText { .. }) => 6,
        ApiError::Chat(ChatError::InvalidPassword) => 7,
        ApiError::Chat(ChatError::TokenMissing) => 8,
        ApiError::Chat(ChatError::TokenInvalid) => 9,
        ApiError::Chat(ChatError::TokenExpired) => 10,
        ApiError::Chat(ChatError::InvalidCredentials) => 11,
        ApiError::Chat(ChatError::UsernameTaken) => 12,
        ApiError::Chat(ChatError::WrongUser { .. }) => 13,
        ApiError::Chat(ChatError::UserNotFound) => 14,
        ApiError::Chat(ChatError::ClientMessageIdReused) => 15,
        ApiError::Chat(ChatError::LimitExceeded { .. }) => 16,
        ApiError::Chat(ChatError::Busy) => 17,
        ApiError::Chat(ChatError::Unavailable) => 18,
        ApiError::Chat(ChatError::Internal) => 19,
        ApiError::Chat(ChatError::UnknownEvent) => 20,
        ApiError::Chat(ChatError::RateLimited { .. }) => 21,
        ApiError::RequestTimeout => 22,
        ApiError::HeadTooLarge => 32,
        ApiError::InvalidHost => 33,
        ApiError::WrongHost => 34,
        ApiError::Chat(ChatError::UpgradeRequired) => 35,
        ApiError::Chat(ChatError::TooManySessions { .. }) => 36,
        ApiError::Chat(ChatError::Refused(refusal)) => 23 + refusal_variant(*refusal),
        ApiError::Chat(ChatError::ResumeTooLarge { .. }) => 50,
        ApiError::Chat(ChatError::TooManyRooms { .. }) => 51,
        ApiError::Chat(ChatError::QuotaExceeded { .. }) => 52,
        ApiError::Chat(ChatError::SearchDisabled) => 53,
    }
}

const fn refusal_variant(refusal: Refusal) -> usize {
    match refusal {
        Refusal::NotAMember => 0,
        Refusal::NotAllowed => 1,
        Refusal::NoSuchMember => 2,
        Refusal::AlreadyAMember => 3,
        Refusal::RoomFull => 4,
        Refusal::NoSuchMessage => 5,
        Refusal::MessageDeleted => 6,
        Refusal::TooManyReactions => 7,
        Refusal::DirectConversation => 8,
    }
}

const VARIANTS: usize = 41;

/// The table of `docs/errors.md`: code and status.
fn documented_errors() -> BTreeMap<String, u16> {
    let rows = include_str!("../../docs/errors.md").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let code = cells.next().unwrap().trim_end_matches('`').to_owned();
        (code, cells.next().unwrap().parse().unwrap())
    })
    .collect()
}

#[test]
fn every_error_is_documented_with_its_status_and_no_other_is() {
    let errors = every_error();
    let numbers: std::collections::BTreeSet<usize> = errors.iter().map(variant).collect();
    assert_eq!(
        numbers.len(),
        VARIANTS,
        "a variant is missing in every_error()"
    );
    let real: BTreeMap<String, u16> = errors
        .iter()
        .map(|error| (error.code().to_owned(), error.status().as_u16()))
        .collect();
    assert_eq!(real, documented_errors());
}

/// Whether a text's form is described: by a pattern, a length, a format or its values.
fn has_form(shape: &serde_json::Value) -> bool {
    let forms = [
        "pattern",
        "maxLength",
        "minLength",
        "format",
        "enum",
        "$ref",
        "oneOf",
    ];
    let is_text = match &shape["type"] {
        serde_json::Value::Array(types) => types.iter().any(|kind| kind == "string"),
        kind => kind == "string",
    };
    !is_text || forms.iter().any(|form| shape.get(form).is_some())
}

#[test]
fn every_text_in_the_description_has_its_form() {
    let description = docs::described(
        &documented().into_openapi(),
        &crate::chat::Limits::default(),
    );
    let mut count = 0;
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        for (field, shape) in schema["properties"].as_object().into_iter().flatten() {
            let shape = shape.get("items").unwrap_or(shape);
            assert!(has_form(shape), "{name}.{field}: {shape}");
            count += 1;
        }
    }
    for (path, item) in description["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(has_form(&parameter["schema"]), "{path}: {parameter}");
                count += 1;
            }
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn a_refusal_of_a_token_challenges_and_a_busy_gateway_says_when_to_come_back() {
    for error in every_error() {
        let status = error.status().as_u16();
        let response = error.into_response();
        let headers = response.headers();
        assert_eq!(headers.contains_key("www-authenticate"), status == 401);
        let may_retry = matches!(status, 429 | 503);
        assert_eq!(headers.contains_key("retry-after"), may_retry);
        assert_eq!(headers["content-type"], "application/json");
    }
}

/// Every route, with its method: what the description must list, and nothing else.
const ROUTES: &[(&str, &str)] = &[
    ("delete", "/rooms/{roomId}"),
    ("delete", "/rooms/{roomId}/members/{userId}"),
    ("get", "/conversations"),
    ("get", "/me"),
    ("get", "/message/{userId}/{otherUserId}"),
    ("get", "/presence"),
    ("get", "/room/{roomId}"),
    ("get", "/rooms"),
    ("get", "/rooms/{roomId}"),
    ("get", "/rooms/{roomId}/members"),
    ("get", "/users"),
    ("get", "/users/{userId}"),
    ("patch", "/rooms/{roomId}"),
    ("patch", "/rooms/{roomId}/members/{userId}"),
    ("post", "/group"),
    ("post", "/login"),
    ("post", "/logout"),
    ("post", "/refresh"),
    ("post", "/register"),
    ("post", "/room"),
    ("post", "/rooms/{roomId}/members"),
];

#[test]
fn the_description_has_every_route_and_no_other() {
    let description = serde_json::to_value(documented().into_openapi()).unwrap();
    let (mut described, mut names) = (Vec::new(), std::collections::BTreeSet::new());
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in [
            "delete", "get", "head", "options", "patch", "post", "put", "trace",
        ] {
            if let Some(operation) = item.get(method) {
                assert!(
                    operation["summary"].is_string(),
                    "{method} {path} says what it does"
                );
                let name = operation["operationId"].to_string();
                assert!(names.insert(name), "{method} {path} has a name of its own");
                described.push((method.to_owned(), path.clone()));
            }
        }
    }
    described.sort();
    let expected: Vec<_> = ROUTES
        .iter()
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(described, expected);
}

#[test]
fn only_four_routes_need_no_access_token() {
    let description = serde_json::to_value(documented().into_openapi()).unwrap();
    assert_eq!(description["security"][0]["bearer"], serde_json::json!([]));
    let open: Vec<&String> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, item)| item["post"]["security"] == serde_json::json!([{}]))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(open, ["/login", "/logout", "/refresh", "/register"]);
}
