//! `hobnob-load run`: scenarios from files, one after the other. Knows no comparison.

use std::path::PathBuf;

use super::file::Scenario;
use super::perform::perform;
use super::server::Server;
use crate::mix::Mix;
use crate::outcome::{self, Summary};
use crate::{Invalid, Verdict};

/// How often a run is made again in which the generator fell behind; never because a promise was broken.
const TRIES: u32 = 2;

/// `hobnob-load run`.
#[derive(Debug, Clone, clap::Args)]
pub struct RunOptions {
    /// Files of loadtest/scenarios
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
    /// What they are run against
    #[arg(long, value_enum, default_value_t = Server::Hobnob)]
    pub server: Server,
    /// The gateway's binary; target/dist/hobnob by default
    #[arg(long)]
    pub hobnob: Option<PathBuf>,
    /// Another mix than the scenario's, such as messages=8,reactions=4,edits=2,deletions=1,members=1
    #[arg(long)]
    pub mix: Option<Mix>,
    /// Where each scenario's folder goes
    #[arg(long, default_value = "target/load")]
    pub out: PathBuf,
}

/// Runs them, and writes what came of each.
///
/// # Errors
/// When a file is no scenario; a run that could not be carried out is said, and the others go on.
pub async fn command(options: &RunOptions) -> Result<Verdict, Invalid> {
    let mixed = |mut scenario: Scenario| {
        if let (Some(load), Some(mix)) = (&mut scenario.load, options.mix) {
            load.mix = mix;
        }
        scenario
    };
    let scenarios: Result<Vec<_>, _> = options
        .scenarios
        .iter()
        .map(|path| Scenario::read(path).map(mixed))
        .collect();
    let mut worst = Verdict::Pass;
    for scenario in scenarios? {
        let verdict = match run(&scenario, options).await {
            Ok(verdict) => verdict,
            Err(Invalid(why)) => {
                eprintln!("{}: {why}", scenario.name);
                Verdict::Invalid
            }
        };
        // A broken promise outweighs a run that proves nothing.
        worst = match (worst, verdict) {
            (Verdict::Broken, _) | (_, Verdict::Broken) => Verdict::Broken,
            (worst, verdict) => worst.max(verdict),
        };
    }
    Ok(worst)
}

async fn run(scenario: &Scenario, options: &RunOptions) -> Result<Verdict, Invalid> {
    eprintln!("{}: {}", scenario.name, scenario.simulates.trim());
    let mut tries = 0;
    loop {
        let mut outcome = perform(scenario, options.server, options.hobnob.as_deref()).await?;
        tries += 1;
        let summary = Summary::of(scenario, options.server, &mut outcome);
        print!("{summary}");
        let folder = options.out.join(&scenario.name).join(options.server.name());
        outcome::write(&folder, &summary, &outcome)?;
        println!("  see {}", folder.join("report.html").display());
        if summary.verdict != Verdict::Invalid || tries == TRIES {
            return Ok(summary.verdict);
        }
        eprintln!("once more, since it proves nothing");
    }
}
