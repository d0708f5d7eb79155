//! The decision: what event a change becomes, or why it is refused. Knows neither store, and does no I/O.

use super::permissions::Act;
use super::{Change, ChangeKind, Facts, Refusal};
use crate::domain::{
    Body, Content, ConversationId, Emoji, Event, Member, Message, Reactions, Role, RoomName, Seq,
    UserId,
};

/// What happens when the change is made, so that it becomes an event; none when it is as wanted already. `actor` is the
/// membership of whoever wants it, and `room_limit` the most members a room may have.
///
/// # Errors
/// With the reason why it is refused.
pub fn decide(
    change: &Change,
    actor: Option<&Member>,
    facts: &Facts,
    room_limit: usize,
) -> Result<Option<Body>, Refusal> {
    // Of a deleted room everybody is a former member.
    let actor = actor
        .filter(|member| member.is_active())
        .ok_or(Refusal::NotAMember)?;
    match &change.kind {
        ChangeKind::Edit { target, content } => edit(actor, facts, *target, content),
        ChangeKind::Delete { target } => delete(actor, facts, *target),
        ChangeKind::React {
            target,
            emoji,
            added,
        } => react(actor, facts, *target, emoji, *added),
        kind => match change.conversation {
            ConversationId::Direct(..) => Err(Refusal::DirectConversation),
            ConversationId::Room(_) => change_room(kind, actor, facts, room_limit),
        },
    }
}

/// What happens; none when it is so already.
type Outcome = Option<Body>;

fn change_room(
    kind: &ChangeKind,
    actor: &Member,
    facts: &Facts,
    room_limit: usize,
) -> Result<Outcome, Refusal> {
    match kind {
        ChangeKind::AddMember { user, role } => {
            add_member(actor, facts, (*user, *role), room_limit)
        }
        ChangeKind::RemoveMember { user } => remove_member(actor, facts, *user),
        ChangeKind::ChangeRole { user, role } => change_role(actor, facts, *user, *role),
        ChangeKind::Rename { name } => rename(actor, facts, name),
        ChangeKind::DeleteRoom => {
            require(actor.role.may(Act::DeleteRoom))?;
            Ok(Some(Body::RoomDeleted))
        }
        ChangeKind::Edit { .. } | ChangeKind::Delete { .. } | ChangeKind::React { .. } => Ok(None),
    }
}

/// Whom a change of membership is about, if they are a member.
fn subject(facts: &Facts) -> Option<Member> {
    facts.subject.filter(Member::is_active)
}

fn add_member(
    actor: &Member,
    facts: &Facts,
    (user, role): (UserId, Role),
    room_limit: usize,
) -> Result<Outcome, Refusal> {
    require(actor.role.may(Act::Add(role)))?;
    if subject(facts).is_some() {
        return Err(Refusal::AlreadyAMember);
    }
    if facts.active_members >= room_limit {
        return Err(Refusal::RoomFull);
    }
    Ok(Some(Body::MemberAdded { user, role }))
}

fn remove_member(actor: &Member, facts: &Facts, user: UserId) -> Result<Outcome, Refusal> {
    let subject = subject(facts).ok_or(Refusal::NoSuchMember)?;
    let leaves = user == actor.user;
    require(leaves || actor.role.may(Act::Remove(subject.role)))?;
    let heir = facts.heir.filter(|_| leaves && actor.role == Role::Owner);
    Ok(Some(Body::MemberRemoved {
        user,
        heir: heir.map(|member| member.user),
    }))
}

fn change_role(
    actor: &Member,
    facts: &Facts,
    user: UserId,
    role: Role,
) -> Result<Outcome, Refusal> {
    let subject = subject(facts).ok_or(Refusal::NoSuchMember)?;
    // An owner's role is theirs until they leave, so that a room is never without one.
    require(actor.role.may(Act::Appoint(subject.role)))?;
    if subject.role == role {
        return Ok(None);
    }
    Ok(Some(Body::RoleChanged { user, role }))
}

fn rename(actor: &Member, facts: &Facts, name: &RoomName) -> Result<Outcome, Refusal> {
    require(actor.role.may(Act::Rename))?;
    if facts.name.as_ref() == Some(name) {
        return Ok(None);
    }
    Ok(Some(Body::Renamed { name: name.clone() }))
}

fn edit(actor: &Member, facts: &Facts, target: Seq, content: &Content) -> Result<Outcome, Refusal> {
    let (event, message) = message_at(actor, facts)?;
    require(event.sender == actor.user)?;
    match &message.content {
        None => Err(Refusal::MessageDeleted),
        Some(current) if current == content => Ok(None),
        Some(_) => Ok(Some(Body::Edited {
            target,
            content: Some(content.clone()),
        })),
    }
}

fn delete(actor: &Member, facts: &Facts, target: Seq) -> Result<Outcome, Refusal> {
    let (event, message) = message_at(actor, facts)?;
    let sender = subject(facts).map(|sender| sender.role);
    require(event.sender == actor.user || actor.role.may(Act::DeleteMessage(sender)))?;
    Ok(message.content.as_ref().map(|_| Body::Deleted { target }))
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
    Ok(Some(Body::Reacted {
        target,
        emoji: emoji.clone(),
        added,
    }))
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
