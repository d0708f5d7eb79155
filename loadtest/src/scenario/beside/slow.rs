//! Devices that stop reading: they join and never take another byte, with a small receive buffer. The server must bound
//! what it keeps for them and let them go; those who talk meanwhile must not notice.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::super::figures::Figures;
use super::scene::{Scene, Speaks, figure, open};
use crate::Invalid;
use crate::client::{Connection, Protocol};

/// The kernel's receive buffer of a device that does not read, in bytes.
const RECEIVE_BUFFER: u32 = 4096;
/// How long reading what was left behind may take.
const REST: Duration = Duration::from_secs(5);

/// The server's own count, as its metrics begin the line.
const CLOSED_AS_SLOW: &str = "hobnob_sessions_closed_total{reason=\"slow_consumer\"";

/// How many stop reading.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Slow {
    devices: usize,
    #[serde(default)]
    protocol: Speaks,
}

impl Slow {
    pub(super) async fn run(&self, scene: Scene<'_>) -> Result<Figures, Invalid> {
        let stage = scene.stage()?;
        let before = scene.counter(CLOSED_AS_SLOW).await?;
        let mut devices = Vec::new();
        for index in 0..self.devices.min(stage.users().len()) {
            let mut dial = scene.dial(index);
            dial.receive_buffer = Some(RECEIVE_BUFFER);
            let protocol = Protocol::from(self.protocol);
            let device = open(&dial, protocol, &stage.users()[index], |_| {}).await;
            devices.push(device.map_err(|error| Invalid(format!("a slow device: {error:?}")))?);
        }
        sleep(Duration::from_secs(scene.seconds)).await;
        let counted = scene.counter(CLOSED_AS_SLOW).await? - before;
        let count = devices.len();
        let mut ended = 0;
        for device in devices {
            ended += usize::from(timeout(REST, read_to_the_end(device)).await.is_ok());
        }
        Ok(Figures::from([
            ("slowDevices".to_owned(), figure(count)),
            ("slowKept".to_owned(), figure(count - ended)),
            ("slowCountedByTheServer".to_owned(), counted),
        ]))
    }
}

async fn read_to_the_end(mut device: Connection) {
    while device.next().await.is_some() {}
}
