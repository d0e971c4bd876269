//! Reloads while other threads are served.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use super::{Server, of};

/// Time stands still, so each account is admitted what it may have at most, however often the file
/// is reloaded, and in the end exactly that.
#[test]
fn reloads_under_load_admit_nothing_more_and_lose_nothing() {
    let text = |burst: u64, route: &str| {
        format!(
            "keys.account = {{ header = 'x-account' }}
             limits = [
                {{ name = 'each', window = '{burst}/h', key = 'account' }},
                {{ name = 'all', rate = '1000/h' }},
                {{ name = 'busy', in_flight = 3 }},
                {{ name = 'other', rate = '1/h', routes = ['{route}'] }},
             ]"
        )
    };
    let server = Server::new(&text(100, "/a"));
    let admitted: [AtomicU64; 4] = Default::default();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (number, admitted) in admitted.iter().enumerate() {
            let (server, is_over) = (&server, &is_over);
            scope.spawn(move || {
                while !is_over.load(Relaxed) {
                    if server.answer(of(&number.to_string()), 200).is_ok() {
                        admitted.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        for round in 0..200 {
            server.reload(&text(if round % 2 == 0 { 40 } else { 100 }, "/b"));
            // A file that is refused, too.
            let broken = text(500, "/b").replace("'account'", "'nobody'");
            assert!(server.rules.reload(&super::parse(&broken)).is_err());
        }
        server.reload(&text(100, "/c"));
        is_over.store(true, Relaxed);
    });
    for (number, admitted) in admitted.iter().enumerate() {
        let by_threads = admitted.load(Relaxed);
        assert!(by_threads <= 100, "account {number}: {by_threads}");
        let rest = server.admitted(200, || of(&number.to_string()));
        assert_eq!(by_threads + rest as u64, 100, "account {number}");
    }
    // No permit was lost.
    let held: Vec<_> = (0..9)
        .map(|n| server.decide(of(&format!("late {n}"))))
        .collect();
    assert_eq!(held.iter().flatten().count(), 3);
}
