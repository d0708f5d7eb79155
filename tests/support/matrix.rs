//! The tables of docs/permissions.md that say who may do what: one row an operation, one column a caller. Reads them, and
//! holds them to what a test saw; refuses to know any operation.

use std::collections::BTreeSet;

/// The page, which is what the tests expect: they know no outcome of their own.
const PAGE: &str = include_str!("../../docs/permissions.md");

/// The first two columns: what is asked, and about whom or what.
const LABELS: [&str; 2] = ["operation", "about"];

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nobody is known by it.
    NoToken,
    /// An owner, says a token that we did not sign.
    Forged,
    /// An owner, says a token that has ended.
    Expired,
    /// Has never been in the room.
    Stranger,
    /// Was in the room, and said something there.
    Former,
    Member,
    Admin,
    Owner,
}

impl Caller {
    /// Whoever has a token that is good.
    pub(crate) const KNOWN: [Self; 5] = [
        Self::Stranger,
        Self::Former,
        Self::Member,
        Self::Admin,
        Self::Owner,
    ];

    pub(crate) fn is_known(self) -> bool {
        Self::KNOWN.contains(&self)
    }
}

/// The other columns, in their order.
const CALLERS: [(Caller, &str); 8] = [
    (Caller::NoToken, "no token"),
    (Caller::Forged, "forged token"),
    (Caller::Expired, "expired token"),
    (Caller::Stranger, "stranger"),
    (Caller::Former, "former member"),
    (Caller::Member, "member"),
    (Caller::Admin, "admin"),
    (Caller::Owner, "owner"),
];

/// One operation.
#[derive(Debug)]
struct Row {
    operation: String,
    about: String,
    /// What each caller gets: `yes`, `hidden`, or the code of the refusal.
    outcomes: Vec<String>,
}

/// How a test tries the row with these labels.
pub(crate) struct Attempt<F> {
    pub(crate) operation: &'static str,
    pub(crate) about: &'static str,
    /// What to ask, besides the operation.
    pub(crate) ask: F,
}

/// The attempt at this row.
pub(crate) const fn row<F>(operation: &'static str, about: &'static str, ask: F) -> Attempt<F> {
    Attempt {
        operation,
        about,
        ask,
    }
}

/// One table.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// The table of the chapter with this heading.
    #[track_caller]
    pub(crate) fn of_chapter(heading: &str) -> Self {
        let lines = PAGE
            .lines()
            .skip_while(|line| *line != format!("## {heading}"));
        let chapter = lines.skip(1).take_while(|line| !line.starts_with("## "));
        let mut lines = chapter.filter(|line| line.starts_with('|'));
        let head = cells(lines.next().unwrap_or_default());
        let labels = LABELS.into_iter().chain(CALLERS.map(|(_, name)| name));
        assert!(head.iter().eq(labels), "the columns of {heading}: {head:?}");
        let rows = lines.skip(1).map(|line| {
            let mut cells = cells(line).into_iter();
            let mut next = || cells.next().unwrap_or_default();
            let (operation, about) = (next(), next());
            let outcomes: Vec<String> = cells.collect();
            assert_eq!(outcomes.len(), CALLERS.len(), "cells in {line}");
            Row {
                operation,
                about,
                outcomes,
            }
        });
        Self {
            rows: rows.collect(),
        }
    }

    /// The words with which operations are named, without repeats.
    pub(crate) fn operations(&self) -> BTreeSet<&str> {
        self.rows.iter().map(|row| row.operation.as_str()).collect()
    }

    /// Has every cell tried, and fails with all that are not true; before that, when there is a row without an attempt or
    /// an attempt without a row.
    pub(crate) async fn assert_true<F>(
        &self,
        attempts: &[Attempt<F>],
        mut outcome: impl AsyncFnMut(&Attempt<F>, Caller) -> String,
    ) {
        let tried = attempts.iter().map(|one| (one.operation, one.about));
        let tried: BTreeSet<_> = tried.collect();
        let shown = self.rows.iter();
        let shown: BTreeSet<_> = shown.map(|row| (&*row.operation, &*row.about)).collect();
        let unpaired: Vec<_> = shown.symmetric_difference(&tried).collect();
        assert!(unpaired.is_empty(), "shown or tried alone: {unpaired:?}");
        assert_eq!(shown.len(), self.rows.len(), "a row is there twice");
        let mut wrong = Vec::new();
        for row in &self.rows {
            let (operation, about) = (&row.operation, &row.about);
            let mut all = attempts.iter();
            let attempt = all.find(|one| one.operation == *operation && one.about == *about);
            for ((caller, column), said) in CALLERS.iter().zip(&row.outcomes) {
                let seen = outcome(attempt.expect("one for each row"), *caller).await;
                if seen != *said {
                    let cell = format!("{operation} | {about} | {column}");
                    wrong.push(format!("{cell}: {said} on the page, but {seen}"));
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {} cells of docs/permissions.md are not true:\n{}",
            wrong.len(),
            self.rows.len() * CALLERS.len(),
            wrong.join("\n")
        );
    }
}

/// The texts between the bars of a line, without the marks of code.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_matches('|').replace('`', "");
    inner
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect()
}
