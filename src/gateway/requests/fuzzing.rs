//! For `fuzz/`: reads texts as the parameters of every request. Refuses to know what they are meant to be.

use super::params::{
    self, Authenticate, Delete, Edit, JoinOptions, Position, React, SendDirect, SendRoom, Typing,
    read,
};

/// Reads a text in every way there is.
pub fn params(text: &str) {
    let _ = (read::<SendDirect>(text), read::<SendRoom>(text));
    let _ = (
        read::<Edit>(text),
        read::<Delete>(text),
        read::<React>(text),
    );
    let _ = (read::<Typing>(text), read::<Authenticate>(text));
    let _ = (read::<JoinOptions>(text), params::user_ids(text));
    if let Ok(position) = read::<Position>(text) {
        let _ = position.parse();
    }
}
