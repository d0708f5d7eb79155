//! The tables of `docs/metrics.md`, and the text that gateways serve, both as plain maps. Knows no metric.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::leash::repository;

/// A metric as one side describes it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) kind: String,
    pub(super) meaning: String,
    /// The values of each label; none listed means that any may come.
    pub(super) labels: BTreeMap<String, BTreeSet<String>>,
}

pub(super) type Metrics = BTreeMap<String, Metric>;

/// The documented ones.
pub(super) fn documented() -> Metrics {
    let text = std::fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, meaning] = cells[..] else {
            panic!("not four cells: {row}")
        };
        let metric = Metric {
            kind: kind.to_owned(),
            meaning: meaning.to_owned(),
            labels: labels.split("; ").filter_map(label).collect(),
        };
        (quoted(name).remove(0), metric)
    })
    .collect()
}

/// `protocol`: `socketio`, `websocket`
fn label(cell: &str) -> Option<(String, BTreeSet<String>)> {
    let mut words = quoted(cell).into_iter();
    Some((words.next()?, words.collect()))
}

fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Those in Prometheus' text format.
pub(super) fn served(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, meaning) = rest.split_once(' ').unwrap();
            let metric = metrics.entry(name.to_owned()).or_default();
            metric.meaning = meaning.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let kind_of = &mut metrics.entry(name.to_owned()).or_default().kind;
            assert!(kind_of.is_empty(), "{name} is there twice");
            *kind_of = kind.to_owned();
        } else {
            add_sample(&mut metrics, line);
        }
    }
    metrics
}

fn add_sample(metrics: &mut Metrics, line: &str) {
    let (series, _value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let of_histogram = ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|part| name.strip_suffix(part))
        .find(|base| metrics.get(*base).is_some_and(|it| it.kind == "histogram"));
    let metric = metrics.get_mut(of_histogram.unwrap_or(name));
    let metric = metric.unwrap_or_else(|| panic!("{name} has no type"));
    let pairs = labels.trim_end_matches('}').split(',');
    for (label, value) in pairs.filter_map(|pair| pair.split_once('=')) {
        if !(label == "le" && of_histogram.is_some()) {
            let values = metric.labels.entry(label.to_owned()).or_default();
            values.insert(value.trim_matches('"').to_owned());
        }
    }
}

#[test]
fn both_forms_are_read_alike() {
    let text = "# HELP a_total What.\n# TYPE a_total counter\na_total{k=\"x\"} 1\na_total{k=\"y\"} 0\n\n\
        # HELP b How long.\n# TYPE b histogram\nb_bucket{le=\"+Inf\"} 0\nb_sum 0\nb_count 0\n";
    let metrics = served(text);
    assert_eq!(metrics.len(), 2);
    assert_eq!(
        label("`k`: `x`, `y`").unwrap(),
        metrics["a_total"]
            .labels
            .first_key_value()
            .map(|(key, values)| (key.clone(), values.clone()))
            .unwrap()
    );
    assert!(metrics["b"].labels.is_empty() && metrics["b"].kind == "histogram");
}
