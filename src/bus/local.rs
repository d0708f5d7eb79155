//! The bus inside one process: for a single node, and for tests of several gateways in one process. Knows no network;
//! can be told to lose payloads.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::outlet::Outlet;
use super::{Bus, BusError, Channel, Signal};
use crate::domain::GatewayId;

/// What the gateways of one process share.
#[derive(Debug, Clone, Default)]
pub struct LocalBusHub(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    outlets: HashMap<GatewayId, Arc<Outlet>>,
    subscribers: HashMap<Channel, HashSet<GatewayId>>,
}

impl LocalBusHub {
    /// The bus of one more gateway.
    #[must_use]
    pub fn connect(&self, gateway: GatewayId) -> LocalBus {
        let outlet = Arc::new(Outlet::new());
        self.0.lock().outlets.insert(gateway, Arc::clone(&outlet));
        LocalBus {
            hub: self.clone(),
            gateway,
            outlet,
        }
    }

    fn disconnect(&self, gateway: GatewayId) {
        let mut state = self.0.lock();
        state.outlets.remove(&gateway);
        state.subscribers.retain(|_, gateways| {
            gateways.remove(&gateway);
            !gateways.is_empty()
        });
    }
}

/// The bus of one gateway, inside one process.
#[derive(Debug)]
pub struct LocalBus {
    hub: LocalBusHub,
    gateway: GatewayId,
    outlet: Arc<Outlet>,
}

impl LocalBus {
    /// A new hub, which the gateways of this process connect to.
    #[must_use]
    pub fn hub() -> LocalBusHub {
        LocalBusHub::default()
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish(&self, channel: Channel, _lane: u64, payload: Bytes) {
        let state = self.hub.0.lock();
        // Handing over under the lock keeps one order for everybody.
        for gateway in state.subscribers.get(&channel).into_iter().flatten() {
            if let Some(outlet) = state.outlets.get(gateway) {
                outlet.payload(channel, payload.clone());
            }
        }
    }

    async fn subscribe(&self, channels: &[Channel]) -> Result<(), BusError> {
        let mut state = self.hub.0.lock();
        if !state.outlets.contains_key(&self.gateway) {
            return Err(BusError("the bus is closed".to_owned()));
        }
        for channel in channels {
            let subscribers = state.subscribers.entry(*channel).or_default();
            subscribers.insert(self.gateway);
        }
        Ok(())
    }

    fn unsubscribe(&self, channels: &[Channel]) {
        let mut state = self.hub.0.lock();
        for channel in channels {
            if let Some(gateways) = state.subscribers.get_mut(channel) {
                gateways.remove(&self.gateway);
                if gateways.is_empty() {
                    state.subscribers.remove(channel);
                }
            }
        }
    }

    fn signals(&self) -> Option<mpsc::Receiver<Signal>> {
        self.outlet.receiver()
    }

    fn subscriptions(&self) -> usize {
        let state = self.hub.0.lock();
        let mine = |gateways: &&HashSet<GatewayId>| gateways.contains(&self.gateway);
        state.subscribers.values().filter(mine).count()
    }

    fn health(&self) -> Result<(), String> {
        if self.hub.0.lock().outlets.contains_key(&self.gateway) {
            Ok(())
        } else {
            Err("the bus is closed".to_owned())
        }
    }

    async fn close(&self) {
        self.hub.disconnect(self.gateway);
    }
}

impl Drop for LocalBus {
    fn drop(&mut self) {
        self.hub.disconnect(self.gateway);
    }
}
