//! A scenario as a file: what it simulates, its load, what happens beside it, and its thresholds. Knows no run.

use std::path::Path;

use serde::Deserialize;

use super::beside::{Backlog, Connect, Heartbeat, Idle, Presence, Slow, Typing};
use super::figures::Figures;
use crate::Invalid;
use crate::check::{Deep, Load, Plan};
use crate::matrix::Row;

/// One file of `loadtest/scenarios/`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The file's name.
    #[serde(skip)]
    pub(crate) name: String,
    /// What it stands for, for readers.
    pub(crate) simulates: String,
    /// How many gateways.
    #[serde(default = "two")]
    pub(crate) gateways: usize,
    /// How many members the replica set has.
    #[serde(default = "one")]
    pub(crate) mongodb_members: usize,
    /// Messages that are sent and accounted for.
    pub(crate) load: Option<Load>,
    /// A closed loop: each sender has so many messages under way.
    pub(crate) window: Option<usize>,
    /// What is sent in the first so many seconds does not count where it is told how evenly senders were served: the
    /// conversations are made then.
    #[serde(default)]
    pub(crate) warm_up: u64,
    /// Only the first so many members of a room send.
    pub(crate) senders: Option<usize>,
    /// The first so many users have more under way than `window`.
    pub(crate) deep: Option<Deep>,
    /// Sessions take the gateways in turn: the two of a pair are on different ones.
    #[serde(default)]
    pub(crate) spread: bool,
    /// Rooms share nobody; there are as many users as that takes.
    #[serde(default)]
    pub(crate) apart: bool,
    /// Measures bare inserts into the same MongoDB at the same time.
    #[serde(default)]
    pub(crate) bare_inserts: bool,
    /// A fault of the matrix.
    pub(crate) fault: Option<Row>,
    /// Raises the rate until a threshold is missed.
    pub(crate) capacity: Option<Capacity>,
    /// The same on another number of gateways first, to compare with.
    pub(crate) versus: Option<Versus>,
    pub(crate) idle: Option<Idle>,
    pub(crate) connect: Option<Connect>,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) presence: Option<Presence>,
    pub(crate) typing: Option<Typing>,
    pub(crate) slow: Option<Slow>,
    pub(crate) backlog: Option<Backlog>,
    /// Figures that may be no larger.
    #[serde(default)]
    pub(crate) at_most: Figures,
    /// Figures that may be no smaller.
    #[serde(default)]
    pub(crate) at_least: Figures,
}

/// How the highest rate is looked for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Capacity {
    /// From one step to the next.
    pub(crate) factor: f64,
    /// How many steps at most.
    pub(crate) steps: u32,
}

/// What is different in the run that is compared with.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Versus {
    pub(crate) gateways: usize,
}

fn one() -> usize {
    1
}

fn two() -> usize {
    2
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or says something else than a scenario.
    pub(crate) fn read(path: &Path) -> Result<Self, Invalid> {
        let wrong = |error: &dyn std::fmt::Display| Invalid(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let mut scenario: Self = toml::from_str(&text).map_err(|error| wrong(&error))?;
        let name = path.file_stem().unwrap_or_default();
        scenario.name = name.to_string_lossy().into_owned();
        if scenario.load.is_none() && scenario.beside_count() == 0 {
            return Err(wrong(&"it does nothing"));
        }
        if scenario.beside_count() > 1 {
            return Err(wrong(&"one thing happens beside the load, not several"));
        }
        Ok(scenario)
    }

    fn beside_count(&self) -> usize {
        let there = [
            self.idle.is_some(),
            self.connect.is_some(),
            self.heartbeat.is_some(),
            self.presence.is_some(),
            self.typing.is_some(),
            self.slow.is_some(),
            self.backlog.is_some(),
        ];
        there.into_iter().filter(|is_there| *is_there).count()
    }

    /// Who talks with whom.
    pub(crate) fn plan(&self, load: &Load) -> Result<Plan, Invalid> {
        let mut plan = Plan::of(load)?;
        if self.apart {
            let members = |room: usize| (room * load.members..(room + 1) * load.members).collect();
            plan.users = load.rooms * load.members;
            plan.rooms = (0..load.rooms).map(members).collect();
            plan.invite();
        }
        if self.window.is_some() && load.rooms == 0 {
            plan.directs = (0..load.users / 2)
                .map(|pair| (2 * pair, 2 * pair + 1))
                .collect();
        }
        plan.window = self.window;
        plan.senders = self.senders;
        (plan.deep, plan.spread) = (self.deep, self.spread);
        Ok(plan)
    }

    /// Which thresholds are missed, in words.
    pub(crate) fn missed(&self, figures: &Figures) -> Vec<String> {
        let judge = |limits: &Figures, word: &str, is_missed: fn(f64, f64) -> bool| {
            let mut missed = Vec::new();
            for (name, limit) in limits {
                match figures.get(name) {
                    None => missed.push(format!("{name} was not measured")),
                    Some(figure) if is_missed(*figure, *limit) => {
                        missed.push(format!("{name} is {figure:.2}, {word} {limit} wanted"));
                    }
                    Some(_) => {}
                }
            }
            missed
        };
        let mut missed = judge(&self.at_most, "at most", |figure, limit| figure > limit);
        missed.extend(judge(&self.at_least, "at least", |figure, limit| {
            figure < limit
        }));
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::leash::repository;

    #[test]
    fn every_scenario_of_the_repository_can_be_read() {
        let folder = repository().join("loadtest/scenarios");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let scenario = Scenario::read(&entry.unwrap().path()).unwrap();
            assert!(scenario.simulates.len() > 40, "{}", scenario.name);
            assert!(
                !scenario.at_most.is_empty() || !scenario.at_least.is_empty(),
                "{} has no threshold",
                scenario.name
            );
            count += 1;
        }
        assert!(count > 12, "{count}");
    }

    #[test]
    fn thresholds_are_missed_above_below_and_without_a_figure() {
        let text = "simulates = 'x'\n[load]\n[at-most]\na = 1\nb = 1\n[at-least]\nc = 1";
        let scenario: Scenario = toml::from_str(text).unwrap();
        let figures = Figures::from([("a".to_owned(), 2.0), ("c".to_owned(), 0.5)]);
        assert_eq!(
            scenario.missed(&figures),
            [
                "a is 2.00, at most 1 wanted",
                "b was not measured",
                "c is 0.50, at least 1 wanted"
            ]
        );
    }

    #[test]
    fn an_unknown_word_is_an_error() {
        assert!(toml::from_str::<Scenario>("simulates = 'x'\nspeed = 1").is_err());
    }
}
