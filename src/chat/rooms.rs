//! Rooms and their members. Knows who is asked and what they may see; what a change does is the domain's to decide.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use crate::domain::{
    ChangeKind, Conversation, ConversationId, EventId, Member, Role, RoomId, RoomName, User, UserId,
};
use crate::store::{NewConversation, NewRoom};

use super::{Chat, ChatError};

/// A room somebody wants to make.
#[derive(Debug, Clone)]
pub struct NewRoomRequest {
    /// Its name.
    pub name: RoomName,
    /// Its members besides the creator; repeated ones count once.
    pub members: Vec<UserId>,
}

/// A room as one of its members sees it.
#[derive(Debug, Clone)]
pub struct RoomView {
    /// The room's name, creator and age.
    pub conversation: Conversation,
    /// The caller's membership.
    pub member: Member,
}

impl Chat {
    /// Makes a room. The caller owns it. Returns it with the ids of all members, the caller's first.
    ///
    /// # Errors
    /// `user_not_found` when a member does not exist, `limit_exceeded` when there are too many, `too_many_rooms`,
    /// `quota_exceeded`.
    pub async fn create_room(
        &self,
        caller: UserId,
        request: NewRoomRequest,
    ) -> Result<(Conversation, Vec<UserId>), ChatError> {
        let now = self.clock.now();
        let id = RoomId::generate(now, &self.entropy);
        let created = EventId::generate(now, &self.entropy);
        let ids = (id, created);
        let room = NewRoom::new(ids, request.name, caller, &request.members, now);
        let members: Vec<UserId> = room.members.iter().map(|member| member.user).collect();
        let limit = self.room_members.load(Ordering::Relaxed);
        if members.len() > limit {
            let what = "the number of members";
            return Err(ChatError::LimitExceeded { what, limit });
        }
        if self.store.users(&members).await?.len() < members.len() {
            return Err(ChatError::UserNotFound);
        }
        let others = members.get(1..).unwrap_or_default();
        self.charge_room(caller, others).await?;
        let conversation = room.conversation.clone();
        self.committer.make(NewConversation::Room(room)).await?;
        Ok((conversation, members))
    }

    /// A room's details.
    ///
    /// # Errors
    /// `not_a_member`.
    pub async fn room(&self, caller: UserId, room: RoomId) -> Result<RoomView, ChatError> {
        let member = self.membership(room.into(), caller).await?;
        let found = self.store.conversations(&[room.into()]).await?.pop();
        let conversation = found.ok_or(crate::domain::Refusal::NotAMember)?;
        Ok(RoomView {
            conversation,
            member,
        })
    }

    /// The caller's rooms with an id greater than `after`, by id.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn rooms(
        &self,
        caller: UserId,
        after: Option<RoomId>,
        limit: Option<usize>,
    ) -> Result<Vec<RoomView>, ChatError> {
        let limit = self.limits.page(limit);
        let memberships = self.store.rooms(caller, after, limit).await?;
        let ids: Vec<ConversationId> = memberships
            .iter()
            .map(|member| member.conversation)
            .collect();
        let mut found = self.store.conversations(&ids).await?;
        found.sort_unstable_by_key(|conversation| conversation.id);
        let views = found.into_iter().filter_map(|conversation| {
            let place = ids.binary_search(&conversation.id).ok()?;
            let member = *memberships.get(place)?;
            Some(RoomView {
                conversation,
                member,
            })
        });
        Ok(views.collect())
    }

    /// The members of a room with a user id greater than `after`, by user id, with who they are.
    ///
    /// # Errors
    /// `not_a_member`.
    pub async fn members(
        &self,
        caller: UserId,
        room: RoomId,
        after: Option<UserId>,
        limit: Option<usize>,
    ) -> Result<Vec<(Member, Option<User>)>, ChatError> {
        self.membership(room.into(), caller).await?;
        let limit = self.limits.page(limit);
        let members = self.store.members(room.into(), after, limit).await?;
        let ids: Vec<UserId> = members.iter().map(|member| member.user).collect();
        let users = self.store.users(&ids).await?;
        let mut users: HashMap<UserId, User> =
            users.into_iter().map(|user| (user.id, user)).collect();
        let named = members.into_iter().map(|member| {
            let user = users.remove(&member.user);
            (member, user)
        });
        Ok(named.collect())
    }

    /// Adds a user to a room.
    ///
    /// # Errors
    /// `not_a_member`, `not_allowed`, `user_not_found`, `already_a_member`, `room_full`, `too_many_rooms`,
    /// `quota_exceeded`.
    pub async fn add_member(
        &self,
        caller: UserId,
        room: RoomId,
        user: UserId,
        role: Role,
    ) -> Result<(), ChatError> {
        // First, so that an outsider is told nothing but that.
        let adder = self.membership(room.into(), caller).await?;
        if self.store.users(&[user]).await?.is_empty() {
            return Err(ChatError::UserNotFound);
        }
        // What will be refused counts against nobody.
        if adder.role >= Role::Admin && !self.is_member(room.into(), user).await? {
            self.charge_addition(caller, user).await?;
        }
        let kind = ChangeKind::AddMember { user, role };
        self.change(room.into(), caller, kind).await?;
        Ok(())
    }
}
