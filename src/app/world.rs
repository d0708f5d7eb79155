//! What every part of a gateway shares: its name, the time of day, randomness, and where spans go. Knows no part.

use std::sync::Arc;

use crate::domain::{Clock, Entropy, GatewayId, SystemClock};
use crate::traces::Traces;

/// What all parts of a gateway share: its id, its clock, its randomness, its traces.
pub(super) struct World {
    pub(super) gateway: GatewayId,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<Entropy>,
    pub(super) traces: Traces,
}

impl World {
    pub(super) fn new() -> Self {
        let entropy = Arc::new(Entropy::from_os());
        Self {
            gateway: GatewayId::generate(&entropy),
            clock: Arc::new(SystemClock),
            entropy,
            traces: Traces::off(),
        }
    }
}
