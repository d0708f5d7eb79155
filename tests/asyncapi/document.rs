//! The AsyncAPI document as a judge of frames. Knows its form; refuses to know any frame.

use std::collections::{BTreeMap, BTreeSet};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use hobnob::transport::closing::closing;
use hobnob::transport::outbox::Reason;
use serde_json::{Value, json};

/// The name under which the compiler knows the document.
const LOCATION: &str = "https://hobnob.test/asyncapi.json";

/// The document, its schemas compiled.
pub(crate) struct Document {
    json: Value,
    schemas: Schemas,
    payloads: BTreeMap<String, SchemaIndex>,
}

impl Document {
    /// Reads the document. Its schemas let clients ignore what they do not know; this judge lets the server add nothing.
    pub(crate) fn parse(yaml: &str) -> Self {
        let mut json: Value = serde_norway::from_str(yaml).expect("YAML that is JSON");
        forbid_more(&mut json["components"]);
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V7);
        compiler.enable_format_assertions();
        compiler.add_resource(LOCATION, json.clone()).unwrap();
        let mut schemas = Schemas::new();
        let messages = json["components"]["messages"].as_object().unwrap();
        let compiled = messages.keys().map(|key| {
            let pointer = format!("{LOCATION}#/components/messages/{key}/payload");
            let index = compiler.compile(&pointer, &mut schemas);
            (
                key.clone(),
                index.unwrap_or_else(|error| panic!("{key}: {error}")),
            )
        });
        let payloads = compiled.collect();
        Self {
            json,
            schemas,
            payloads,
        }
    }

    /// The message among `keys` whose form a frame has.
    pub(super) fn judge(&self, frame: &Value, keys: &BTreeSet<String>) -> String {
        let named: Vec<&String> = keys
            .iter()
            .filter(|key| {
                self.json["components"]["messages"][key.as_str()]["name"] == frame["type"]
            })
            .collect();
        let mut faults = String::new();
        for key in named {
            match self.schemas.validate(frame, self.payloads[key]) {
                Ok(()) => return key.clone(),
                Err(error) => faults += &format!("\n{key}: {error}"),
            }
        }
        panic!("not documented here: {frame}{faults}");
    }

    /// The messages that clients send.
    pub(super) fn requests(&self) -> BTreeSet<String> {
        self.operations("receive")
            .flat_map(|operation| keys(&operation["messages"]))
            .collect()
    }

    /// What clients may ask, as frames name it.
    pub(crate) fn request_names(&self) -> BTreeSet<String> {
        let messages = &self.json["components"]["messages"];
        let names = self.requests().into_iter();
        names
            .map(|key| messages[key]["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The messages that may answer a request.
    pub(super) fn answers(&self, request: &str) -> BTreeSet<String> {
        let operation = self
            .operations("receive")
            .find(|operation| keys(&operation["messages"]).contains(request));
        operation.map_or_else(BTreeSet::new, |operation| {
            keys(&operation["reply"]["messages"])
        })
    }

    /// The messages that the server sends of its own accord.
    pub(super) fn events(&self) -> BTreeSet<String> {
        self.operations("send")
            .flat_map(|operation| keys(&operation["messages"]))
            .collect()
    }

    /// Everything that the server sends.
    pub(super) fn server_frames(&self) -> BTreeSet<String> {
        let answers = self
            .operations("receive")
            .flat_map(|operation| keys(&operation["reply"]["messages"]));
        answers.chain(self.events()).collect()
    }

    fn operations(&self, action: &str) -> impl Iterator<Item = &Value> {
        let all = self.json["operations"].as_object().unwrap().values();
        all.filter(move |operation| operation["action"] == action)
    }
}

/// The message keys that a list of references names.
fn keys(references: &Value) -> BTreeSet<String> {
    let texts = references.as_array().unwrap().iter();
    let key = |reference: &Value| {
        let pointer = reference["$ref"].as_str().unwrap();
        pointer
            .strip_prefix("#/channels/socket/messages/")
            .expect("a message of the channel")
            .to_owned()
    };
    texts.map(key).collect()
}

/// Closes every object whose fields are listed.
fn forbid_more(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(forbid_more);
            if fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_more),
        _ => {}
    }
}

fn of_the_tree() -> Document {
    Document::parse(include_str!("../../docs/asyncapi.yaml"))
}

#[test]
fn every_message_is_used_and_every_used_one_is_there() {
    let document = of_the_tree();
    let used: BTreeSet<String> = document
        .server_frames()
        .into_iter()
        .chain(document.requests())
        .collect();
    let defined: BTreeSet<String> = document.payloads.keys().cloned().collect();
    assert_eq!(used, defined);
    let channel = &document.json["channels"]["socket"]["messages"];
    let listed: BTreeSet<String> = channel.as_object().unwrap().keys().cloned().collect();
    assert_eq!(listed, defined);
}

#[test]
fn the_close_codes_are_those_of_the_table() {
    let document = of_the_tree();
    let documented = document.json["info"]["x-close-codes"].as_object().unwrap();
    assert_eq!(documented.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        let row = closing(reason);
        let entry = &documented[&row.code.to_string()];
        assert_eq!(entry["name"], row.reason);
        assert_eq!(entry["reconnect"], row.reconnect);
    }
}

#[test]
fn the_version_is_the_programs() {
    assert_eq!(
        of_the_tree().json["info"]["version"],
        env!("CARGO_PKG_VERSION")
    );
}

#[test]
#[should_panic(expected = "not documented here")]
fn a_field_that_is_not_documented_is_noticed() {
    let document = of_the_tree();
    let frame = json!({"type": "reconnect", "afterMs": 5, "why": "so"});
    document.judge(&frame, &document.events());
}
