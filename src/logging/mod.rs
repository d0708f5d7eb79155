//! Logs: one line per record on standard output, JSON or for people. Errors of the start are not logs; `main` prints
//! those on standard error. Every line names this gateway (JSON only) and whom it serves. Knows nothing of what is logged.

pub mod served;

use std::fmt;
use std::io::{IsTerminal, stdout};
use std::sync::OnceLock;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, Subscriber as Lines};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogFormat, LoggingSection, StartError};
use served::Served;

/// The id of this process's gateway, once it is known; on every JSON line from then on, so that lines of several
/// gateways in one place can be told apart.
static GATEWAY: OnceLock<String> = OnceLock::new();

/// Names this process's gateway. Once: a process is one gateway.
pub fn name_gateway(id: &str) {
    let _ = GATEWAY.set(id.to_owned());
}

/// What is logged, for changing it while the process runs.
pub struct Filter(Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}

impl Filter {
    /// Another filter from now on.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn set(&self, filter: &str) -> Result<(), StartError> {
        (self.0)(parse(filter)?).map_err(|error| StartError::of("log", error))
    }
}

/// Starts logging for the whole process; once.
///
/// # Errors
/// When the filter cannot be read (the configuration has checked it) or logging has been started already.
pub fn start(logging: &LoggingSection) -> Result<Filter, StartError> {
    let lines = Lines::builder()
        .with_env_filter(parse(&logging.filter)?)
        .log_internal_errors(false);
    let json = match logging.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !stdout().is_terminal(),
    };
    let (started, filter) = if json {
        let lines = lines.json().flatten_event(true).with_span_list(false);
        let lines = lines.map_event_format(|format| Named {
            format,
            put: put_first,
        });
        let lines = lines.with_filter_reloading();
        let handle = lines.reload_handle();
        let filter = move |filter| handle.reload(filter).map_err(|error| error.to_string());
        let started = tracing::subscriber::set_global_default(lines.finish());
        (started, Filter(Box::new(filter)))
    } else {
        let is_terminal = stdout().is_terminal();
        let lines = lines.with_ansi(is_terminal);
        let lines = lines.map_event_format(|format| Named {
            format: format.with_ansi(is_terminal),
            put: put_last,
        });
        let lines = lines.with_filter_reloading();
        let handle = lines.reload_handle();
        let filter = move |filter| handle.reload(filter).map_err(|error| error.to_string());
        let started = tracing::subscriber::set_global_default(lines.finish());
        (started, Filter(Box::new(filter)))
    };
    started.map_err(|error| StartError::of("log", error.to_string()))?;
    log_panics();
    Ok(filter)
}

fn parse(filter: &str) -> Result<EnvFilter, StartError> {
    EnvFilter::try_new(filter).map_err(|error| StartError::of("log", error.to_string()))
}

/// Adds to what another format writes, for whom it is.
struct Named<F> {
    format: F,
    put: fn(&mut Writer<'_>, &str, &Served) -> fmt::Result,
}

impl<S, N, F> FormatEvent<S, N> for Named<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.format
            .format_event(context, Writer::new(&mut line), event)?;
        (self.put)(&mut writer, &line, &served::current())
    }
}

/// In front of a JSON object's own fields.
fn put_first(writer: &mut Writer<'_>, line: &str, whom: &Served) -> fmt::Result {
    let Some(rest) = line.strip_prefix('{') else {
        return writer.write_str(line);
    };
    writer.write_char('{')?;
    // Neither this id nor a session's has a character that JSON would escape; a request's may.
    if let Some(gateway) = GATEWAY.get() {
        write!(writer, "\"gateway_id\":\"{gateway}\",")?;
    }
    if let Some((name, id)) = whom.field() {
        let id = serde_json::Value::from(id.to_string());
        write!(writer, "\"{name}\":{id},")?;
    }
    writer.write_str(rest)
}

/// At the end of a line for people.
fn put_last(writer: &mut Writer<'_>, line: &str, whom: &Served) -> fmt::Result {
    match whom.field() {
        Some((name, id)) => writeln!(writer, "{} {name}={id}", line.trim_end()),
        None => writer.write_str(line),
    }
}

/// A panic in a task is a fault of ours: it goes where everything else is logged, in one line. Its message may quote
/// what a user wrote, so only its place is logged.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a task panicked");
    }));
}
