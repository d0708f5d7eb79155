//! Refresh tokens, and what concerns the store as a whole.

use std::time::Duration;

use futures_util::future::join_all;
use hobnob::store::{REPEAT_GRACE, RefreshToken, Rotation};

use super::scene::Scene;

/// How long tokens live here.
const HOUR: Duration = Duration::from_secs(3600);
/// Longer than an exchange may be repeated.
const MINUTES: Duration = Duration::from_secs(300);

/// 32 bytes that no other token has.
fn hash(scene: &Scene) -> [u8; 32] {
    let mut hash = [0; 32];
    for part in hash.chunks_mut(8) {
        part.copy_from_slice(&scene.number().to_be_bytes());
    }
    hash
}

/// The first token of a family, which ends in an hour.
async fn put(scene: &Scene) -> RefreshToken {
    let token = RefreshToken {
        hash: hash(scene),
        user: scene.user_id(),
        expires_at: scene.now().after(HOUR),
    };
    scene.store.put_refresh_token(token.clone()).await.unwrap();
    token
}

/// Exchanges a token so long after the scene's beginning.
async fn rotate(scene: &Scene, old: [u8; 32], new: [u8; 32], after: Duration) -> Rotation {
    let end = scene.now().after(HOUR);
    let now = scene.now().after(after);
    let rotated = scene.store.rotate_refresh_token(&old, (new, end), now);
    rotated.await.unwrap()
}

pub(crate) async fn a_refresh_token_is_exchanged_for_one_successor(scene: &Scene) {
    let (token, next, third) = (put(scene).await, hash(scene), hash(scene));
    let rotated = Rotation::Rotated(token.user);
    let all = (0..8).map(|_| rotate(scene, token.hash, next, Duration::ZERO));
    assert_eq!(join_all(all).await, [rotated; 8]);
    // An answer that was lost is given again, also when the token is put again.
    scene.store.put_refresh_token(token.clone()).await.unwrap();
    let soon = REPEAT_GRACE / 2;
    assert_eq!(rotate(scene, token.hash, next, soon).await, rotated);
    assert_eq!(rotate(scene, next, third, MINUTES).await, rotated);
    let unknown = rotate(scene, hash(scene), hash(scene), Duration::ZERO).await;
    assert_eq!(unknown, Rotation::Unknown);
}

pub(crate) async fn a_refresh_token_used_again_ends_its_family_alone(scene: &Scene) {
    let (token, other) = (put(scene).await, put(scene).await);
    let (next, third) = (hash(scene), hash(scene));
    let rotated = Rotation::Rotated(token.user);
    assert_eq!(
        rotate(scene, token.hash, next, Duration::ZERO).await,
        rotated
    );
    assert_eq!(rotate(scene, next, third, Duration::ZERO).await, rotated);
    let again = rotate(scene, token.hash, hash(scene), MINUTES).await;
    assert_eq!(again, Rotation::Reused);
    for gone in [token.hash, next, third] {
        let tried = rotate(scene, gone, hash(scene), MINUTES).await;
        assert_eq!(tried, Rotation::Unknown);
    }
    let kept = rotate(scene, other.hash, hash(scene), MINUTES).await;
    assert_eq!(kept, Rotation::Rotated(other.user));
}

pub(crate) async fn ending_a_refresh_token_ends_its_family(scene: &Scene) {
    let (token, next) = (put(scene).await, hash(scene));
    let rotated = rotate(scene, token.hash, next, Duration::ZERO).await;
    assert_eq!(rotated, Rotation::Rotated(token.user));
    for _ in 0..2 {
        scene.store.end_refresh_tokens(&token.hash).await.unwrap();
    }
    let tried = rotate(scene, next, hash(scene), Duration::ZERO).await;
    assert_eq!(tried, Rotation::Unknown);
}

pub(crate) async fn an_expired_refresh_token_has_no_successor(scene: &Scene) {
    let (token, next) = (put(scene).await, hash(scene));
    let expired = rotate(scene, token.hash, next, HOUR).await;
    assert_eq!(expired, Rotation::Expired);
    let tried = rotate(scene, next, hash(scene), Duration::ZERO).await;
    assert_eq!(tried, Rotation::Unknown);
}

pub(crate) async fn migrating_again_keeps_everything(scene: &Scene) {
    let (room, owner) = scene.room().await;
    scene.say(room, owner, "kept").await;
    for migrated in join_all((0..3).map(|_| scene.store.migrate())).await {
        migrated.unwrap();
    }
    scene.store.ping().await.unwrap();
    assert_eq!(scene.said(room).await.len(), 1);
    assert!(scene.member(room, owner).await.is_some());
}
