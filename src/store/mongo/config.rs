//! What an operator says about MongoDB, and the checks on it (D1). Builds the driver's options; opens no connection.

use std::fmt;
use std::time::Duration;

use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, ReadConcern, ReadPreference,
    SelectionCriteria, WriteConcern,
};

/// How to reach MongoDB, and how long to wait for it.
#[derive(Clone)]
pub struct MongoConfig {
    /// A connection string with a database name. May hold a password: never printed.
    pub uri: String,
    /// The most connections to one server (default 20). Few with big batches are faster than many.
    pub max_pool_size: u32,
    /// The longest that one call of the store may take (default 5 s).
    pub operation_timeout: Duration,
    /// The longest that a migration may take (default 10 min): indexes over a long log take their time.
    pub migration_timeout: Duration,
}

impl MongoConfig {
    /// The defaults, with this connection string.
    #[must_use]
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            max_pool_size: 20,
            operation_timeout: Duration::from_secs(5),
            migration_timeout: Duration::from_secs(600),
        }
    }

    /// Checks the connection string without any I/O.
    ///
    /// # Errors
    /// When it cannot be read, names no database, or asks for weaker guarantees than hobnob gives.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.database().map(|_| ())
    }

    /// The database's name, from a connection string that is in order.
    pub(super) fn database(&self) -> Result<String, ConfigError> {
        let uri = ConnectionString::parse(&self.uri).map_err(|error| self.unreadable(&error))?;
        refuse_contradictions(&self.uri, &uri)?;
        uri.default_database
            .filter(|name| !name.is_empty())
            .ok_or(ConfigError::NoDatabase)
    }

    /// The driver's options. Looks up DNS for `mongodb+srv://`, and only then.
    pub(super) async fn client_options(&self) -> Result<ClientOptions, ConfigError> {
        let mut options = ClientOptions::parse(&self.uri)
            .await
            .map_err(|error| self.unreadable(&error))?;
        // D1, D5: whatever the URI leaves open is closed here; what it contradicts was refused before.
        options.read_concern = Some(ReadConcern::majority());
        options.selection_criteria =
            Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        options.write_concern = Some(write_concern(self.server_limit()));
        let defaults = [
            (&mut options.server_selection_timeout, 2),
            (&mut options.connect_timeout, 2),
            (&mut options.heartbeat_freq, 2),
        ];
        for (option, seconds) in defaults {
            option.get_or_insert(Duration::from_secs(seconds));
        }
        options.app_name.get_or_insert_with(|| "hobnob".to_owned());
        options.max_pool_size.get_or_insert(self.max_pool_size);
        options
            .min_pool_size
            .get_or_insert(2.min(self.max_pool_size));
        // The default of 2 makes a pool that an election emptied fill too slowly.
        options.max_connecting.get_or_insert(4);
        Ok(options)
    }

    /// The time the server gets: a little less than the call, so that its own answer comes first.
    pub(super) fn server_limit(&self) -> Duration {
        self.operation_timeout.mul_f64(0.9)
    }

    /// The driver's words may quote the string, so they are shown only when it can hold no password.
    fn unreadable(&self, error: &mongodb::error::Error) -> ConfigError {
        let reason = if self.uri.contains('@') {
            "not a valid connection string".to_owned()
        } else {
            error.kind.to_string()
        };
        ConfigError::Unreadable { reason }
    }
}

impl fmt::Debug for MongoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoConfig")
            .field("uri", &"(redacted)")
            .field("max_pool_size", &self.max_pool_size)
            .field("operation_timeout", &self.operation_timeout)
            .field("migration_timeout", &self.migration_timeout)
            .finish()
    }
}

/// What is wrong with a connection string. Never quotes a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not a connection string, or its host's DNS records cannot be read.
    #[error("{reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// It names no database.
    #[error("it has no database name; write mongodb://host/hobnob")]
    NoDatabase,
    /// An option that would break a promise.
    #[error("{option}={found} is not possible, hobnob needs {option}={needed} (or leave it out)")]
    Contradiction {
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// The only value it may have.
        needed: &'static str,
    },
}

