//! Tries a stricter limit on live traffic, and then decides.
//!
//! ```sh
//! cargo run --example shadow
//! ```
//!
//! An API admits 600 requests per minute and customer. Would 120 do? A table of candidates decides
//! every request beside the live table, refuses none, and lists the customers that it would have
//! refused most. One of them is no scraper, so the program tries a larger burst next.
//!
//! Time is a [`ManualClock`], and the traffic is made up. A real program leaves the clock out:
//! `FixedKeyed::new(quota, 10_000)`.

#![expect(clippy::std_instead_of_core, reason = "this program needs std")]

use std::time::Duration;

use tidegate::{
    Clock, DeniedKeys, FixedKeyed, KeyedShadow, ManualClock, Quota, ShadowStats, TrackDenied,
};

type Table = FixedKeyed<ManualClock>;
type Customers = KeyedShadow<Table, TrackDenied<Table, String>>;

const LIVE: Quota = Quota::per_minute(600);

fn main() {
    let strict = Quota::per_minute(120).burst(10);
    let (stats, top) = try_on_traffic(strict);
    print_report("120 per minute, bursts of 10", stats, &top);
    assert!(stats.only_candidate_refused > 0);
    assert_eq!(names(&top), ["scraper", "nightly import"]);

    // The import sends 100 requests at once, every two minutes. That is no abuse.
    let with_burst = Quota::per_minute(120).burst(100);
    let (stats, top) = try_on_traffic(with_burst);
    print_report("120 per minute, bursts of 100", stats, &top);
    assert_eq!(names(&top), ["scraper"]);
    assert_eq!(stats.only_candidate_refused, top.counted);

    println!("Decision: {with_burst}. It only hits the scraper.");
}

/// Puts a candidate beside the live limit for ten minutes of traffic.
fn try_on_traffic(candidate: Quota) -> (ShadowStats, DeniedKeys<String>) {
    let clock = ManualClock::new();
    let table = |quota| FixedKeyed::with_clock(quota, 10_000, clock.clone());
    // 50 counters for a list of 5 keys.
    let candidates = TrackDenied::new(table(candidate), 50);
    let customers = KeyedShadow::beside(table(LIVE), candidates);
    for second in 0..600 {
        serve_one_second(&customers, second);
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(clock.now().as_nanos(), 600_000_000_000);
    let top = customers.candidates().most_denied().take(5);
    (customers.stats(), top)
}

/// Forty people, a job that sends many requests at once, and a scraper that never stops.
fn serve_one_second(customers: &Customers, second: u64) {
    for person in 0..40 {
        if (second + person) % 5 == 0 {
            serve(customers, &format!("person {person}"), 1);
        }
    }
    if second % 120 == 0 {
        serve(customers, "nightly import", 100);
    }
    serve(customers, "scraper", 8);
}

/// The live limit decides. No request knows of the candidate.
fn serve(customers: &Customers, customer: &str, requests: u64) {
    for _ in 0..requests {
        customers
            .try_acquire(customer, 1)
            .expect("the live limit is above this traffic");
    }
}

fn names(top: &DeniedKeys<String>) -> Vec<&str> {
    top.keys.iter().map(|it| it.key.as_str()).collect()
}

fn print_report(candidate: &str, stats: ShadowStats, top: &DeniedKeys<String>) {
    println!("Candidate: {candidate}");
    println!(
        "  would refuse {} of {} requests that are admitted today",
        stats.only_candidate_refused,
        stats.admitted(),
    );
    for denied in &top.keys {
        println!("  {:>6} of {}", denied.at_least, denied.key);
    }
}
