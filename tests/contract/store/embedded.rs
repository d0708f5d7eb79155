//! Opens the embedded store for the suite, and what is true of it alone: its directory.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hobnob::domain::SystemClock;
use hobnob::store::Store;
use hobnob::store::sqlite::{OpenError, SqliteOptions, SqliteStore};
use tempfile::TempDir;

use super::scene::{Scene, begins_with_what_is_said};
use crate::support::until;

/// A migrated store in a directory of its own. The limit is far from what a call takes: none may end by it.
pub(crate) async fn open() -> (Arc<dyn Store>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = open_in(directory.path()).unwrap();
    store.migrate().await.unwrap();
    (Arc::new(store), directory)
}

fn open_in(directory: &Path) -> Result<SqliteStore, OpenError> {
    let options = SqliteOptions {
        directory: directory.to_owned(),
        time_limit: Duration::from_secs(60),
    };
    SqliteStore::open(&options, Arc::new(SystemClock))
}

async fn eventually_open(directory: &Path) -> SqliteStore {
    until("its lock is free", async || match open_in(directory) {
        Err(OpenError::Locked { .. }) => None,
        opened => Some(opened.unwrap()),
    })
    .await
}

#[tokio::test]
async fn what_was_stored_is_there_after_opening_again() {
    let (store, directory) = open().await;
    let scene = Scene::new(store);
    let (room, owner) = scene.room().await;
    scene.say(room, owner, "kept").await;
    let log = scene.log(room).await;
    drop(scene);
    // A process that another test starts at this very moment holds the lock until it runs its program.
    let again = eventually_open(directory.path()).await;
    again.migrate().await.unwrap();
    let again = Scene::new(Arc::new(again));
    assert_eq!(again.log(room).await, log);
    assert!(again.member(room, owner).await.is_some());
}

#[tokio::test]
async fn a_room_that_is_older_than_the_event_of_its_making_begins_with_what_is_said() {
    let (store, directory) = open().await;
    let scene = Scene::new(store);
    let room = scene.room().await;
    let database = rusqlite::Connection::open(directory.path().join("hobnob.db")).unwrap();
    assert_eq!(database.execute("DELETE FROM events", []).unwrap(), 1);
    drop(database);
    begins_with_what_is_said(&scene, room).await;
}

#[tokio::test]
async fn a_directory_is_one_store_s_until_it_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let first = open_in(directory.path()).unwrap();
    let second = open_in(directory.path());
    assert!(matches!(second, Err(OpenError::Locked { path }) if path == directory.path()));
    first.close().await;
    assert!(first.ping().await.is_err() && first.heads(&[]).await.is_err());
    eventually_open(directory.path()).await;
}

#[test]
fn a_directory_below_a_file_is_unusable() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data");
    let refused = open_in(&below);
    assert!(matches!(refused, Err(OpenError::Unusable { path, .. }) if path == below));
}

#[test]
fn a_file_that_is_no_database_is_unusable() {
    let directory = tempfile::tempdir().unwrap();
    let text = "not a database, and long enough to be seen as none: ".repeat(20);
    std::fs::write(directory.path().join("hobnob.db"), text).unwrap();
    let refused = open_in(directory.path());
    assert!(matches!(refused, Err(OpenError::Unusable { .. })));
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused() {
    let (store, directory) = open().await;
    drop(store);
    let file = directory.path().join("hobnob.db");
    let newer = rusqlite::Connection::open(file).unwrap();
    newer.pragma_update(None, "user_version", 1000).unwrap();
    drop(newer);
    let store = open_in(directory.path()).unwrap();
    let refused = store.migrate().await.unwrap_err();
    assert!(refused.to_string().contains("1000"), "{refused}");
}
