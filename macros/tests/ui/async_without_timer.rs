use tidegate::rate_limited;

#[rate_limited(tidegate::get_rate_limiter())]
pub async fn later() {}

fn main() {
    let _ = later();
}
