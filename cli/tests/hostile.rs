//! Lines that nobody should write: whatever they hold, they are read or told, and nothing breaks.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, with helpers outside of test functions"
)]

use std::io::Cursor;

use proptest::prelude::*;
use tidegate::Ipv6Prefix;
use tidegate_cli::log::detect::{Format, Lines};
use tidegate_cli::log::intern::Keys;
use tidegate_cli::log::key::By;
use tidegate_cli::log::lines::Split;
use tidegate_cli::log::time::Times;

const KINDS: [&str; 8] = [
    "none",
    "ip",
    "ip-prefix",
    "path",
    "user",
    "agent",
    "a.b",
    ".",
];

fn read_all(line: &[u8]) {
    for by in KINDS {
        for format in [Format::Auto, Format::Combined, Format::Json] {
            let by: By = by.parse().unwrap();
            let mut lines = Lines::new(format, by, Ipv6Prefix::DEFAULT, None);
            let mut keys = Keys::default();
            for _ in 0..2 {
                if let Ok(event) = lines.read(line, &mut keys) {
                    assert_eq!(event.key, 0);
                    let _ = keys.text(0);
                }
            }
        }
    }
}

/// Pieces that mean something to a parser, in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"1.2.3.4",
        b"::1",
        b" ",
        b"-",
        b"[",
        b"]",
        b"\"",
        b"\\",
        b"?",
        b"{",
        b"}",
        b":",
        b",",
        b"\xff",
        b"\0",
        b" - - [17/May/2015:10:05:03 +0000] ",
        b"\"GET /a?b HTTP/1.1\" ",
        b"200 1 ",
        b"{\"time\": \"2015-05-17T10:05:03Z\"",
        b"\"ip\": \"::ffff:1.2.3.4\"",
        b"\"a\": {\"b\": 1}",
        b"1e999",
        b"99999999999999999999",
        b"\"ts\": ",
        b"17/May/2015:",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_bytes(line in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&line);
    }

    #[test]
    fn pieces_in_any_order(line in pieces()) {
        read_all(&line);
    }

    /// Each byte of a good line may be any other.
    #[test]
    fn one_byte_wrong(at in 0_usize..110, byte in any::<u8>()) {
        let good = br#"83.149.9.216 - ann [17/May/2015:10:05:03 +0000] "GET /a?b HTTP/1.1" 200 203023 "http://x/" "Mozilla/5.0 (X11)""#;
        let mut line = good.to_vec();
        let at = at % line.len();
        line[at] = byte;
        read_all(&line);
        line.truncate(at);
        read_all(&line);
    }

    #[test]
    fn any_time(text in "[0-9TZ:.+/ -]{0,40}") {
        let mut times = Times::default();
        let first = times.read(text.as_bytes());
        prop_assert_eq!(times.read(text.as_bytes()), first);
        prop_assert_eq!(Times::default().read(text.as_bytes()), first);
    }

    /// Lines are those of the standard library.
    #[test]
    fn lines_are_lines(text in "[a\r\n\u{e9}]{0,40}") {
        let mut split = Split::new(Cursor::new(text.as_bytes()));
        let mut lines = Vec::new();
        while let Some(line) = split.next_line().unwrap() {
            lines.push(String::from_utf8(line.text.unwrap().to_vec()).unwrap());
        }
        let expected: Vec<String> = text
            .split_inclusive('\n')
            .map(|line| {
                let line = line.strip_suffix('\n').unwrap_or(line);
                line.strip_suffix('\r').unwrap_or(line).to_owned()
            })
            .collect();
        prop_assert_eq!(lines, expected);
    }
}

#[test]
fn deep_json() {
    let deep = format!("{{\"ip\": {}", "{\"a\": ".repeat(100_000));
    read_all(deep.as_bytes());
    read_all("[".repeat(100_000).as_bytes());
}
