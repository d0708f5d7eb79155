//! WebSockets that fight for one polling session, on the real process: it lives on, and ends when told (D39).

use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{dial, polling_session};
use crate::support::fold::DEADLINE;
use crate::support::gateway::Gateway;
use crate::support::ws::RawWs;

/// A WebSocket beside a polling session.
async fn beside(gateway: &Gateway, sid: &str) -> RawWs {
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
    dial(gateway, &path).await
}

/// Says something; a socket that was closed already is what this is about.
async fn say(socket: &mut RawWs, packet: &'static str) {
    let _closed = socket.send(Message::text(packet)).await;
}

async fn is_alive(gateway: &Gateway) -> bool {
    let asked = timeout(DEADLINE, reqwest::get(gateway.admin_url("/livez"))).await;
    matches!(asked, Ok(Ok(answer)) if answer.status() == 200)
}

#[tokio::test]
async fn three_websockets_on_one_polling_session_neither_hang_the_process_nor_keep_it_from_ending()
{
    let mut gateway = Gateway::embedded().await;
    let sid = polling_session(&gateway).await;
    let mut first = beside(&gateway, &sid).await;
    let _second = beside(&gateway, &sid).await;
    let mut third = beside(&gateway, &sid).await;
    say(&mut first, "2probe").await;
    say(&mut third, "2probe").await;
    let answer = timeout(DEADLINE, first.next()).await.unwrap();
    assert_eq!(answer.unwrap().unwrap(), Message::text("3probe"));
    say(&mut first, "5").await;
    say(&mut third, "5").await;
    // The first is the session now: what it does not know of CONNECT is answered by its end.
    say(&mut first, "40{}").await;
    let answer = timeout(DEADLINE, first.next()).await;
    assert!(answer.is_ok(), "the session answers on its WebSocket");
    for _ in 0..10 {
        assert!(is_alive(&gateway).await, "/livez does not answer");
    }
    gateway.terminate();
    assert_eq!(gateway.ended().await, Some(0));
}
