//! Those who are to come, before they come: users, their rooms, a first visit that leaves nothing waiting, and then what
//! is to wait for them. Knows not how they come.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use rand::Rng;
use tokio::time::{Instant, sleep, timeout_at};

use super::Connect;
use super::feed::feed;
use super::scene::{Scene, Speaks, open};
use crate::Invalid;
use crate::accounts::{Accounts, User};
use crate::client::{Protocol, Target};
use crate::copies::copies;
use crate::matrix::SECRET;

/// More are not registered but copied, where there is something to copy.
const REGISTERED: usize = 200;
/// Rooms made at once, and visits.
const AT_ONCE: usize = 32;
/// How long a first visit lasts: until what it was told is proved received.
const VISIT: Duration = Duration::from_secs(2);
/// After the visits: longer than a user is shown online without a session.
const AWAY: Duration = Duration::from_secs(8);

/// Makes users: by registration, or faster when they are many.
pub(super) async fn users(
    scene: Scene<'_>,
    name: &str,
    count: usize,
) -> Result<Vec<User>, Invalid> {
    let accounts = scene.accounts();
    let prefix = format!("{name}-{:08x}", rand::rng().random::<u32>());
    if count > REGISTERED && scene.is_product() {
        copies(&accounts, scene.mongodb, SECRET, &prefix, count).await
    } else {
        accounts.register(&prefix, count.max(1)).await
    }
}

impl Connect {
    /// Makes those who come.
    pub(super) async fn people(&self, scene: Scene<'_>) -> Result<Vec<User>, Invalid> {
        let mut users = users(scene, "connect", self.users.max(1) + 1).await?;
        let caller = users.pop().ok_or_else(|| Invalid("nobody".to_owned()))?;
        let rooms = self.rooms(&scene.accounts(), &caller, &users).await?;
        visit(scene, self.protocol, &users).await;
        if self.waiting > 0 {
            // Round after round, so that what waits for one was not said in one breath.
            let messages = (0..self.waiting / self.conversations.max(1)).flat_map(|round| {
                let rooms = rooms.iter().cloned().map(Target::Room);
                rooms.map(move |room| (room, round.to_string()))
            });
            feed(scene, &caller, messages).await?;
        }
        Ok(users)
    }

    /// As many rooms as it takes for everybody to be in `conversations` of them.
    async fn rooms(
        &self,
        accounts: &Accounts,
        caller: &User,
        users: &[User],
    ) -> Result<Vec<String>, Invalid> {
        let calls = self.waiting > 0;
        let rooms = rooms(users.len(), self.members, self.conversations);
        let make = |members: Vec<usize>| async move {
            let mut members: Vec<&User> = members.into_iter().map(|index| &users[index]).collect();
            if calls {
                members.push(caller);
            }
            accounts.room(members[0], "a room", &members).await
        };
        let made = stream::iter(rooms).map(make).buffer_unordered(AT_ONCE);
        made.try_collect().await
    }
}

/// The members of each room: everybody is in `each` rooms of `size` (of everybody, without), with others in every one.
fn rooms(users: usize, size: Option<usize>, each: usize) -> Vec<Vec<usize>> {
    let size = size.unwrap_or(users).clamp(1, users.max(1));
    let round = move |round: usize| {
        // Neighbours in one round are strangers in the next; nobody is left out, as the two numbers share no factor.
        let mut numbers = round * 2 + 1..;
        let stride = numbers.find(|number| shared_factor(*number, users) == 1);
        let place = move |index| (index * stride.unwrap_or(1) + round) % users;
        let first = (0..users).step_by(size);
        first.map(move |first| (first..(first + size).min(users)).map(place).collect())
    };
    (0..each).flat_map(round).collect()
}

/// The largest.
fn shared_factor(one: usize, other: usize) -> usize {
    match other {
        0 => one,
        _ => shared_factor(other, one % other),
    }
}

/// Everybody comes once, hears what there is, and goes.
async fn visit(scene: Scene<'_>, protocol: Speaks, users: &[User]) {
    let visit = |(index, user): (usize, &User)| {
        let (dial, protocol) = (scene.dial(index), Protocol::from(protocol));
        let user = user.clone();
        async move {
            // Who cannot come now will have something waiting later, and the figures say so.
            if let Ok(mut connection) = open(&dial, protocol, &user, |_| {}).await {
                let end = Instant::now() + VISIT;
                while let Ok(Ok(())) = timeout_at(end, connection.hear(&mut |_, _| {})).await {}
                connection.close().await;
            }
        }
    };
    let visits: Vec<_> = users.iter().enumerate().map(visit).collect();
    stream::iter(visits)
        .for_each_concurrent(AT_ONCE * 10, |visit| visit)
        .await;
    sleep(AWAY).await;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn everybody_is_in_as_many_rooms_and_once_in_each() {
        for (users, size, each) in [(1000, Some(20), 50), (100, None, 3), (1, Some(20), 2)] {
            let rooms = rooms(users, size, each);
            let mut counts = vec![0; users];
            for room in &rooms {
                assert_eq!(room.iter().collect::<HashSet<_>>().len(), room.len());
                room.iter().for_each(|member| counts[*member] += 1);
            }
            assert!(counts.iter().all(|count| *count == each), "{counts:?}");
        }
    }
}
