//! Changes to a conversation that need more than an insert: membership, room and message changes. Decides what a
//! change does, given the facts; both stores load the facts, ask here, and write the outcome in one transaction
//! (D7, D8), so that they cannot differ in it.

use super::{
    Body, Content, Conversation, ConversationId, Emoji, Event, EventId, Member, Message, Reactions,
    Role, RoomName, Seq, Timestamp, UserId,
};

/// A change somebody wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The id its event will have.
    pub id: EventId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Who wants it.
    pub actor: UserId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: ChangeKind,
}

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// Add a user to a room. The caller has checked that the user exists.
    AddMember {
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// Remove a user from a room; oneself to leave.
    RemoveMember {
        /// Who.
        user: UserId,
    },
    /// Give a member another role.
    ChangeRole {
        /// Who.
        user: UserId,
        /// Which.
        role: Role,
    },
    /// Give a room another name.
    Rename {
        /// The name.
        name: RoomName,
    },
    /// Delete a room.
    DeleteRoom,
    /// Replace what a message of one's own says.
    Edit {
        /// The message.
        target: Seq,
        /// What it shall say.
        content: Content,
    },
    /// Remove what a message says: one's own, or in a room anybody's when one is an admin.
    Delete {
        /// The message.
        target: Seq,
    },
    /// Put a reaction on a message, or take one's own off.
    React {
        /// The message.
        target: Seq,
        /// The reaction.
        emoji: Emoji,
        /// Put on, or take off.
        added: bool,
    },
}

impl ChangeKind {
    /// The user whose membership it is about, whose facts [`decide`] needs.
    #[must_use]
    pub const fn subject(&self) -> Option<UserId> {
        match self {
            Self::AddMember { user, .. }
            | Self::RemoveMember { user }
            | Self::ChangeRole { user, .. } => Some(*user),
            _ => None,
        }
    }

    /// The message it is about, which [`decide`] needs.
    #[must_use]
    pub const fn target(&self) -> Option<Seq> {
        match self {
            Self::Edit { target, .. } | Self::Delete { target } | Self::React { target, .. } => {
                Some(*target)
            }
            _ => None,
        }
    }
}

/// What a store has read, in the transaction that will write the outcome.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The conversation; none when there is no such.
    pub conversation: Option<Conversation>,
    /// The newest seq of its log.
    pub head: Seq,
    /// The actor's membership, former ones included.
    pub actor: Option<Member>,
    /// The membership of [`ChangeKind::subject`], former ones included.
    pub subject: Option<Member>,
    /// The event at [`ChangeKind::target`].
    pub target: Option<Event>,
    /// How many active members the room has (read for membership changes only).
    pub active_members: usize,
    /// The active member who would inherit the room if its only owner left: an admin before a member, the longest
    /// there first. None when the actor is not its only owner, or is alone in it.
    pub heir: Option<Member>,
}

/// What a change does: the event to insert at `head + 1`, and what to write with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Insert this event and write these projections, in one transaction.
    Apply {
        /// The event.
        event: Box<Event>,
        /// Written with it.
        projections: Vec<Projection>,
    },
    /// It is as wanted already: nothing to write, no event.
    Nothing,
}

/// What is written beside the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// Replace or insert this membership document.
    Member(Member),
    /// Set the room's name.
    Name(RoomName),
    /// Set the room's tombstone, and every active member's `leftSeq`, to this seq.
    Tombstone(Seq),
    /// Set the target's content and `editedAt`.
    Content {
        /// The message.
        target: Seq,
        /// What it says now.
        content: Content,
        /// When it was edited.
        at: Timestamp,
    },
    /// Clear the target's content, and that of every edit of it, and set `deletedAt`.
    Clear {
        /// The message.
        target: Seq,
        /// When it was deleted.
        at: Timestamp,
    },
    /// Set the target's reactions.
    Reactions {
        /// The message.
        target: Seq,
        /// All of them.
        reactions: Reactions,
    },
}

/// Why a change is not made. Final: a retry would be refused again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The actor does not belong to the conversation, or there is none such: the two look the same to outsiders.
    #[error("not a member of this conversation")]
    NotAMember,
    /// The actor's role does not allow it.
    #[error("your role does not allow this")]
    NotAllowed,
    /// The user it is about does not belong to the room.
    #[error("that user is not a member of this room")]
    NoSuchMember,
    /// The user to be added belongs to the room already.
    #[error("that user is a member of this room already")]
    AlreadyAMember,
    /// The room has as many members as it may have.
    #[error("the room is full")]
    RoomFull,
    /// There is no such message, or it is not the actor's to see.
    #[error("no such message")]
    NoSuchMessage,
    /// The message was deleted.
    #[error("the message was deleted")]
    MessageDeleted,
    /// The message has as many reactions as it may have.
    #[error("the message has too many reactions")]
    TooManyReactions,
    /// A direct conversation has no members to change and no name.
    #[error("not possible in a direct conversation")]
    DirectConversation,
}

