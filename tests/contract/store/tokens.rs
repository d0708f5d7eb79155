//! Refresh tokens, and what concerns the store as a whole.

use std::time::Duration;

use futures_util::future::join_all;
use hobnob::domain::Timestamp;
use hobnob::store::RefreshToken;

use super::scene::Scene;

async fn put(scene: &Scene, expires_at: Timestamp) -> RefreshToken {
    let mut hash = [0; 32];
    for part in hash.chunks_mut(8) {
        part.copy_from_slice(&scene.number().to_be_bytes());
    }
    let token = RefreshToken {
        hash,
        user: scene.user_id(),
        expires_at,
    };
    scene.store.put_refresh_token(token.clone()).await.unwrap();
    token
}

pub(crate) async fn a_refresh_token_is_taken_once(scene: &Scene) {
    let later = scene.now().after(Duration::from_secs(3600));
    let (token, other) = (put(scene, later).await, put(scene, later).await);
    let takes = (0..8).map(|_| scene.store.take_refresh_token(&token.hash));
    let taken: Vec<RefreshToken> = join_all(takes)
        .await
        .into_iter()
        .filter_map(Result::unwrap)
        .collect();
    assert_eq!(taken, [token]);
    let taken = scene.store.take_refresh_token(&other.hash).await.unwrap();
    assert_eq!(taken, Some(other));
    assert_eq!(
        scene.store.take_refresh_token(&[0; 32]).await.unwrap(),
        None
    );
}

pub(crate) async fn an_expired_refresh_token_is_returned(scene: &Scene) {
    let token = put(scene, scene.now()).await;
    let other = put(scene, scene.now()).await;
    for expired in [token, other] {
        let taken = scene.store.take_refresh_token(&expired.hash).await;
        assert_eq!(taken.unwrap(), Some(expired));
    }
}

pub(crate) async fn putting_a_refresh_token_again_is_putting_it_once(scene: &Scene) {
    let token = put(scene, scene.now().after(Duration::from_secs(60))).await;
    scene.store.put_refresh_token(token.clone()).await.unwrap();
    let taken = scene.store.take_refresh_token(&token.hash).await.unwrap();
    assert_eq!(taken.as_ref(), Some(&token));
    let taken = scene.store.take_refresh_token(&token.hash).await.unwrap();
    assert_eq!(taken, None);
}

pub(crate) async fn migrating_again_keeps_everything(scene: &Scene) {
    let (room, owner) = scene.room().await;
    scene.say(room, owner, "kept").await;
    for migrated in join_all((0..3).map(|_| scene.store.migrate())).await {
        migrated.unwrap();
    }
    scene.store.ping().await.unwrap();
    assert_eq!(scene.log(room).await.len(), 1);
    assert!(scene.member(room, owner).await.is_some());
}
