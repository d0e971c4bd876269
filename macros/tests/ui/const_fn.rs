use tidegate::rate_limited;

#[rate_limited(tidegate::get_rate_limiter())]
pub const fn constant() -> u32 {
    7
}

fn main() {
    constant();
}
