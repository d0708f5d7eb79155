//! The parts of a folder stand on floors: each uses only what is on a floor below its own. Refuses to know what a use
//! is; the graph does.

use super::assert_none;
use super::graph::Crate;

/// The parts of these folders of `src`, the lowest floor first.
const FLOORS: &[(&str, &[&[&str]])] = &[
    (
        "transport",
        &[
            &["brake", "lobby", "reason"],
            &["closing", "heartbeat"],
            &["outbox"],
            &["websocket"],
            &["engineio"],
            &["socketio"],
        ],
    ),
    (
        "fanout",
        &[
            &[
                "gaps",
                "offer",
                "pacer",
                "publisher",
                "recall",
                "roster",
                "seats",
                "standstill",
                "tasks",
            ],
            &["envelope", "own_sends"],
            &["receipts"],
            &["passing", "session"],
            &["sessions", "topic", "users"],
            &["presence", "topics"],
            &["catch_up", "proofs", "reannouncer"],
            &["session_lifecycle", "drain", "joining", "offering"],
            &["announcer", "delegation", "repair", "resync"],
            &["parts", "signals", "sweep"],
            &["inbox"],
            &["hub"],
        ],
    ),
    ("gateway", &[&["requests"], &["native", "socketio"]]),
];

fn floor(folder: &str, part: &str) -> Option<usize> {
    let (_, floors) = FLOORS.iter().find(|(name, _)| *name == folder)?;
    floors.iter().position(|floor| floor.contains(&part))
}

/// Whether a part of a folder may use another of the same folder. One without a floor may use nothing, and nobody may
/// use it.
fn may_use(folder: &str, part: &str, other: &str) -> bool {
    let floors = floor(folder, part).zip(floor(folder, other));
    part == other || floors.is_some_and(|(own, its)| its < own)
}

#[test]
fn each_part_uses_only_what_stands_below_it() {
    let source = Crate::read("src");
    let mut wrong = Vec::new();
    for (module, file) in &source.0 {
        let [folder, part, ..] = module.as_slice() else {
            continue;
        };
        if !FLOORS.iter().any(|(name, _)| name == folder) {
            continue;
        }
        if floor(folder, part).is_none() {
            wrong.push(format!("{} stands on no floor", file.path));
        }
        for used in source.used_by(module) {
            if let [its_folder, other, ..] = used.as_slice()
                && its_folder == folder
                && !may_use(folder, part, other)
            {
                wrong.push(format!("{} uses {}", file.path, source.0[&used].path));
            }
        }
    }
    assert_none("this part may not use that one", &wrong);
}

#[test]
fn the_floors_would_notice() {
    assert!(may_use("fanout", "hub", "inbox"));
    assert!(may_use("fanout", "session", "session"));
    assert!(!may_use("fanout", "catch_up", "repair"));
    assert!(!may_use("fanout", "topics", "presence"));
    assert!(!may_use("fanout", "hub", "nowhere"));
}
