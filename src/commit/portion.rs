//! What a driver works on at a time, and its share of the bounds.

use super::pending::Work;

/// How much of the committer's bounds something takes: entries, and bytes of their content.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Share {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// What a driver works on next; its share of the bounds is returned with [`super::lanes::Lanes::done`].
#[derive(Default)]
pub(super) struct Portion {
    pub(super) work: Vec<Work>,
    pub(super) share: Share,
}

impl Portion {
    pub(super) fn add(&mut self, work: Work, share: Share) {
        self.work.push(work);
        self.share.add(share);
    }
}

impl Share {
    pub(super) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }

    pub(super) fn subtract(&mut self, other: Self) {
        self.count -= other.count;
        self.bytes -= other.bytes;
    }
}
