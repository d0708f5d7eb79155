//! The names under which a run's figures are known to thresholds, comparisons and tables. Knows no run.

use super::cost::Cost;
use super::file::Figures;
use super::sampler::Sample;
use crate::check::Report;

/// Of the books and the clocks.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of messages is far below 2^52"
)]
pub(super) fn of(report: &Report, costs: &[Cost], delivered: u64) -> Figures {
    let balance = &report.balance;
    let mut figures = Figures::from([
        ("sent".to_owned(), balance.sent as f64),
        ("acknowledged".to_owned(), balance.acknowledged as f64),
        ("deliveries".to_owned(), balance.deliveries as f64),
        ("lost".to_owned(), balance.lost() as f64),
        ("repeated".to_owned(), balance.repeated as f64),
        ("outOfOrder".to_owned(), balance.out_of_order as f64),
        ("longestGapMs".to_owned(), balance.longest_gap_ms),
        (
            "acknowledgementP50Ms".to_owned(),
            balance.acknowledgement_latency.p50,
        ),
        (
            "acknowledgementP99Ms".to_owned(),
            balance.acknowledgement_latency.p99,
        ),
        ("deliveryP50Ms".to_owned(), balance.delivery_latency.p50),
        ("deliveryP99Ms".to_owned(), balance.delivery_latency.p99),
        ("generatorLateP99Ms".to_owned(), report.generator.late.p99),
    ]);
    for cost in costs {
        let name = &cost.name;
        let per_delivery = cost.cpu_seconds * 1e6 / (delivered.max(1)) as f64;
        figures.insert(format!("{name}MicrosPerDelivery"), per_delivery);
        figures.insert(format!("{name}MicrosPerMessage"), cost.cpu_micros);
    }
    let total = costs.iter().map(|cost| cost.cpu_micros).sum();
    figures.insert("allMicrosPerMessage".to_owned(), total);
    figures
}

/// How much longer than a bare insert a message takes, where both were measured.
pub(super) fn above_bare_inserts(figures: &mut Figures) {
    for quantile in ["P50Ms", "P99Ms"] {
        let bare = figures.get(&format!("bareInsert{quantile}")).copied();
        let delivery = figures.get(&format!("delivery{quantile}")).copied();
        if let (Some(bare), Some(delivery)) = (bare, delivery) {
            figures.insert(
                format!("deliveryAboveBareInsert{quantile}"),
                delivery - bare,
            );
        }
    }
}

/// How much memory the gateways had at most, and how much more at the end than after a quarter of the time.
#[expect(
    clippy::cast_precision_loss,
    reason = "a number of bytes is far below 2^52"
)]
pub(super) fn memory(figures: &mut Figures, samples: &[Sample]) {
    let of = |sample: &Sample| {
        sample
            .processes
            .get("gateway")
            .map(|used| used.resident as f64)
    };
    let resident: Vec<f64> = samples.iter().filter_map(of).collect();
    let peak = resident.iter().copied().fold(0.0, f64::max);
    figures.insert("gatewayPeakBytes".to_owned(), peak);
    if let (Some(early), Some(last)) = (resident.get(resident.len() / 4), resident.last()) {
        figures.insert("gatewayGrowthBytes".to_owned(), last - early);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_needs_both() {
        let mut figures = Figures::from([("deliveryP50Ms".to_owned(), 3.0)]);
        above_bare_inserts(&mut figures);
        assert_eq!(figures.len(), 1);
        figures.insert("bareInsertP50Ms".to_owned(), 1.0);
        above_bare_inserts(&mut figures);
        assert!((figures["deliveryAboveBareInsertP50Ms"] - 2.0).abs() < 1e-9);
    }
}
