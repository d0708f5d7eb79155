//! The layers a setting's value may come from, lowest first: the file, the environment, the flags. Collects them and
//! refuses names it does not know; what the values mean is the sections' business.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use super::StartError;
use super::settings::{FILE_ENV, PREFIX, SETTINGS, Setting, SettingKind, setting};

/// The most bytes read of a configuration or secret file, so that a wrong path (a device, a log) cannot fill memory.
const FILE_LIMIT: u64 = 256 * 1024;

/// What was said on the command line, by the settings' names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// The file that `--config` names.
    pub file: Option<PathBuf>,
    /// The values of all other flags, by the setting's name.
    pub values: BTreeMap<&'static str, String>,
}

/// The variables of the process; a value, so that tests need not change the process.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process that are ours.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        Self::from_pairs(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// An environment of these variables.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// The value of a variable; an empty one counts as not set, as in Compose files with a default.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Default,
    File(PathBuf),
    Environment,
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// A setting's value as text, and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// One item, or any number for a list.
    pub(super) items: Vec<String>,
    pub(super) source: Source,
}

impl Value {
    /// A default that depends on the environment.
    pub(super) fn of_default(text: String) -> Self {
        Self {
            items: vec![text],
            source: Source::Default,
        }
    }
}

/// The values of all settings that have one, the highest layer's each.
pub(super) type Values = BTreeMap<&'static str, Value>;

/// Collects every layer; besides, everything that is wrong with them: unknown names, files that cannot be read, a secret
/// given twice in one layer.
pub(super) fn collect(flags: &Flags, environment: &Environment) -> (Values, Vec<StartError>) {
    let (mut values, mut faults) = (defaults(), Vec::new());
    if let Some(path) = file_path(flags, environment) {
        let layer = read_file(&path, &mut faults);
        overlay(&mut values, layer, &mut faults);
    }
    let layer = read_environment(environment, &mut faults);
    overlay(&mut values, layer, &mut faults);
    let flags = flags.values.iter();
    let flags = flags.map(|(name, text)| (*name, split(setting(name), text, Source::Flag)));
    overlay(&mut values, flags.collect(), &mut faults);
    (values, faults)
}

fn defaults() -> Values {
    SETTINGS
        .iter()
        .filter_map(|setting| {
            Some((
                setting.name,
                split(setting, setting.default?, Source::Default),
            ))
        })
        .collect()
}

fn file_path(flags: &Flags, environment: &Environment) -> Option<PathBuf> {
    let from_environment = || environment.get(FILE_ENV).map(PathBuf::from);
    flags.file.clone().or_else(from_environment)
}

/// Puts a layer over the others. A secret's file is read here, so that a secret in a higher layer hides it.
fn overlay(values: &mut Values, layer: Values, faults: &mut Vec<StartError>) {
    for (name, value) in &layer {
        if let SettingKind::FileOf(secret) = setting(name).kind {
            if layer.contains_key(secret) {
                let message = format!(
                    "both this and {secret} are set in the {}: leave one out",
                    value.source
                );
                faults.push(StartError::of(name, message));
                continue;
            }
            match read_secret(name, secret, value) {
                Ok(read) => drop(values.insert(secret, read)),
                Err(fault) => faults.push(fault),
            }
        }
    }
    values.extend(layer);
}

fn read_secret(name: &str, secret: &str, value: &Value) -> Result<Value, StartError> {
    let path = PathBuf::from(value.items.concat());
    let text = read_text(&path).map_err(|reason| StartError::of(name, reason))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let items: Vec<String> = lines.map(str::to_owned).collect();
    if items.is_empty() {
        return Err(StartError::of(name, format!("{} is empty", path.display())));
    }
    if items.len() > 1 && setting(secret).kind != SettingKind::List {
        return Err(StartError::of(
            name,
            format!("{} has more than one line", path.display()),
        ));
    }
    Ok(Value {
        items,
        source: value.source.clone(),
    })
}

