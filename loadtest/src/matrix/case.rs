//! A row of the matrix as it is run. Knows no run.

use super::row::Row;

/// A row, and in how many rooms if it brings a load of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) row: Row,
    pub(super) rooms: Option<usize>,
}

impl Case {
    pub(super) fn name(self) -> String {
        match self.rooms {
            None => self.row.name().to_owned(),
            Some(rooms) => format!("{}-{rooms}", self.row.name()),
        }
    }

    pub(super) fn fault(self) -> String {
        match self.rooms {
            None => self.row.fault().to_owned(),
            Some(1) => format!("{} in 1 room", self.row.fault()),
            Some(rooms) => format!("{} in {rooms} rooms", self.row.fault()),
        }
    }
}
