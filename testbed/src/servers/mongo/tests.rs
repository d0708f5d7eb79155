//! A replica set is broken, and comes back. Knows no data.

use super::*;

#[tokio::test]
async fn three_members_elect_another_primary_when_one_is_killed() {
    let mut mongo = Mongo::start_replica_set(3).await;
    let first = mongo.wait_for_primary().await;
    mongo.kill9(first);
    let second = mongo.wait_for_primary().await;
    assert_ne!(first, second);
    mongo.restart(first).await;
    let deposed = mongo.step_down(10).await;
    assert_ne!(mongo.wait_for_primary().await, deposed);
}

#[tokio::test]
async fn a_frozen_primary_is_replaced_and_comes_back_as_a_secondary() {
    let mongo = Mongo::start_with_election_timeout(3, Duration::from_secs(1)).await;
    let frozen = mongo.wait_for_primary().await;
    mongo.stop(frozen);
    assert_ne!(mongo.wait_for_primary().await, frozen);
    mongo.cont(frozen);
    let ports: Vec<String> = (0..mongo.member_count())
        .map(|member| mongo.port(member).to_string())
        .collect();
    assert!(ports.iter().all(|port| mongo.uri("any").contains(port)));
    let status = mongo.admin(frozen, doc! { "serverStatus": 1 }).await;
    assert_eq!(status.get_i64("pid").unwrap(), i64::from(mongo.pid(frozen)));
}

#[tokio::test]
async fn the_shared_set_takes_majority_writes_through_its_uri() {
    let client = Client::with_uri_str(shared_mongo().await.uri("own"))
        .await
        .unwrap();
    let things = client
        .default_database()
        .unwrap()
        .collection::<Document>("things");
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    assert_eq!(things.count_documents(doc! {}).await.unwrap(), 1);
}
