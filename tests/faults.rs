//! The short fault matrix of `hobnob-load` (`loadtest/README.md`), on the gateway built with the tests. A binary of its
//! own, because the generator keeps time and must not compete with other tests. Knows no fault.

#![cfg(test)]

use std::io::Write;

use clap::Parser;
use hobnob_load::Verdict;
use hobnob_load::matrix::{MatrixOptions, command};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    options: MatrixOptions,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_repeated_or_out_of_order_while_things_break() {
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join("table.md");
    let given = [
        "faults",
        "--short",
        "--hobnob",
        env!("CARGO_BIN_EXE_hobnob"),
        "--markdown",
        table.to_str().unwrap(),
    ];
    let verdict = command(&CommandLine::parse_from(given).options)
        .await
        .unwrap();
    // Past the harness, which shows what is printed only when a test fails.
    let table = std::fs::read(table).unwrap();
    std::io::stderr().write_all(&table).unwrap();
    assert_eq!(verdict, Verdict::Pass);
}
