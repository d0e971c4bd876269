//! The shipped parts of tidegate-redis under every model.

mod breaker {
    use models::ShippedBreaker;
    use tidegate_loom_tests::breaker_models as models;

    #[test]
    fn one_of_those_who_fail_opens() {
        models::one_of_those_who_fail_opens::<ShippedBreaker>();
    }
}

mod owed {
    use models::ShippedOwed;
    use tidegate_loom_tests::owed_models as models;

    #[test]
    fn reported_once() {
        models::reported_once::<ShippedOwed>();
    }
}

mod refusal {
    use models::ShippedRefusal;
    use tidegate_loom_tests::refusal_models as models;

    #[test]
    fn nobody_waits_longer_than_was_said() {
        models::nobody_waits_longer_than_was_said::<ShippedRefusal>();
    }
}

mod tank {
    use models::ShippedTank;
    use tidegate_loom_tests::tank_models as models;

    #[test]
    fn a_lease_ends() {
        models::a_lease_ends::<ShippedTank>();
    }

    #[test]
    fn a_lease_ends_for_one() {
        models::a_lease_ends_for_one::<ShippedTank>();
    }

    #[test]
    fn a_lease_is_renewed() {
        models::a_lease_is_renewed::<ShippedTank>();
    }

    #[test]
    fn what_is_left_goes_back() {
        models::what_is_left_goes_back::<ShippedTank>();
    }

    #[test]
    fn a_look_after_the_end() {
        models::a_look_after_the_end::<ShippedTank>();
    }

    #[test]
    fn one_is_told() {
        models::one_is_told::<ShippedTank>();
    }

    #[test]
    fn told_after_the_refill() {
        models::told_after_the_refill::<ShippedTank>();
    }

    #[test]
    fn everybody_is_served() {
        models::everybody_is_served::<ShippedTank>();
    }
}
