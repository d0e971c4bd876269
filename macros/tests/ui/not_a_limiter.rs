use tidegate::rate_limited;

static LIMITER: u32 = 50;

#[rate_limited(LIMITER)]
fn behind_a_number() {}

fn main() {
    behind_a_number();
}
