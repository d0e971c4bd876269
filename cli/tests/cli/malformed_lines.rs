//! Malformed lines are parsed or reported, whatever they contain.

use std::cell::RefCell;
use std::io::Cursor;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use tidegate::Ipv6Prefix;
use tidegate_cli::log::client::ClientRule;
use tidegate_cli::log::event_parser::{EventParser, FileState, LogFormat, ParserOptions};
use tidegate_cli::log::fields::WantedFields;
use tidegate_cli::log::interner::KeyInterner;
use tidegate_cli::log::line_reader::{Line, LineReader};
use tidegate_cli::log::notation::Notation;
use tidegate_cli::log::timestamps::TimestampParser;

use crate::cases;

const KINDS: [&str; 9] = [
    "none",
    "ip",
    "ip-prefix",
    "path",
    "user",
    "agent",
    "a.b",
    ".",
    "status",
];

/// Parsers of all formats with all kinds of keys.
fn parsers() -> Vec<EventParser> {
    let notation = "[$time_local] $ip, \"$status\" $path".parse().unwrap();
    let Notation::Layout(layout) = notation else {
        panic!("{notation:?}");
    };
    let formats = [
        (LogFormat::Auto, None),
        (LogFormat::Combined, None),
        (LogFormat::Json, None),
        (LogFormat::Auto, Some(layout)),
    ];
    let all = KINDS
        .iter()
        .flat_map(|by| formats.iter().map(move |format| (by, format.clone())));
    let parsers = all.map(|(by, (format, layout))| {
        let options = ParserOptions {
            format,
            layout,
            wanted: WantedFields::new(by.parse().unwrap(), None, None),
            prefix: Ipv6Prefix::DEFAULT,
            rule: ClientRule::default(),
        };
        EventParser::new(&options, TimestampParser::new(TimeZone::UTC, None))
    });
    parsers.collect()
}

thread_local! {
    /// What parsers learn must not depend on the line, so they are reused.
    static PARSERS: RefCell<Vec<EventParser>> = RefCell::new(parsers());
}

/// Parses a line in all formats and with all kinds of keys, in a file of any kind.
fn parse(line: &[u8]) {
    PARSERS.with_borrow_mut(|parsers| {
        for parser in parsers {
            for header in [
                &b"# a comment"[..],
                b"#Fields: date time c-ip cs-uri-stem status",
            ] {
                let mut keys = KeyInterner::default();
                let mut file = FileState::default();
                assert!(parser.parse(header, &mut file, &mut keys).is_err());
                for _ in 0..2 {
                    if let Ok(event) = parser.parse(line, &mut file, &mut keys) {
                        assert_eq!(event.key, 0);
                        let _ = keys.text(0);
                    }
                }
                let _ = (parser.judge().objection(), parser.judge().skipped_advice());
            }
        }
    });
}

/// Fragments that are meaningful to the parsers, in random order.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
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
        b"2024-03-09T23:50:00.49Z ",
        b"stdout F ",
        b"stdout P ",
        b"<190>",
        b"<190>1 - ",
        b"Mar  9 23:50:00 ",
        b"web1 nginx[812]: ",
        b"web | ",
        b"#Fields: time c-ip\n",
        b"\"log\": \"",
        b"\t",
        b"GET / HTTP/1.1\" 200 - 0 1 2 3 \"1.2.3.4, ",
        b"TCP_MISS/200 ",
        b"https ",
        b"for=",
        b"\\]",
    ];
    let fragment = prop_oneof![
        8 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(fragment, 0..14).prop_map(|fragments| fragments.concat())
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn arbitrary_bytes(line in prop::collection::vec(any::<u8>(), 0..200)) {
        parse(&line);
    }

    #[test]
    fn fragments_in_random_order(line in fragments()) {
        parse(&line);
    }

    #[test]
    fn valid_line_with_one_changed_byte(at in 0_usize..110, byte in any::<u8>()) {
        let head = br#"83.149.9.216 - ann [17/May/2015:10:05:03 +0000] "GET /a?b HTTP/1.1" "#;
        let mut line = [&head[..], br#"200 203023 "http://x/" "Mozilla/5.0 (X11)""#].concat();
        let at = at % line.len();
        line[at] = byte;
        parse(&line);
        line.truncate(at);
        parse(&line);
    }

    /// The result does not depend on the times that were parsed before.
    #[test]
    fn arbitrary_time(text in "[0-9TZ:.+/ -]{0,40}") {
        let mut parser = TimestampParser::new(TimeZone::UTC, None);
        let first = parser.parse(text.as_bytes());
        prop_assert_eq!(parser.parse(text.as_bytes()), first);
        prop_assert_eq!(TimestampParser::new(TimeZone::UTC, None).parse(text.as_bytes()), first);
    }

    #[test]
    fn lines_are_those_of_the_standard_library(text in "[a\r\n\u{e9}]{0,40}") {
        let mut reader = LineReader::new(Cursor::new(text.as_bytes()));
        let mut lines = Vec::new();
        while let Some(Line::Text(line)) = reader.next_line().unwrap() {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
        }
        let expected = text.split_inclusive('\n').map(|line| {
            let line = line.strip_suffix('\n').unwrap_or(line);
            line.strip_suffix('\r').unwrap_or(line).to_owned()
        });
        prop_assert_eq!(lines, expected.collect::<Vec<_>>());
    }
}

#[test]
fn deeply_nested_json() {
    parse(format!("{{\"ip\": {}", "{\"a\": ".repeat(100_000)).as_bytes());
    parse("[".repeat(100_000).as_bytes());
}
