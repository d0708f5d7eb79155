//! The tree keeps the rules that no compiler checks: openings, sizes, loose ends, and the direction of dependencies
//! between folders, between the parts of a folder, and between files; and no two types have one name.
//!
//! Reads source files as text; refuses to know what they mean.

mod circles;
mod directions;
mod floors;
mod graph;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::leash::repository;

/// A file with more lines has two reasons to change.
const LONGEST_FILE: usize = 400;

/// The overview is read in one sitting.
const LONGEST_OVERVIEW: usize = 200;

/// A Rust file: its path from the repository's root, with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.split(['/', '.']).any(|part| part == "tests")
    }

    /// The code's lines with their numbers: no comments, and nothing from an inline test module on.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self
            .text
            .find("#[cfg(test)]\nmod tests {")
            .unwrap_or(self.text.len());
        let lines = (1..).zip(self.text[..end].lines());
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// All Rust files below the given folders of the repository.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&repository().join(folder), &mut found);
    }
    assert!(!found.is_empty(), "no source below {folders:?}");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "node_modules") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("readable source");
            let path = path
                .strip_prefix(repository())
                .expect("inside the repository");
            found.push(Source {
                path: path.to_string_lossy().replace('\\', "/"),
                text,
            });
        }
    }
}

/// Fails with one line per offence.
fn assert_none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn every_file_opens_with_what_it_is() {
    let files = sources(&["src", "tests", "loadtest", "testbed"]);
    let silent: Vec<String> = files
        .into_iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.path)
        .collect();
    assert_none(
        "open with `//!`: what the file is and what it refuses to know",
        &silent,
    );
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let files = sources(&["src", "tests", "loadtest", "testbed"]);
    let lengths = files
        .into_iter()
        .map(|file| (file.text.lines().count(), file.path));
    let long: Vec<String> = lengths
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert_none("split it", &long);
}

#[test]
fn nothing_is_left_for_later() {
    // Spelled in two halves, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!"),
        concat!("unimpl", "emented!"),
    ];
    let mut found = Vec::new();
    for file in sources(&["src", "tests", "loadtest", "testbed"]) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    assert_none("finish it, or write an issue", &found);
}

#[test]
fn the_overview_stays_an_overview() {
    let text = fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap_or_default();
    let lines = text.lines().count();
    assert!(
        lines <= LONGEST_OVERVIEW,
        "ARCHITECTURE.md has {lines} lines"
    );
}
