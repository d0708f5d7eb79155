//! The decision: what a change does to a conversation, or why it is refused. Knows neither store, and does no I/O.

use super::{Change, ChangeKind, Decision, Facts, Projection, Refusal};
use crate::domain::{
    Body, Content, ConversationId, Emoji, Event, Member, Message, Reactions, Role, Seq, Timestamp,
};

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
