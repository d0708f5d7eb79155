//! The same scenario against several servers in turn, and what their figures have to do with each other. Alternation means
//! that whatever else the machine does meets all of them alike. Knows no server's ways.

mod result;
mod table;

use std::path::PathBuf;

pub use table::{TableOptions, command as table};

use self::result::{Compared, Measurement};
use crate::outcome::{self, Summary};
use crate::scenario::{Scenario, Server, perform};
use crate::{Invalid, Verdict};

/// How often a run is made again in which the generator fell behind.
const TRIES: u32 = 3;

/// `hobnob-load compare`.
#[derive(Debug, Clone, clap::Args)]
pub struct CompareOptions {
    /// A file of loadtest/scenarios
    pub scenario: PathBuf,
    /// What is compared; ratios are those of the first to each other
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["hobnob", "node-socketio"])]
    pub servers: Vec<Server>,
    /// How often each is run, in alternation
    #[arg(long, default_value_t = 3)]
    pub runs: u32,
    /// The gateway's binary; target/dist/hobnob by default
    #[arg(long)]
    pub hobnob: Option<PathBuf>,
    /// What the binary was built from, when that is not this tree
    #[arg(long)]
    pub commit: Option<String>,
    /// Where the scenario's result goes, as JSON
    #[arg(long, default_value = "target/load/compared")]
    pub out: PathBuf,
    /// Where each run's report goes
    #[arg(long, default_value = "target/load")]
    pub reports: PathBuf,
}

/// Runs and compares.
///
/// # Errors
/// When a run could not be carried out, or the generator fell behind again and again.
pub async fn command(options: &CompareOptions) -> Result<Verdict, Invalid> {
    let scenario = Scenario::read(&options.scenario)?;
    let mut compared = Compared::new(&scenario.name, &scenario.simulates);
    let mut verdict = Verdict::Pass;
    for number in 1..=options.runs {
        for server in &options.servers {
            eprintln!(
                "{} against {}, run {number} of {}",
                scenario.name,
                server.name(),
                options.runs
            );
            let summary = run(&scenario, *server, options).await?;
            if *server == Server::Hobnob {
                verdict = verdict.max(summary.verdict);
            }
            compared.add(*server, Measurement::of(&summary));
        }
    }
    if let Some(commit) = &options.commit {
        compared.commit.clone_from(commit);
    }
    print!("{compared}");
    std::fs::create_dir_all(&options.out)?;
    let path = options.out.join(format!("{}.json", scenario.name));
    std::fs::write(path, serde_json::to_vec_pretty(&compared)?)?;
    Ok(verdict)
}

async fn run(
    scenario: &Scenario,
    server: Server,
    options: &CompareOptions,
) -> Result<Summary, Invalid> {
    for _ in 0..TRIES {
        let mut outcome = perform(scenario, server, options.hobnob.as_deref()).await?;
        let summary = Summary::of(scenario, server, &mut outcome);
        let folder = options.reports.join(&scenario.name).join(server.name());
        outcome::write(&folder, &summary, &outcome)?;
        if summary.verdict != Verdict::Invalid {
            return Ok(summary);
        }
        eprint!("{summary}once more: the generator fell behind");
    }
    Err(Invalid(format!(
        "{}: the generator fell behind",
        scenario.name
    )))
}
