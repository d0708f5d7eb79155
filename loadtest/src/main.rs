//! `hobnob-load`: the command line of the load generator and delivery checker. Knows which commands there are.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hobnob_load::{Invalid, Verdict, check, compare, limit, matrix, scenario};

/// Load generator and delivery checker for hobnob.
///
/// Exit status: 0 every promise kept, 1 a promise broken, 2 the run proves nothing.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check delivery against running gateways
    Check(check::CheckOptions),
    /// Run the fault matrix on servers of its own
    Matrix(matrix::MatrixOptions),
    /// Run scenarios from files, on servers of their own
    Run(scenario::RunOptions),
    /// Run one scenario against several servers in turn, and print ratios
    Compare(compare::CompareOptions),
    /// Print the comparison table of the results, or put it into a file
    Table(compare::TableOptions),
    /// The limit: a server that only writes pre-built frames
    #[command(hide = true)]
    Limit(limit::LimitOptions),
    /// Measure room fan-out at a steady rate
    Fanout(scenario::FanoutOptions),
    /// Measure saturated direct messages
    Direct(scenario::DirectOptions),
    /// Measure idle sessions
    Idle(scenario::IdleOptions),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Check(options) => check::command(&options).await,
        Command::Matrix(options) => matrix::command(&options).await,
        Command::Run(options) => scenario::run(&options).await,
        Command::Compare(options) => compare::command(&options).await,
        Command::Table(options) => compare::table(&options),
        Command::Limit(options) => limit::command(&options).await,
        Command::Fanout(options) => scenario::fanout(&options).await,
        Command::Direct(options) => scenario::direct(&options).await,
        Command::Idle(options) => scenario::idle(&options).await,
    };
    match outcome {
        Ok(verdict) => verdict.into(),
        Err(Invalid(why)) => {
            eprintln!("hobnob-load: {why}");
            Verdict::Invalid.into()
        }
    }
}
