//! What is rendered is in the table, and the other way round.

use std::time::Duration;

use super::{Metrics, table};

fn typed(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines();
    let types = lines.filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.collect()
}

#[tokio::test]
async fn every_rendered_metric_is_in_the_table_and_explained() {
    let (metrics, exporter) = Metrics::exported().unwrap();
    metrics.session_closed("slow_consumer", "reconnect");
    metrics.request_failed("busy");
    metrics.http_request("GET", "/rooms/{id}", 200, Duration::from_millis(3));
    let text = exporter.render();
    let typed = typed(&text);
    for (name, kind) in &typed {
        let row = table::METRICS.iter().find(|(known, ..)| known == name);
        let (_, known, help) = row.unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!(*kind, known.name(), "{name}");
        assert!(text.contains(&format!("# HELP {name} {help}")), "{name}");
    }
    for (name, ..) in table::METRICS {
        let times = typed.iter().filter(|(known, _)| known == name).count();
        assert_eq!(times, 1, "{name}");
        let prefixed = name.starts_with("hobnob_") || name.starts_with("process_");
        assert!(prefixed, "{name}");
    }
    let closed = "hobnob_sessions_closed_total{reason=\"slow_consumer\",class=\"reconnect\"} 1";
    assert!(text.contains(closed), "{text}");
}

#[test]
fn a_stranger_s_methods_are_one_series() {
    let (metrics, exporter) = Metrics::exported().unwrap();
    for method in [
        "GET",
        "DELETE",
        "get",
        "NONSENSE",
        "X".repeat(4096).as_str(),
    ] {
        metrics.http_request(method, "unknown", 405, Duration::from_millis(1));
    }
    let text = exporter.render();
    let counts = text.lines();
    let mut counts: Vec<_> = counts
        .filter_map(|line| line.strip_prefix("hobnob_http_request_seconds_count{method="))
        .filter_map(|rest| rest.split_once(",route=\"unknown\",status=\"405\"} "))
        .collect();
    counts.sort();
    assert_eq!(
        counts,
        [("\"DELETE\"", "1"), ("\"GET\"", "1"), ("\"other\"", "3")]
    );
}

#[test]
fn durations_and_numbers_have_real_buckets() {
    let (metrics, exporter) = Metrics::exported().unwrap();
    metrics.ack_seconds.record(Duration::from_millis(3));
    metrics.commit_batch.record(60.0);
    let text = exporter.render();
    for line in [
        "hobnob_ack_seconds_bucket{le=\"0.002\"} 0",
        "hobnob_ack_seconds_bucket{le=\"0.005\"} 1",
        "hobnob_commit_batch_events_bucket{le=\"50\"} 0",
        "hobnob_commit_batch_events_bucket{le=\"100\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn metrics_of_two_gateways_are_apart_and_none_costs_nothing() {
    let (one, first) = Metrics::exported().unwrap();
    let (_two, second) = Metrics::exported().unwrap();
    one.messages_in.websocket.increment(3);
    Metrics::none().messages_in.websocket.increment(5);
    let line = |count: u32| format!("hobnob_messages_in_total{{protocol=\"websocket\"}} {count}\n");
    assert!(first.render().contains(&line(3)));
    assert!(second.render().contains(&line(0)));
}

#[test]
fn samplers_run_at_each_rendering() {
    let (metrics, exporter) = Metrics::exported().unwrap();
    metrics.sample(|handles| handles.users.increment(1.0));
    for times in 1..=2 {
        let line = format!("hobnob_users {times}\n");
        assert!(exporter.render().contains(&line));
    }
}

#[test]
fn fractions_of_a_second_are_counted() {
    let text = Metrics::exported().unwrap().1.render();
    let line = text
        .lines()
        .find(|line| line.starts_with("process_cpu_seconds_total "));
    let seconds: f64 = line.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    assert!(seconds > 0.0 && seconds < 100_000.0, "{seconds}");
}
