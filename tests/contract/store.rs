//! The contract of the store port, as tests: what `src/store/mod.rs` says, sentence by sentence. Knows no adapter but
//! by the function that opens one; every case makes its own users and conversations, so that a database may be shared.
//!
//! An adapter joins in with one line, `store_contract!(name, crate::path::to::open)`, where `open` is an
//! `async fn() -> (Arc<dyn Store>, G)`: a migrated store with room for [`scene::ROOM_LIMIT`] members in a room, and
//! whatever must live as long as it (a directory, a server). It sweeps expired refresh tokens no sooner than a minute
//! after their end.

mod append;
mod conversations;
mod database;
mod embedded;
mod leftovers;
mod message_changes;
mod overviews;
mod quotas;
mod reading;
mod replica_set;
mod room_changes;
mod scene;
mod steps;
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
                    a_refresh_token_is_exchanged_for_one_successor,
                    a_refresh_token_used_again_ends_its_family_alone,
                    ending_a_refresh_token_ends_its_family,
                    an_expired_refresh_token_has_no_successor,
                    migrating_again_keeps_everything;
                conversations:
                    a_direct_conversation_is_made_once,
                    of_many_who_make_a_direct_conversation_one_does,
                    ensuring_again_does_not_reset_the_members,
                    a_conversation_with_oneself_has_one_member,
                    a_room_is_made_as_given,
                    a_room_s_log_begins_with_its_making,
                    racing_makings_of_a_room_make_one_event,
                    a_room_is_made_all_or_nothing,
                    repeating_the_making_of_a_room_changes_nothing,
                    members_are_paged_by_user_id,
                    memberships_include_former_ones,
                    cursors_never_move_back,
                    many_cursors_move_at_once_and_unknown_ones_are_ignored,
                    racing_cursors_end_at_the_furthest,
                    pages_of_memberships_and_rooms_join,
                    a_cursor_beyond_the_head_is_brought_back,
                    clamping_brings_cursors_back_to_the_head;
                quotas:
                    who_is_in_many_rooms_is_named,
                    who_shares_a_conversation_is_found,
                    charges_are_counted_all_or_none,
                    racing_charges_stay_within_the_limit;
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
                    a_page_of_long_messages_ends_early_and_pages_join,
                    a_message_in_history_is_as_it_stands_now;
                room_changes:
                    a_member_who_is_added_begins_there,
                    what_is_refused_leaves_no_event,
                    a_room_is_full_at_its_limit_whoever_races,
                    a_room_s_limit_may_change,
                    a_member_who_leaves_keeps_their_past,
                    a_member_who_is_added_again_begins_anew,
                    a_role_is_changed_and_the_cursors_stay,
                    a_room_is_renamed,
                    a_deleted_room_is_a_tombstone_for_every_member,
                    an_only_owner_who_leaves_has_an_heir,
                    of_equal_heirs_the_lowest_id_inherits,
                    a_former_member_does_not_inherit,
                    a_change_that_is_repeated_is_made_once,
                    a_leaving_that_is_repeated_is_not_refused,
                    racing_repetitions_make_one_event,
                    changes_race_with_messages_and_the_log_stays_dense;
                message_changes:
                    an_edit_is_an_event_and_shows_on_the_message,
                    a_deletion_clears_the_message_and_its_edits,
                    what_was_said_first_is_kept_for_former_members,
                    a_deleted_message_still_recognises_its_retry,
                    reactions_are_put_on_and_taken_off,
                    racing_reactions_all_stay,
                    what_follows_from_several_changes_is_written_together,
                    racing_edits_leave_the_last_one_in_the_log,
                    what_is_no_message_of_theirs_cannot_be_changed,
                    messages_of_a_direct_conversation_change_likewise,
                    an_edit_that_is_repeated_after_the_deletion_shows_nothing;
                leftovers:
                    what_follows_from_an_event_is_written_before_it_is_shown,
                    whoever_decides_next_knows_what_a_dead_writer_has_stored,
                    a_writer_that_wakes_undoes_nothing_that_came_later,
                    what_is_left_in_any_log_is_written,
                    a_writer_may_die_at_any_moment,
                    the_making_of_a_room_may_end_at_any_moment;
                overviews:
                    an_overview_shows_the_newest_message_and_the_head,
                    the_newest_message_comes_first_and_silence_counts_by_creation,
                    pages_join_even_where_times_are_equal,
                    a_page_goes_on_after_a_conversation_that_was_left,
                    former_and_deleted_rooms_are_not_listed,
                    unread_are_the_messages_of_others_after_the_read_cursor,
                    a_late_member_sees_their_own_part_only,
                    messages_before_one_s_joining_do_not_move_a_conversation,
                    a_deleted_message_stays_the_last_one,
                    unread_is_counted_up_to_its_limit;
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
store_contract!(mongo, crate::contract::store::database::open);
