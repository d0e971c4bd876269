use tidegate::rate_limited;

pub trait Ask {
    #[rate_limited(tidegate::get_rate_limiter())]
    fn ask(&self) -> u32;
}

fn main() {}
