//! For `fuzz/`: reads texts as frames of `/ws`. Refuses to know what they are meant to be.

use super::frames;
use crate::gateway::requests::Answer;
use crate::transport::outbox::Frame;

/// What a frame's `ref` was, the answer carries: the answer is JSON whatever came.
pub fn frame(text: &str) {
    let _ = (
        frames::hello(text).map(|hello| hello.options()),
        frames::room(text),
    );
    let Ok(head) = frames::head(text) else {
        return;
    };
    let answer = frames::answer(&head, &Answer::Done(b"{\"ok\":true}".to_vec()));
    let Frame::Text(answer) = answer else {
        return;
    };
    let parsed = serde_json::from_str::<serde_json::Value>(answer.as_str());
    assert!(parsed.is_ok(), "{text:?} is answered by {answer:?}");
}