/// Decides a change. `room_limit` is the most members a room may have.
///
/// # Errors
/// With the reason why it is refused.
pub fn decide(change: &Change, facts: &Facts, room_limit: usize) -> Result<Decision, Refusal> {
    let conversation = facts
        .conversation
        .as_ref()
        .filter(|found| found.deleted_seq.is_none());
    let actor = facts
        .actor
        .filter(Member::is_active)
        .ok_or(Refusal::NotAMember)?;
    conversation.ok_or(Refusal::NotAMember)?;
    let seq = facts.head.next();
    let decided = match &change.kind {
        ChangeKind::Edit { target, content } => edit(&actor, facts, *target, content, change.at)?,
        ChangeKind::Delete { target } => delete(&actor, facts, *target, change.at)?,
        ChangeKind::React {
            target,
            emoji,
            added,
        } => react(&actor, facts, *target, emoji, *added)?,
        kind => {
            if matches!(change.conversation, ConversationId::Direct(..)) {
                return Err(Refusal::DirectConversation);
            }
            change_room(kind, &actor, facts, seq, room_limit)?
        }
    };
    let Some((body, projections)) = decided else {
        return Ok(Decision::Nothing);
    };
    let Change {
        id,
        conversation,
        actor: sender,
        at,
        ..
    } = *change;
    let event = Box::new(Event {
        id,
        conversation,
        seq,
        sender,
        at,
        body,
    });
    Ok(Decision::Apply { event, projections })
}

type Outcome = Option<(Body, Vec<Projection>)>;

fn change_room(
    kind: &ChangeKind,
    actor: &Member,
    facts: &Facts,
    seq: Seq,
    room_limit: usize,
) -> Result<Outcome, Refusal> {
    let subject = facts.subject.filter(Member::is_active);
    match kind {
        ChangeKind::AddMember { user, role } => {
            // Nobody hands out more than they have.
            require(actor.role >= Role::Admin && actor.role >= *role)?;
            if subject.is_some() {
                return Err(Refusal::AlreadyAMember);
            }
            if facts.active_members >= room_limit {
                return Err(Refusal::RoomFull);
            }
            let member = Member::joining(actor.conversation, *user, *role, seq);
            let body = Body::MemberAdded {
                user: *user,
                role: *role,
            };
            Ok(Some((body, vec![Projection::Member(member)])))
        }
        ChangeKind::RemoveMember { user } => {
            let subject = subject.ok_or(Refusal::NoSuchMember)?;
            let leaves = *user == actor.user;
            require(leaves || (actor.role >= Role::Admin && actor.role > subject.role))?;
            let heir = facts.heir.filter(|_| leaves && actor.role == Role::Owner);
            let mut projections = vec![Projection::Member(Member {
                left_seq: Some(seq),
                ..subject
            })];
            projections.extend(heir.map(|member| {
                Projection::Member(Member {
                    role: Role::Owner,
                    ..member
                })
            }));
            Ok(Some((
                Body::MemberRemoved {
                    user: *user,
                    heir: heir.map(|member| member.user),
                },
                projections,
            )))
        }
        ChangeKind::ChangeRole { user, role } => {
            let subject = subject.ok_or(Refusal::NoSuchMember)?;
            // The owner's role is handed on by leaving, so that a room is never without one.
            require(actor.role == Role::Owner && *user != actor.user)?;
            if subject.role == *role {
                return Ok(None);
            }
            let member = Projection::Member(Member {
                role: *role,
                ..subject
            });
            Ok(Some((
                Body::RoleChanged {
                    user: *user,
                    role: *role,
                },
                vec![member],
            )))
        }
        ChangeKind::Rename { name } => {
            require(actor.role >= Role::Admin)?;
            let same = facts
                .conversation
                .as_ref()
                .and_then(|room| room.name.as_ref())
                == Some(name);
            Ok((!same).then(|| {
                (
                    Body::Renamed { name: name.clone() },
                    vec![Projection::Name(name.clone())],
                )
            }))
        }
        ChangeKind::DeleteRoom => {
            require(actor.role == Role::Owner)?;
            Ok(Some((Body::RoomDeleted, vec![Projection::Tombstone(seq)])))
        }
        ChangeKind::Edit { .. } | ChangeKind::Delete { .. } | ChangeKind::React { .. } => Ok(None),
    }
}