fn read_text(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut file = file.take(FILE_LIMIT);
    file.read_to_string(&mut text).map_err(failed)?;
    if file.limit() == 0 {
        return Err(format!(
            "{} is longer than {FILE_LIMIT} bytes",
            path.display()
        ));
    }
    Ok(text)
}

fn split(setting: &Setting, text: &str, source: Source) -> Value {
    let items = match setting.kind {
        SettingKind::List => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect(),
        _ => vec![text.trim().to_owned()],
    };
    Value { items, source }
}

fn read_environment(environment: &Environment, faults: &mut Vec<StartError>) -> Values {
    let mut values = Values::new();
    for (name, text) in &environment.0 {
        let ours = name.starts_with(PREFIX) && name != FILE_ENV;
        if !ours || is_service_link(name, environment) {
            continue;
        }
        match SETTINGS.iter().find(|setting| setting.env == name) {
            None => faults.push(StartError::named(
                name,
                "there is no such setting; see hobnob --help",
            )),
            Some(setting) if environment.get(name).is_some() => {
                values.insert(setting.name, split(setting, text, Source::Environment));
            }
            Some(_) => {}
        }
    }
    values
}

/// Whether Kubernetes put this variable there: for a Service named `hobnob` it gives every pod `HOBNOB_SERVICE_HOST`,
/// `HOBNOB_PORT`, `HOBNOB_PORT_3000_TCP` and the like, which are no settings of ours.
fn is_service_link(name: &str, environment: &Environment) -> bool {
    let services: BTreeSet<&str> = environment
        .0
        .keys()
        .filter_map(|key| key.strip_suffix("_SERVICE_HOST"))
        .collect();
    services
        .iter()
        .filter_map(|service| name.strip_prefix(service)?.strip_prefix('_'))
        .any(|rest| {
            let port = rest
                .strip_prefix("PORT_")
                .and_then(|rest| rest.chars().next());
            rest == "SERVICE_HOST"
                || rest == "PORT"
                || rest.starts_with("SERVICE_PORT")
                || port.is_some_and(|first| first.is_ascii_digit())
        })
}

fn read_file(path: &Path, faults: &mut Vec<StartError>) -> Values {
    let tables = read_text(path).and_then(|text| {
        toml::from_str::<toml::Table>(&text)
            .map_err(|error| format!("{}: {}", path.display(), describe(&text, &error)))
    });
    let tables = tables.unwrap_or_else(|message| {
        faults.push(StartError::named(FILE_ENV, message));
        toml::Table::new()
    });
    let source = Source::File(path.to_owned());
    let mut values = Values::new();
    for (section, table) in &tables {
        let known = SETTINGS.iter().any(|setting| setting.section == section);
        let (true, toml::Value::Table(table)) = (known, table) else {
            let message = format!("there is no such section, in {}", path.display());
            faults.push(StartError::named(format!("[{section}]"), message));
            continue;
        };
        for (key, value) in table {
            match read_key(section, key, value, &source) {
                Ok((name, value)) => drop(values.insert(name, value)),
                Err(fault) => faults.push(fault),
            }
        }
    }
    values
}

/// A parser's message may quote the line, and the line may hold a secret: only its place and kind are told.
fn describe(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| {
        text.get(..span.start).unwrap_or("").lines().count().max(1)
    });
    format!("line {line}: {}", error.message())
}

fn read_key(
    section: &str,
    key: &str,
    value: &toml::Value,
    source: &Source,
) -> Result<(&'static str, Value), StartError> {
    let Some(setting) = SETTINGS
        .iter()
        .find(|setting| setting.section == section && setting.name == key)
    else {
        let message = format!("there is no such key, in the {source}");
        return Err(StartError::named(format!("{section}.{key}"), message));
    };
    let items = match (setting.kind, value) {
        (SettingKind::List, toml::Value::Array(items)) => items.iter().map(scalar).collect(),
        (_, value) => scalar(value).map(|text| split(setting, &text, source.clone()).items),
    };
    let Some(items) = items else {
        let message = format!("not a value of this kind, in the {source}");
        return Err(StartError::of(setting.name, message));
    };
    let source = source.clone();
    Ok((setting.name, Value { items, source }))
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}
