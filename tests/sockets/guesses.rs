//! Who guesses passwords, and who only takes the time of those who check them: slowed down, and felt by nobody else.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::gateway::{Cluster, Gateway};
use crate::support::rest::{PASSWORD, Person};
use crate::support::until;

/// Of one network, before it has to wait for a second attempt.
const AT_ONCE: usize = 5;

/// An HTTP client at another address of this machine.
fn from(last: u8) -> reqwest::Client {
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    let client = reqwest::Client::builder().local_address(address);
    client.build().unwrap()
}

async fn log_in(
    http: &reqwest::Client,
    gateway: &Gateway,
    name: &str,
    password: &str,
) -> (u16, Value) {
    let typed = json!({"username": name, "password": password});
    let answer = http.post(gateway.url("/login")).json(&typed);
    let answer = answer.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_guesser_has_to_wait_and_the_owner_has_not() {
    let gateway = Gateway::embedded().await;
    let ann = Person::register(&gateway, "ann").await;
    let (guesser, owner) = (from(2), from(3));
    let (begun, mut wrong) = (Instant::now(), 0);
    let refused = loop {
        let (status, body) = log_in(&guesser, &gateway, &ann.name, "wrong horse").await;
        if status != 401 {
            assert_eq!(status, 429, "{body}");
            break body;
        }
        wrong += 1;
    };
    // On a busy machine some seconds have passed meanwhile, in which more come back.
    let most = AT_ONCE + 1 + begun.elapsed().as_secs() as usize;
    assert!((AT_ONCE..=most).contains(&wrong), "{wrong} of {most}");
    assert_eq!(refused["error"]["code"], "rate_limited");
    assert!(
        refused["error"]["retryAfterMs"].as_u64().unwrap() <= 60_000,
        "{refused}"
    );
    // Not even the right one is looked at now, or a guesser would learn it.
    until("a guesser waits again", async || {
        log_in(&guesser, &gateway, &ann.name, "wrong horse").await.0 == 429
    })
    .await;
    let (status, body) = log_in(&owner, &gateway, &ann.name, PASSWORD).await;
    assert_eq!(status, 200, "{body}");
    // Another account is another matter, and so is a name that nobody has: it looks the same.
    let (status, _) = log_in(&guesser, &gateway, "nobody at all", "wrong horse").await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_flood_of_log_ins_from_one_address_does_not_hold_up_another() {
    let settings = [("HOBNOB_PASSWORD_QUEUE", "64")];
    let gateway = Gateway::embedded_with(&settings).await;
    let ann = Person::register(&gateway, "ann").await;
    let (flooder, owner) = (from(2), from(3));
    let flood = futures_util::future::join_all((0..300).map(|number| {
        let name = format!("nobody-{number}");
        let (flooder, gateway) = (&flooder, &gateway);
        async move { log_in(flooder, gateway, &name, "wrong horse").await.0 }
    }));
    let done = async {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(log_in(&owner, &gateway, &ann.name, PASSWORD).await.0);
        }
        statuses
    };
    let (flooded, statuses) = tokio::join!(flood, done);
    assert_eq!(statuses, [200, 200, 200]);
    // The flood is what finds no place.
    assert!(flooded.contains(&503), "{flooded:?}");
}

#[tokio::test]
async fn all_gateways_count_together() {
    let settings = [("HOBNOB_SIGN_IN_RATE", "1")];
    let cluster = Cluster::start_with(2, &settings).await;
    let guesser = from(2);
    let (begun, mut granted) = (Instant::now(), 0);
    for number in 0..40 {
        let gateway = cluster.gateway(number % 2);
        let name = format!("nobody-{number}");
        granted += u64::from(log_in(&guesser, gateway, &name, "wrong horse").await.0 == 401);
    }
    // What one gateway grants at once, and what comes back meanwhile: two that count for themselves grant twice that.
    let most = AT_ONCE as u64 + begun.elapsed().as_secs() + 1;
    assert!(
        (AT_ONCE as u64..=most).contains(&granted),
        "{granted} of {most}"
    );
}
