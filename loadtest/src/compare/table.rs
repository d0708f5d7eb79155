//! The comparison table, made from `loadtest/results/` and from nothing else. Knows which figures matter to readers.

use std::path::{Path, PathBuf};

use super::result::Compared;
use crate::{Invalid, Verdict};

/// Where the table stands in a file.
const MARKS: (&str, &str) = ("<!-- comparison -->\n", "<!-- /comparison -->");

const HEAD: &str = "| work | hobnob | Node peer | peer : hobnob | limit |\n|---|--:|--:|--:|--:|\n";

/// `hobnob-load table`.
#[derive(Debug, Clone, clap::Args)]
pub struct TableOptions {
    /// The results
    #[arg(long, default_value = "loadtest/results")]
    pub results: PathBuf,
    /// A file with `<!-- comparison -->` marks to put it into
    #[arg(long)]
    pub into: Option<PathBuf>,
}

/// A line of the table: a scenario's name, what it is for readers, a figure and its unit.
struct Line(&'static str, &'static str, &'static str, Unit);

#[derive(Clone, Copy)]
enum Unit {
    Micros,
    Millis,
    PerSecond,
    Count,
    /// Of 1,024 bytes each.
    Kilobytes,
    /// How many times as much.
    Times,
}

const LINES: &[Line] = &[
    Line(
        "room-fanout-100",
        "room fan-out, 10 rooms of 100, 100 messages/s: gateway CPU per delivery",
        "gatewayMicrosPerDelivery",
        Unit::Micros,
    ),
    Line(
        "room-fanout-100",
        "the same: delivered after, p50",
        "deliveryP50Ms",
        Unit::Millis,
    ),
    Line(
        "room-fanout-100",
        "the same: delivered after, p99",
        "deliveryP99Ms",
        Unit::Millis,
    ),
    Line(
        "room-fanout-100-ws",
        "room fan-out on `/ws`, 10 rooms of 100, 100 messages/s: gateway CPU per delivery",
        "gatewayMicrosPerDelivery",
        Unit::Micros,
    ),
    Line(
        "room-fanout-100-ws",
        "the same: delivered after, p99",
        "deliveryP99Ms",
        Unit::Millis,
    ),
    Line(
        "room-fanout-saturated",
        "the same, saturated: gateway CPU per delivery",
        "gatewayMicrosPerDelivery",
        Unit::Micros,
    ),
    Line(
        "room-fanout-saturated",
        "the same: deliveries",
        "deliveriesPerSecond",
        Unit::PerSecond,
    ),
    Line(
        "room-fanout-saturated",
        "the same: out of order",
        "outOfOrder",
        Unit::Count,
    ),
    Line(
        "direct-saturated",
        "durable direct messages, saturated, 200 users: messages",
        "messagesPerSecond",
        Unit::PerSecond,
    ),
    Line(
        "direct-saturated",
        "the same: gateway CPU per message",
        "gatewayMicrosPerMessage",
        Unit::Micros,
    ),
    Line(
        "direct-saturated",
        "the same: CPU per message with MongoDB and Redis",
        "allMicrosPerMessage",
        Unit::Micros,
    ),
    Line(
        "direct-latency",
        "direct messages, 100 a second, across two gateways: delivered after, p50",
        "deliveryP50Ms",
        Unit::Millis,
    ),
    Line(
        "direct-latency",
        "the same: p99",
        "deliveryP99Ms",
        Unit::Millis,
    ),
    Line(
        "direct-latency",
        "a bare majority-committed insert meanwhile, p50",
        "bareInsertP50Ms",
        Unit::Millis,
    ),
    Line(
        "direct-latency",
        "the same, p99",
        "bareInsertP99Ms",
        Unit::Millis,
    ),
    Line(
        "hot-room",
        "one room, 16 senders on four gateways as fast as they are answered: messages",
        "messagesPerSecond",
        Unit::PerSecond,
    ),
    Line(
        "hot-room",
        "the same: delivered after, p99",
        "deliveryP99Ms",
        Unit::Millis,
    ),
    Line(
        "hot-room",
        "the same on one gateway: messages",
        "versusMessagesPerSecond",
        Unit::PerSecond,
    ),
    Line(
        "hot-room",
        "one gateway's throughput, times that of four",
        "throughputRatio",
        Unit::Times,
    ),
    Line(
        "hot-room",
        "the same on four: appends that lost their number to another gateway",
        "appendConflicts",
        Unit::Count,
    ),
    Line(
        "join-empty",
        "join with 50 rooms, nothing waiting: gateway CPU",
        "gatewayMicrosPerJoin",
        Unit::Micros,
    ),
    Line(
        "join-empty",
        "the same: MongoDB",
        "mongodMicrosPerJoin",
        Unit::Micros,
    ),
    Line(
        "join-empty",
        "the same: Redis",
        "redisMicrosPerJoin",
        Unit::Micros,
    ),
    Line(
        "join-backlog",
        "join with 50 rooms, 1,000 messages waiting: gateway CPU",
        "gatewayMicrosPerJoin",
        Unit::Micros,
    ),
    Line(
        "join-backlog",
        "the same: MongoDB",
        "mongodMicrosPerJoin",
        Unit::Micros,
    ),
    Line(
        "join-backlog",
        "the same: Redis",
        "redisMicrosPerJoin",
        Unit::Micros,
    ),
    Line(
        "connect-storm",
        "5,000 who come back at once, 20 rooms each: all are live after",
        "allLiveMs",
        Unit::Millis,
    ),
    Line(
        "connect-storm",
        "the same: deliveries to others, p99, before",
        "othersDeliveryP99MsBefore",
        Unit::Millis,
    ),
    Line(
        "connect-storm",
        "the same: meanwhile",
        "othersDeliveryP99MsDuring",
        Unit::Millis,
    ),
    Line(
        "presence-heartbeat",
        "an idle gateway with 100 users online: commands to Redis",
        "redisCommandsPerSecondFew",
        Unit::PerSecond,
    ),
    Line(
        "presence-heartbeat",
        "the same with 10,000",
        "redisCommandsPerSecondMany",
        Unit::PerSecond,
    ),
    Line(
        "idle",
        "idle Socket.IO session, 10,000 of them: resident memory",
        "residentPerSession",
        Unit::Kilobytes,
    ),
    Line(
        "idle",
        "the same: CPU a second",
        "cpuMicrosPerSessionSecond",
        Unit::Micros,
    ),
    Line(
        "idle-ws",
        "idle `/ws` session, 10,000 of them: resident memory",
        "residentPerSession",
        Unit::Kilobytes,
    ),
    Line(
        "idle-ws",
        "the same: CPU a second",
        "cpuMicrosPerSessionSecond",
        Unit::Micros,
    ),
];

/// Prints the table, or puts it into a file.
///
/// # Errors
/// When a result is missing or of another form, or the file has no place for it.
pub fn command(options: &TableOptions) -> Result<Verdict, Invalid> {
    let table = of(&options.results)?;
    match &options.into {
        None => print!("{table}"),
        Some(path) => {
            let text = std::fs::read_to_string(path)?;
            std::fs::write(path, put(&text, &table)?)?;
        }
    }
    Ok(Verdict::Pass)
}

/// The table of a folder of results.
fn of(results: &Path) -> Result<String, Invalid> {
    let mut scenarios: Vec<&str> = LINES.iter().map(|line| line.0).collect();
    scenarios.dedup();
    let (mut lines, mut places, mut head) = (String::new(), Vec::new(), String::new());
    for scenario in scenarios {
        let compared = read(&results.join(format!("{scenario}.json")))?;
        for line in LINES.iter().filter(|line| line.0 == scenario) {
            lines.push_str(&line.show(&compared));
        }
        let day = compared.ended.get(..10).unwrap_or_default();
        let place = format!("{} on {day}", compared.commit);
        if !places.contains(&place) {
            places.push(place);
        }
        head = about(&compared);
    }
    let places = places.join(", ");
    Ok(format!(
        "{head}{HEAD}{lines}\nMeasured at commit {places}.\n"
    ))
}

/// On what it was measured. One machine's results stand in one folder.
fn about(compared: &Compared) -> String {
    let machine = &compared.machine;
    format!(
        "{}, {} cores, {} GB, everything on it, the load generator too; {}.\n\n",
        machine.processor,
        machine.cores,
        machine.memory >> 30,
        machine.servers.join(", ")
    )
}

impl Line {
    fn show(&self, compared: &Compared) -> String {
        let Self(_, words, figure, unit) = self;
        let cell = |server: &str| {
            let spread = compared.spread(server, figure);
            spread.map_or_else(|| "–".to_owned(), |spread| unit.show(spread.median))
        };
        let ratio = compared.ratio("hobnob", "node-socketio", figure);
        let ratio = ratio.map_or_else(
            || "–".to_owned(),
            |ratio| {
                format!(
                    "{:.2} ({:.2}–{:.2})",
                    ratio.median, ratio.least, ratio.largest
                )
            },
        );
        format!(
            "| {words} | {} | {} | {ratio} | {} |\n",
            cell("hobnob"),
            cell("node-socketio"),
            cell("limit")
        )
    }
}

fn read(path: &Path) -> Result<Compared, Invalid> {
    let wrong = |error: &dyn std::fmt::Display| Invalid(format!("{}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| wrong(&error))?;
    serde_json::from_slice(&text).map_err(|error| wrong(&error))
}

fn put(text: &str, table: &str) -> Result<String, Invalid> {
    let missing = || Invalid("there are no comparison marks".to_owned());
    let (before, rest) = text.split_once(MARKS.0).ok_or_else(missing)?;
    let (_, after) = rest.split_once(MARKS.1).ok_or_else(missing)?;
    Ok(format!("{before}{}{table}{}{after}", MARKS.0, MARKS.1))
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Micros => format!("{value:.1} µs"),
            Self::Millis => format!("{value:.1} ms"),
            Self::PerSecond if value < 100.0 => format!("{value:.1}/s"),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Count => format!("{value:.0}"),
            Self::Kilobytes => format!("{:.1} KB", value / 1024.0),
            Self::Times => format!("×{value:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::leash::repository;

    #[test]
    fn the_readme_shows_the_results_and_nothing_else() {
        let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
        let table = of(&repository().join("loadtest/results")).unwrap();
        assert_eq!(
            put(&readme, &table).unwrap(),
            readme,
            "run `hobnob-load table --into README.md`"
        );
    }

    #[test]
    fn a_table_goes_between_its_marks() {
        let text = "a\n<!-- comparison -->\nold\n<!-- /comparison -->\nb";
        assert_eq!(
            put(text, "new\n").unwrap(),
            "a\n<!-- comparison -->\nnew\n<!-- /comparison -->\nb"
        );
        assert!(put("a", "new").is_err());
    }
}
