use tidegate::rate_limited;

#[rate_limited(tidegate::get_rate_limiter() on_limited = |_| ())]
fn no_comma() {}

#[rate_limited(tidegate::get_rate_limiter(), on_limited = drop 5)]
fn after_an_option() {}

#[rate_limited(tidegate::get_rate_limiter(),,)]
fn commas() {}

fn main() {
    no_comma();
    after_an_option();
    commas();
}
