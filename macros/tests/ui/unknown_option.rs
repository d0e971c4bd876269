use tidegate::rate_limited;

#[rate_limited(tidegate::get_rate_limiter(), on_limit = |_| ())]
fn misspelled() {}

#[rate_limited(tidegate::get_rate_limiter(), tidegate::get_rate_limiter())]
fn a_second_limiter() {}

fn main() {
    misspelled();
    a_second_limiter();
}
