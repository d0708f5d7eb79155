//! Who is online, seen from other gateways: online with the first session, offline after the last one's grace.

use serde_json::{Value, json};

use crate::support::gateway::{Gateway, shared_gateways};
use crate::support::rest::Person;
use crate::support::until;
use crate::support::ws::Ws;

async fn shown(watcher: &Person, gateway: &Gateway, of: &Person) -> Value {
    let path = format!("/presence?ids={}", of.id);
    let mut presence = watcher.get(gateway, &path).await.expect(200);
    presence[&of.id].take()
}

fn changes(client: &Ws) -> Vec<bool> {
    let frames = client.frames("presence");
    frames.iter().map(|frame| frame["online"] == true).collect()
}

async fn told(client: &Ws, of: &Person, online: bool) -> Value {
    client
        .frame("presence", |frame| {
            frame["type"] == "presence"
                && frame["userId"] == of.id.as_str()
                && frame["online"] == online
        })
        .await
}

#[tokio::test]
async fn a_user_is_online_from_the_first_session_to_the_last_on_any_gateway() {
    let [one, two, three] = shared_gateways().await;
    let (ann, bob) = Person::pair(one, two).await;
    let watching = Ws::join(one, &ann).await;
    // Only who has to do with each other learns when the other was last seen.
    watching.write(&bob, "hello").await;
    let answer = watching.watch(&bob).await;
    assert_eq!(answer, json!({"online": false}));

    let first = Ws::join(two, &bob).await;
    told(&watching, &bob, true).await;
    let second = Ws::join(three, &bob).await;
    assert_eq!(shown(&ann, three, &bob).await["online"], true);
    // One of two sessions ends, on the gateway where the user was first.
    first.close().await;
    second.ask("join_room", json!({"roomId": "x"})).await;
    assert_eq!(shown(&ann, one, &bob).await["online"], true);
    second.close().await;
    let offline = told(&watching, &bob, false).await;
    assert!(offline["lastSeenAt"].is_string(), "{offline}");
    // When they were last seen is stored after the event was told.
    until("REST agrees with the event", async || {
        let bob = shown(&ann, two, &bob).await;
        let agrees = bob["online"] == false && bob["lastSeenAt"].is_string();
        agrees.then_some(()).ok_or(bob)
    })
    .await;
    // Not offline in between, and not twice online.
    assert_eq!(changes(&watching), [true, false]);
}

#[tokio::test]
async fn typing_and_receipts_pass_between_gateways_and_are_not_stored() {
    let [one, two, three] = shared_gateways().await;
    let (ann, bob) = Person::pair(one, two).await;
    let conversation = ann.direct_with(&bob);
    let (here, there) = (Ws::join(one, &ann).await, Ws::join(two, &bob).await);
    here.write(&bob, "hello").await;
    there.fold().wait_seq(&conversation, 1).await;

    here.ask("typing", json!({"receiverId": bob.id, "typing": true}))
        .await;
    let typing = there.told("typing").await;
    let expected =
        json!({"type": "typing", "conversationId": conversation, "userId": ann.id, "typing": true});
    assert_eq!(typing, expected);
    for (request, told) in [
        ("message_ack", "message_delivered"),
        ("message_read", "message_read"),
    ] {
        let first = json!({"conversationId": conversation, "seq": 1});
        there.granted(request, first).await;
        let receipt = here.told(told).await;
        let expected =
            json!({"type": told, "conversationId": conversation, "cursors": {bob.id.as_str(): 1}});
        assert_eq!(receipt, expected);
    }
    assert_eq!(bob.listed(three, &conversation).await["readSeq"], 1);
    assert_eq!(ann.direct_history(three, &bob).await[0]["seen"], true);

    // A device that resumes from the beginning gets the log and nothing else.
    let since = json!({"since": {conversation.clone(): 0}});
    let device = Ws::join_with(three, &bob, since).await;
    here.write(&bob, "and now").await;
    device.fold().wait_seq(&conversation, 2).await;
    assert_eq!(device.fold().seqs(&conversation), [1, 2]);
    for kind in ["typing", "message_delivered", "message_read"] {
        assert!(device.frames(kind).is_empty(), "{kind} was replayed");
    }
}