/// `w: majority, j: true`, waited for at most this long (P1).
pub(super) fn write_concern(limit: Duration) -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.journal = Some(true);
    concern.w_timeout = Some(limit);
    concern
}

/// D1: an option is contradicted when it is given and is not what hobnob needs.
fn refuse_contradictions(text: &str, uri: &ConnectionString) -> Result<(), ConfigError> {
    let write = uri.write_concern.as_ref();
    let acknowledgment = write.and_then(|concern| concern.w.as_ref());
    let read_preference = uri.read_preference.as_ref();
    let read_concern = uri.read_concern.as_ref();
    let agreed = [
        (
            "readPreference",
            "primary",
            read_preference.is_none_or(|found| *found == ReadPreference::Primary),
        ),
        (
            "readConcernLevel",
            "majority",
            read_concern.is_none_or(|found| *found == ReadConcern::majority()),
        ),
        (
            "w",
            "majority",
            acknowledgment.is_none_or(|found| *found == Acknowledgment::Majority),
        ),
        (
            "journal",
            "true",
            write.is_none_or(|concern| concern.journal != Some(false)),
        ),
    ];
    match agreed.into_iter().find(|(_, _, agrees)| !agrees) {
        None => Ok(()),
        Some((option, needed, _)) => Err(ConfigError::Contradiction {
            option,
            found: value_of(option, text).unwrap_or_default(),
            needed,
        }),
    }
}

/// The value of an option as the operator wrote it.
fn value_of(option: &str, uri: &str) -> Option<String> {
    let (_, options) = uri.split_once('?')?;
    let mut pairs = options.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case(option))?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str) -> Result<(), ConfigError> {
        MongoConfig::new(uri).check()
    }

    fn contradicted(uri: &str) -> &'static str {
        match check(uri) {
            Err(ConfigError::Contradiction { option, .. }) => option,
            other => panic!("{uri}: {other:?}"),
        }
    }

    #[test]
    fn what_agrees_or_says_nothing_is_fine() {
        assert_eq!(check("mongodb://localhost/hobnob"), Ok(()));
        let agreeing = "?w=majority&journal=true&readConcernLevel=majority&readPreference=primary";
        assert_eq!(check(&format!("mongodb://a,b/hobnob{agreeing}")), Ok(()));
        assert_eq!(check("mongodb://a/hobnob?retryWrites=false"), Ok(()));
    }

    #[test]
    fn weaker_guarantees_are_refused_by_name() {
        for (option, value) in [
            ("readPreference", "secondaryPreferred"),
            ("readConcernLevel", "local"),
            ("w", "1"),
            ("w", "twoDataCentres"),
            ("journal", "false"),
        ] {
            let uri = format!("mongodb://localhost/hobnob?{option}={value}");
            assert_eq!(contradicted(&uri), option);
            let words = check(&uri).unwrap_err().to_string();
            assert!(words.contains(option) && words.contains(value), "{words}");
        }
    }

    #[test]
    fn a_database_is_needed() {
        assert_eq!(check("mongodb://localhost"), Err(ConfigError::NoDatabase));
        assert_eq!(check("mongodb://localhost/"), Err(ConfigError::NoDatabase));
    }

    #[test]
    fn a_password_is_never_shown() {
        let config = MongoConfig::new("mongodb://ann:se%cret@localhost/hobnob");
        let error = config.check().unwrap_err();
        assert!(!error.to_string().contains("cret"), "{error}");
        assert!(!format!("{config:?}").contains("cret"));
    }

    #[tokio::test]
    async fn the_guarantees_are_forced_on_the_driver() {
        let config = MongoConfig::new("mongodb://localhost/hobnob?maxPoolSize=3");
        let options = config.client_options().await.unwrap();
        let write = options.write_concern.unwrap();
        assert_eq!(write.w, Some(Acknowledgment::Majority));
        assert_eq!(write.journal, Some(true));
        assert!(write.w_timeout.unwrap() < config.operation_timeout);
        assert_eq!(options.read_concern, Some(ReadConcern::majority()));
        assert_eq!(options.max_pool_size, Some(3));
    }
}
