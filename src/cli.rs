//! The command line: what to do, and the flags over the other layers of configuration. The flags are those of the
//! table of settings; knows no setting's meaning.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command as Clap, value_parser};

use crate::config::{Flags, setting_helps};
use crate::lifecycle::Failure;

const ORDER: &str = "Settings come from defaults, then the file, then the environment, then flags; each overrides the \
    one before. `hobnob config --default` prints a commented file of all of them.";

const SETTINGS_ELSEWHERE: &str =
    "Every setting can be given as a flag here, too: `hobnob --help` lists them.";

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run a gateway.
    Serve,
    /// Check the configuration and print it.
    CheckConfig,
    /// Print the commented default file.
    PrintDefaults,
    /// Bring the database's schema up to date.
    Migrate {
        /// And the cursors back to the heads of their logs.
        is_restored: bool,
    },
    /// Ask a running gateway whether it is well, at this path of its admin port.
    Healthcheck(&'static str),
    /// Print the version.
    Version,
    /// Print this text, which was asked for.
    Help(String),
}

/// A command and its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// The highest layer of the configuration.
    pub flags: Flags,
}

/// Reads the arguments, the program's name first.
///
/// # Errors
/// When they are not understood.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Failure> {
    match definition().try_get_matches_from(arguments) {
        Ok(matches) => Ok(invocation(&matches)),
        Err(error) => help(&error),
    }
}

fn help(error: &clap::Error) -> Result<Invocation, Failure> {
    let text = error.render().to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        let command = Command::Help(text);
        return Ok(Invocation {
            command,
            flags: Flags::default(),
        });
    }
    // What is wrong, and a hint if there is one; how to use it all comes after.
    let said = text
        .split("\n\n")
        .take_while(|paragraph| !paragraph.starts_with("Usage:"));
    let said: Vec<String> = said
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let said = said.join("; ");
    let said = said.trim_start_matches("error: ");
    Err(Failure::Usage(format!("{said} (see hobnob --help)")))
}

fn definition() -> Clap {
    Clap::new("hobnob")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A real-time chat backend with proof of delivery. Without a command it serves.")
        .after_help(ORDER)
        .arg(file_argument())
        .args(setting_arguments())
        .subcommand(Clap::new("serve").about("Run a gateway (the default)"))
        .subcommand(
            Clap::new("check-config")
                .about("Check the configuration and print it, without secrets"),
        )
        .subcommand(config_command())
        .subcommand(migrate_command())
        .subcommand(healthcheck_command())
        .subcommand(quiet(Clap::new("version").about("Print the version")))
}

/// A command whose help shows its own options; it takes those of all, which would be two pages, without showing them.
fn quiet(command: Clap) -> Clap {
    command
        .args(setting_arguments().map(|setting| setting.hide(true)))
        .after_help(SETTINGS_ELSEWHERE)
}

fn file_argument() -> Arg {
    Arg::new("config")
        .long("config")
        .global(true)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("A configuration file in TOML [env: HOBNOB_CONFIG]")
}

fn setting_arguments() -> impl Iterator<Item = Arg> {
    setting_helps().into_iter().map(|setting| {
        Arg::new(setting.name)
            .long(setting.flag)
            .global(true)
            .value_name(setting.placeholder)
            .help_heading(setting.section)
            .help(setting.text)
    })
}

fn config_command() -> Clap {
    let default = Arg::new("default")
        .long("default")
        .action(ArgAction::SetTrue)
        .required(true)
        .help("Every setting at its default");
    let command = Clap::new("config").about("Print a commented configuration file");
    quiet(command.arg(default))
}

fn migrate_command() -> Clap {
    let restored = Arg::new("restored")
        .long("restored")
        .action(ArgAction::SetTrue)
        .help("After a restore: bring cursors that are beyond their logs back, too; reads every membership");
    Clap::new("migrate")
        .about("Bring the database's indexes and validators up to date")
        .arg(restored)
}

