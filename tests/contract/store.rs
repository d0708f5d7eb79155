//! The contract of the store port, as tests: what `src/store/mod.rs` says, sentence by sentence. Knows no adapter but
//! by the function that opens one; every case makes its own users and conversations, so that a database may be shared.
//!
//! An adapter joins in with one line, `store_contract!(name, crate::path::to::open)`, where `open` is an
//! `async fn() -> (Arc<dyn Store>, G)`: a migrated store with room for [`scene::ROOM_LIMIT`] members in a room, and
//! whatever must live as long as it (a directory, a server). It sweeps expired refresh tokens no sooner than a minute
//! after their end.

mod append;
mod scene;
mod users;

/// Makes every case a test of its own over the stores that `$open` opens.
macro_rules! store_contract {
    ($adapter:ident, $open:path) => {
        mod $adapter {
            store_contract! { @cases $open;
                users:
                    a_user_is_found_by_folded_name_and_by_id,
                    a_folded_name_is_taken_once,
                    of_many_who_want_a_name_one_gets_it,
                    repeating_a_registration_is_not_a_conflict,
                    a_prefix_is_literal_text,
                    a_search_is_ordered_and_limited,
                    last_seen_never_moves_back;
                append:
                    a_run_is_stored_as_it_was_sent,
                    a_taken_seq_stops_a_run_and_stores_nothing;
            }
        }
    };
    (@cases $open:path; $($area:ident: $($case:ident),+;)+) => {
        $(mod $area {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _guard) = $open().await;
                let scene = $crate::contract::store::scene::Scene::new(store);
                $crate::contract::store::$area::$case(&scene).await;
            })+
        })+
    };
}

store_contract!(sqlite, crate::contract::store::open_sqlite);
