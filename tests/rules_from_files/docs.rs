//! The file in the documentation does what it says.

use http::Request;

use super::{Server, from, refused};

fn example() -> String {
    let chapter = include_str!("../../src/docs/rules.md");
    let (_, rest) = chapter.split_once("```toml\n").expect("an example");
    let (text, _) = rest.split_once("```").expect("its end");
    text.to_owned()
}

fn client(address: &str) -> http::request::Builder {
    from("10.0.0.1").header("x-forwarded-for", address)
}

#[test]
fn the_example_of_the_chapter() {
    let server = Server::new(&example());
    let health = || from("10.0.0.1").uri("/health");
    assert_eq!(server.admitted(10_000, health), 10_000);

    assert_eq!(server.admitted(100, || client("203.0.113.1")), 40);
    assert_eq!(server.answer(client("203.0.113.1"), 200), refused("client"));
    // 10 more than the stricter limit would have admitted; searches are on neither.
    assert_eq!(server.denied("client-strict"), (0, 30));

    server.wait(60.0);
    let search = || client("203.0.113.1").uri("/search");
    assert_eq!(server.admitted(200, search), 100);
    assert_eq!(server.answer(search(), 200), refused("searches"));

    server.wait(60.0);
    let of = |key: &'static str| {
        let mut number = 0_u32;
        move || {
            number += 1;
            client(&format!("198.51.{}.{}", number / 200, number % 200)).header("x-api-key", key)
        }
    };
    let mut pro = of("pro-7f3a9c");
    assert_eq!(
        (0..490)
            .filter(|_| server.answer(pro(), 200).is_ok())
            .count(),
        490
    );
    server.wait(60.0);
    let mut free = of("free-1");
    assert_eq!(
        (0..490)
            .filter(|_| server.answer(free(), 200).is_ok())
            .count(),
        10
    );
    assert_eq!(server.answer(free(), 200), refused("free"));

    server.wait(60.0);
    let log_in = || Request::post("/login").extension(super::Peer([10, 0, 0, 1].into()));
    let log_in = || log_in().header("x-forwarded-for", "203.0.113.9");
    for _ in 0..5 {
        assert!(server.answer(log_in(), 401).is_ok());
    }
    assert_eq!(server.answer(log_in(), 200), refused("log-ins"));
    server.wait(15.0 * 60.0);
    assert!(server.answer(log_in(), 200).is_ok());

    let export = || {
        client("203.0.113.5")
            .uri("/export/all")
            .header("x-api-key", "pro-c41d02")
    };
    let running = [
        server.decide(export()).unwrap(),
        server.decide(export()).unwrap(),
    ];
    assert_eq!(server.decide(export()).map(drop), refused("exports"));
    drop(running);
    assert!(server.decide(export()).is_ok());
}
