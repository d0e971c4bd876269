use tidegate::rate_limited;

#[rate_limited]
fn nothing() {}

#[rate_limited()]
fn nothing_in_parentheses() {}

#[rate_limited(on_limited = |_| ())]
fn an_option() {}

fn main() {
    nothing();
    nothing_in_parentheses();
    an_option();
}
