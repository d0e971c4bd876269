use tidegate::rate_limited;

#[rate_limited(tidegate::get_rate_limiter(), on_limited = |_| (), crate = tidegate, on_limited = drop)]
fn twice() {}

fn main() {
    twice();
}
