//! Who may do what in a room: the one table. [`super::decide()`] asks it for every change, whichever door it comes
//! through. Nobody acts on their equals or betters; adding somebody with a role is promoting them. One's own affairs
//! (leaving, one's own messages) need no permission and are not here.

use crate::domain::Role;

/// What a member wants to do to a room, or to another member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Add somebody with this role.
    Add(Role),
    /// Remove a member of this role.
    Remove(Role),
    /// Give a member of this role another one.
    Appoint(Role),
    /// Rename the room.
    Rename,
    /// Delete the room.
    DeleteRoom,
    /// Delete a message of somebody with this role; none when its sender is no member any more.
    DeleteMessage(Option<Role>),
}

impl Role {
    /// Whether this role allows it.
    pub(super) fn may(self, act: Act) -> bool {
        match act {
            Act::Add(Role::Member) | Act::Rename => self >= Self::Admin,
            Act::Add(Role::Admin | Role::Owner) | Act::DeleteRoom => self == Self::Owner,
            Act::Remove(other) | Act::DeleteMessage(Some(other)) => {
                self >= Self::Admin && self > other
            }
            Act::DeleteMessage(None) => self >= Self::Admin,
            Act::Appoint(other) => self == Self::Owner && self > other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 3] = [Role::Member, Role::Admin, Role::Owner];

    #[test]
    fn nobody_acts_on_their_equals_or_betters() {
        for (actor, other) in ROLES
            .iter()
            .flat_map(|a| ROLES.iter().map(move |b| (*a, *b)))
        {
            for act in [
                Act::Remove(other),
                Act::Appoint(other),
                Act::DeleteMessage(Some(other)),
            ] {
                assert!(actor > other || !actor.may(act), "{actor:?} {act:?}");
            }
        }
    }

    #[test]
    fn who_may_not_promote_may_not_add_with_a_role() {
        for actor in ROLES {
            let promotes = actor.may(Act::Appoint(Role::Member));
            for role in [Role::Admin, Role::Owner] {
                assert_eq!(actor.may(Act::Add(role)), promotes, "{actor:?} {role:?}");
            }
        }
        assert!(Role::Admin.may(Act::Add(Role::Member)));
    }

    #[test]
    fn the_table_is_the_one_that_the_documents_show() {
        let document = include_str!("../../../docs/permissions.md");
        let of = |role| match role {
            Role::Member => "a member",
            Role::Admin => "an admin",
            Role::Owner => "an owner",
        };
        let about = ROLES.iter().flat_map(|role| {
            let whom = of(*role);
            [
                (format!("add {whom}"), Act::Add(*role)),
                (format!("remove {whom}"), Act::Remove(*role)),
                (format!("change the role of {whom}"), Act::Appoint(*role)),
                (
                    format!("delete a message of {whom}"),
                    Act::DeleteMessage(Some(*role)),
                ),
            ]
        });
        let others = [
            ("rename the room", Act::Rename),
            ("delete the room", Act::DeleteRoom),
            (
                "delete a message of a former member",
                Act::DeleteMessage(None),
            ),
        ];
        let others = others.map(|(name, act)| (name.to_owned(), act));
        for (name, act) in about.chain(others) {
            let may = ROLES.map(|role| if role.may(act) { "yes" } else { "no" });
            let row = format!("| {name} | {} |", may.join(" | "));
            assert!(document.lines().any(|line| line == row), "{row}");
        }
    }
}