fn edit(
    actor: &Member,
    facts: &Facts,
    target: Seq,
    content: &Content,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let (event, message) = message_at(actor, facts)?;
    require(event.sender == actor.user)?;
    match &message.content {
        None => Err(Refusal::MessageDeleted),
        Some(current) if current == content => Ok(None),
        Some(_) => {
            let body = Body::Edited {
                target,
                content: Some(content.clone()),
            };
            Ok(Some((
                body,
                vec![Projection::Content {
                    target,
                    content: content.clone(),
                    at,
                }],
            )))
        }
    }
}

fn delete(actor: &Member, facts: &Facts, target: Seq, at: Timestamp) -> Result<Outcome, Refusal> {
    let (event, message) = message_at(actor, facts)?;
    require(event.sender == actor.user || actor.role >= Role::Admin)?;
    if message.content.is_none() {
        return Ok(None);
    }
    Ok(Some((
        Body::Deleted { target },
        vec![Projection::Clear { target, at }],
    )))
}

fn react(
    actor: &Member,
    facts: &Facts,
    target: Seq,
    emoji: &Emoji,
    added: bool,
) -> Result<Outcome, Refusal> {
    let (_, message) = message_at(actor, facts)?;
    if message.content.is_none() {
        return Err(Refusal::MessageDeleted);
    }
    if message.reactions.has(emoji, actor.user) == added {
        return Ok(None);
    }
    if added && message.reactions.count() >= Reactions::LIMIT {
        return Err(Refusal::TooManyReactions);
    }
    let reactions = message.reactions.clone().with(emoji, actor.user, added);
    let body = Body::Reacted {
        target,
        emoji: emoji.clone(),
        added,
    };
    Ok(Some((
        body,
        vec![Projection::Reactions { target, reactions }],
    )))
}

/// The message a change is about, if it is one and within the actor's log.
fn message_at<'a>(actor: &Member, facts: &'a Facts) -> Result<(&'a Event, &'a Message), Refusal> {
    let event = facts
        .target
        .as_ref()
        .filter(|event| event.seq >= actor.joined_seq);
    match event.map(|event| (event, &event.body)) {
        Some((event, Body::Message(message))) => Ok((event, message)),
        _ => Err(Refusal::NoSuchMessage),
    }
}

