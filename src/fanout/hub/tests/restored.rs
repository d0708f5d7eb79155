//! Cursors beyond their logs, as a restore leaves them (D37), and who finds out about such a conversation.

use super::*;
use crate::store::CursorMove;

#[tokio::test]
async fn d37_a_cursor_beyond_the_log_hides_nothing_from_who_finds_out_about_it() {
    let scene = Scene::new().await;
    let user = scene.user();
    let mut client = scene.joined(user, 1 << 20).await;
    client.catch_up().await;
    let room = scene.room(user, &Past::of(2)).await;
    let beyond = CursorMove {
        conversation: room,
        user,
        delivered: Seq::new(50),
        read: Seq::ZERO,
    };
    scene.store.move_cursors(&[beyond]).await.unwrap();
    scene.hub.parts.catch_up.discover(room, user);
    client.catch_up().await;
    scene.write(room, 1).await;
    scene.hub.parts.offering.hear_head(room, Seq::new(4));
    let repair = Arc::clone(&scene.hub.parts.repair);
    tokio::spawn(repair.run(CancellationToken::new()));
    let received = async {
        while client.got(room) != [4] {
            client.take();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, received).await.unwrap();
}
