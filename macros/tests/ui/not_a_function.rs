use tidegate::rate_limited;

#[rate_limited(tidegate::get_rate_limiter())]
pub struct Client;

#[rate_limited(tidegate::get_rate_limiter())]
impl Client {
    #[rate_limited(tidegate::get_rate_limiter())]
    pub const PORT: u16 = 443;
}

#[rate_limited(tidegate::get_rate_limiter())]
mod client {}

#[rate_limited(tidegate::get_rate_limiter())]
unsafe extern "C" {}

fn main() {
    let _ = (Client, Client::PORT);
}
