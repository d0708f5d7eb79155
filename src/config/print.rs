//! Writes the configuration down: the commented default file, and the settings in force. Never writes a secret.

use std::fmt::Write;

use super::layers::{Source, Values};
use super::secret::redacted_url;
use super::settings::{FILE_ENV, SETTINGS, Setting, SettingKind};

/// What `--help` says about one setting.
#[derive(Debug, Clone)]
pub struct SettingHelp {
    /// Its name, as in [`super::Flags::values`].
    pub name: &'static str,
    /// Its flag, without the hyphens.
    pub flag: &'static str,
    /// What a value looks like.
    pub placeholder: &'static str,
    /// The section of the file it is printed in.
    pub section: &'static str,
    /// Its meaning, its variable and its default.
    pub text: String,
}

/// Every setting, for the command line.
#[must_use]
pub fn setting_helps() -> Vec<SettingHelp> {
    SETTINGS.iter().map(setting_help).collect()
}

fn setting_help(setting: &Setting) -> SettingHelp {
    let default = match setting.default {
        Some(default) if !default.is_empty() => format!(" [default: {default}]"),
        _ => String::new(),
    };
    SettingHelp {
        name: setting.name,
        flag: setting.flag,
        placeholder: setting.placeholder,
        section: setting.section,
        text: format!("{} [env: {}]{default}", setting.help, setting.env),
    }
}

/// A configuration file with every setting at its default, commented. It can be used as it is.
#[must_use]
pub fn default_file() -> String {
    let mut text = format!(
        "# hobnob's configuration: every setting with its default. Read by `hobnob --config FILE` or {FILE_ENV}.\n\
         # Variables override this file, flags override variables. Unknown keys are errors.\n"
    );
    for_each_section(&mut text, |text, setting| {
        text.push('\n');
        for line in wrapped(setting.help, 110) {
            line_into(text, format_args!("# {line}"));
        }
        line_into(text, format_args!("# Variable: {}", setting.env));
        match setting.default {
            Some(default) => {
                let value = toml_value(setting.kind, &default_items(default));
                line_into(text, format_args!("{} = {value}", setting.name));
            }
            None => line_into(text, format_args!("# {} = \"\"", setting.name)),
        }
    });
    text
}

/// The settings in force, each with where it came from.
pub(super) fn effective(values: &Values) -> String {
    let mut text = String::new();
    for_each_section(&mut text, |text, setting| {
        if let SettingKind::FileOf(_) = setting.kind {
            return;
        }
        match values.get(setting.name) {
            Some(value) => {
                let shown = toml_value(setting.kind, &shown_items(setting, &value.items));
                let source = comment(&value.source);
                line_into(text, format_args!("{} = {shown}{source}", setting.name));
            }
            None => line_into(text, format_args!("# {} is not set", setting.name)),
        }
    });
    text.trim_start().to_owned()
}

fn for_each_section(text: &mut String, mut write: impl FnMut(&mut String, &'static Setting)) {
    let mut section = "";
    for setting in SETTINGS {
        if setting.section != section {
            section = setting.section;
            line_into(text, format_args!("\n[{section}]"));
        }
        write(text, setting);
    }
}

fn line_into(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn comment(source: &Source) -> String {
    match source {
        Source::Default => String::new(),
        source => format!(" # {source}"),
    }
}

fn default_items(default: &str) -> Vec<String> {
    let items = default.split(',').filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

fn shown_items(setting: &Setting, items: &[String]) -> Vec<String> {
    let shown = |item: &String| match (setting.is_secret(), setting.kind) {
        (false, _) => item.clone(),
        // Of an address, what is not secret helps; of a secret, nothing does.
        (true, _) if matches!(setting.placeholder, "URL" | "URI") => redacted_url(item),
        (true, _) => "[redacted]".to_owned(),
    };
    items.iter().map(shown).collect()
}

fn toml_value(kind: SettingKind, items: &[String]) -> String {
    let quoted = |text: &String| toml::Value::String(text.clone()).to_string();
    match (kind, items) {
        (SettingKind::List, items) => format!(
            "[{}]",
            items.iter().map(quoted).collect::<Vec<_>>().join(", ")
        ),
        (SettingKind::Number, [number]) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            number.clone()
        }
        (_, items) => quoted(&items.concat()),
    }
}

/// Breaks a text at spaces into lines of at most `width` bytes, longer words excepted.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, String::len);
        if line > 0 && line + 1 + word.len() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
