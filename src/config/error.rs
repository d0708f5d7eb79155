//! The errors of configuration and start: which setting is to blame, and why. Knows no I/O.

use super::settings;
use crate::traces::InvalidSetting;

/// The gateway cannot start as it is configured. Printed as one line on stderr; exit status 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {message}")]
pub struct StartError {
    /// The setting, by its variable and its place in the file.
    pub setting: String,
    /// What is wrong with it, without any secret.
    pub message: String,
}

impl StartError {
    /// Blames the setting with this name in the configuration file, such as `data_dir`.
    #[must_use]
    pub fn of(name: &str, message: impl Into<String>) -> Self {
        Self::named(settings::setting(name).title(), message)
    }

    /// Blames something that is not in the table of settings: an unknown key, the file itself.
    pub(super) fn named(setting: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            message: one_line(&message.into()),
        }
    }
}

/// Everything that is wrong with a configuration, each with its setting; at least one. Printed as a line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines().join("; "))]
pub struct StartErrors(pub Vec<StartError>);

impl StartErrors {
    /// One line of text for each fault.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(StartError::to_string).collect()
    }
}

impl From<StartError> for StartErrors {
    fn from(error: StartError) -> Self {
        Self(vec![error])
    }
}

impl From<InvalidSetting> for StartError {
    fn from(error: InvalidSetting) -> Self {
        Self::named(error.variable, error.message)
    }
}

/// Libraries like to explain over several lines; an operator's log wants one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
