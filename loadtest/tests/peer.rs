//! The checker can fail: pointed at the server it is meant to be compared with, it finds what that one loses.
//!
//! Needs what `make tools` installs: mongod, redis-server, Node and the peer's packages.

use std::process::Command;

/// A kill -9 of one of three processes of the peer, which delivers nothing afterwards of what it was not there for.
#[test]
fn a_killed_process_of_the_peer_costs_messages_and_the_checker_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let json = directory.path().join("matrix.json");
    let output = Command::new(env!("CARGO_BIN_EXE_hobnob-load"))
        .args([
            "matrix",
            "--peer",
            "node-socketio",
            "--only",
            "gateway-kill",
        ])
        .args(["--short", "--rate", "60", "--settle", "5", "--json"])
        .arg(&json)
        .output()
        .expect("hobnob-load runs");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(1), "{said}");
    let table = std::fs::read(&json).expect("a table");
    let table: serde_json::Value = serde_json::from_slice(&table).expect("JSON");
    let balance = &table["rows"][0]["report"]["balance"];
    let count = |name: &str| {
        balance[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name}: {said}"))
    };
    assert!(
        count("acknowledgedNotStored") + count("notDelivered") > 0,
        "{said}"
    );
    // It worked before and after: most of what was sent was acknowledged.
    assert!(count("acknowledged") > count("sent") / 2, "{said}");
}
