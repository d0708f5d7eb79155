//! Sessions that say nothing, as in [`super::super::idle`], on servers of the scenario's own.

use serde::Deserialize;

use super::super::figures::Figures;
use super::super::idle::{IdleOptions, Speaks as Protocol, measure};
use super::scene::{Scene, Speaks, figure};
use crate::Invalid;

/// How many, of whom, for how long.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Idle {
    pub(crate) sessions: usize,
    users: usize,
    pub(crate) seconds: u64,
    #[serde(default)]
    protocol: Speaks,
}

impl Idle {
    pub(super) async fn run(&self, scene: Scene<'_>) -> Result<Figures, Invalid> {
        let gateways = scene
            .processes
            .iter()
            .filter(|process| process.name == "gateway");
        let report = measure(&IdleOptions {
            gateways: scene.gateways.clone(),
            sessions: self.sessions,
            users: self.users,
            seconds: self.seconds,
            protocol: match self.protocol {
                Speaks::Ws => Protocol::Ws,
                Speaks::Socketio => Protocol::Socketio,
            },
            pids: gateways.cloned().collect(),
            json: None,
        })
        .await?;
        let resident = u32::try_from(report.resident_per_session).unwrap_or(u32::MAX);
        Ok(Figures::from([
            ("sessions".to_owned(), figure(report.sessions)),
            ("sessionsRefused".to_owned(), figure(report.refused)),
            (
                "sessionsLost".to_owned(),
                figure(usize::try_from(report.lost).unwrap_or(usize::MAX)),
            ),
            ("residentPerSession".to_owned(), f64::from(resident)),
            (
                "cpuMicrosPerSessionSecond".to_owned(),
                report.cpu_micros_per_second,
            ),
        ]))
    }
}
