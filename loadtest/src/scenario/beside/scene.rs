//! Where something happens beside a load: the servers, the people, the time; and what all such things need of them. Knows
//! nothing that happens.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio::time::Instant;

use super::super::cost::{Meter, Named};
use super::super::figures::Figures;
use crate::Invalid;
use crate::accounts::{Accounts, User};
use crate::check::Stage;
use crate::client::{Connection, Dial, Incoming, Joining, NotConnected, Protocol};
use crate::gateways::Gateways;

/// Where it happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) gateways: &'a Gateways,
    /// Where metrics are read; none at a peer.
    pub(crate) admins: &'a [String],
    pub(crate) processes: &'a [Named],
    /// The store's connection string, and Redis's port on 127.0.0.1.
    pub(crate) mongodb: &'a str,
    pub(crate) redis: u16,
    /// Those who were made to come ([`super::prepare`]).
    pub(crate) people: &'a [User],
    /// When the load begins.
    pub(crate) begin: Instant,
    /// Those who talk meanwhile.
    pub(crate) stage: Option<&'a Stage>,
    /// How long the load lasts, in seconds.
    pub(crate) seconds: u64,
}

/// What the sessions beside the load speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Speaks {
    /// JSON frames on `/ws`.
    Ws,
    /// Socket.IO, which the peers speak too.
    #[default]
    Socketio,
}

impl From<Speaks> for Protocol {
    fn from(speaks: Speaks) -> Self {
        match speaks {
            Speaks::Ws => Self::Native,
            Speaks::Socketio => Self::SocketIo,
        }
    }
}

impl Scene<'_> {
    pub(super) fn accounts(&self) -> Accounts {
        Accounts::new(self.gateways)
    }

    /// Whether it is hobnob, of which more is known than of a peer.
    pub(super) fn is_product(&self) -> bool {
        !self.admins.is_empty()
    }

    /// The gateway of the session with this number: they are spread evenly.
    pub(super) fn dial(&self, index: usize) -> Dial {
        Dial::to(self.gateways, index)
    }

    /// The people who talk meanwhile; some things need them.
    pub(super) fn stage(&self) -> Result<&Stage, Invalid> {
        let missing = || Invalid("the scenario has no load to happen beside".to_owned());
        self.stage.ok_or_else(missing)
    }

    /// The sum of one counter over all gateways; 0 where there are no metrics.
    pub(crate) async fn counter(&self, name: &str) -> Result<f64, Invalid> {
        let mut sum = 0.0;
        for admin in self.admins {
            let text = reqwest::get(format!("{admin}/metrics"))
                .await?
                .text()
                .await?;
            let of_name = |line: &&str| line.starts_with(name);
            let values = text.lines().filter(of_name);
            sum += values
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum::<f64>();
        }
        Ok(sum)
    }
}

/// Opens one more device of a user, from the user's cursor on.
pub(super) async fn open(
    dial: &Dial,
    protocol: Protocol,
    user: &User,
    mut early: impl FnMut(&Incoming<'_>),
) -> Result<Connection, NotConnected> {
    let since = BTreeMap::new();
    let joining = Joining {
        user: &user.id,
        token: &user.token,
        since: &since,
        last: None,
        acknowledges: false,
    };
    let read = |text: &str| {
        if let Some(incoming) = protocol.read(text) {
            early(&incoming);
        }
    };
    Connection::open(dial, protocol, &joining, read).await
}

/// CPU per unit of each kind of process, by the names that thresholds use: `gatewayMicrosPerJoin`.
pub(super) fn micros_per(unit: &str, meter: &Meter<'_>, count: u64) -> Result<Figures, Invalid> {
    let costs = meter.costs(count)?.into_iter();
    Ok(costs
        .map(|cost| (format!("{}MicrosPer{unit}", cost.name), cost.cpu_micros))
        .collect())
}

/// A count as a figure.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of connections or messages is far below 2^52"
)]
pub(super) fn figure(count: usize) -> f64 {
    count as f64
}