fn healthcheck_command() -> Clap {
    let live = Arg::new("live")
        .long("live")
        .action(ArgAction::SetTrue)
        .help("Ask only whether it is alive (/livez), not whether it is ready (/readyz)");
    let about =
        "Ask the gateway at admin_listen whether it is ready; status 0 when it is, 1 when not";
    quiet(Clap::new("healthcheck").about(about).arg(live))
}

fn invocation(matches: &ArgMatches) -> Invocation {
    let (name, inner) = matches.subcommand().unwrap_or(("serve", matches));
    let command = match name {
        "check-config" => Command::CheckConfig,
        "config" => Command::PrintDefaults,
        "migrate" => Command::Migrate {
            is_restored: inner.get_flag("restored"),
        },
        "healthcheck" if inner.get_flag("live") => Command::Healthcheck("/livez"),
        "healthcheck" => Command::Healthcheck("/readyz"),
        "version" => Command::Version,
        _ => Command::Serve,
    };
    Invocation {
        command,
        flags: flags(inner),
    }
}

fn flags(matches: &ArgMatches) -> Flags {
    let given = setting_helps().into_iter().filter_map(|setting| {
        let value = matches.get_one::<String>(setting.name)?;
        Some((setting.name, value.clone()))
    });
    Flags {
        file: matches.get_one::<PathBuf>("config").cloned(),
        values: given.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Invocation, Failure> {
        let program = std::iter::once("hobnob");
        parse(program.chain(arguments.iter().copied()).map(OsString::from))
    }

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn flags_may_stand_before_and_after_the_command() {
        for arguments in [
            &["--listen", "127.0.0.1:1", "--config", "a.toml"][..],
            &["serve", "--listen=127.0.0.1:1", "--config=a.toml"],
            &["--listen=127.0.0.1:1", "serve", "--config", "a.toml"],
        ] {
            let invocation = parsed(arguments).unwrap();
            assert_eq!(invocation.command, Command::Serve);
            assert_eq!(invocation.flags.file, Some(PathBuf::from("a.toml")));
            assert_eq!(
                invocation.flags.values.get("listen").unwrap(),
                "127.0.0.1:1"
            );
        }
        for arguments in [
            ["--admin-listen", "127.0.0.1:1", "healthcheck"],
            ["healthcheck", "--admin-listen", "127.0.0.1:1"],
        ] {
            let given = parsed(&arguments).unwrap().flags.values;
            assert_eq!(given.get("admin_listen").unwrap(), "127.0.0.1:1");
        }
        let live = parsed(&["healthcheck", "--live"]).unwrap();
        assert_eq!(live.command, Command::Healthcheck("/livez"));
        let restored = parsed(&["migrate", "--restored"]).unwrap();
        assert_eq!(restored.command, Command::Migrate { is_restored: true });
    }

    #[test]
    fn what_is_not_understood_is_told_in_one_line() {
        for arguments in [
            &["--listne", "x"][..],
            &["sevre"],
            &["config"],
            &["config", "--defualt"],
            &["--listen"],
            &["--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2"],
        ] {
            let failure = parsed(arguments).unwrap_err();
            let line = failure.to_string();
            assert!(
                !line.contains('\n') && line.ends_with("(see hobnob --help)"),
                "{line}"
            );
        }
        let missing = parsed(&["config"]).unwrap_err().to_string();
        assert!(missing.contains("not provided: --default "), "{missing}");
        let similar = parsed(&["--listne", "x"]).unwrap_err().to_string();
        assert!(similar.contains("'--listen'"), "{similar}");
    }

    #[test]
    fn help_of_a_command_shows_what_is_its_own() {
        for (command, own) in [("config", "--default"), ("healthcheck", "--live")] {
            let Ok(Invocation {
                command: Command::Help(text),
                ..
            }) = parsed(&["help", command])
            else {
                panic!("no help of {command}");
            };
            assert!(text.contains(own), "{text}");
            assert!(
                !text.contains("--listen") && text.contains("hobnob --help"),
                "{text}"
            );
            // `hobnob config --help` is the same.
            let other = parsed(&[command, "--help"]).unwrap().command;
            assert_eq!(other, Command::Help(text));
        }
    }
}
