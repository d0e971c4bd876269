use super::*;

#[test]
fn decorated_function_is_rate_limited() {
    let (limiter, _) = limiter(CONFIG);
    let call_claude = rate_limited(&limiter, |prompt: &str| format!("answer to {prompt}"));
    assert_eq!(call_claude.call("Hello!"), "answer to Hello!");
    assert_eq!(limiter.stats().total_requests, 1);
}

#[test]
fn decorated_function_waits_if_limited() {
    let (limiter, clock) = stepped(STEADY);
    let call_claude = rate_limited(&limiter, |number: u64| number);
    for number in 0..10 {
        assert_eq!(call_claude.call(number), number);
    }
    assert_eq!(clock.sleep_in(|| call_claude.call(10)), (10, TURN));
}

#[test]
fn callback_is_called_when_limited() {
    let (limiter, clock) = limiter(STEADY);
    let waits = RefCell::new(Vec::new());
    let make_api_call = rate_limited(&limiter, |()| "response").on_limited(|status| {
        waits.borrow_mut().push(status.wait_time());
        clock.advance(status.wait_time()); // instead of sleeping
    });
    for _ in 0..10 {
        make_api_call.call(());
    }
    assert!(waits.borrow().is_empty(), "not when it is admitted at once");
    assert_eq!(make_api_call.call(()), "response");
    assert_eq!(*waits.borrow(), [TURN]);
}

/// In Rust a function has no methods, so its statistics are the limiter's.
#[test]
#[cfg(feature = "macros")]
fn attribute_decorates_a_function() {
    use std::sync::LazyLock;

    static LIMITER: LazyLock<ApiRateLimiter<ManualClock>> = LazyLock::new(|| limiter(STEADY).0);

    #[rate_limited(LIMITER, on_limited = |status| LIMITER.clock().advance(status.wait_time()))]
    fn call_claude(prompt: &str) -> usize {
        prompt.len()
    }

    for _ in 0..11 {
        assert_eq!(call_claude("Hello!"), 6);
    }
    assert_eq!(LIMITER.clock().now() - tidegate::Timestamp::ZERO, TURN);
    assert_eq!(LIMITER.stats().total_requests, 11);
}

#[test]
fn decorated_function_has_statistics() {
    let (limiter, _) = limiter(CONFIG);
    let my_function = rate_limited(&limiter, |()| ());
    my_function.call(());
    assert_eq!(my_function.stats().total_requests, 1);
    assert_eq!(my_function.stats(), limiter.stats());
}
