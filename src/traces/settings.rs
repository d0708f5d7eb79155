//! The `OTEL_*` variables that we look at ourselves: whether to export at all, and what of their values this build cannot
//! do. Where to, with which headers, for which share of the messages is read by the library. A value
//! that cannot be followed is an error at the start, like every setting's.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};

/// How spans are exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// Under which name, if not our own.
    pub(super) service_name: Option<String>,
    /// The most spans that wait; further ones are dropped, and counted.
    pub(super) queue: usize,
    /// The most spans in one request.
    pub(super) batch: usize,
    /// How long the first span of a request waits for others.
    pub(super) delay: Duration,
    /// How long one request may take.
    pub(super) limit: Duration,
}

/// A variable that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {message}")]
pub struct InvalidSetting {
    /// The environment variable that is wrong.
    pub variable: &'static str,
    /// What is wrong with its value.
    pub message: String,
}

impl InvalidSetting {
    pub(super) fn new(variable: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { variable, message }
    }
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const TRACES_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";
const HEADERS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
];
const COMPRESSION: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
];
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The samplers that the library has, and whether each takes a share.
const SAMPLERS: [(&str, bool); 6] = [
    ("always_on", false),
    ("always_off", false),
    ("traceidratio", true),
    ("parentbased_always_on", false),
    ("parentbased_always_off", false),
    ("parentbased_traceidratio", true),
];

impl TraceSettings {
    /// What these variables say; none when nothing is to be exported, which is so unless one says where to.
    ///
    /// # Errors
    /// The first variable that cannot be followed.
    pub fn read<'a>(
        variable: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Option<Self>, InvalidSetting> {
        // An empty variable is one that is not set, says the specification.
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if variable(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let has_endpoint = variable(ENDPOINT).is_some() || variable(TRACES_ENDPOINT).is_some();
        match variable(EXPORTER) {
            Some("none") => return Ok(None),
            None if !has_endpoint => return Ok(None),
            Some("otlp") | None => {}
            Some(_) => return Err(InvalidSetting::new(EXPORTER, "otlp or none")),
        }
        for name in [ENDPOINT, TRACES_ENDPOINT] {
            check_endpoint(name, variable(name))?;
        }
        for name in [PROTOCOL, TRACES_PROTOCOL] {
            if variable(name).is_some_and(|protocol| protocol != "http/protobuf") {
                let message = "only http/protobuf is built in; a collector takes it beside gRPC";
                return Err(InvalidSetting::new(name, message));
            }
        }
        for name in HEADERS {
            check_headers(name, variable(name))?;
        }
        for name in COMPRESSION {
            if variable(name).is_some_and(|algorithm| !algorithm.eq_ignore_ascii_case("none")) {
                return Err(InvalidSetting::new(name, "only none is built in"));
            }
        }
        check_sampler(variable(SAMPLER), variable(SAMPLER_ARG))?;
        let number = |name: &'static str, default: u64| number(name, variable(name), default);
        let millis = |name, default| number(name, default).map(Duration::from_millis);
        let queue = number("OTEL_BSP_MAX_QUEUE_SIZE", 2048)?;
        let batch = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?.min(queue);
        let limit = millis(TIMEOUT, 10_000)?;
        let limit = match variable(TRACES_TIMEOUT) {
            Some(_) => millis(TRACES_TIMEOUT, 10_000)?,
            None => limit,
        };
        Ok(Some(Self {
            service_name: variable("OTEL_SERVICE_NAME").map(str::to_owned),
            queue: usize::try_from(queue).unwrap_or(usize::MAX),
            batch: usize::try_from(batch).unwrap_or(usize::MAX),
            delay: millis("OTEL_BSP_SCHEDULE_DELAY", 5_000)?,
            limit: limit.min(millis("OTEL_BSP_EXPORT_TIMEOUT", 30_000)?),
        }))
    }
}

fn check_endpoint(name: &'static str, value: Option<&str>) -> Result<(), InvalidSetting> {
    let Some(value) = value else { return Ok(()) };
    let uri = value.parse::<axum::http::Uri>().ok();
    let scheme = uri.as_ref().and_then(axum::http::Uri::scheme_str);
    match (scheme, uri.as_ref().and_then(axum::http::Uri::host)) {
        (Some("http"), Some(_)) => Ok(()),
        (Some("https"), _) => {
            let message =
                "https is not built in: export to a collector beside the gateway, which may use it";
            Err(InvalidSetting::new(name, message))
        }
        _ => Err(InvalidSetting::new(
            name,
            "an http URL such as http://127.0.0.1:4318",
        )),
    }
}

/// Headers are `name=value`, separated by commas, the values percent-encoded; the library leaves out what is not.
fn check_headers(name: &'static str, value: Option<&str>) -> Result<(), InvalidSetting> {
    let is_header = |text: &str| {
        text.split_once('=').is_some_and(|(key, value)| {
            let value = value.trim();
            HeaderName::try_from(key.trim()).is_ok()
                && HeaderValue::try_from(value).is_ok()
                && !value.is_empty()
        })
    };
    match value {
        Some(value) if !value.split_terminator(',').all(is_header) => {
            // Never with the value, which is a secret as a rule.
            let message = "headers such as authorization=Bearer%20token,x-tenant=chat";
            Err(InvalidSetting::new(name, message))
        }
        _ => Ok(()),
    }
}

fn check_sampler(name: Option<&str>, share: Option<&str>) -> Result<(), InvalidSetting> {
    let Some(name) = name else { return Ok(()) };
    let Some((_, takes_share)) = SAMPLERS.iter().find(|(known, _)| *known == name) else {
        let known = SAMPLERS.map(|(known, _)| known).join(", ");
        return Err(InvalidSetting::new(SAMPLER, format!("one of {known}")));
    };
    let is_share = |text: &str| {
        text.parse::<f64>()
            .is_ok_and(|share| (0.0..=1.0).contains(&share))
    };
    match share {
        Some(share) if *takes_share && !is_share(share) => {
            Err(InvalidSetting::new(SAMPLER_ARG, "a number from 0 to 1"))
        }
        // Without one, all: what the library does is what the specification says.
        _ => Ok(()),
    }
}

fn number(name: &'static str, value: Option<&str>, default: u64) -> Result<u64, InvalidSetting> {
    let number = value.map_or(Ok(default), str::parse);
    number
        .ok()
        .filter(|number| (1..=10_000_000).contains(number))
        .ok_or_else(|| InvalidSetting::new(name, "a whole number from 1 to 10000000"))
}
