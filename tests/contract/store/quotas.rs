//! What limits between users are decided by: allowances, how many rooms somebody is in, who has to do with whom.

use futures_util::future::join_all;
use hobnob::domain::{ChangeKind, Clock, SystemClock, Timestamp};
use hobnob::store::Charge;

use super::scene::Scene;

pub(crate) async fn who_is_in_many_rooms_is_named(scene: &Scene) {
    let users = scene.users(3).await;
    scene.direct_of(users[0], users[1]).await;
    for _ in 0..3 {
        scene.room_of(&users[..2]).await;
    }
    let left = scene.room_of(&users[..2]).await;
    let leave = ChangeKind::RemoveMember { user: users[1] };
    scene.apply(left, users[1], leave).await;
    for (at_least, mut expected) in [
        (1, vec![users[0], users[1]]),
        (3, vec![users[0], users[1]]),
        (4, vec![users[0]]),
        (5, vec![]),
    ] {
        let mut found = scene.store.users_in_rooms(&users, at_least).await.unwrap();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{at_least}");
    }
}

pub(crate) async fn who_shares_a_conversation_is_found(scene: &Scene) {
    let users = scene.users(6).await;
    scene.direct_of(users[0], users[1]).await;
    scene.room_of(&[users[2], users[0]]).await;
    scene.room_of(&[users[2], users[3]]).await;
    // One has left, the other was left.
    for (one, left) in [(users[0], users[4]), (users[5], users[0])] {
        let room = scene.room_of(&[one, left]).await;
        scene
            .apply(room, left, ChangeKind::RemoveMember { user: left })
            .await;
    }
    let mut found = scene.store.sharing(users[0], &users[1..]).await.unwrap();
    found.sort_unstable();
    let mut expected = vec![users[1], users[2]];
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(scene.store.sharing(users[0], &[]).await.unwrap(), []);
}

fn charge(key: &str, limit: u32) -> Charge {
    Charge {
        key: key.to_owned(),
        limit,
        until: Timestamp::from_millis(SystemClock.now().millis() + 3_600_000),
    }
}

pub(crate) async fn charges_are_counted_all_or_none(scene: &Scene) {
    let (one, two) = (scene.number().to_string(), scene.number().to_string());
    let both = [charge(&one, 5), charge(&two, 2)];
    let outcome = async |charges: &[Charge]| scene.store.charge(charges).await.unwrap();
    assert_eq!(outcome(&both).await, None);
    assert_eq!(outcome(&both).await, None);
    assert_eq!(outcome(&both).await, Some(1));
    // So of the first only two are counted.
    for _ in 0..3 {
        assert_eq!(outcome(&both[..1]).await, None);
    }
    assert_eq!(outcome(&both[..1]).await, Some(0));
    assert_eq!(outcome(&[]).await, None);
}

pub(crate) async fn racing_charges_stay_within_the_limit(scene: &Scene) {
    let key = scene.number().to_string();
    let charges = [charge(&key, 7)];
    let racing = (0..20).map(|_| scene.store.charge(&charges));
    let outcomes = join_all(racing).await;
    let counted = outcomes
        .into_iter()
        .filter(|outcome| matches!(outcome, Ok(None)));
    // Two that make a key at the same moment may both be refused, never both be counted too often.
    let counted = counted.count();
    assert!((1..=7).contains(&counted), "{counted}");
    let mut more = 0;
    while scene.store.charge(&charges).await.unwrap().is_none() {
        more += 1;
    }
    assert_eq!(counted + more, 7);
}
