//! What a client proves to have received moves its user's cursor, whatever it does itself in between (D28, D29).

use serde_json::json;

use crate::support::fold::seq;
use crate::support::gateway::shared_embedded;
use crate::support::rest::Person;
use crate::support::ws::Ws;

#[tokio::test]
async fn d29_who_changes_a_direct_message_still_proves_what_comes_after_it() {
    let gateway = shared_embedded().await;
    let ann = Person::register(gateway, "ann").await;
    let bob = Person::register(gateway, "bob").await;
    let conversation = ann.direct_with(&bob);
    let client = Ws::join_with(gateway, &ann, json!({"ack": "auto"})).await;
    let other = Ws::join(gateway, &bob).await;
    let sent = client
        .ask(
            "send_message",
            json!({"receiverId": bob.id, "content": "first"}),
        )
        .await;
    let target = seq(&sent["message"]);
    let edit = json!({"conversationId": conversation, "seq": target, "content": "second"});
    let edited = client.ask("edit_message", edit).await;
    assert_eq!(edited["ok"], true, "{edited}");
    let answer = json!({"receiverId": ann.id, "content": "third"});
    let answered = other.ask("send_message", answer).await;
    let last = seq(&answered["message"]);
    ann.wait_delivered(gateway, &conversation, last).await;
}
