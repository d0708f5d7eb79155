//! Answers that are written from borrowed shapes. Knows no shape in particular.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use serde::Serialize;

use crate::wire::encode;

/// JSON text with its content type.
pub(super) type JsonText = ([(HeaderName, HeaderValue); 1], Vec<u8>);

/// Writes a shape that borrows from what the use case returned, which `axum::Json` could not outlive.
pub(super) fn json(shape: &impl Serialize) -> JsonText {
    let kind = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, kind)], encode(shape))
}
