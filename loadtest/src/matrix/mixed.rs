//! The rows with a mixed load: who does what in how many rooms, and what the gateways to which nothing is done must do
//! meanwhile. Knows no fault.

use std::time::Duration;

use crate::check::Plan;
use crate::ledger::Elsewhere;
use crate::mix::Mix;

/// The gateway, by number, that everything is done to.
pub(super) const VICTIM: usize = 0;
/// What the owners do, unless the command line says something else for everybody.
const MIX: &str = "messages=8,reactions=4,edits=2,deletions=1,members=1";
/// And those at the victim, so that it is always in the middle of a change.
const VICTIMS_MIX: &str = "messages=1,reactions=20,edits=10";
/// How much each has under way.
const WINDOW: usize = 2;
/// How long a send or a change may wait for its answer at another gateway.
pub(super) const SLOWEST: Duration = Duration::from_secs(2);

/// In each room one at the victim and its owner at the next gateway do as much as is answered; the owner's guest, who comes
/// and goes, is at the one after it.
pub(super) fn plan(rooms: usize, mix: Mix) -> Plan {
    let (mix, victims_mix) = match mix.has_changes() {
        true => (mix, None),
        false => (MIX.parse().unwrap_or_default(), VICTIMS_MIX.parse().ok()),
    };
    Plan {
        users: 3 * rooms,
        rooms: (0..rooms)
            .map(|room| vec![3 * room + 1, 3 * room])
            .collect(),
        guests: (0..rooms).map(|room| 3 * room + 2).collect(),
        window: Some(WINDOW),
        spread: true,
        mix,
        victims_mix,
        victim: Some(VICTIM),
        ..Plan::default()
    }
}

/// Whether the others refused nothing, and were quick enough.
pub(super) fn is_unhurt(elsewhere: &Elsewhere) -> bool {
    elsewhere.refusals() == 0 && elsewhere.slowest_ms <= SLOWEST.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::mix::Kind;

    #[test]
    fn each_room_has_one_at_the_victim_and_an_owner_and_a_guest_elsewhere() {
        let plan = plan(2, Mix::default());
        assert_eq!(plan.rooms, [[1, 0], [4, 3]]);
        assert_eq!(plan.guests, [2, 5]);
        assert!(Kind::ALL.into_iter().all(|kind| plan.mix.weight(kind) > 0));
        let victims = plan.victims_mix.unwrap();
        assert!(victims.weight(Kind::Reactions) > 0);
    }

    #[test]
    fn one_refusal_or_a_wait_beyond_the_bound_is_too_much() {
        let elsewhere = |refused, slowest_ms| Elsewhere {
            refused: BTreeMap::from([("edits", refused)]),
            slowest_ms,
            slowest: Some("edits"),
        };
        assert!(is_unhurt(&elsewhere(0, 2000.0)));
        assert!(!is_unhurt(&elsewhere(0, 2001.0)));
        assert!(!is_unhurt(&elsewhere(1, 5.0)));
    }
}
