use tidegate::rate_limited;

#[rate_limited(tidegate::get_rate_limiter())]
pub unsafe fn dangerous(x: *const u32) -> u32 {
    unsafe { *x }
}

#[rate_limited(tidegate::get_rate_limiter())]
pub(crate) unsafe extern "C" fn foreign(x: u32) -> u32 {
    x
}

fn main() {
    assert_eq!(unsafe { dangerous(&7) }, 7);
    assert_eq!(unsafe { foreign(7) }, 7);
}
