//! For `fuzz/`: reads bytes as a body of long-polling. Refuses to know what they are meant to be.

use super::payload::decode;

/// The largest packet taken here, in bytes.
const MOST: usize = 4096;

/// Decodes a body; every part is a packet of at most [`MOST`] bytes or an error, and there are no more parts than bytes
/// allow.
pub fn payload(body: &str) {
    let parts = decode(body, MOST).count();
    assert!(
        parts <= body.len() + 1,
        "{parts} parts of {} bytes",
        body.len()
    );
}
