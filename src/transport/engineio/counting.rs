//! Which transport each session is counted under: exactly one as long as it lives, also when it ends in the middle of an
//! upgrade. Decides nothing.

use metrics::Gauge;

use super::session::{EngineSession, Stage};

impl EngineSession {
    /// Counts a session as open, under its transport.
    pub(super) fn count(&self) {
        let mut state = self.state.lock();
        state.is_counted = true;
        self.transport(state.stage).increment(1.0);
    }

    /// Takes an ended session off the gauge.
    pub(super) fn count_no_more(&self) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.is_counted) {
            self.transport(state.stage).decrement(1.0);
        }
    }

    /// Moves a session from polling's gauge to WebSocket's.
    pub(super) fn count_switch(&self, is_counted: bool) {
        if is_counted {
            self.transport(Stage::Polling).decrement(1.0);
            self.transport(Stage::WebSocket).increment(1.0);
        }
    }

    fn transport(&self, stage: Stage) -> &Gauge {
        let transports = &self.config.metrics.transports;
        match stage {
            Stage::WebSocket => &transports.websocket,
            _ => &transports.polling,
        }
    }
}
