//! The fault matrix: one check per fault, on real servers started here, and the table of what came of it. Knows neither
//! how the load is made nor how the servers are broken.

mod case;
mod cluster;
mod faults;
mod mixed;
mod outcome;
mod presence;
mod row;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::leash::repository;

use self::case::Case;
pub use self::cluster::Peer;
pub(crate) use self::cluster::{Cluster, Program, SECRET};
pub(crate) use self::faults::{BEFORE, Props, clean_up, make, prepare};
use self::outcome::Outcome;
use self::presence::{Agreement, Crowd};
pub use self::row::Row;
use self::table::Table;
use crate::check::{Load, Plan, Protocols, Report, run_plan};
use crate::gateways::Gateways;
use crate::{Invalid, Verdict, carried_out};

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
    /// In how many rooms the rows with a mixed load are run, one after the other; only in 8, if it is short
    #[arg(long, value_delimiter = ',', default_values_t = [24, 8, 1])]
    pub mix_rooms: Vec<usize>,
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
    for case in cases(options) {
        let outcome = run_row_until_valid(case, &mut cluster, &program, options);
        let outcome = carried_out(outcome).await;
        match &outcome {
            Ok(outcome) => eprint!("{}", outcome.report),
            Err(Invalid(why)) => eprintln!("{}: {why}", case.name()),
        }
        table.add(case, outcome);
        table.write(options.json.as_deref(), options.markdown.as_deref())?;
    }
    print!("{table}");
    Ok(table.verdict())
}

/// One row, again while the generator falls behind. A cluster that could not be mended is thrown away.
async fn run_row_until_valid(
    case: Case,
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
        let (outcome, whole) = run_row(case, whole, options).await?;
        *cluster = Some(whole);
        tries += 1;
        if outcome.verdict(case.row) != Verdict::Invalid || tries == TRIES {
            return Ok(outcome);
        }
        let why = match outcome.report.verdict {
            Verdict::Invalid => "the generator fell behind",
            _ => "MongoDB elected meanwhile",
        };
        eprintln!("{}once more: {why}", outcome.report);
    }
}

fn cases(options: &MatrixOptions) -> Vec<Case> {
    let rows = match (options.only.is_empty(), options.short) {
        (false, _) => &options.only[..],
        (true, true) => &Row::SHORT,
        (true, false) => &Row::ALL,
    };
    let rooms: Vec<Option<usize>> = match options.short {
        true => vec![Some(8)],
        false => options.mix_rooms.iter().copied().map(Some).collect(),
    };
    let each = |row: &Row| {
        let row = *row;
        let rooms = if row.is_mixed() { &rooms[..] } else { &[None] };
        let rooms = rooms.iter().copied();
        rooms.map(move |rooms| Case { row, rooms })
    };
    rows.iter().flat_map(each).collect()
}

/// One row on a cluster in order, which is left in order.
async fn run_row(
    case: Case,
    mut cluster: Cluster,
    options: &MatrixOptions,
) -> Result<(Outcome, Cluster), Invalid> {
    let row = case.row;
    let mut load = options.load.clone();
    load.seconds = row.seconds(options.short);
    if options.peer.is_some() {
        load.protocol = Protocols::Socketio;
        if row.is_mixed() || load.mix.has_changes() {
            return Err(Invalid("a peer knows messages only".to_owned()));
        }
    }
    if row == Row::Churn {
        load.churn = Some(2.0);
    }
    let mut props = faults::prepare(row, &mut cluster).await;
    let gateways = props.addresses(&cluster);
    // The short row leaves presence to the others.
    let has_crowd = options.peer.is_none() && !(options.short && row.is_mixed());
    let crowd = match has_crowd {
        true => Some(Crowd::gather(&gateways).await?),
        false => None,
    };
    let plan = match case.rooms {
        Some(rooms) => mixed::plan(rooms, load.mix),
        None => Plan::of(&load)?,
    };
    let term = cluster.mongo.term().await;
    let scene = (&mut cluster, &mut props, &crowd);
    let broken = break_under_load(case, &gateways, (&load, plan), scene).await;
    if let Some(logs) = &options.logs {
        for (index, gateway) in cluster.gateways.iter().enumerate() {
            std::fs::create_dir_all(logs)?;
            let name = format!("{}-gateway{index}.log", case.name());
            std::fs::write(logs.join(name), gateway.output())?;
        }
    }
    let (report, presence) = broken?;
    let outcome = Outcome {
        report,
        evidence: props.evidence.take(),
        presence,
        is_disturbed: cluster.mongo.term().await != term,
        is_timed: !options.short,
    };
    faults::clean_up(&mut cluster, props).await;
    Ok((outcome, cluster))
}

/// The load, the row's fault and those who come and go in it, all at once.
async fn break_under_load(
    case: Case,
    gateways: &Gateways,
    (load, plan): (&Load, Plan),
    (cluster, props, crowd): (&mut Cluster, &mut Props, &Option<Crowd>),
) -> Result<(Report, Option<Agreement>), Invalid> {
    let mut presence = None;
    let agreed = &mut presence;
    let name = case.name();
    let report = run_plan(&name, gateways, load, plan, |cutter| async move {
        let fault = faults::make(case.row, cluster, props, &cutter);
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
fn binary(chosen: Option<&Path>) -> Result<PathBuf, Invalid> {
    built(chosen, &["dist", "release", "debug"])
}

/// The chosen binary, or the one that the container image ships: what is measured is no other, since `release` is
/// compiled to be built soon and not to run fast.
pub(crate) fn shipped(chosen: Option<&Path>) -> Result<PathBuf, Invalid> {
    built(chosen, &["dist"])
}

fn built(chosen: Option<&Path>, profiles: &[&str]) -> Result<PathBuf, Invalid> {
    if let Some(path) = chosen {
        return Ok(path.to_owned());
    }
    let target = repository().join("target");
    let mut files = profiles.iter().map(|name| target.join(name).join("hobnob"));
    files.find(|path| path.is_file()).ok_or_else(|| {
        Invalid(
            "there is no target/dist/hobnob: cargo build --profile dist, or name one".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests;
