//! `docs/asyncapi.yaml` is true: a real gateway is driven through every frame of `/ws`, and what it sends is held
//! against the document's schemas.

mod client;
mod conversation;
pub(crate) mod document;
mod transcript;
