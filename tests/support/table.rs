//! Cases as a table of text, a line each, cells between bars: many small ones are read at a glance that way, and not as
//! tuples of five lines each. Refuses to know what a cell means.

use serde_json::Value;

/// The rows of a table.
#[track_caller]
pub(crate) fn rows<const CELLS: usize>(table: &str) -> Vec<[&str; CELLS]> {
    let lines = table.lines().filter(|line| !line.trim().is_empty());
    let rows = lines.map(|line| {
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        cells
            .try_into()
            .unwrap_or_else(|_| panic!("not {CELLS} cells: {line}"))
    });
    let rows: Vec<_> = rows.collect();
    assert!(!rows.is_empty(), "a table without rows tries nothing");
    rows
}

/// A cell of JSON in which these words stand for something.
#[track_caller]
pub(crate) fn filled(cell: &str, words: &[(&str, &str)]) -> Value {
    let mut text = cell.to_owned();
    for (word, meaning) in words {
        text = text.replace(word, meaning);
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {cell}"))
}
