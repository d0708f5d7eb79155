//! Reads typed values out of the layers: numbers with their limits, durations, byte counts, addresses. An error names
//! the setting and where its value came from; the value itself is quoted only when it cannot be a secret.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::layers::{Source, Values};
use super::settings::setting;
use super::{StartError, StartErrors};

/// The values, with typed access by name. A value that is wrong is noted, and the default stands in for it, so that the
/// others are read, too: whoever corrects a configuration sees all of its faults at once. [`Reader::finish`] lets none
/// of the stand-ins out.
pub(super) struct Reader<'a> {
    values: &'a Values,
    faults: RefCell<Vec<StartError>>,
}

impl<'a> Reader<'a> {
    /// Reads these values; what was wrong with them before comes first.
    pub(super) const fn new(values: &'a Values, faults: Vec<StartError>) -> Self {
        Self {
            values,
            faults: RefCell::new(faults),
        }
    }

    /// What was read, unless something was noted.
    pub(super) fn finish<T>(self, read: Result<T, StartError>) -> Result<T, StartErrors> {
        let mut faults = self.faults.into_inner();
        let read = read.map_err(|fault| faults.push(fault)).ok();
        read.filter(|_| faults.is_empty())
            .ok_or(StartErrors(faults))
    }

    pub(super) fn note(&self, fault: StartError) {
        self.faults.borrow_mut().push(fault);
    }

    /// The text of a setting, if there is one.
    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        self.items(name)
            .first()
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// The items of a list.
    fn items(&self, name: &'static str) -> &[String] {
        self.values.get(name).map_or(&[], |value| &value.items)
    }

    /// A value that may be absent; a wrong one counts as absent.
    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(self.text(name)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.note(self.error(name, &message));
                None
            }
        }
    }

    /// A value that has a default.
    ///
    /// # Errors
    /// When the default is wrong.
    pub(super) fn required<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, StartError> {
        if self.text(name).is_none() {
            self.note(self.error(name, "a value is missing"));
        }
        match self.optional(name, &parse) {
            Some(value) => Ok(value),
            None => parse(setting(name).default.unwrap_or_default())
                .map_err(|message| self.error(name, &message)),
        }
    }

    /// Every item of a list; wrong ones are left out.
    pub(super) fn list<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let note = |message: String| self.note(self.error(name, &message));
        let items = self.items(name).iter();
        items
            .filter_map(|text| parse(text).map_err(note).ok())
            .collect()
    }

    /// A whole number within limits.
    pub(super) fn number(
        &self,
        name: &'static str,
        limits: RangeInclusive<usize>,
    ) -> Result<usize, StartError> {
        let show = match setting(name).placeholder {
            "BYTES" => show_bytes,
            _ => usize::to_string,
        };
        self.required(name, |text| within(parse_number(text)?, &limits, show))
    }

    /// A duration within limits.
    pub(super) fn duration(
        &self,
        name: &'static str,
        limits: RangeInclusive<Duration>,
    ) -> Result<Duration, StartError> {
        self.required(name, |text| {
            within(parse_duration(text)?, &limits, show_duration)
        })
    }

    /// Two settings that contradict each other: blames the second, unless only the first was set by somebody.
    pub(super) fn contradict(&self, (one, other): (&'static str, &'static str), message: &str) {
        let is_set = |name| {
            let value = self.values.get(name);
            value.is_some_and(|value| value.source != Source::Default)
        };
        let blamed = match is_set(one) && !is_set(other) {
            true => one,
            false => other,
        };
        self.note(self.error(blamed, message));
    }

    /// Blames a setting, saying where its value came from unless its name says so already.
    pub(super) fn error(&self, name: &'static str, message: &str) -> StartError {
        let source = self.values.get(name).map(|value| &value.source);
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

/// In the largest unit that gives a whole number, as the help has it.
pub(super) fn show_bytes(bytes: &usize) -> String {
    let units = [(1024 * 1024, " MiB"), (1024, " KiB")];
    let unit = units
        .into_iter()
        .find(|(unit, _)| *bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(
        || bytes.to_string(),
        |(unit, name)| format!("{}{name}", bytes / unit),
    )
}

/// In the largest unit that gives a whole number, as the help has it.
pub(super) fn show_duration(duration: &Duration) -> String {
    let millis = duration.as_millis();
    let larger = DURATION_UNITS.iter().rev();
    let unit = larger
        .map(|(name, unit)| (name, u128::from(*unit)))
        .find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit));
    unit.map_or_else(
        || "0s".to_owned(),
        |(name, unit)| format!("{}{name}", millis / unit),
    )
}

/// Of durations, in milliseconds, the smallest first.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

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
    DURATION_UNITS
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
    let expected = expected.to_string();
    let article = match expected.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) {
        true => "an",
        false => "a",
    };
    format!("{shown:?} is not {article} {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_reads_back_and_has_the_right_article() {
        for (bytes, shown) in [
            (0, "0"),
            (1, "1"),
            (65_536, "64 KiB"),
            (1_048_576, "1 MiB"),
            (1025, "1025"),
        ] {
            assert_eq!(show_bytes(&bytes), shown);
            assert_eq!(parse_number(shown), Ok(bytes));
        }
        for (millis, shown) in [
            (0, "0s"),
            (100, "100ms"),
            (90_000, "90s"),
            (600_000, "10m"),
            (86_400_000, "1d"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(show_duration(&duration), shown);
            assert_eq!(parse_duration(shown), Ok(duration));
        }
        assert_eq!(not_a("x", "IP address"), "\"x\" is not an IP address");
        assert_eq!(not_a("x", "web origin"), "\"x\" is not a web origin");
    }

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
