//! The twins of the parts of tidegate-redis: sound, every model passes; with one thing removed, the model that is named must fail.

mod breaker {
    use tidegate_loom_tests::breaker_models as models;
    use tidegate_loom_tests::breaker_twin::{Flaw, Twin};

    type Sound = Twin<{ Flaw::None as u8 }>;

    #[test]
    fn sound_twin() {
        models::one_of_those_who_fail_opens::<Sound>();
    }

    #[test]
    #[should_panic(expected = "opened twice")]
    fn opened_by_store() {
        models::one_of_those_who_fail_opens::<Twin<{ Flaw::OpenedByStore as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "opened twice")]
    fn opened_always() {
        models::one_of_those_who_fail_opens::<Twin<{ Flaw::OpenedAlways as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "opened twice")]
    fn same_word_again() {
        models::one_of_those_who_fail_opens::<Twin<{ Flaw::SameWordAgain as u8 }>>();
    }
}

mod owed {
    use tidegate_loom_tests::owed_models as models;
    use tidegate_loom_tests::owed_twin::{Flaw, Twin};

    type Sound = Twin<{ Flaw::None as u8 }>;

    #[test]
    fn sound_twin() {
        models::reported_once::<Sound>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn added_by_store() {
        models::reported_once::<Twin<{ Flaw::AddedByStore as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn taken_by_store() {
        models::reported_once::<Twin<{ Flaw::TakenByStore as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn forgotten() {
        models::reported_once::<Twin<{ Flaw::Forgotten as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn kept_when_reported() {
        models::reported_once::<Twin<{ Flaw::KeptWhenReported as u8 }>>();
    }
}

mod refusal {
    use tidegate_loom_tests::refusal_models as models;
    use tidegate_loom_tests::refusal_twin::{Flaw, Twin};

    #[test]
    fn sound_twin() {
        models::nobody_waits_longer_than_was_said::<Twin<{ Flaw::None as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "until Some(20)")]
    fn until_first() {
        models::nobody_waits_longer_than_was_said::<Twin<{ Flaw::UntilFirst as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "until Some(20)")]
    fn relaxed_until() {
        models::nobody_waits_longer_than_was_said::<Twin<{ Flaw::RelaxedUntil as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "until Some(20)")]
    fn relaxed_reading() {
        models::nobody_waits_longer_than_was_said::<Twin<{ Flaw::RelaxedReading as u8 }>>();
    }
}

mod tank {
    use tidegate_loom_tests::tank_models as models;
    use tidegate_loom_tests::tank_twin::{Flaw, Twin};

    type Sound = Twin<{ Flaw::None as u8 }>;

    #[test]
    fn sound_twin() {
        models::a_lease_ends::<Sound>();
        models::a_lease_ends_for_one::<Sound>();
        models::a_lease_is_renewed::<Sound>();
        models::what_is_left_goes_back::<Sound>();
        models::a_look_after_the_end::<Sound>();
        models::one_is_told::<Sound>();
        models::told_after_the_refill::<Sound>();
        models::everybody_is_served::<Sound>();
    }

    #[test]
    #[should_panic(expected = "are not what was spent")]
    fn no_deadline() {
        models::a_lease_ends_for_one::<Twin<{ Flaw::NoDeadline as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "are not what was spent")]
    fn not_emptied() {
        models::a_lease_ends_for_one::<Twin<{ Flaw::NotEmptied as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "are not what was spent")]
    fn emptied_by_store() {
        models::a_lease_ends::<Twin<{ Flaw::EmptiedByStore as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn emptied_by_store_in_what_is_left_goes_back() {
        models::what_is_left_goes_back::<Twin<{ Flaw::EmptiedByStore as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn not_emptied_in_what_is_left_goes_back() {
        models::what_is_left_goes_back::<Twin<{ Flaw::NotEmptied as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "are not what was spent")]
    fn deadline_first() {
        models::a_lease_ends_for_one::<Twin<{ Flaw::DeadlineFirst as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn taken_by_store() {
        models::a_lease_is_renewed::<Twin<{ Flaw::TakenByStore as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn added_by_store() {
        models::a_lease_is_renewed::<Twin<{ Flaw::AddedByStore as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "of an ended lease")]
    fn relaxed_deadline() {
        models::a_look_after_the_end::<Twin<{ Flaw::RelaxedDeadline as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "of an ended lease")]
    fn relaxed_reading() {
        models::a_look_after_the_end::<Twin<{ Flaw::RelaxedReading as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "told to ask")]
    fn asked_by_store() {
        models::one_is_told::<Twin<{ Flaw::AskedByStore as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "told to ask")]
    fn asked_for_ever() {
        models::one_is_told::<Twin<{ Flaw::AskedForEver as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "being added")]
    fn asked_first() {
        models::told_after_the_refill::<Twin<{ Flaw::AskedFirst as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "told to ask")]
    fn asked_for_ever_in_told_after_the_refill() {
        models::told_after_the_refill::<Twin<{ Flaw::AskedForEver as u8 }>>();
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn asked_for_ever_in_everybody_is_served() {
        models::everybody_is_served::<Twin<{ Flaw::AskedForEver as u8 }>>();
    }
}
