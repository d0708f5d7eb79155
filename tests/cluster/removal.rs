//! A member is removed while their sends are under way on another gateway (D2): none of theirs comes after the removal,
//! and they are shown nothing that does.

use serde_json::json;

use crate::support::fold::{dense, seq, seqs};
use crate::support::gateway::{Cluster, shared_cluster};
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// Sends under way.
const SENDS: u64 = 100;
/// The most removals.
const ROUNDS: usize = 48;

#[tokio::test]
async fn nothing_of_a_removed_member_comes_after_their_removal() {
    let cluster = shared_cluster().await;
    let (one, two) = (cluster.gateway(0), cluster.gateway(1));
    let owner = Person::register(one, "owner").await;
    let member = Person::register(two, "member").await;
    let witness = Person::register(two, "witness").await;
    let (removed, mut refused) = (Ws::join(two, &member).await, 0);
    let watching = Ws::join(two, &witness).await;
    // The removal is asked for after this many sends have been written, and this many answered. Once each, and then on,
    // until one has overtaken a send: where all of them come late is the machine's choice.
    let moments = [(0, 0), (100, 0), (50, 0), (100, 20), (60, 40), (100, 80)];
    for (round, (written, answered)) in moments.iter().cycle().copied().take(ROUNDS).enumerate() {
        if round >= moments.len() && refused > 0 {
            break;
        }
        let room = owner.room(one, &[&member, &witness]).await;
        let plan = Plan {
            cluster,
            room: &room,
            written,
            answered,
        };
        refused += plan.run(&owner, &member, &removed, &watching).await;
    }
    assert!(refused > 0, "no removal overtook a send");
}

struct Plan<'a> {
    cluster: &'a Cluster,
    room: &'a str,
    written: u64,
    answered: u64,
}

impl Plan<'_> {
    /// How many sends were refused.
    async fn run(&self, owner: &Person, member: &Person, removed: &Ws, watching: &Ws) -> usize {
        let (one, two) = (self.cluster.gateway(0), self.cluster.gateway(1));
        let mut answers = Vec::new();
        let mut references = Vec::new();
        for number in 0..self.written {
            references.push(self.send(removed, number).await);
        }
        for reference in references.drain(..usize::try_from(self.answered).unwrap()) {
            answers.push(removed.answer(reference).await);
        }
        let path = format!("/rooms/{}/members/{}", self.room, member.id);
        let removing = owner.delete(one, &path);
        let sending = async {
            let mut references = references;
            for number in self.written..SENDS {
                references.push(self.send(removed, number).await);
            }
            for reference in references {
                answers.push(removed.answer(reference).await);
            }
        };
        let (gone, ()) = tokio::join!(removing, sending);
        gone.expect(204);
        // Something for the removed one not to receive, from both gateways.
        owner.say(one, self.room, "after").await;
        let last = owner.say(two, self.room, "after, too").await;
        let log = watching.fold().wait_seq(self.room, seq(&last)).await;
        assert_eq!(seqs(&log), dense(1, seq(&last)));
        let removal = log
            .iter()
            .find(|event| event["change"] == "member_removed")
            .unwrap();
        let removal = seq(removal);

        // Every send was stored before the removal, or refused.
        let mut stored = Vec::new();
        let mut refused = 0;
        for answer in answers {
            if answer["ok"] == true {
                stored.push(seq(&answer["message"]));
            } else {
                assert_eq!(answer["error"]["code"], "not_a_member", "{answer}");
                refused += 1;
            }
        }
        assert!(
            stored.iter().all(|seq| *seq < removal),
            "{stored:?}, removed at {removal}"
        );
        // What is in the log of theirs is what was acknowledged, in their order.
        let theirs = log
            .iter()
            .filter(|event| event["senderId"] == member.id.as_str());
        let theirs: Vec<u64> = theirs.map(seq).collect();
        assert_eq!(theirs, stored);

        // Whoever joins afresh, and the session that was there all the time, see nothing above the removal.
        let again = Ws::join(one, member).await;
        for client in [removed, &again] {
            self.shows_nothing_above(removal, owner, member, client)
                .await;
        }
        let history = member.get(two, &format!("/room/{}", self.room)).await;
        assert_eq!(history.refused(403), "not_a_member");
        refused
    }

    async fn send(&self, client: &Ws, number: u64) -> u64 {
        let content = format!("message {number}");
        client
            .submit(json!({"type": "send_group_message", "roomId": self.room, "content": content}))
            .await
    }

    /// A direct message sent after everything else marks the moment: it travels the same way.
    async fn shows_nothing_above(
        &self,
        removal: u64,
        owner: &Person,
        member: &Person,
        client: &Ws,
    ) {
        let teller = Ws::join(self.cluster.gateway(0), owner).await;
        let told = teller.write(member, "are you there").await;
        let direct = member.direct_with(owner);
        client.fold().wait_seq(&direct, seq(&told)).await;
        let shown = client.fold().seqs(self.room);
        assert_eq!(shown, dense(1, *shown.last().unwrap_or(&0)));
        assert!(
            shown.last().is_none_or(|last| *last <= removal),
            "{shown:?}, removed at {removal}"
        );
    }
}
