//! Which rows are run, and when one is broken that brings a load of its own.

use clap::Parser;

use super::*;
use crate::ledger::{Balance, Elsewhere};
use crate::measure::Lateness;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    options: MatrixOptions,
}

fn names(given: &[&str]) -> Vec<String> {
    let given = std::iter::once(&"matrix").chain(given);
    let options = CommandLine::parse_from(given).options;
    cases(&options).into_iter().map(Case::name).collect()
}

#[test]
fn rows_with_a_load_of_their_own_are_run_in_so_many_rooms() {
    assert_eq!(
        names(&["--only", "drain,gateway-kill-mix", "--mix-rooms", "5,1"]),
        ["drain", "gateway-kill-mix-5", "gateway-kill-mix-1"]
    );
    assert_eq!(
        names(&["--only", "gateway-cut-mix", "--short"]),
        ["gateway-cut-mix-8"]
    );
    assert_eq!(names(&[]).len(), Row::ALL.len() + 3 * 2);
}

#[test]
fn a_row_is_broken_by_what_other_gateways_refuse_unless_there_was_an_election() {
    let verdict = |row: Row, refused, is_disturbed| {
        let elsewhere = Elsewhere {
            refused: [("edits", refused)].into(),
            ..Elsewhere::default()
        };
        let balance = Balance {
            elsewhere,
            ..Balance::default()
        };
        let lateness = Lateness::new().unwrap().report(Duration::from_secs(1), 0);
        let outcome = Outcome {
            report: Report::new("row", balance, lateness),
            evidence: None,
            presence: None,
            is_disturbed,
            is_timed: true,
        };
        outcome.verdict(row)
    };
    assert_eq!(verdict(Row::GatewayKillMix, 0, true), Verdict::Pass);
    assert_eq!(verdict(Row::GatewayKillMix, 1, false), Verdict::Broken);
    assert_eq!(verdict(Row::GatewayKillMix, 1, true), Verdict::Invalid);
    assert_eq!(verdict(Row::GatewayKill, 1, false), Verdict::Pass);
}
