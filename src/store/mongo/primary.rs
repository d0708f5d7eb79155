//! Learns of changes of the primary from the driver's topology monitor (D16). Acts on nothing itself.

use mongodb::bson::oid::ObjectId;
use mongodb::event::EventHandler;
use mongodb::event::sdam::{SdamEvent, TopologyDescription};
use mongodb::options::ServerAddress;
use mongodb::{ServerType, TopologyType};
use tokio::sync::watch;

/// A handler for the driver, and the count of primaries it has seen: one more whenever a primary is found after there
/// was none known, or another one than before. The first is counted, and so is one that was only out of sight: any
/// doubt is a resync.
pub(super) fn watcher() -> (EventHandler<SdamEvent>, watch::Receiver<u64>) {
    let (count, changes) = watch::channel(0);
    let handler = EventHandler::callback(move |event: SdamEvent| {
        if let SdamEvent::TopologyDescriptionChanged(event) = event
            && let Some(primary) = writer(&event.new_description)
            && writer(&event.previous_description) != Some(primary)
        {
            count.send_modify(|count| *count += 1);
        }
    });
    (handler, changes)
}

/// Who takes the writes, and by which election. Behind mongos primaries are not seen: there, a router is back.
fn writer(topology: &TopologyDescription) -> Option<(Option<ServerAddress>, Option<ObjectId>)> {
    let election = topology.max_election_id();
    match topology.topology_type() {
        TopologyType::ReplicaSetWithPrimary | TopologyType::Single => topology
            .servers()
            .into_iter()
            .find(|(_, server)| server.server_type() == ServerType::RsPrimary)
            .map(|(address, _)| (Some(address.clone()), election)),
        TopologyType::Sharded | TopologyType::LoadBalanced => {
            topology.has_writable_server().then_some((None, None))
        }
        _ => None,
    }
}