fn require(allowed: bool) -> Result<(), Refusal> {
    if allowed {
        Ok(())
    } else {
        Err(Refusal::NotAllowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientMessageId, Fingerprint, RoomId};

    const ROOM: ConversationId = ConversationId::Room(RoomId::from_bytes([9; 12]));
    const NOW: Timestamp = Timestamp::from_millis(1);

    fn user(byte: u8) -> UserId {
        UserId::from_bytes([byte; 12])
    }

    fn member(byte: u8, role: Role) -> Member {
        Member::joining(ROOM, user(byte), role, Seq::new(1))
    }

    fn facts(actor: Role) -> Facts {
        let room = Conversation {
            id: ROOM,
            name: None,
            creator: Some(user(1)),
            created_at: NOW,
            deleted_seq: None,
        };
        Facts {
            conversation: Some(room),
            head: Seq::new(7),
            actor: Some(member(1, actor)),
            subject: None,
            target: None,
            active_members: 1,
            heir: None,
        }
    }

    fn message(sender: u8, text: Option<&str>) -> Event {
        let content = text.map(|text| Content::stored(text.to_owned()));
        let body = Body::Message(Message {
            fingerprint: Fingerprint::of(&Content::stored("x".to_owned())),
            content,
            client_message_id: ClientMessageId::parse("a").unwrap(),
            edited_at: None,
            deleted_at: None,
            reactions: Reactions::default(),
        });
        Event {
            id: EventId::from_bytes([1; 12]),
            conversation: ROOM,
            seq: Seq::new(3),
            sender: user(sender),
            at: NOW,
            body,
        }
    }

    fn ask(kind: ChangeKind, facts: &Facts) -> Result<Decision, Refusal> {
        let id = EventId::from_bytes([7; 12]);
        decide(
            &Change {
                id,
                conversation: ROOM,
                actor: user(1),
                at: NOW,
                kind,
            },
            facts,
            3,
        )
    }

    #[test]
    fn a_new_member_s_log_begins_with_the_event_that_added_them() {
        let add = ChangeKind::AddMember {
            user: user(2),
            role: Role::Member,
        };
        let Ok(Decision::Apply { event, projections }) = ask(add, &facts(Role::Admin)) else {
            panic!("refused")
        };
        assert_eq!(event.seq, Seq::new(8));
        assert_eq!(
            projections,
            [Projection::Member(Member::joining(
                ROOM,
                user(2),
                Role::Member,
                Seq::new(8)
            ))]
        );
    }

    #[test]
    fn nobody_hands_out_more_than_they_have() {
        let add = |role| ChangeKind::AddMember {
            user: user(2),
            role,
        };
        assert_eq!(
            ask(add(Role::Member), &facts(Role::Member)),
            Err(Refusal::NotAllowed)
        );
        assert_eq!(
            ask(add(Role::Owner), &facts(Role::Admin)),
            Err(Refusal::NotAllowed)
        );
        let full = Facts {
            active_members: 3,
            ..facts(Role::Owner)
        };
        assert_eq!(ask(add(Role::Member), &full), Err(Refusal::RoomFull));
    }

    #[test]
    fn an_owner_who_leaves_hands_the_room_on() {
        let owner = facts(Role::Owner);
        let leaving = Facts {
            subject: owner.actor,
            heir: Some(member(2, Role::Member)),
            ..owner
        };
        let leave = ChangeKind::RemoveMember { user: user(1) };
        let Ok(Decision::Apply { event, projections }) = ask(leave, &leaving) else {
            panic!("refused")
        };
        assert_eq!(
            event.body,
            Body::MemberRemoved {
                user: user(1),
                heir: Some(user(2))
            }
        );
        assert_eq!(projections.len(), 2);
    }

    #[test]
    fn an_admin_does_not_remove_their_equal() {
        let admin = Facts {
            subject: Some(member(2, Role::Admin)),
            ..facts(Role::Admin)
        };
        assert_eq!(
            ask(ChangeKind::RemoveMember { user: user(2) }, &admin),
            Err(Refusal::NotAllowed)
        );
    }

    #[test]
    fn outsiders_and_former_members_are_refused_alike() {
        let never = Facts {
            actor: None,
            ..facts(Role::Owner)
        };
        let former = Member {
            left_seq: Some(Seq::new(5)),
            ..member(1, Role::Owner)
        };
        let left = Facts {
            actor: Some(former),
            ..facts(Role::Owner)
        };
        for outsider in [never, left] {
            assert_eq!(
                ask(ChangeKind::DeleteRoom, &outsider),
                Err(Refusal::NotAMember)
            );
        }
    }

    #[test]
    fn only_the_sender_edits_and_an_admin_may_delete() {
        let theirs = Facts {
            target: Some(message(2, Some("hi"))),
            ..facts(Role::Admin)
        };
        let target = Seq::new(3);
        let edit = ChangeKind::Edit {
            target,
            content: Content::stored("ho".to_owned()),
        };
        assert_eq!(ask(edit, &theirs), Err(Refusal::NotAllowed));
        assert!(matches!(
            ask(ChangeKind::Delete { target }, &theirs),
            Ok(Decision::Apply { .. })
        ));
    }

    #[test]
    fn what_is_as_wanted_already_makes_no_event() {
        let deleted = Facts {
            target: Some(message(1, None)),
            ..facts(Role::Member)
        };
        let target = Seq::new(3);
        assert_eq!(
            ask(ChangeKind::Delete { target }, &deleted),
            Ok(Decision::Nothing)
        );
        let emoji = Emoji::parse("👍").unwrap();
        let fine = Facts {
            target: Some(message(2, Some("hi"))),
            ..facts(Role::Member)
        };
        assert_eq!(
            ask(
                ChangeKind::React {
                    target,
                    emoji,
                    added: false
                },
                &fine
            ),
            Ok(Decision::Nothing)
        );
    }

    #[test]
    fn a_message_before_one_s_joining_is_not_there() {
        let late = Member {
            joined_seq: Seq::new(4),
            ..member(1, Role::Member)
        };
        let late = Facts {
            actor: Some(late),
            target: Some(message(2, Some("hi"))),
            ..facts(Role::Member)
        };
        let emoji = Emoji::parse("👍").unwrap();
        let react = ChangeKind::React {
            target: Seq::new(3),
            emoji,
            added: true,
        };
        assert_eq!(ask(react, &late), Err(Refusal::NoSuchMessage));
    }
}
