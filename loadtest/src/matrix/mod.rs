//! The fault matrix: one check per fault, on real servers started here, and the table of what came of it. Knows neither
//! how the load is made nor how the servers are broken.

mod cluster;
mod faults;
mod outcome;
mod presence;
mod row;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::cluster::Peer;
pub(crate) use self::cluster::{
    Cluster, Leashed, Program, SECRET, ask, free_port, repository, tool, wait_until,
};
pub(crate) use self::faults::{BEFORE, Props, clean_up, make, prepare};
use self::outcome::Outcome;
use self::presence::{Agreement, Crowd};
pub use self::row::Row;
use self::table::Table;
use crate::check::{Load, Protocols, Report, run};
use crate::gateways::Gateways;
use crate::{Invalid, Verdict};

/// How often a row is run in which the generator fell behind; never again because a promise was broken.
const TRIES: u32 = 3;

/// `hobnob-load matrix`.
#[derive(Debug, Clone, clap::Args)]
pub struct MatrixOptions {
    /// The gateway's binary; that of target/dist, else target/release, else target/debug, by default
    #[arg(long)]
    pub hobnob: Option<PathBuf>,
    /// Another server in its place, which speaks Socket.IO only
    #[arg(long, value_enum)]
    pub peer: Option<Peer>,
    /// A few minutes instead of a quarter of an hour: fewer and shorter rows
    #[arg(long)]
    pub short: bool,
    /// Only these rows
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Row>,
    /// How long a gateway's drain may take, in seconds
    #[arg(long, default_value_t = 6)]
    pub drain_grace: u64,
    /// What is sent; each row sets the seconds itself
    #[command(flatten)]
    pub load: Load,
    /// Where the reports go, as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Where the table goes, as Markdown
    #[arg(long)]
    pub markdown: Option<PathBuf>,
    /// Where the gateways' logs are kept
    #[arg(long)]
    pub logs: Option<PathBuf>,
}

/// Runs the matrix, and prints and writes its table.
///
/// # Errors
/// When the servers could not be started or mended.
pub async fn command(options: &MatrixOptions) -> Result<Verdict, Invalid> {
    let program = match options.peer {
        Some(peer) => Program::Peer(peer),
        None => Program::Hobnob(binary(options.hobnob.as_deref())?),
    };
    let mut cluster = None;
    let mut table = Table::default();
    for row in rows(options) {
        let outcome = run_row_until_valid(row, &mut cluster, &program, options).await;
        match &outcome {
            Ok(outcome) => eprint!("{}", outcome.report),
            Err(Invalid(why)) => eprintln!("{}: {why}", row.name()),
        }
        table.add(row, outcome);
        table.write(options.json.as_deref(), options.markdown.as_deref())?;
    }
    print!("{table}");
    Ok(table.verdict())
}

/// One row, again while the generator falls behind. A cluster that could not be mended is thrown away.
async fn run_row_until_valid(
    row: Row,
    cluster: &mut Option<Cluster>,
    program: &Program,
    options: &MatrixOptions,
) -> Result<Outcome, Invalid> {
    let mut tries = 0;
    loop {
        let whole = match cluster.take() {
            Some(cluster) => cluster,
            None => {
                eprintln!("starting Redis, MongoDB and gateways ({program})");
                Cluster::start(program, Duration::from_secs(options.drain_grace)).await?
            }
        };
        let (outcome, whole) = run_row(row, whole, options).await?;
        *cluster = Some(whole);
        tries += 1;
        let report = &outcome.report;
        if report.verdict != Verdict::Invalid || tries == TRIES {
            return Ok(outcome);
        }
        eprintln!("{report}once more: the generator fell behind");
    }
}

fn rows(options: &MatrixOptions) -> Vec<Row> {
    match (options.only.is_empty(), options.short) {
        (false, _) => options.only.clone(),
        (true, true) => Row::SHORT.to_vec(),
        (true, false) => Row::ALL.to_vec(),
    }
}

/// One row on a cluster in order, which is left in order.
async fn run_row(
    row: Row,
    mut cluster: Cluster,
    options: &MatrixOptions,
) -> Result<(Outcome, Cluster), Invalid> {
    let mut load = options.load.clone();
    load.seconds = row.seconds(options.short);
    if options.peer.is_some() {
        load.protocol = Protocols::Socketio;
    }
    if row == Row::Churn {
        load.churn = Some(2.0);
    }
    let mut props = faults::prepare(row, &mut cluster).await?;
    let gateways = cluster.addresses();
    let crowd = match options.peer {
        Some(_) => None,
        None => Some(Crowd::gather(&gateways).await?),
    };
    let scene = (&mut cluster, &mut props, &crowd);
    let broken = break_under_load(row, &gateways, &load, scene).await;
    if let Some(logs) = &options.logs {
        for (index, gateway) in cluster.gateways.iter().enumerate() {
            gateway.keep_log(logs, &format!("{}-gateway{index}", row.name()))?;
        }
    }
    let (report, presence) = broken?;
    let outcome = Outcome {
        report,
        evidence: props.evidence.take(),
        presence,
    };
    faults::clean_up(&mut cluster, props).await?;
    Ok((outcome, cluster))
}

/// The load, the row's fault and those who come and go in it, all at once.
async fn break_under_load(
    row: Row,
    gateways: &Gateways,
    load: &Load,
    (cluster, props, crowd): (&mut Cluster, &mut Props, &Option<Crowd>),
) -> Result<(Report, Option<Agreement>), Invalid> {
    let mut presence = None;
    let agreed = &mut presence;
    let report = run(row.name(), gateways, load, |cutter| async move {
        let fault = faults::make(row, cluster, props, &cutter);
        let Some(crowd) = crowd else {
            return fault.await;
        };
        let (broken, ()) = tokio::join!(fault, crowd.play());
        broken?;
        *agreed = Some(crowd.agreement().await);
        Ok(())
    });
    let report = report.await?;
    Ok((report, presence))
}

/// The chosen binary, or the one that was built: as the container image ships it, if there is such a one.
pub(crate) fn binary(chosen: Option<&Path>) -> Result<PathBuf, Invalid> {
    if let Some(path) = chosen {
        return Ok(path.to_owned());
    }
    let built = ["dist", "release", "debug"]
        .map(|profile| repository().join("target").join(profile).join("hobnob"));
    let found = built.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| Invalid("there is no target/dist/hobnob: build it, or name one".to_owned()))
}
