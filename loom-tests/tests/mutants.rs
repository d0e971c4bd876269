//! The twins: sound, every model passes; with one thing removed, the model that is named must fail.

mod bucket {
    use tidegate_loom_tests::bucket_models as models;
    use tidegate_loom_tests::bucket_twin::{Flaw, Twin};

    type Sound = Twin<{ Flaw::None as u8 }>;

    #[test]
    fn sound_twin() {
        models::exact_total::<Sound>();
        models::stale_reader::<Sound>();
        models::three_threads::<Sound>();
        models::cancel::<Sound>();
        models::rollback::<Sound>();
        models::credit_and_cancel::<Sound>();
        models::idle_for_half_a_circle::<Sound>();
        models::reading_of_half_a_circle_ago::<Sound>();
        models::looked_at_after_half_a_circle::<Sound>();
        models::drained_half_a_circle_later::<Sound>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn lost_update() {
        models::exact_total::<Twin<{ Flaw::LostUpdate as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn lost_update_of_three() {
        models::three_threads::<Twin<{ Flaw::LostUpdate as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn stale_rebase() {
        models::stale_reader::<Twin<{ Flaw::StaleRebase as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn full_refund_of_a_reservation() {
        models::cancel::<Twin<{ Flaw::FullRefund as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn full_refund_in_a_rollback() {
        models::rollback::<Twin<{ Flaw::FullRefund as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn lost_credit() {
        models::credit_and_cancel::<Twin<{ Flaw::LostCredit as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn unraised_tat() {
        models::idle_for_half_a_circle::<Twin<{ Flaw::UnraisedTat as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "none came back")]
    fn unclamped_reading() {
        models::reading_of_half_a_circle_ago::<Twin<{ Flaw::UnclampedReading as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "came back")]
    fn unclamped_reading_of_a_drained_bucket() {
        models::drained_half_a_circle_later::<Twin<{ Flaw::UnclampedReading as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "came back")]
    fn relaxed_word() {
        models::drained_half_a_circle_later::<Twin<{ Flaw::RelaxedWord as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "a full bucket refused")]
    fn relaxed_mark() {
        models::looked_at_after_half_a_circle::<Twin<{ Flaw::RelaxedMark as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "a full bucket refused")]
    fn unconfirmed_refusal() {
        models::looked_at_after_half_a_circle::<Twin<{ Flaw::UnconfirmedRefusal as u8 }>>();
    }
}

mod window {
    use tidegate_loom_tests::window_models as models;
    use tidegate_loom_tests::window_twin::{Flaw, Twin};

    type Sound = Twin<{ Flaw::None as u8 }>;

    #[test]
    fn sound_twin() {
        models::neighbouring_slots::<Sound>();
        models::skipped_slots::<Sound>();
        models::late_threads::<Sound>();
        models::overtaken_rotation::<Sound>();
        models::rollback::<Sound>();
        models::undone_while_rotating::<Sound>();
        models::look_while_rotating::<Sound>();
        models::look_in_the_heads_slot::<Sound>();
        models::hint_while_rotating::<Sound>();
        models::hint_after_an_undo::<Sound>();
        models::asked_and_called_alike::<Sound>();
        models::hint_beside_an_undo::<Sound>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn unchecked_view() {
        models::look_in_the_heads_slot::<Twin<{ Flaw::UncheckedView as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "a hint of")]
    fn unconfirmed_hint() {
        models::hint_while_rotating::<Twin<{ Flaw::UnconfirmedHint as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "asked and called")]
    fn hint_from_the_base() {
        models::asked_and_called_alike::<Twin<{ Flaw::HintFromTheBase as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "was not kept")]
    fn hint_from_the_sum() {
        models::hint_after_an_undo::<Twin<{ Flaw::HintFromTheSum as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "was not kept")]
    fn unread_mark() {
        models::hint_beside_an_undo::<Twin<{ Flaw::UnreadMark as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "was not kept")]
    fn late_mark() {
        models::hint_beside_an_undo::<Twin<{ Flaw::LateMark as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "was not kept")]
    fn relaxed_undo() {
        models::hint_beside_an_undo::<Twin<{ Flaw::RelaxedUndo as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn unbounded_sum() {
        models::undone_while_rotating::<Twin<{ Flaw::UnboundedSum as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn unordered_count() {
        models::look_while_rotating::<Twin<{ Flaw::UnorderedCount as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn slot_too_few() {
        models::neighbouring_slots::<Twin<{ Flaw::SlotTooFew as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn forgotten_head() {
        models::neighbouring_slots::<Twin<{ Flaw::ForgottenHead as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn unchecked_base() {
        models::skipped_slots::<Twin<{ Flaw::UncheckedBase as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn stored_count() {
        models::overtaken_rotation::<Twin<{ Flaw::StoredCount as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn stored_base() {
        models::overtaken_rotation::<Twin<{ Flaw::StoredBase as u8 }>>();
    }

    #[test]
    #[should_panic]
    fn relaxed_rotation() {
        models::overtaken_rotation::<Twin<{ Flaw::RelaxedRotation as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn late_undo() {
        models::rollback::<Twin<{ Flaw::LateUndo as u8 }>>();
    }
}

mod combined {
    use tidegate_loom_tests::combined_models as models;
    use tidegate_loom_tests::combined_twin::{Flaw, Twin};

    type Sound = Twin<{ Flaw::None as u8 }>;

    #[test]
    fn sound_twin() {
        models::race_for_the_last::<Sound>();
        models::refused_by_the_second::<Sound>();
        models::rollback_across_limits::<Sound>();
        models::nothing_is_lost::<Sound>();
    }

    #[test]
    #[should_panic(expected = "admitted for the last one")]
    fn assumed_charge() {
        models::race_for_the_last::<Twin<{ Flaw::AssumedCharge as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "charged in vain")]
    fn kept_charge() {
        models::refused_by_the_second::<Twin<{ Flaw::KeptCharge as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "a permit is lost")]
    fn kept_charge_of_three() {
        models::nothing_is_lost::<Twin<{ Flaw::KeptCharge as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn full_refund_across_limits() {
        models::rollback_across_limits::<Twin<{ Flaw::FullRefund as u8 }>>();
    }
}

mod keyed {
    use tidegate_loom_tests::keyed_models as models;
    use tidegate_loom_tests::keyed_twin::{Flaw, Twin};

    type Sound = Twin<{ Flaw::None as u8 }>;

    #[test]
    fn sound_twin() {
        models::same_new_key::<Sound>();
        models::same_new_key_at_the_last_place::<Sound>();
        models::claimed_twice::<Sound>();
        models::two_keys_at_the_last_place::<Sound>();
        models::late_helper::<Sound>();
        models::given_up_while_charged::<Sound>();
        models::successor_of_a_drained_key::<Sound>();
        models::look_at_a_successor::<Sound>();
        models::given_up_by_a_later_clock::<Sound>();
        models::back_at_an_older_place::<Sound>();
    }

    #[test]
    #[should_panic(expected = "of three")]
    fn stored_tat() {
        models::same_new_key::<Twin<{ Flaw::StoredTat as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "admitted: false")]
    fn unconfirmed_no_room() {
        models::same_new_key_at_the_last_place::<Twin<{ Flaw::UnconfirmedNoRoom as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn unsearched_claim() {
        models::claimed_twice::<Twin<{ Flaw::UnsearchedClaim as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn unpublished_claim() {
        models::claimed_twice::<Twin<{ Flaw::UnpublishedClaim as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "admitted: false")]
    fn unfinished_claim_of_one_key() {
        models::same_new_key_at_the_last_place::<Twin<{ Flaw::UnfinishedClaim as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "a place is lost")]
    fn unfinished_claim() {
        models::two_keys_at_the_last_place::<Twin<{ Flaw::UnfinishedClaim as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "another's bucket")]
    fn stored_owner() {
        models::late_helper::<Twin<{ Flaw::StoredOwner as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "another's bucket")]
    fn unchecked_claim() {
        models::late_helper::<Twin<{ Flaw::UncheckedClaim as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "another's bucket")]
    fn unpublished_owner() {
        models::given_up_while_charged::<Twin<{ Flaw::UnpublishedOwner as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "another's bucket")]
    fn returned_value() {
        models::given_up_while_charged::<Twin<{ Flaw::ReturnedValue as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "another's bucket")]
    fn unpublished_successor() {
        models::successor_of_a_drained_key::<Twin<{ Flaw::UnpublishedSuccessor as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "two were there")]
    fn unpublished_successor_of_a_look() {
        models::look_at_a_successor::<Twin<{ Flaw::UnpublishedSuccessor as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "two were there")]
    fn unjudged_mark_of_a_look() {
        models::look_at_a_successor::<Twin<{ Flaw::UnjudgedMark as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "another's bucket")]
    fn unpublished_mark() {
        models::given_up_by_a_later_clock::<Twin<{ Flaw::UnpublishedMark as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "another's bucket")]
    fn late_mark() {
        models::given_up_by_a_later_clock::<Twin<{ Flaw::LateMark as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "another's bucket")]
    fn unjudged_mark() {
        models::given_up_by_a_later_clock::<Twin<{ Flaw::UnjudgedMark as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn ignored_mark() {
        models::back_at_an_older_place::<Twin<{ Flaw::IgnoredMark as u8 }>>();
    }
}

mod api {
    use tidegate_loom_tests::api_models::{self as models, Flaw, Twin};

    #[test]
    fn sound_twin() {
        models::overtaken_by_a_minute::<Twin<{ Flaw::None as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "admitted in one minute")]
    fn assumed_window() {
        models::overtaken_by_a_minute::<Twin<{ Flaw::AssumedWindow as u8 }>>();
    }
}

mod line {
    use tidegate_loom_tests::line_models as models;
    use tidegate_loom_tests::line_twin::{Flaw, Twin};

    #[test]
    fn sound_twin() {
        type Sound = Twin<{ Flaw::None as u8 }>;
        models::everybody_has_a_turn::<Sound>();
        models::a_turn_that_is_given_up::<Sound>();
        models::nobody_is_overtaken::<Sound>();
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn no_second_look() {
        models::everybody_has_a_turn::<Twin<{ Flaw::NoSecondLook as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn no_look_back() {
        models::everybody_has_a_turn::<Twin<{ Flaw::NoLookBack as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn kept_turn() {
        models::a_turn_that_is_given_up::<Twin<{ Flaw::KeptTurn as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "overtaken")]
    fn for_itself() {
        models::nobody_is_overtaken::<Twin<{ Flaw::ForItself as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "overtaken")]
    fn past_the_list() {
        models::nobody_is_overtaken::<Twin<{ Flaw::PastTheList as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "a newcomer may pass")]
    fn busy_while_taken() {
        models::nobody_is_overtaken::<Twin<{ Flaw::BusyWhileTaken as u8 }>>();
    }
}

mod in_flight {
    use tidegate_loom_tests::in_flight_models as models;
    use tidegate_loom_tests::in_flight_twin::{Flaw, Twin};

    #[test]
    fn sound_twin() {
        type Sound = Twin<{ Flaw::None as u8 }>;
        models::two_places_come_back::<Sound>();
        models::a_place_that_is_given_up::<Sound>();
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn look_before_listening() {
        models::two_places_come_back::<Twin<{ Flaw::LookBeforeListening as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn no_fence() {
        models::two_places_come_back::<Twin<{ Flaw::NoFence as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "more than may be")]
    fn entered_when_told() {
        models::two_places_come_back::<Twin<{ Flaw::EnteredWhenTold as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn kept_to_itself() {
        models::a_place_that_is_given_up::<Twin<{ Flaw::KeptToItself as u8 }>>();
    }
}

mod sharded {
    use tidegate_loom_tests::sharded_models as models;
    use tidegate_loom_tests::sharded_twin::{Flaw, Twin};

    type Sound = Twin<{ Flaw::None as u8 }>;

    #[test]
    fn sound_twin() {
        models::settled_by_a_stale_reader::<Sound>();
        models::taken_by_a_stale_reader::<Sound>();
        models::two_shards::<Sound>();
        models::thief::<Sound>();
        models::one_shard::<Sound>();
        models::three_threads::<Sound>();
        models::nothing_is_lost::<Sound>();
        models::two_first_leases::<Sound>();
        models::refused_for_a_reason::<Sound>();
    }

    /// Not a mutant: what is needed of `held` comes with the time line.
    #[test]
    fn relaxed_held() {
        type Relaxed = Twin<{ Flaw::RelaxedHeld as u8 }>;
        models::taken_by_a_stale_reader::<Relaxed>();
        models::two_shards::<Relaxed>();
        models::thief::<Relaxed>();
        models::nothing_is_lost::<Relaxed>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn held_before_tat() {
        models::two_shards::<Twin<{ Flaw::HeldBeforeTat as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn raised_too_late() {
        models::two_shards::<Twin<{ Flaw::RaisedTooLate as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn relaxed_tat() {
        models::two_shards::<Twin<{ Flaw::RelaxedTat as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn forgotten_use() {
        models::thief::<Twin<{ Flaw::ForgottenUse as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn stale_settlement() {
        models::settled_by_a_stale_reader::<Twin<{ Flaw::StaleSettlement as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn stale_settlement_of_a_lease_that_was_taken() {
        models::taken_by_a_stale_reader::<Twin<{ Flaw::StaleSettlement as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn stale_settlement_of_three() {
        models::three_threads::<Twin<{ Flaw::StaleSettlement as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "exceeded maximum number of branches")]
    fn endless_settlement() {
        models::taken_by_a_stale_reader::<Twin<{ Flaw::EndlessSettlement as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn lowered_too_early() {
        models::thief::<Twin<{ Flaw::LoweredTooEarly as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn lowered_before_exchange() {
        models::thief::<Twin<{ Flaw::LoweredBeforeExchange as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn lowered_before_exchange_of_three() {
        models::three_threads::<Twin<{ Flaw::LoweredBeforeExchange as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "more than is held")]
    fn take_without_swap() {
        models::one_shard::<Twin<{ Flaw::TakeWithoutSwap as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "more than is held")]
    fn take_without_swap_at_one_instant() {
        models::nothing_is_lost::<Twin<{ Flaw::TakeWithoutSwap as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "held, and counted")]
    fn put_overwrites() {
        models::one_shard::<Twin<{ Flaw::PutOverwrites as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "held, and counted")]
    fn put_overwrites_at_one_instant() {
        models::nothing_is_lost::<Twin<{ Flaw::PutOverwrites as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn spend_without_exchange() {
        models::one_shard::<Twin<{ Flaw::SpendWithoutExchange as u8 }>>();
    }

    #[test]
    #[should_panic(expected = " of ")]
    fn spend_without_exchange_at_one_instant() {
        models::two_first_leases::<Twin<{ Flaw::SpendWithoutExchange as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn dropped_hand() {
        models::nothing_is_lost::<Twin<{ Flaw::DroppedHand as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn held_on_top() {
        models::nothing_is_lost::<Twin<{ Flaw::HeldOnTop as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "without a reason")]
    fn held_on_top_of_what_is_asked() {
        models::refused_for_a_reason::<Twin<{ Flaw::HeldOnTop as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "less than was told")]
    fn not_gathered() {
        models::two_first_leases::<Twin<{ Flaw::NotGathered as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "without a reason")]
    fn one_try() {
        models::refused_for_a_reason::<Twin<{ Flaw::OneTry as u8 }>>();
    }
}
