//! Users: registration, search, last seen.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use hobnob::domain::{Timestamp, User, UserId, Username};
use hobnob::store::Inserted;

use super::scene::Scene;

pub(crate) async fn a_user_is_found_by_folded_name_and_by_id(scene: &Scene) {
    let new = scene.named(&format!("Ärger {:x}", scene.number() >> 8));
    let (user, hash) = (new.user.clone(), new.password_hash.clone());
    assert_eq!(scene.store.create_user(new).await.unwrap(), Inserted::Yes);
    let found = scene
        .store
        .user_by_name(&user.username.folded())
        .await
        .unwrap();
    assert_eq!(found, Some((user.clone(), hash)));
    let unknown = scene.user_id();
    let found = scene
        .store
        .users(&[unknown, user.id, user.id])
        .await
        .unwrap();
    assert!(found.iter().all(|other| *other == user) && !found.is_empty());
    assert_eq!(scene.store.users(&[]).await.unwrap(), []);
    let nobody = scene.store.user_by_name("nobody has this").await.unwrap();
    assert_eq!(nobody, None);
}

pub(crate) async fn a_folded_name_is_taken_once(scene: &Scene) {
    let tail = format!("{:x}", scene.number() >> 8);
    let first = scene.named(&format!("Éva {tail}"));
    let look_alike = scene.named(&format!("e\u{301}VA {}", tail.to_uppercase()));
    let id = first.user.id;
    assert_eq!(scene.store.create_user(first).await.unwrap(), Inserted::Yes);
    let refused = look_alike.user.id;
    let folded = look_alike.user.username.folded();
    let again = scene.store.create_user(look_alike).await.unwrap();
    assert_eq!(again, Inserted::Taken);
    assert_eq!(scene.store.users(&[refused]).await.unwrap(), []);
    let owner = scene.store.user_by_name(&folded).await.unwrap();
    assert_eq!(owner.map(|(user, _)| user.id), Some(id));
}

pub(crate) async fn of_many_who_want_a_name_one_gets_it(scene: &Scene) {
    let name = format!("wanted{:x}", scene.number());
    let attempts = (0..8).map(|_| scene.store.create_user(scene.named(&name)));
    let answers = join_all(attempts).await;
    let winners = answers
        .into_iter()
        .filter(|answer| *answer.as_ref().unwrap() == Inserted::Yes);
    assert_eq!(winners.count(), 1);
}

pub(crate) async fn repeating_a_registration_is_not_a_conflict(scene: &Scene) {
    let new = scene.named(&format!("twice{:x}", scene.number()));
    let again = new.clone();
    assert_eq!(scene.store.create_user(new).await.unwrap(), Inserted::Yes);
    let id = again.user.id;
    assert_eq!(scene.store.create_user(again).await.unwrap(), Inserted::Yes);
    assert_eq!(scene.store.users(&[id]).await.unwrap().len(), 1);
}

pub(crate) async fn a_prefix_is_literal_text(scene: &Scene) {
    let tail = format!("{:x}", scene.number());
    let mut ids = Vec::new();
    for special in ["%", "_", ".*", "[a]", "^", "$", "\\", "x"] {
        let new = scene.named(&format!("{tail}{special}z"));
        ids.push((special, new.user.id));
        assert_eq!(scene.store.create_user(new).await.unwrap(), Inserted::Yes);
    }
    for (special, id) in ids {
        let prefix = Username::fold(&format!("{tail}{special}"));
        let found = scene.store.search_users(&prefix, 10).await.unwrap();
        assert_eq!(ids_of(&found), [id], "{special}");
    }
}

pub(crate) async fn a_search_is_ordered_and_limited(scene: &Scene) {
    let prefix = format!("p{:x}", scene.number());
    for end in ["Ö", "c", "a", "B", "\u{10FFFF}", "aa", ""] {
        let new = scene.named(&format!("{prefix}{end}"));
        assert_eq!(scene.store.create_user(new).await.unwrap(), Inserted::Yes);
    }
    let names = |found: Vec<User>| -> Vec<String> {
        let folded = found.iter().map(|user| user.username.folded());
        folded.map(|name| name[prefix.len()..].to_owned()).collect()
    };
    let found = scene.store.search_users(&prefix, 100).await.unwrap();
    let expected = ["", "a", "aa", "b", "c", "ö", "\u{10FFFF}"];
    assert_eq!(names(found), expected);
    let found = scene.store.search_users(&prefix, 3).await.unwrap();
    assert_eq!(names(found), expected[..3]);
    let nobody = scene.store.search_users(&format!("{prefix}zz"), 3).await;
    assert_eq!(nobody.unwrap(), []);
}

pub(crate) async fn last_seen_never_moves_back(scene: &Scene) {
    let users = scene.users(2).await;
    let (now, unknown) = (scene.now(), scene.user_id());
    let touch = async |at: Timestamp| {
        let all = [users[0], unknown, users[1]];
        scene.store.touch_last_seen(&all, at).await.unwrap();
        let found = scene.store.users(&all).await.unwrap();
        let seen: BTreeSet<_> = found.iter().map(|user| user.last_seen_at).collect();
        assert_eq!((found.len(), seen.len()), (2, 1));
        seen.into_iter().next().flatten()
    };
    let later = now.after(Duration::from_secs(1));
    assert_eq!(touch(now).await, Some(now));
    assert_eq!(touch(later).await, Some(later));
    assert_eq!(touch(now).await, Some(later));
}

fn ids_of(users: &[User]) -> Vec<UserId> {
    users.iter().map(|user| user.id).collect()
}
