//! The decision: what a change does to a conversation, or why it is refused. Knows neither store, and does no I/O.

use super::permissions::Act;
use super::{Change, ChangeKind, Decision, Facts, Projection, Refusal};
use crate::domain::{
    Body, Content, ConversationId, Emoji, Event, Member, Message, Reactions, Role, RoomName, Seq,
    Timestamp, UserId,
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
    match kind {
        ChangeKind::AddMember { user, role } => {
            let member = Member::joining(actor.conversation, *user, *role, seq);
            add_member(actor, facts, member, room_limit)
        }
        ChangeKind::RemoveMember { user } => remove_member(actor, facts, *user, seq),
        ChangeKind::ChangeRole { user, role } => change_role(actor, facts, *user, *role),
        ChangeKind::Rename { name } => rename(actor, facts, name),
        ChangeKind::DeleteRoom => {
            require(actor.role.may(Act::DeleteRoom))?;
            Ok(Some((Body::RoomDeleted, vec![Projection::Tombstone(seq)])))
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
    member: Member,
    room_limit: usize,
) -> Result<Outcome, Refusal> {
    let Member { user, role, .. } = member;
    require(actor.role.may(Act::Add(role)))?;
    if subject(facts).is_some() {
        return Err(Refusal::AlreadyAMember);
    }
    if facts.active_members >= room_limit {
        return Err(Refusal::RoomFull);
    }
    let body = Body::MemberAdded { user, role };
    Ok(Some((body, vec![Projection::Member(member)])))
}

fn remove_member(
    actor: &Member,
    facts: &Facts,
    user: UserId,
    seq: Seq,
) -> Result<Outcome, Refusal> {
    let subject = subject(facts).ok_or(Refusal::NoSuchMember)?;
    let leaves = user == actor.user;
    require(leaves || actor.role.may(Act::Remove(subject.role)))?;
    let heir = facts.heir.filter(|_| leaves && actor.role == Role::Owner);
    let gone = Member {
        left_seq: Some(seq),
        ..subject
    };
    let owner = heir.map(|member| Member {
        role: Role::Owner,
        ..member
    });
    let body = Body::MemberRemoved {
        user,
        heir: heir.map(|member| member.user),
    };
    let members = std::iter::once(gone).chain(owner);
    Ok(Some((body, members.map(Projection::Member).collect())))
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
    let body = Body::RoleChanged { user, role };
    let member = Projection::Member(Member { role, ..subject });
    Ok(Some((body, vec![member])))
}

fn rename(actor: &Member, facts: &Facts, name: &RoomName) -> Result<Outcome, Refusal> {
    require(actor.role.may(Act::Rename))?;
    let room = facts.conversation.as_ref();
    if room.and_then(|room| room.name.as_ref()) == Some(name) {
        return Ok(None);
    }
    let body = Body::Renamed { name: name.clone() };
    Ok(Some((body, vec![Projection::Name(name.clone())])))
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
        Some(current) => {
            let is_first = message.edited_at.is_none();
            let body = Body::Edited {
                target,
                content: Some(content.clone()),
            };
            Ok(Some((
                body,
                vec![Projection::Content {
                    target,
                    content: content.clone(),
                    original: is_first.then(|| current.clone()),
                    at,
                }],
            )))
        }
    }
}

fn delete(actor: &Member, facts: &Facts, target: Seq, at: Timestamp) -> Result<Outcome, Refusal> {
    let (event, message) = message_at(actor, facts)?;
    let sender = subject(facts).map(|sender| sender.role);
    require(event.sender == actor.user || actor.role.may(Act::DeleteMessage(sender)))?;
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
