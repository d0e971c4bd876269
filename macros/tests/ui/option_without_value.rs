use tidegate::rate_limited;

#[rate_limited(tidegate::get_rate_limiter(), on_limited)]
fn name_only() {}

#[rate_limited(tidegate::get_rate_limiter(), on_limited =)]
fn nothing_after_it() {}

#[rate_limited(tidegate::get_rate_limiter(), on_limited(drop))]
fn in_parentheses() {}

#[rate_limited(tidegate::get_rate_limiter(), crate, on_limited = |_| ())]
fn another_option() {}

fn main() {
    name_only();
    nothing_after_it();
    in_parentheses();
    another_option();
}
