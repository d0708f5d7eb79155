//! Which variables turn traces on, and which are refused.

use super::*;

fn read(pairs: &[(&'static str, &'static str)]) -> Result<Option<TraceSettings>, InvalidSetting> {
    TraceSettings::read(|name| {
        let found = pairs.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    })
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

#[test]
fn nothing_is_exported_unless_a_variable_says_where_to() {
    let off: [&[_]; 5] = [
        &[],
        &[("OTEL_SERVICE_NAME", "chat")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
        &[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")],
        &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")],
    ];
    for variables in off {
        assert_eq!(read(variables), Ok(None), "{variables:?}");
    }
    let on: [&[_]; 4] = [
        &[ENDPOINT],
        &[("OTEL_TRACES_EXPORTER", "otlp")],
        &[ENDPOINT, ("OTEL_SDK_DISABLED", "false")],
        &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[::1]:4318/x")],
    ];
    for variables in on {
        assert!(matches!(read(variables), Ok(Some(_))), "{variables:?}");
    }
}

#[test]
fn the_queue_and_its_pace_can_be_set() {
    let settings = read(&[
        ENDPOINT,
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "3000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2000"),
        ("OTEL_SERVICE_NAME", "chat"),
    ]);
    let settings = settings.unwrap().unwrap();
    assert_eq!((settings.queue, settings.batch), (100, 100));
    assert_eq!(settings.delay, Duration::from_millis(50));
    assert_eq!(settings.limit, Duration::from_secs(2));
    assert_eq!(settings.service_name.as_deref(), Some("chat"));
}

#[test]
fn what_cannot_be_followed_is_refused_and_named() {
    let wrong = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "nonsense"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "nonsense"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b, no name=c"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a="),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
    ];
    for (variable, value) in wrong {
        let refused = read(&[(variable, value), ENDPOINT]).unwrap_err();
        assert_eq!(refused.variable, variable, "{value}");
    }
    let header = |text| read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", text)]);
    for good in ["a=b", "authorization=Bearer%20x=y, x-tenant=chat,"] {
        assert!(header(good).is_ok(), "{good}");
    }
    assert!(read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_COMPRESSION", "None")]).is_ok());
    let sampler = ("OTEL_TRACES_SAMPLER", "traceidratio");
    let share = |share| read(&[ENDPOINT, sampler, ("OTEL_TRACES_SAMPLER_ARG", share)]);
    assert!(share("0.25").is_ok() && share("1.5").is_err() && share("some").is_err());
}
