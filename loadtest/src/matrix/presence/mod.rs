//! Presence right after a fault: people who come and go while things break, whoever watches them on every gateway, and
//! how long after the last fault all of them agree with the truth (D51, D52). Knows no fault.

mod guest;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use testbed::until;
use tokio::time::{Instant, sleep, timeout};

use self::guest::{Guest, Standing, View};
use super::faults::BEFORE;
use crate::Invalid;
use crate::accounts::Accounts;
use crate::gateways::Gateways;
use crate::rest::Rest;

/// Agreement counts when it has lasted so long.
const HELD: Duration = Duration::from_secs(4);
/// Who does not agree by then never will.
const GIVE_UP: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// How long a gateway may take to say who is online.
const ANSWER: Duration = Duration::from_secs(2);

/// What somebody does while things break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Stays,
    GoesBefore,
    ComesBefore,
    GoesDuring,
    ComesDuring,
}

impl Role {
    const ALL: [Self; 5] = [
        Self::Stays,
        Self::GoesBefore,
        Self::ComesBefore,
        Self::GoesDuring,
        Self::ComesDuring,
    ];

    /// Whether they are there at the beginning (0), right before the fault (1) and in it (2).
    const fn is_present(self, turn: u8) -> bool {
        match self {
            Self::Stays => true,
            Self::GoesBefore => turn < 1,
            Self::ComesBefore => turn >= 1,
            Self::GoesDuring => turn < 2,
            Self::ComesDuring => turn >= 2,
        }
    }
}

/// The people of one row.
#[derive(Debug)]
pub(super) struct Crowd {
    guests: Vec<(Role, Guest)>,
    watchers: Vec<(Guest, View)>,
    gateways: Vec<Rest>,
}

/// How long after the last fault all agreed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Agreement {
    /// `None`: they never did.
    pub(super) after_ms: Option<u64>,
    /// What was wrong last.
    pub(super) differing: Vec<String>,
}

impl Agreement {
    pub(super) fn is_within(&self, bound: Duration) -> bool {
        self.after_ms
            .is_some_and(|after| u128::from(after) <= bound.as_millis())
    }
}

impl Crowd {
    /// One of each role and one who watches all of them, for each gateway; returns when all agree.
    pub(super) async fn gather(gateways: &Gateways) -> Result<Self, Invalid> {
        let accounts = Accounts::new(gateways);
        let count = gateways.all.len();
        let prefix = format!("crowd-{:08x}", rand::random::<u32>());
        let wanted = count * (Role::ALL.len() + 1);
        let mut users = accounts.register(&prefix, wanted).await?;
        let watching = users.split_off(count * Role::ALL.len());
        let ids: Vec<String> = users.iter().map(|user| user.id.clone()).collect();
        let watchers = watching.into_iter().enumerate().map(|(number, user)| {
            let view = View::of(ids.clone());
            let guest = Guest::invite(gateways, number, user, Some(view.clone()));
            guest.set_present(true);
            (guest, view)
        });
        let guests = users.into_iter().enumerate().map(|(number, user)| {
            let guest = Guest::invite(gateways, number % count, user, None);
            (Role::ALL[number / count], guest)
        });
        let crowd = Self {
            guests: guests.collect(),
            watchers: watchers.collect(),
            gateways: Rest::of(gateways),
        };
        crowd.turn(0);
        until("presence is right before anything is broken", async || {
            let differing = crowd.differing().await;
            differing.is_empty().then_some(()).ok_or(differing)
        })
        .await;
        Ok(crowd)
    }

    /// Lets people come and go: half of them right before the fault, half of them once it has begun.
    pub(super) async fn play(&self) {
        sleep(BEFORE.saturating_sub(Duration::from_millis(500))).await;
        self.turn(1);
        sleep(Duration::from_millis(1500)).await;
        self.turn(2);
    }

    fn turn(&self, turn: u8) {
        for (role, guest) in &self.guests {
            guest.set_present(role.is_present(turn));
        }
    }

    /// Looks until all have agreed for a while, beginning now, when the last fault is over.
    pub(super) async fn agreement(&self) -> Agreement {
        let begun = Instant::now();
        let (mut agreed, mut last) = (None, Vec::new());
        loop {
            let looked = begun.elapsed();
            let differing = self.differing().await;
            if differing.is_empty() {
                agreed.get_or_insert(looked);
            } else {
                (agreed, last) = (None, differing);
            }
            let is_held = agreed.is_some_and(|since| begun.elapsed() >= since + HELD);
            if is_held || begun.elapsed() > GIVE_UP {
                break;
            }
            sleep(LOOK).await;
        }
        Agreement {
            after_ms: agreed.map(|after| after.as_millis() as u64),
            differing: last,
        }
    }

    /// What a gateway says, or a watcher is shown, that is not true.
    async fn differing(&self) -> Vec<String> {
        let asked = self.gateways.iter().map(|gateway| self.ask(gateway));
        let asked = join_all(asked).await.into_iter().enumerate();
        let asked = asked.map(|(number, said)| (format!("gateway {number}"), said));
        let shown = self.watchers.iter().enumerate();
        let shown = shown.map(|(number, (_, view))| (format!("watcher {number}"), view.get()));
        let said = asked.chain(shown);
        said.flat_map(|(who, said)| self.wrong(&who, said))
            .collect()
    }

    /// `None` when it does not say.
    async fn ask(&self, gateway: &Rest) -> Option<HashMap<String, bool>> {
        let (asker, _) = self.watchers.first()?;
        let ids: Vec<&str> = self
            .guests
            .iter()
            .map(|(_, guest)| guest.user().id.as_str())
            .collect();
        let path = format!("/presence?ids={}", ids.join(","));
        let answer =
            gateway.ask::<HashMap<String, Standing>>(&path, Some(&asker.user().token), None);
        let said = timeout(ANSWER, answer).await.ok()?.ok()?;
        Some(Standing::of_all(said))
    }

    fn wrong(&self, who: &str, said: Option<HashMap<String, bool>>) -> Vec<String> {
        let Some(said) = said else {
            return vec![format!("{who} says nothing")];
        };
        let is_wrong = |(_, guest): &&(Role, Guest)| {
            said.get(&guest.user().id).copied().unwrap_or_default() != guest.is_present()
        };
        let wrong = self.guests.iter().filter(is_wrong);
        let tell = |(role, guest): &(Role, Guest)| {
            let truth = if guest.is_present() { "there" } else { "gone" };
            format!(
                "{who} is wrong about {} ({role:?}), who is {truth}",
                guest.user().id
            )
        };
        wrong.map(tell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_those_who_move_do_so_before_the_fault() {
        let present = |turn| Role::ALL.map(|role| role.is_present(turn));
        assert_eq!(present(0), [true, true, false, true, false]);
        assert_eq!(present(1), [true, false, true, true, false]);
        assert_eq!(present(2), [true, false, true, false, true]);
    }

    #[test]
    fn agreement_after_the_bound_is_too_late_and_never_is_never() {
        let agreed = |after_ms| Agreement {
            after_ms,
            differing: Vec::new(),
        };
        let bound = Duration::from_secs(10);
        assert!(agreed(Some(10_000)).is_within(bound));
        assert!(!agreed(Some(10_001)).is_within(bound));
        assert!(!agreed(None).is_within(bound));
    }
}
