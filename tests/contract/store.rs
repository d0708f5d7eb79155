//! The contract of the store port, as tests: what `src/store/mod.rs` says, sentence by sentence. Knows no adapter but
//! by the function that opens one; every case makes its own users and conversations, so that a database may be shared.
//!
//! An adapter joins in with one line, `store_contract!(name, crate::path::to::open)`, where `open` is an
//! `async fn() -> (Arc<dyn Store>, G)`: a migrated store with room for [`scene::ROOM_LIMIT`] members in a room, and
//! whatever must live as long as it (a directory, a server). It sweeps expired refresh tokens no sooner than a minute
//! after their end.

mod append;
mod conversations;
mod embedded;
mod reading;
mod scene;
mod tokens;
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
                tokens:
                    a_refresh_token_is_taken_once,
                    an_expired_refresh_token_is_returned,
                    putting_a_refresh_token_again_is_putting_it_once,
                    migrating_again_keeps_everything;
                conversations:
                    a_direct_conversation_is_made_once,
                    of_many_who_make_a_direct_conversation_one_does,
                    ensuring_again_does_not_reset_the_members,
                    a_conversation_with_oneself_has_one_member,
                    a_room_is_made_as_given,
                    a_room_is_made_all_or_nothing,
                    repeating_the_making_of_a_room_changes_nothing,
                    members_are_paged_by_user_id,
                    memberships_include_former_ones,
                    cursors_never_move_back,
                    many_cursors_move_at_once_and_unknown_ones_are_ignored,
                    racing_cursors_end_at_the_furthest;
                append:
                    a_run_is_stored_as_it_was_sent,
                    a_taken_seq_stops_a_run_and_stores_nothing,
                    a_client_message_id_is_taken_once_per_sender_and_conversation,
                    the_prefix_before_a_duplicate_is_committed,
                    when_both_keys_are_taken_either_is_named,
                    runs_have_their_outcomes_in_order,
                    a_run_may_be_as_long_as_its_limit,
                    of_runs_for_one_place_one_is_stored,
                    racing_writers_make_one_dense_log_in_each_sender_s_order,
                    of_racing_retries_one_is_stored,
                    a_message_is_found_by_its_sender_s_id;
                reading:
                    heads_are_of_logs_that_have_events,
                    a_span_excludes_its_beginning_and_includes_its_end,
                    spans_come_in_the_order_given_and_share_the_limit,
                    a_page_of_history_has_messages_only,
                    history_pages_join_without_gap,
                    a_message_in_history_is_as_it_stands_now;
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

store_contract!(sqlite, crate::contract::store::embedded::open);
