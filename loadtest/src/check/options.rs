//! What a check is told on the command line. Knows no run.

use std::path::PathBuf;
use std::time::Duration;

use crate::client::Resume;
use crate::gateways::Gateways;
use crate::mix::Mix;

/// Which protocols the sessions speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocols {
    /// All on `/ws`.
    Ws,
    /// All on Socket.IO.
    Socketio,
    /// In turn.
    Mixed,
}

/// The load, its length, and what counts as kept. A scenario's file uses the same words as the command line.
#[derive(Debug, Clone, clap::Args, serde::Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Load {
    /// Users, with one session each
    #[arg(long, default_value_t = 60)]
    pub users: usize,
    /// Rooms
    #[arg(long, default_value_t = 6)]
    pub rooms: usize,
    /// Members of each room
    #[arg(long, default_value_t = 10)]
    pub members: usize,
    /// Messages a second, over all users, at their own time whatever the answers (open loop)
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// How long messages are sent, in seconds
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// The share of direct messages, 0 to 1; the others go to rooms
    #[arg(long, default_value_t = 0.2)]
    pub direct: f64,
    /// What people do: messages, reactions, edits, deletions, members (an owner adds, promotes and removes a guest and
    /// renames the room), each with a weight if need be, such as messages=8,reactions=4,edits=2,deletions=1,members=1
    #[arg(long, default_value_t = Mix::default())]
    pub mix: Mix,
    /// Bytes added to each message
    #[arg(long, default_value_t = 64)]
    pub padding: usize,
    /// What the sessions speak
    #[arg(long, value_enum, default_value_t = Protocols::Mixed)]
    pub protocol: Protocols,
    /// Where sessions resume after a reconnect
    #[arg(long, value_enum, default_value_t = Resume::Since)]
    pub resume: Resume,
    /// Mean life of a connection in seconds, before its client cuts it
    #[arg(long)]
    pub churn: Option<f64>,
    /// How long an answer is waited for before reconnecting, in seconds
    #[arg(long, default_value_t = 10.0)]
    pub answer_within: f64,
    /// How long a connection may be silent, in seconds; more than the server's ping interval
    #[arg(long, default_value_t = 45.0)]
    pub silence: f64,
    /// How long after the last send everything must have arrived, in seconds
    #[arg(long, default_value_t = 60)]
    pub settle: u64,
    /// How late the generator's own timers may fire (99th percentile) before the run is void, in milliseconds
    #[arg(long, default_value_t = 100)]
    pub late_ms: u64,
    /// Show how far it is, on stderr
    #[arg(long)]
    pub progress: bool,
}

impl Default for Load {
    /// What the command line says when nothing is said.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct CommandLine {
            #[command(flatten)]
            load: Load,
        }
        <CommandLine as clap::Parser>::parse_from([""]).load
    }
}

/// `hobnob-load check`.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckOptions {
    /// Where
    #[command(flatten)]
    pub gateways: Gateways,
    /// What is sent
    #[command(flatten)]
    pub load: Load,
    /// A fault: SECONDS=COMMAND for the shell, or SECONDS=cut to cut all connections; may be repeated
    #[arg(long = "at", value_parser = parse_fault)]
    pub faults: Vec<Fault>,
    /// Where the report goes, as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
}

/// Something done to the system at a time of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// When, from the first send.
    pub after: Duration,
    /// A shell command, or `cut`.
    pub command: String,
}

fn parse_fault(text: &str) -> Result<Fault, String> {
    let wrong = || format!("`{text}` is not SECONDS=COMMAND");
    let (seconds, command) = text.split_once('=').ok_or_else(wrong)?;
    let seconds: f64 = seconds.parse().map_err(|_| wrong())?;
    let after = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    Ok(Fault {
        after,
        command: command.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_a_time_and_a_command() {
        let fault = parse_fault("1.5=kill -9 7").unwrap();
        assert_eq!(
            (fault.after, fault.command.as_str()),
            (Duration::from_millis(1500), "kill -9 7")
        );
        assert!(parse_fault("kill").is_err());
        assert!(parse_fault("-1=x").is_err());
    }
}
