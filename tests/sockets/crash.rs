//! `kill -9` of a gateway on its embedded store: accounts, history and what nobody has received are there afterwards.

use serde_json::{Value, json};

use crate::support::fold::{FIRST, dense, seq, seqs};
use crate::support::gateway::Gateway;
use crate::support::node::{Node, SocketIo};
use crate::support::rest::Person;

async fn joined(gateway: &Gateway, person: &Person) -> SocketIo {
    let node = Node::start().await;
    let options = json!({"auth": {"token": person.token}, "reconnection": false});
    let client = node.client(&gateway.url(""), options).await;
    let connected = client.wait_connected().await;
    connected.expect("the gateway takes the token");
    client.join(person, json!({})).await;
    client
}

#[tokio::test]
async fn accounts_history_and_backlog_survive_a_kill() {
    let mut gateway = Gateway::embedded().await;
    let (ann, bob) = Person::pair(&gateway, &gateway).await;
    let room = ann.room(&gateway, &[&bob]).await;
    let direct = ann.direct_with(&bob);
    let (here, there) = (joined(&gateway, &ann).await, joined(&gateway, &bob).await);

    // The room's making and ten messages that bob has, proved, then fifty of each kind that he has not.
    let say = |content: String| json!([{"receiverId": bob.id, "content": content}]);
    for number in 1..=10 {
        let seen = say(format!("seen {number}"));
        here.granted("send_message", seen).await;
    }
    there.fold().wait_seq(&direct, 10).await;
    bob.wait_delivered(&gateway, &direct, 10).await;
    bob.wait_delivered(&gateway, &room, 1).await;
    there.disconnect().await;
    there.wait_disconnected().await;
    let mut references = Vec::new();
    for number in 1..=50 {
        let direct = say(format!("unseen {number}"));
        references.push(here.emit_for_ack("send_message", direct).await);
        let body = json!([{"roomId": room, "content": format!("unseen {number}")}]);
        references.push(here.emit_for_ack("send_group_message", body).await);
    }
    let mut acknowledged = Vec::new();
    for reference in references {
        acknowledged.push(here.wait_ack(reference).await["message"].take());
    }
    gateway.kill9();
    here.wait_disconnected().await;
    gateway.restart().await;

    let (ann, bob) = (
        Person::login(&gateway, &ann.name).await,
        Person::login(&gateway, &bob.name).await,
    );
    let again = json!({"username": ann.name, "password": "another one"});
    let taken = bob.post(&gateway, "/register", again).await;
    assert_eq!(taken.refused(409), "username_taken");
    let direct_history = ann.direct_history(&gateway, &bob).await;
    let room_history = bob.room_history(&gateway, &room).await;
    assert_eq!(seqs(&direct_history), dense(1, 60));
    assert_eq!(seqs(&room_history), dense(FIRST, 51));
    for message in &acknowledged {
        let is_group = message["type"] == "group";
        let history = if is_group {
            &room_history
        } else {
            &direct_history
        };
        let is_it = |stored: &Value| stored["_id"] == message["_id"] && seq(stored) == seq(message);
        assert!(history.iter().any(is_it), "{message}");
    }
    let client = joined(&gateway, &bob).await;
    client.fold().wait_seq(&direct, 60).await;
    client.fold().wait_seq(&room, 51).await;
    assert_eq!(client.fold().seqs(&direct), dense(11, 60));
    assert_eq!(client.fold().seqs(&room), dense(FIRST, 51));
}
