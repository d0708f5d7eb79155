//! Reads typed values out of the layers: numbers with their limits, durations, byte counts, addresses. An error names
//! the setting and where its value came from; the value itself is quoted only when it cannot be a secret.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::StartError;
use super::layers::{Source, Values};
use super::settings::setting;

/// The values, with typed access by name.
pub(super) struct Reader<'a>(pub(super) &'a Values);

impl Reader<'_> {
    /// The text of a setting, if there is one.
    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        self.items(name)
            .first()
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// The items of a list.
    pub(super) fn items(&self, name: &'static str) -> &[String] {
        self.0.get(name).map_or(&[], |value| &value.items)
    }

    /// A value that may be absent.
    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, StartError> {
        self.text(name)
            .map(|text| parse(text).map_err(|message| self.error(name, &message)))
            .transpose()
    }

    /// A value that has a default.
    pub(super) fn required<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, StartError> {
        self.optional(name, parse)?
            .ok_or_else(|| self.error(name, "a value is missing"))
    }

    /// Every item of a list.
    pub(super) fn list<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, StartError> {
        self.items(name)
            .iter()
            .map(|text| parse(text).map_err(|message| self.error(name, &message)))
            .collect()
    }

    /// A whole number within limits.
    pub(super) fn number(
        &self,
        name: &'static str,
        limits: RangeInclusive<usize>,
    ) -> Result<usize, StartError> {
        self.required(name, |text| {
            within(parse_number(text)?, &limits, |n| n.to_string())
        })
    }

    /// A duration within limits.
    pub(super) fn duration(
        &self,
        name: &'static str,
        limits: RangeInclusive<Duration>,
    ) -> Result<Duration, StartError> {
        self.required(name, |text| {
            within(parse_duration(text)?, &limits, |d| format!("{d:?}"))
        })
    }

    /// Blames a setting, saying where its value came from unless its name says so already.
    pub(super) fn error(&self, name: &'static str, message: &str) -> StartError {
        let source = self.0.get(name).map(|value| &value.source);
        let place = match source {
            Some(Source::File(path)) => format!(" (set in {})", path.display()),
            Some(Source::Flag) => format!(" (set by --{})", setting(name).flag),
            _ => String::new(),
        };
        StartError::of(name, format!("{message}{place}"))
    }
}

fn within<T: PartialOrd>(
    value: T,
    limits: &RangeInclusive<T>,
    show: impl Fn(&T) -> String,
) -> Result<T, String> {
    if limits.contains(&value) {
        Ok(value)
    } else {
        let (least, most) = (show(limits.start()), show(limits.end()));
        Err(format!(
            "{} is not between {least} and {most}",
            show(&value)
        ))
    }
}

/// `16384`, `64KiB`, `1MiB`.
fn parse_number(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1024), ("MiB", 1024 * 1024)];
    let (digits, unit) = units
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?.trim_end(), *unit)))
        .unwrap_or((text, 1));
    digits
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| not_a(text, "whole number, such as 16384 or 16KiB"))
}

/// `500ms`, `25s`, `15m`, `12h`, `30d`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let units = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    units
        .iter()
        .find_map(|(suffix, millis)| {
            let number: u64 = text.strip_suffix(suffix)?.trim_end().parse().ok()?;
            number.checked_mul(*millis).map(Duration::from_millis)
        })
        .ok_or_else(|| not_a(text, "duration, such as 500ms, 25s, 15m, 12h or 30d"))
}

/// The complaint about a value that is not a secret.
pub(super) fn not_a(text: &str, expected: impl fmt::Display) -> String {
    let shown: String = text.chars().take(60).collect();
    format!("{shown:?} is not a {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_numbers_have_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("25s"), Ok(Duration::from_secs(25)));
        assert_eq!(parse_duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(2_592_000)));
        for wrong in [
            "",
            "25",
            "s",
            "-1s",
            "1.5s",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_number("64KiB"), Ok(65_536));
        assert_eq!(parse_number("1 MiB"), Ok(1_048_576));
        for wrong in ["", "-1", "1.5", "KiB", "99999999999999999999", "1GiB"] {
            assert!(parse_number(wrong).is_err(), "{wrong}");
        }
    }
}
