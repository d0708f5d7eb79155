//! What a session can change in one conversation: messages and reactions of its own, and as a room's owner its guest.
//! Chooses what to do next. Knows no request.

use rand::Rng;

use super::deed::Deed;
use super::protocol::Target;
use crate::fold::Effect;
use crate::mix::Kind;

/// How many messages of one's own are there to be edited; older ones are deleted, or left as they are.
const KEPT: usize = 8;
/// How many reactions of one's own are there at once at most.
const REACTIONS: usize = 4;

/// One conversation.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Messages, by seq, with their numbers.
    said: Vec<(u64, u64)>,
    /// Reactions, by the seq of their message.
    put: Vec<(u64, String)>,
    /// The newest message of anybody.
    newest: u64,
    /// What the guest is, if they belong to the room.
    guest: Option<String>,
    /// A change of the guest's membership is under way.
    is_busy: bool,
}

/// Where something is to be done.
pub(super) struct Spot<'a> {
    /// The conversation's id.
    pub(super) conversation: &'a str,
    /// Whom a message would be for.
    pub(super) target: &'a Target,
    /// Whom the session may add to the room and remove, as its owner.
    pub(super) guest: Option<&'a str>,
    /// What every name and content of the run begins with.
    pub(super) run: &'a str,
}

impl Own {
    /// Something of this kind to do, or else a message to send.
    pub(super) fn choose(&mut self, kind: Kind, number: u64, scene: &Spot<'_>) -> Deed {
        let change = |effect| Deed::Change(scene.conversation.to_owned(), effect);
        let manage = |effect| Deed::Manage(scene.conversation.to_owned(), effect);
        let chosen = match kind {
            Kind::Messages => None,
            Kind::Reactions => self.react(number).map(change),
            Kind::Edits => self.edit(number, scene.run).map(change),
            Kind::Deletions => self.delete().map(change),
            Kind::Members => {
                let guest = scene.guest;
                guest.map(|guest| manage(self.manage(number, guest, scene.run)))
            }
        };
        chosen.unwrap_or_else(|| Deed::Send(scene.target.clone()))
    }

    fn react(&mut self, number: u64) -> Option<Effect> {
        let mut random = rand::rng();
        let takes_off = self.put.len() >= REACTIONS || random.random_bool(0.5);
        if takes_off && !self.put.is_empty() {
            let (target, emoji) = self.put.swap_remove(random.random_range(0..self.put.len()));
            let added = false;
            return Some(Effect::Reacted {
                target,
                emoji,
                added,
            });
        }
        // A reaction of its own each time: so it is known in the log.
        (self.newest > 0).then(|| Effect::Reacted {
            target: self.newest,
            emoji: format!("r{number:x}"),
            added: true,
        })
    }

    fn edit(&self, number: u64, run: &str) -> Option<Effect> {
        let from = self.said.len().saturating_sub(KEPT);
        let kept = self.said.get(from..).filter(|kept| !kept.is_empty())?;
        let (target, message) = kept[rand::rng().random_range(0..kept.len())];
        let content = format!("{run} {message} edited {number}");
        Some(Effect::Edited { target, content })
    }

    fn delete(&mut self) -> Option<Effect> {
        let is_spare = self.said.len() > KEPT;
        is_spare.then(|| {
            let (target, _) = self.said.remove(0);
            self.put.retain(|(seq, _)| *seq != target);
            Effect::Deleted { target }
        })
    }

    fn manage(&mut self, number: u64, guest: &str, run: &str) -> Effect {
        let choice = rand::rng().random_range(0..4);
        if self.is_busy || choice == 3 {
            return Effect::Renamed(format!("{run} {number}"));
        }
        self.is_busy = true;
        let guest = guest.to_owned();
        match (self.guest.as_deref(), choice) {
            (None, _) => Effect::Added(guest, "member".to_owned()),
            (Some("member"), 0) => Effect::Appointed(guest, "admin".to_owned()),
            (Some(_), 0) => Effect::Appointed(guest, "member".to_owned()),
            (Some(_), _) => Effect::Removed(guest, None),
        }
    }

    /// Nobody has said anything yet.
    pub(super) fn is_bare(&self) -> bool {
        self.newest == 0
    }

    /// A message of anybody stands here.
    pub(super) fn saw(&mut self, seq: u64) {
        self.newest = self.newest.max(seq);
    }

    /// A message of one's own was stored.
    pub(super) fn sent(&mut self, seq: u64, number: u64) {
        self.said.push((seq, number));
        self.saw(seq);
    }

    /// What was asked is so; `done` is false when it cannot be any more.
    pub(super) fn settled(&mut self, effect: &Effect, done: bool) {
        match effect {
            Effect::Reacted {
                target,
                emoji,
                added: true,
            } if done => self.put.push((*target, emoji.clone())),
            Effect::Added(_, role) | Effect::Appointed(_, role) => {
                self.is_busy = false;
                if done {
                    self.guest = Some(role.clone());
                }
            }
            Effect::Removed(..) => {
                self.is_busy = false;
                if done {
                    self.guest = None;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(own: &mut Own, kind: Kind, number: u64, guest: Option<&str>) -> Deed {
        let target = Target::Room("c".to_owned());
        let scene = Spot {
            conversation: "c",
            target: &target,
            guest,
            run: "run",
        };
        own.choose(kind, number, &scene)
    }

    #[test]
    fn whoever_has_nothing_to_change_sends_a_message() {
        let mut own = Own::default();
        for kind in Kind::ALL {
            let deed = choose(&mut own, kind, 1, None);
            assert_eq!(deed.kind(), Kind::Messages, "{kind:?}");
        }
    }

    #[test]
    fn messages_and_reactions_of_ones_own_are_changed() {
        let mut own = Own::default();
        (1..=9).for_each(|seq| own.sent(seq, seq + 100));
        let deed = choose(&mut own, Kind::Deletions, 1, None);
        assert_eq!(deed.effect(), Some(&Effect::Deleted { target: 1 }));
        let deed = choose(&mut own, Kind::Deletions, 2, None);
        assert_eq!(deed.kind(), Kind::Messages);
        let deed = choose(&mut own, Kind::Edits, 3, None);
        let Some(Effect::Edited { target, content }) = deed.effect() else {
            panic!("{deed:?}")
        };
        assert_eq!(*content, format!("run {} edited 3", target + 100));
        let put = (0..REACTIONS).map(|_| {
            own.put.push((9, "x".to_owned()));
        });
        put.for_each(drop);
        let deed = choose(&mut own, Kind::Reactions, 4, None);
        let Some(Effect::Reacted { added: false, .. }) = deed.effect() else {
            panic!("{deed:?}")
        };
        assert_eq!(own.put.len(), REACTIONS - 1);
    }

    #[test]
    fn one_change_of_a_membership_at_a_time() {
        let mut own = Own::default();
        let next = |own: &mut Own| loop {
            let deed = choose(own, Kind::Members, 1, Some("g"));
            let effect = deed.effect().unwrap().clone();
            if !matches!(effect, Effect::Renamed(_)) {
                return effect;
            }
        };
        let added = next(&mut own);
        assert_eq!(added, Effect::Added("g".to_owned(), "member".to_owned()));
        let deed = choose(&mut own, Kind::Members, 2, Some("g"));
        assert_eq!(deed.effect(), Some(&Effect::Renamed("run 2".to_owned())));
        own.settled(&added, true);
        let then = next(&mut own);
        let is_theirs =
            matches!(&then, Effect::Appointed(user, _) | Effect::Removed(user, _) if user == "g");
        assert!(is_theirs, "{then:?}");
    }
}
