//! The configuration: defaults, then a TOML file, then `HOBNOB_*` variables, then flags, each over the one before.
//! Reads and checks; opens no connection and creates nothing (the generated secret apart, when asked for one).
//!
//! Unknown keys and unknown variables are errors, since a misspelt setting that is silently ignored is found only by
//! its damage. Every error is one [`StartError`], which names its setting.

mod error;
mod generated;
mod layers;
mod print;
mod reader;
mod secret;
mod sections;
mod settings;
mod urls;

use crate::traces::TraceSettings;
pub use error::StartError;
pub use generated::generated_secret;
pub use layers::{Environment, Flags};
pub use print::{SettingHelp, default_file, setting_helps};
pub use secret::{Secret, ServerUrl};
pub use sections::{Auth, Backends, Limits, LogFormat, Logging, Presence, Server, Sessions};

/// Everything that can be set, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where and how clients are served.
    pub server: Server,
    /// What holds the truth and carries the hints.
    pub backends: Backends,
    /// Passwords and tokens.
    pub auth: Auth,
    /// What one request may ask for.
    pub limits: Limits,
    /// Client connections.
    pub sessions: Sessions,
    /// Who counts as online.
    pub presence: Presence,
    /// What is logged.
    pub logging: Logging,
    /// How traces are exported, if they are: `OTEL_*` variables, which every such program shares.
    pub traces: Option<TraceSettings>,
}

impl Config {
    /// Reads and checks every layer.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, StartError> {
        Self::read(&layers::collect(flags, environment)?, environment)
    }

    /// As [`Config::load`]; returns besides the settings in force as a commented TOML text, without secrets.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn explain(flags: &Flags, environment: &Environment) -> Result<(Self, String), StartError> {
        let mut values = layers::collect(flags, environment)?;
        let config = Self::read(&values, environment)?;
        if let Backends::Embedded { data_dir } = &config.backends {
            values
                .entry("data_dir")
                .or_insert_with(|| layers::Value::of_default(data_dir.display().to_string()));
        }
        let text = print::effective(&values);
        Ok((config, text))
    }

    fn read(values: &layers::Values, environment: &Environment) -> Result<Self, StartError> {
        let reader = reader::Reader(values);
        let backends = Backends::read(&reader, environment)?;
        let limits = Limits::read(&reader)?;
        Ok(Self {
            server: Server::read(&reader)?,
            auth: Auth::read(&reader, &backends)?,
            sessions: Sessions::read(&reader, &limits)?,
            presence: Presence::read(&reader)?,
            logging: Logging::read(&reader)?,
            traces: TraceSettings::read(|name| environment.get(name))?,
            backends,
            limits,
        })
    }
}

#[cfg(test)]
mod tests;
