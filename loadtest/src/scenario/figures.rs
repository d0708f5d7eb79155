//! The names under which a run's figures are known to thresholds, comparisons and tables. Knows no run.

use std::collections::BTreeMap;

use super::cost::Cost;
use super::sampler::Sample;
use crate::Invalid;
use crate::check::Report;
use crate::ledger::{Series, Shares};
use crate::measure::{Latencies, LatenessReport, Percentiles};
use crate::mix::Kind;

/// Figures by name; thresholds speak of them.
pub(crate) type Figures = BTreeMap<String, f64>;

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

/// Changes of one kind: how many a second, and CPU of everything that was done meanwhile for each of them, which is what
/// one costs where little else is done.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of changes is far below 2^52"
)]
pub(super) fn changes(
    figures: &mut Figures,
    kind: Kind,
    (count, per_second): (u64, f64),
    costs: &[Cost],
) {
    let name = kind.name();
    figures.insert(format!("{name}PerSecond"), per_second);
    let one = match kind {
        Kind::Reactions => "Reaction",
        Kind::Edits => "Edit",
        Kind::Deletions => "Deletion",
        Kind::Messages | Kind::Members => return,
    };
    for cost in costs {
        let micros = cost.cpu_seconds * 1e6 / count.max(1) as f64;
        figures.insert(format!("{}MicrosPer{one}", cost.name), micros);
    }
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

/// How evenly the senders of a closed loop were served, while there was sending. Latencies are those of ordinary senders;
/// the deep ones', who wait longer because more of theirs is under way, are told apart.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of messages is far below 2^52"
)]
pub(super) fn fairness(figures: &mut Figures, shares: &Shares) {
    let mean = shares.mean();
    let messages = |count: Option<&u64>| count.map_or(0.0, |count| *count as f64);
    let (slowest, fastest) = (
        messages(shares.counts.first()),
        messages(shares.counts.last()),
    );
    let Percentiles { p50, p99, max, .. } = shares.latency;
    let tail = p99 / p50.max(f64::MIN_POSITIVE);
    let told = [
        ("senderMessagesSlowest", slowest),
        ("senderMessagesMean", mean),
        ("senderMessagesFastest", fastest),
        ("senderSlowestToMean", slowest / mean.max(1.0)),
        ("senderFastestToMean", fastest / mean.max(1.0)),
        ("senderWaitP50Ms", p50),
        ("senderWaitP99Ms", p99),
        ("senderWaitMaxMs", max),
        ("senderWaitP99ToP50", tail),
        ("deepSenderWaitP50Ms", shares.deep.p50),
    ];
    figures.extend(told.map(|(name, figure)| (name.to_owned(), figure)));
}

/// How late the generator was.
pub(super) fn generator(figures: &mut Figures, report: Option<LatenessReport>) {
    if let Some(report) = report {
        figures.insert("generatorLateP99Ms".to_owned(), report.late.p99);
    }
}

/// How many times the other run's throughput is of this one's, and what it had.
pub(super) fn versus(figures: &mut Figures, other: &Figures) {
    let throughput = |figures: &Figures| figures.get("messagesPerSecond").copied();
    if let (Some(own), Some(other)) = (throughput(figures), throughput(other)) {
        let ratio = other / own.max(f64::MIN_POSITIVE);
        figures.insert("throughputRatio".to_owned(), ratio);
    }
    for (name, figure) in other {
        let (first, rest) = name.split_at(1);
        let name = format!("versus{}{rest}", first.to_uppercase());
        figures.insert(name, *figure);
    }
}

/// What those who talk felt of a crowd that came: deliveries in the seconds before, while it came, and after.
pub(super) fn around_a_crowd(figures: &mut Figures, series: &Series) -> Result<(), Invalid> {
    let second = |name: &str| figures.get(name).copied();
    let (from, to) = (second("connectFromSecond"), second("connectToSecond"));
    let (Some(from), Some(to)) = (from, to) else {
        return Ok(());
    };
    let mut parts = [
        ("Before", Latencies::new()?),
        ("During", Latencies::new()?),
        ("After", Latencies::new()?),
    ];
    for (index, second) in (0_u32..).zip(&series.seconds) {
        let begin = f64::from(index);
        let part = usize::from(begin + 1.0 > from) + usize::from(begin > to);
        parts[part].1.merge(&second.delivery);
    }
    for (part, latencies) in parts {
        let times = latencies.percentiles();
        figures.insert(format!("othersDeliveryP50Ms{part}"), times.p50);
        figures.insert(format!("othersDeliveryP99Ms{part}"), times.p99);
    }
    Ok(())
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_other_runs_throughput_is_told_as_a_ratio() {
        let of = |rate| Figures::from([("messagesPerSecond".to_owned(), rate)]);
        let mut figures = of(50.0);
        versus(&mut figures, &of(75.0));
        assert_eq!(figures["throughputRatio"], 1.5);
        assert_eq!(figures["versusMessagesPerSecond"], 75.0);
    }

    #[test]
    fn a_crowd_has_a_before_and_an_after() {
        let mut series = Series::new(Duration::ZERO).unwrap();
        for (second, millis) in [(0, 10), (1, 10), (2, 500), (3, 500), (4, 20)] {
            let at = Duration::from_secs(second) + Duration::from_millis(1);
            let latency = Duration::from_millis(millis);
            series.delivered(at, Some(latency)).unwrap();
        }
        let mut figures = Figures::from([
            ("connectFromSecond".to_owned(), 2.2),
            ("connectToSecond".to_owned(), 3.5),
        ]);
        around_a_crowd(&mut figures, &series).unwrap();
        let p99 = |part: &str| figures[&format!("othersDeliveryP99Ms{part}")].round();
        assert_eq!(
            (p99("Before"), p99("During"), p99("After")),
            (10.0, 502.0, 20.0)
        );
    }

    #[test]
    fn a_change_costs_what_was_used_meanwhile() {
        let cost = Cost {
            name: "mongod".to_owned(),
            cpu_micros: 0.0,
            cpu_seconds: 2.0,
            resident: 0,
        };
        let mut figures = Figures::new();
        changes(&mut figures, Kind::Reactions, (1000, 100.0), &[cost]);
        assert_eq!(figures["reactionsPerSecond"], 100.0);
        assert_eq!(figures["mongodMicrosPerReaction"], 2000.0);
    }

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
