//! The configuration: defaults, then a TOML file, then `HOBNOB_*` variables, then flags, each over the one before.
//! Reads and checks; opens no connection and creates nothing (the generated secret apart, when asked for one).
//!
//! Unknown keys and unknown variables are errors, since a misspelt setting that is silently ignored is found only by
//! its damage. Each error is a [`StartError`], which names its setting, and all of them are told at once.

mod error;
mod generated;
mod layers;
mod parsers;
mod print;
mod reader;
mod secret;
mod sections;
mod settings;
mod urls;

use crate::traces::TraceSettings;
pub use error::{StartError, StartErrors};
pub use generated::generated_secret;
pub use layers::{Environment, Flags};
pub use parsers::LogFormat;
pub use print::{SettingHelp, default_file, setting_helps};
pub use secret::ServerUrl;
pub use sections::{
    AuthSection, Backends, LimitsSection, LoggingSection, PresenceSection, ServerSection,
    SessionsSection,
};

/// Everything that can be set, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where and how clients are served.
    pub server: ServerSection,
    /// What holds the truth and carries the hints.
    pub backends: Backends,
    /// Passwords and tokens.
    pub auth: AuthSection,
    /// What one request may ask for.
    pub limits: LimitsSection,
    /// Client connections.
    pub sessions: SessionsSection,
    /// Who counts as online.
    pub presence: PresenceSection,
    /// What is logged.
    pub logging: LoggingSection,
    /// How traces are exported, if they are: `OTEL_*` variables, which every such program shares.
    pub traces: Option<TraceSettings>,
}

impl Config {
    /// Reads and checks every layer.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, StartErrors> {
        let (values, faults) = layers::collect(flags, environment);
        Self::read(&values, faults, environment)
    }

    /// As [`Config::load`]; returns besides the settings in force as a commented TOML text, without secrets.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn explain(
        flags: &Flags,
        environment: &Environment,
    ) -> Result<(Self, String), StartErrors> {
        let (mut values, faults) = layers::collect(flags, environment);
        let config = Self::read(&values, faults, environment)?;
        if let Backends::Embedded { data_dir } = &config.backends {
            values
                .entry("data_dir")
                .or_insert_with(|| layers::Value::of_default(data_dir.display().to_string()));
        }
        let text = print::effective(&values);
        Ok((config, text))
    }

    fn read(
        values: &layers::Values,
        faults: Vec<StartError>,
        environment: &Environment,
    ) -> Result<Self, StartErrors> {
        let reader = reader::Reader::new(values, faults);
        let read = Self::sections(&reader, environment);
        reader.finish(read)
    }

    fn sections(
        reader: &reader::Reader<'_>,
        environment: &Environment,
    ) -> Result<Self, StartError> {
        let backends = Backends::read(reader, environment)?;
        let limits = LimitsSection::read(reader)?;
        let traces = TraceSettings::read(|name| environment.get(name));
        Ok(Self {
            server: ServerSection::read(reader)?,
            auth: AuthSection::read(reader)?,
            sessions: SessionsSection::read(reader, &limits)?,
            presence: PresenceSection::read(reader)?,
            logging: LoggingSection::read(reader)?,
            traces: traces.unwrap_or_else(|fault| {
                reader.note(fault.into());
                None
            }),
            backends,
            limits,
        })
    }
}

#[cfg(test)]
mod tests;
