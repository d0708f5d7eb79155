//! Lengths and patterns in the description, from the constants that enforce them. Knows fields by their names: a name means
//! the same everywhere.

use serde_json::{Value, json};

use crate::auth::Password;
use crate::chat::Limits;
use crate::domain::{ClientMessageId, Emoji, RoomName, Username};

const ID: &str = "^[0-9a-f]{24}$";
const CONVERSATION: &str = "^[0-9a-f]{24}(-[0-9a-f]{24})?$";
/// The longest text that is looked for, in characters: folding may shorten a name.
pub(in crate::api) const QUERY: usize = Username::LIMIT * 4;

/// Adds to each field and parameter what its values are like.
pub(super) fn describe(description: &mut Value, limits: &Limits) {
    if let Some(schemas) = description["components"]["schemas"].as_object_mut() {
        for (name, schema) in schemas {
            describe_schema(name, schema, limits);
        }
    }
    let Some(paths) = description["paths"].as_object_mut() else {
        return;
    };
    for (path, item) in paths {
        let operations = item.as_object_mut().into_iter().flatten();
        let parameters =
            operations.filter_map(|(_, operation)| operation.get_mut("parameters")?.as_array_mut());
        for parameter in parameters.flatten() {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            let rule = match (name.as_str(), path.as_str()) {
                ("after", "/conversations") => json!({"pattern": CONVERSATION}),
                // A seq, when it is a number.
                ("after", "/rooms" | "/rooms/{roomId}/members") => json!({"pattern": ID}),
                ("query", _) => json!({"minLength": 1, "maxLength": QUERY}),
                ("ids", _) => json!({"pattern": "^[0-9a-f, ]*$"}),
                (name, _) => rule("", name, limits),
            };
            add(&mut parameter["schema"], rule);
        }
    }
}

fn describe_schema(name: &str, schema: &mut Value, limits: &Limits) {
    let properties = schema.get_mut("properties");
    let fields = properties
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten();
    for (field, shape) in fields {
        let rule = rule(name, field, limits);
        if shape.get("items").is_some() {
            add(&mut shape["items"], rule);
            if name == "NewRoom" {
                shape["maxItems"] = limits.room_members.into();
            }
        } else {
            add(shape, rule);
        }
    }
}

fn add(shape: &mut Value, rule: Value) {
    if let (Some(shape), Value::Object(rule)) = (shape.as_object_mut(), rule) {
        shape.extend(rule);
    }
}

/// What a field's values are like; nothing where its type says it all.
fn rule(schema: &str, field: &str, limits: &Limits) -> Value {
    let is_request = matches!(schema, "NewGroupMessage");
    match field {
        "userId" | "otherUserId" | "roomId" | "senderId" | "receiverId" | "creator" | "members" => {
            json!({"pattern": ID})
        }
        // A room's is its conversation's, a message's its own.
        "_id" => json!({"pattern": ID}),
        "conversationId" => json!({"pattern": CONVERSATION}),
        "username" => json!({"minLength": 1, "maxLength": Username::LIMIT}),
        "name" => json!({"minLength": 1, "maxLength": RoomName::LIMIT}),
        // Bytes; a character has one to four.
        "password" => json!({
            "minLength": Password::SHORTEST.div_ceil(4), "maxLength": Password::LONGEST,
        }),
        "content" if is_request => json!({"minLength": 1, "maxLength": limits.content_bytes}),
        // What was stored under another limit stays.
        "content" => json!({"minLength": 0}),
        "clientMessageId" => json!({
            "pattern": "^[!-~]+$", "minLength": 1, "maxLength": ClientMessageId::LIMIT,
        }),
        "reactions" => json!({"propertyNames": {"minLength": 1, "maxLength": Emoji::LIMIT}}),
        "refreshToken" => json!({"pattern": "^[A-Za-z0-9_-]{43}$"}),
        "token" => json!({"pattern": "^[!-~]+$"}),
        "role" => json!({"enum": ["member", "admin", "owner"]}),
        "type" => json!({"enum": ["private", "group"]}),
        "code" => json!({"pattern": "^[a-z_]+$"}),
        "message" => json!({"minLength": 1}),
        "createdAt" | "lastSeenAt" | "timestamp" | "editedAt" | "deletedAt" => {
            json!({"format": "date-time"})
        }
        _ => json!({}),
    }
}
