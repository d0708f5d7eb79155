//! Who talks with whom, who does what, and at which gateway each begins. Knows numbers of users, and no user.

use rand::Rng;
use serde::Deserialize;

use super::options::Load;
use crate::Invalid;
use crate::mix::{Kind, Mix};

/// Who talks with whom, by index of user.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// How many users.
    pub(crate) users: usize,
    /// The members of each room.
    pub(crate) rooms: Vec<Vec<usize>>,
    /// Pairs.
    pub(crate) directs: Vec<(usize, usize)>,
    /// `Some(window)`: each user sends to their pair, or else to their room, as fast as answers come.
    pub(crate) window: Option<usize>,
    /// In rooms only the first so many members send; all do by default.
    pub(crate) senders: Option<usize>,
    /// Who has more under way at once than `window`, in a closed loop.
    pub(crate) deep: Option<Deep>,
    /// Sessions take the gateways in turn, so that neighbours are on different ones; each is at a random one by default.
    pub(crate) spread: bool,
    /// What people do.
    pub(crate) mix: Mix,
    /// What those do who begin at the victim, if it is something else.
    pub(crate) victims_mix: Option<Mix>,
    /// Who is added to each room and removed again by its owner; nobody, unless the mix says so.
    pub(crate) guests: Vec<usize>,
    /// The gateway, by number, that something is done to: what it answers, and when, is not judged.
    pub(crate) victim: Option<usize>,
}

/// Senders who do not wait for answers as soon as others do.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Deep {
    /// How many: the first of the users.
    pub(crate) senders: usize,
    /// How many messages each has under way.
    pub(crate) window: usize,
}

impl Plan {
    /// Rooms whose members overlap, so that a user has several; and pairs of neighbours.
    pub(crate) fn of(load: &Load) -> Result<Self, Invalid> {
        if load.users < 2 || load.members < 2 || load.members > load.users {
            let wrong = "at least 2 users and 2 members are needed, and as many users as members";
            return Err(Invalid(wrong.to_owned()));
        }
        let step = (load.users / load.rooms.max(1)).max(1);
        let members = |room: usize| {
            let members = (0..load.members).map(|index| (room * step + index) % load.users);
            members.collect()
        };
        let pairs = (0..load.users).map(|user| (user, (user + 1) % load.users));
        let mut plan = Self {
            users: load.users,
            mix: load.mix,
            rooms: (0..load.rooms).map(members).collect(),
            directs: if load.direct > 0.0 {
                pairs.collect()
            } else {
                Vec::new()
            },
            ..Self::default()
        };
        plan.invite();
        Ok(plan)
    }

    /// A guest for each room, behind all others, if the mix has anything for them to do.
    pub(crate) fn invite(&mut self) {
        if self.mix.weight(Kind::Members) > 0 {
            self.guests = (self.users..self.users + self.rooms.len()).collect();
            self.users += self.rooms.len();
        }
    }

    pub(super) fn members_of(&self, conversation: usize) -> Vec<usize> {
        match self.rooms.get(conversation) {
            Some(members) => members.clone(),
            None => {
                let (one, two) = self.directs[conversation - self.rooms.len()];
                vec![one, two]
            }
        }
    }

    /// Those of a conversation who send.
    pub(super) fn senders<'a>(&self, members: &'a [usize]) -> &'a [usize] {
        let count = self.senders.unwrap_or(members.len());
        &members[..count.clamp(1, members.len())]
    }

    /// How many messages a user has under way in a closed loop.
    pub(super) fn window_of(&self, user: usize) -> Option<usize> {
        let deep = self.deep.filter(|deep| user < deep.senders);
        self.window
            .map(|window| deep.map_or(window, |deep| deep.window))
    }

    /// The number of the gateway that a user's session begins at; it is taken modulo their count.
    pub(super) fn gateway_of(&self, user: usize) -> usize {
        match self.spread {
            true => user,
            false => rand::rng().random_range(0..usize::MAX),
        }
    }

    /// What somebody does whose session begins at the gateway of this number.
    pub(super) fn mix_at(&self, gateway: usize) -> Mix {
        let is_victim = self.victim == Some(gateway);
        let other = self.victims_mix.filter(|_| is_victim);
        other.unwrap_or(self.mix)
    }

    /// The one conversation a user writes to in a closed loop.
    pub(super) fn conversation_of(&self, user: usize) -> Option<usize> {
        let is_theirs = |(one, two): &(usize, usize)| *one == user || *two == user;
        if let Some(index) = self.directs.iter().position(is_theirs) {
            return Some(self.rooms.len() + index);
        }
        let sends_to = |members: &Vec<usize>| self.senders(members).contains(&user);
        self.rooms.iter().position(sends_to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_room_has_a_guest_where_there_is_something_for_them_to_do() {
        let plan = |mix: &str| {
            let load = Load {
                users: 6,
                rooms: 2,
                members: 3,
                mix: mix.parse().unwrap(),
                ..Load::default()
            };
            Plan::of(&load).unwrap()
        };
        let invited = plan("messages=3,members");
        assert_eq!((invited.guests, invited.users), (vec![6, 7], 8));
        assert_eq!(plan("messages,edits").guests, [0; 0]);
    }

    #[test]
    fn those_at_the_victim_may_do_something_else() {
        let plan = Plan {
            mix: "messages".parse().unwrap(),
            victims_mix: "edits".parse().ok(),
            victim: Some(1),
            ..Plan::default()
        };
        let edits = |gateway| plan.mix_at(gateway).weight(Kind::Edits);
        assert_eq!((edits(0), edits(1)), (0, 1));
    }
}
