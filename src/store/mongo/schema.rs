//! The schema: indexes and validators, as documents. Applies nothing; `migrate.rs` does.

use mongodb::bson::{Document, doc};

use crate::domain::Kind;

/// Counted up with every change below, and kept in the database: a gateway that finds a higher one than its own applies
/// nothing, so that an older version only ever meets a wider schema, and leaves it so.
pub(super) const VERSION: i64 = 2;

/// The authority on order, and the way to read a log.
pub(super) const CONVERSATION_SEQ: &str = "conversation_seq";

/// The way to the events of which nobody has written what follows.
pub(super) const UNPROJECTED: &str = "unprojected";

/// The way to read a user's memberships.
pub(super) const USER_CONVERSATION: &str = "user_conversation";

/// A collection with its indexes and its validator.
pub(super) struct CollectionSchema {
    pub(super) name: &'static str,
    pub(super) indexes: Vec<Document>,
    pub(super) validator: Document,
}

/// All collections with their indexes and validators.
pub(super) fn collections() -> [CollectionSchema; 7] {
    [
        users(),
        refresh_tokens(),
        conversations(),
        members(),
        events(),
        gateways(),
        quotas(),
    ]
}

fn users() -> CollectionSchema {
    CollectionSchema {
        name: "users",
        indexes: vec![unique("usernameFolded", doc! { "usernameFolded": 1 })],
        validator: validator(doc! {
            "_id": { "bsonType": "objectId" },
            "username": { "bsonType": "string", "minLength": 1 },
            "usernameFolded": { "bsonType": "string", "minLength": 1 },
            "passwordHash": { "bsonType": "string" },
            "createdAt": { "bsonType": "date" },
        }),
    }
}

fn refresh_tokens() -> CollectionSchema {
    // The server sweeps once a minute; who takes a token looks at its end themselves.
    let end = doc! { "key": { "expiresAt": 1 }, "name": "expiresAt", "expireAfterSeconds": 60 };
    CollectionSchema {
        name: "refresh_tokens",
        indexes: vec![end, doc! { "key": { "family": 1 }, "name": "family" }],
        validator: validator(doc! {
            "_id": { "bsonType": "binData" },
            "user": { "bsonType": "objectId" },
            "expiresAt": { "bsonType": "date" },
        }),
    }
}

fn conversations() -> CollectionSchema {
    CollectionSchema {
        name: "conversations",
        indexes: Vec::new(),
        validator: validator(doc! {
            "_id": { "bsonType": "string" },
            "kind": { "enum": ["direct", "room"] },
            "createdAt": { "bsonType": "date" },
        }),
    }
}

fn members() -> CollectionSchema {
    CollectionSchema {
        name: "members",
        indexes: vec![
            unique("conversation_user", doc! { "conversation": 1, "user": 1 }),
            doc! { "key": { "user": 1, "conversation": 1 }, "name": USER_CONVERSATION },
        ],
        validator: validator(doc! {
            "conversation": { "bsonType": "string" },
            "user": { "bsonType": "objectId" },
            "role": { "enum": ["member", "admin", "owner"] },
            "joinedSeq": { "bsonType": "long", "minimum": 1 },
            "deliveredSeq": { "bsonType": "long", "minimum": 0 },
            "readSeq": { "bsonType": "long", "minimum": 0 },
        }),
    }
}

fn events() -> CollectionSchema {
    // Checked in this order by an insert that both refuse: that it is a retry says more than that its place is taken.
    let mut retries = unique(
        "conversation_sender_clientMessageId",
        doc! { "conversation": 1, "sender": 1, "clientMessageId": 1 },
    );
    retries.insert(
        "partialFilterExpression",
        doc! { "clientMessageId": { "$exists": true } },
    );
    let places = unique(CONVERSATION_SEQ, doc! { "conversation": 1, "seq": 1 });
    // Finds the edits that a delete clears; holds nothing else, so that sends do not pay for it.
    let edits = doc! {
        "key": { "conversation": 1, "body.target": 1 },
        "name": "conversation_edited",
        "partialFilterExpression": { "kind": "edited" },
    };
    // Holds what is being written, and what was left by those who died meanwhile.
    let unprojected = doc! {
        "key": { "unprojected": 1, "conversation": 1, "seq": 1 },
        "name": UNPROJECTED,
        "partialFilterExpression": { "unprojected": { "$exists": true } },
    };
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    CollectionSchema {
        name: "events",
        indexes: vec![retries, places, edits, unprojected],
        validator: validator(doc! {
            "_id": { "bsonType": "objectId" },
            "conversation": { "bsonType": "string" },
            "seq": { "bsonType": "long", "minimum": 1 },
            "kind": { "enum": kinds },
            "sender": { "bsonType": "objectId" },
            "at": { "bsonType": "date" },
            "body": { "bsonType": "object" },
        }),
    }
}

fn gateways() -> CollectionSchema {
    // A gateway's id is new at every start: those of the past go by themselves.
    let end = doc! { "key": { "hearsAt": 1 }, "name": "hearsAt", "expireAfterSeconds": 3600 };
    CollectionSchema {
        name: "gateways",
        indexes: vec![end],
        validator: validator(doc! {
            "_id": { "bsonType": "string" },
            "hearsAt": { "bsonType": "date" },
        }),
    }
}

fn quotas() -> CollectionSchema {
    // A key has its day or hour in it: those of the past go by themselves.
    let end = doc! { "key": { "until": 1 }, "name": "until", "expireAfterSeconds": 60 };
    CollectionSchema {
        name: "quotas",
        indexes: vec![end],
        validator: validator(doc! {
            "_id": { "bsonType": "string" },
            "used": { "bsonType": "long" },
            "until": { "bsonType": "date" },
        }),
    }
}

fn unique(name: &str, key: Document) -> Document {
    doc! { "key": key, "name": name, "unique": true }
}

/// Every property given is required; others are free, for later versions.
fn validator(properties: Document) -> Document {
    let required: Vec<String> = properties.keys().cloned().collect();
    doc! { "$jsonSchema": { "required": required, "properties": properties } }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// The version, and what the schema was then.
    const WAS: (i64, &str) = (2, "7f85ae536297bd83");

    #[test]
    fn a_change_of_the_schema_counts_its_version_up() {
        let of_one = |schema: &CollectionSchema| {
            let indexes: Vec<String> = schema.indexes.iter().map(ToString::to_string).collect();
            let CollectionSchema {
                name, validator, ..
            } = schema;
            format!("{name} {validator} {}\n", indexes.concat())
        };
        let text: String = collections().iter().map(of_one).collect();
        let digest = Sha256::digest(text.as_bytes());
        let digest: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            (VERSION, digest.as_str()),
            WAS,
            "count VERSION up, and say both here"
        );
    }
}
