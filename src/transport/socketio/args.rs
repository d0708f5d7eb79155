//! The payload of events and acknowledgements: a JSON array, split into its values without building them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::socket::Ack;

/// Arguments of one packet; more are no real client's.
const MAX_ARGS: usize = 256;

/// Names the official library keeps for itself; a packet with one is broken.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// One event as it was received. Borrows from the packet; what is kept is copied.
#[derive(Debug)]
pub struct ReceivedEvent<'a> {
    /// The event's name.
    pub name: Cow<'a, str>,
    /// Its arguments, each one JSON value. A binary argument is a placeholder: `{"_placeholder":true,"num":n}`.
    pub args: Vec<&'a RawValue>,
    /// What the placeholders stand for, by their `num`.
    pub attachments: Vec<Bytes>,
    /// How to answer, if the client asked for an answer.
    pub ack: Option<Ack>,
}

impl<'a> ReceivedEvent<'a> {
    /// Reads an argument; a missing one reads as `null`.
    ///
    /// # Errors
    /// The argument is not of this type.
    pub fn arg<T: Deserialize<'a>>(&self, index: usize) -> serde_json::Result<T> {
        serde_json::from_str(self.args.get(index).map_or("null", |arg| arg.get()))
    }
}

struct Args<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Args<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ArgsVisitor).map(Args)
    }
}

struct ArgsVisitor;

impl<'de> Visitor<'de> for ArgsVisitor {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut args = Vec::new();
        while let Some(arg) = seq.next_element()? {
            if args.len() == MAX_ARGS {
                return Err(A::Error::custom("too many arguments"));
            }
            args.push(arg);
        }
        Ok(args)
    }
}

/// The arguments of an acknowledgement.
pub(super) fn parse_args(payload: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str::<Args<'_>>(payload)
        .ok()
        .map(|args| args.0)
}

/// The name and the arguments of an event.
pub(super) fn parse_event(payload: &str) -> Option<(Cow<'_, str>, Vec<&RawValue>)> {
    let mut args = parse_args(payload)?;
    if args.is_empty() {
        return None;
    }
    let name = parse_name(args.remove(0).get())?;
    (!RESERVED.contains(&name.as_ref())).then_some((name, args))
}

/// A name is a string; the official library also allows a number.
fn parse_name(json: &str) -> Option<Cow<'_, str>> {
    if let Ok(name) = serde_json::from_str::<&str>(json) {
        return Some(Cow::Borrowed(name));
    }
    if let Ok(name) = serde_json::from_str::<String>(json) {
        return Some(Cow::Owned(name));
    }
    serde_json::from_str::<serde_json::Number>(json)
        .ok()
        .map(|_| Cow::Borrowed(json))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_event_needs_an_array_with_a_name_of_its_own() {
        let (name, args) = parse_event(r#"["say \"hi\"",1,{"a":[true]}]"#).unwrap();
        assert_eq!(name, "say \"hi\"");
        let args: Vec<_> = args.iter().map(|arg| arg.get()).collect();
        assert_eq!(args, ["1", r#"{"a":[true]}"#]);
        for invalid in [
            "",
            "{}",
            "[]",
            "[{}]",
            "[null]",
            r#"["connect"]"#,
            r#"["a""#,
            "abc[]",
        ] {
            assert!(parse_event(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn the_number_of_arguments_is_bounded_and_deep_nesting_does_no_harm() {
        let many = format!("[{}0]", "0,".repeat(MAX_ARGS));
        assert!(parse_args(&many).is_none());
        let deep = format!("[\"a\",{}{}]", "[".repeat(200_000), "]".repeat(200_000));
        let (name, args) = parse_event(&deep).unwrap();
        let event = ReceivedEvent {
            name,
            args,
            attachments: Vec::new(),
            ack: None,
        };
        assert!(event.arg::<serde_json::Value>(0).is_err());
        assert_eq!(event.arg::<Option<u8>>(7).unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_payload_panics(payload in any::<String>(), near in "\\[?[\"a,0-9{}:\\[\\]\\\\]{0,30}\\]?") {
            let _ = parse_event(&payload);
            let _ = parse_event(&near);
        }
    }
}
