//! The client of a request is an address that is justified, or the program says why it is not.

use serde_json::json;

use crate::program::{self, assert_fails, run_with_input};
use crate::requests::{REFUSED, requests, sample};

const ARGS: [&str; 7] = [
    "replay",
    "-",
    "--quota",
    "6/min burst 4",
    "--by",
    "ip",
    "--json",
];

fn keys(text: &str, options: &[&str]) -> Vec<String> {
    let args = [&ARGS[..6], options, &["--csv", "-"]].concat();
    let ran = run_with_input(&args, text.as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let rows = ran.out.lines().skip(1);
    rows.map(|row| row.split(',').next().unwrap().to_owned())
        .collect()
}

/// L4 and L5: ports, brackets and mapped addresses make no keys of their own.
#[test]
fn one_client_in_many_forms() {
    let time = "- - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5\n";
    let forms = |forms: &[&str]| {
        forms
            .iter()
            .map(|form| [form, " ", time].concat())
            .collect::<String>()
    };
    for (text, expected) in [
        (
            &[
                "10.0.0.1:50123",
                "10.0.0.1:50124",
                "10.0.0.1",
                "::ffff:10.0.0.1",
            ][..],
            "10.0.0.1",
        ),
        (&["[::1]:443", "[::1]:444", "::1", "[::1]"], "::1"),
        (
            &["65.215.163.8, ::ffff:10.0.0.1", "65.215.163.8"],
            "65.215.163.8",
        ),
        (
            &["2001:db8::7", "[2001:DB8:0::7]:443", "2001:db8::7:50000"],
            "2001:db8::7",
        ),
    ] {
        assert_eq!(keys(&forms(text), &[]), [expected]);
    }
    let json: String = ["203.0.113.7:50000", "203.0.113.7:50001", "203.0.113.7"]
        .iter()
        .map(|client| json!({"ts": 1_431_857_103, "remote_addr": client}).to_string() + "\n")
        .collect();
    assert_eq!(keys(&json, &[]), ["203.0.113.7"]);
}

#[test]
fn lists_are_resolved_by_options() {
    let list = "6.6.6.6, 203.0.113.5, 198.51.100.9, 10.0.0.2";
    let text = format!("{list} - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5\n");
    for (options, expected) in [
        (&["--forwarded", "last"][..], "198.51.100.9"),
        (
            &["--trusted-proxy", "198.51.100.0/24", "--forwarded", "last"],
            "203.0.113.5",
        ),
        (
            &[
                "--trusted-proxy",
                "198.51.100.9",
                "--trusted-proxy",
                "203.0.113.5",
            ],
            "6.6.6.6",
        ),
        (&["--forwarded", "first"], "6.6.6.6"),
    ] {
        assert_eq!(keys(&text, options), [expected], "{options:?}");
    }
    let line = json!({
        "ts": 1_431_857_103, "remote_addr": "203.0.113.5",
        "headers": {"X-My-Ip": ["198.51.100.9", "10.0.0.1"]},
    });
    for (options, expected) in [
        (&[][..], "203.0.113.5"),
        (&["--client", "headers.X-My-Ip"], "198.51.100.9"),
        (&["--client", "headers.X-My-Ip.1"], "10.0.0.1"),
    ] {
        assert_eq!(keys(&line.to_string(), options), [expected], "{options:?}");
    }
}

const REST: &str = "- - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5\n";

fn lines(write: impl Fn(usize) -> String) -> String {
    (0..50).map(write).collect()
}

fn json_line(fields: &serde_json::Value) -> String {
    fields.to_string() + "\n"
}

/// A log, and parts of the message with which the program stops.
type Case<'a> = (&'a str, String, &'a [&'a str]);

fn check_stops(cases: &[Case<'_>]) {
    for (name, text, parts) in cases {
        let ran = run_with_input(&ARGS, text.as_bytes());
        for part in *parts {
            assert_fails(&ran, 1, part);
        }
        assert_eq!(ran.out, "", "{name}");
    }
}

/// L6: a field that holds no addresses is no client.
#[test]
fn wrong_fields_of_json_stop_the_program() {
    let cases: [Case<'_>; 4] = [
        (
            "a virtual host alone",
            lines(|_| json_line(&json!({"ts": 1_431_857_103, "host": "example.com"}))),
            &[
                "no requests found",
                "guessed format: JSON",
                "fields: host, ts",
                "--client FIELD",
            ][..],
        ),
        (
            "an unknown name",
            lines(|_| json_line(&json!({"ts": 1_431_857_103, "visitor": {"at": "203.0.113.5"}}))),
            &[
                "no requests found",
                "ts, visitor.at (an address)",
                "--client FIELD",
            ],
        ),
        (
            "an unknown time",
            lines(|_| json_line(&json!({"when": 1_431_857_103, "ip": "203.0.113.5"}))),
            &[
                "no requests found",
                "ip (an address), when",
                "--time-field FIELD",
            ],
        ),
        (
            "a client that is a name",
            lines(|i| json_line(&json!({"ts": 1_431_857_103, "client": format!("app-{i}")}))),
            &[
                "the client is not clear: 50 of 50 lines",
                "`app-0`",
                "JSON",
                "fields: client, ts",
            ],
        ),
    ];
    check_stops(&cases);
}

#[test]
fn wrong_clients_stop_the_program() {
    let rest = REST;
    let cases: [Case<'_>; 6] = [
        (
            "host names",
            lines(|i| format!("host{i}.example.com {rest}")),
            &[
                "the client is not clear",
                "common log",
                "fields: client, host",
                "--by FIELD",
            ],
        ),
        (
            "host names at a load balancer",
            lines(|i| {
                let rest = "10.0.0.1:80 0 0 0 200 200 0 5 \"GET / HTTP/1.1\" \"Agent\" - - x \"-\"";
                format!("http 2024-03-09T23:50:00Z app/x/1 host{i}:80 {rest}\n")
            }),
            &[
                "the client is not clear",
                "AWS application load balancer",
                "client_addr, target",
            ],
        ),
        (
            "host names in columns",
            "#Fields: date time c-ip\n".to_owned()
                + &lines(|i| format!("2024-03-09 23:50:00 host{i}\n")),
            &["the client is not clear", "W3C", "fields: date, time, c-ip"],
        ),
        (
            "some virtual hosts",
            lines(|i| match i % 5 {
                0 => format!("www.example.com www {rest}"),
                _ => format!("203.0.113.{i} {rest}"),
            }),
            &[
                "the client is not clear: 10 of 50 lines",
                "`www.example.com`",
            ],
        ),
        (
            "an unknown proxy",
            lines(|i| {
                let list = format!("203.0.113.{i}");
                json_line(&json!({"ts": 1_431_857_103, "remote_addr": "198.51.100.9", "xff": list}))
            }),
            &[
                "the client is not clear",
                "198.51.100.9",
                "--trusted-proxy",
                "xff",
            ],
        ),
        (
            "an unknown proxy of nginx",
            lines(|i| {
                let rest = rest.trim_end();
                format!("198.51.100.9 {rest} \"-\" \"Agent\" \"203.0.113.{i}\"\n")
            }),
            &[
                "the client is not clear",
                "`198.51.100.9`",
                "--trusted-proxy",
                "forwarded",
            ],
        ),
    ];
    check_stops(&cases);
    let hosts = lines(|i| format!("host{i}.example.com {rest}"));
    let args = ["replay", "-", "--quota", "1/s", "--by", "client", "--json"];
    assert_eq!(program::json(&args, hosts.as_bytes())["keys"], 50);
}

/// The last hop of a list may be a public proxy that is not listed, such as that of a CDN.
#[test]
fn public_hops_of_lists_stop_the_program() {
    let rest = REST.trim_end();
    let quoted = |list: String| format!("10.0.0.5 {rest} \"-\" \"Agent\" \"{list}\"\n");
    let client = |i: usize| format!("203.0.113.{i}, 172.70.0.{}", i % 20);
    let json = |fields: &str| {
        lines(|i| match i % 9 {
            0 => json_line(
                &json!({"ts": 1_431_857_103, "remote_addr": "10.0.0.5", fields: client(i)}),
            ),
            _ => json_line(
                &json!({"ts": 1_431_857_103, "remote_addr": "10.0.0.5", fields: "9.9.9.9"}),
            ),
        })
    };
    let forwarded = |i| format!("for=203.0.113.{i}, for=172.70.0.1");
    let parts = [
        "the client is not clear",
        "--trusted-proxy",
        "--forwarded first",
    ];
    let cases: [Case<'_>; 5] = [
        ("after the agent", lines(|i| quoted(client(i))), &parts),
        (
            "before the time",
            lines(|i| format!("{}, 10.0.0.1 {rest}\n", client(i))),
            &parts,
        ),
        ("JSON", json("x_forwarded_for"), &parts),
        (
            "RFC 7239",
            lines(|i| {
                let list = forwarded(i);
                json_line(&json!({"ts": 1_431_857_103, "ip": "10.0.0.5", "forwarded": list}))
            }),
            &parts,
        ),
        (
            "the proxy's own address in the list",
            lines(|i| format!("172.70.0.1 {rest} \"-\" \"Agent\" \"203.0.113.{i}, 172.70.0.1\"\n")),
            &parts,
        ),
    ];
    check_stops(&cases);
    let text = lines(|i| quoted(client(i)));
    for (options, expected) in [
        (&["--trusted-proxy", "172.70.0.0/16"][..], 50),
        (&["--forwarded", "first"], 50),
        (&["--forwarded", "last"], 20),
    ] {
        assert_eq!(keys(&text, options).len(), expected, "{options:?}");
    }
}

/// A few clients forge lists, which is worth a warning.
#[test]
fn few_doubtful_clients_are_warned_of() {
    let rest = REST.trim_end();
    let text = lines(|i| {
        let peer = if i < 20 {
            "198.51.100.9".to_owned()
        } else {
            format!("10.0.0.{i}")
        };
        format!("{peer} {rest} \"-\" \"Agent\" \"203.0.113.{i}\"\n")
    });
    let ran = run_with_input(&ARGS, text.as_bytes());
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.err
            .contains("20 of 50 lines come from an address that forwarded"),
        "{}",
        ran.err
    );
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1);
}

/// A list counts though some of its elements are no addresses, or have ports.
#[test]
fn lists_with_words_and_ports() {
    let rest = REST.trim_end();
    for list in ["203.0.113.5", "unknown, 203.0.113.5", "203.0.113.5:50123"] {
        let line = format!("10.0.0.5 {rest} \"-\" \"Agent\" \"{list}\"\n");
        assert_eq!(keys(&line, &[]), ["203.0.113.5"], "{list}");
    }
}

/// lighttpd writes the virtual host after the client. Scanners call a server by its address.
#[test]
fn virtual_hosts_replace_no_clients() {
    let rest = REST.strip_prefix("- ").unwrap();
    for host in ["198.51.100.9", "198.51.100.9:80", "www.example.com", "-"] {
        let line = format!("203.0.113.5 {host} {rest}");
        assert_eq!(keys(&line, &[]), ["203.0.113.5"], "{host}");
    }
}

/// Most lines that are no requests do not hide those that are.
#[test]
fn few_wrong_clients_are_named_and_skipped() {
    let mut text = sample("nginx_combined.log");
    let first = text
        .lines()
        .next()
        .unwrap()
        .replace("203.0.113.5", "localhost");
    text += &format!("{first}\n{}\n", first.replace("localhost", "-"));
    let ran = run_with_input(&ARGS, text.as_bytes());
    assert_eq!(ran.code, Some(0));
    assert_eq!(
        ran.err,
        "tidegate: standard input:401: the client is not an address\n"
    );
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!([&report["refused"], &report["skipped"]], [REFUSED, 2]);
}

/// L7: each line is recognized by itself.
#[test]
fn mixed_formats() {
    let mut text = "{\"level\":\"info\",\"msg\":\"started\",\"ts\":1710028200}\n".to_owned();
    text += "{\"time\": \"2024-03-09T23:50:00Z\", \"message\": \"ready\"}\n";
    text += &"INFO [2024-03-09 23:50:00,490] worker started\n".repeat(90);
    for (number, request) in requests().iter().enumerate() {
        let millis = request.millis;
        text += &match number % 5 {
            0 => request.combined(),
            1 => json!({"ts": millis, "ip": request.client}).to_string() + ",",
            2 => format!("www.example.com:443 {}", request.combined()),
            3 => {
                let time = request.time("%Y-%m-%dT%H:%M:%S.%3fZ");
                format!("{time} stdout F {}", request.combined())
            }
            _ => format!(
                "<190>{} web1 nginx: {}",
                request.time("%b %d %H:%M:%S"),
                request.combined()
            ),
        };
        text.push('\n');
        if number % 50 == 0 {
            text += &json!({"level": "warn", "time": "2024-03-09T23:50:00Z"}).to_string();
            text.push('\n');
        }
    }
    let report = program::json(&ARGS, text.as_bytes());
    assert_eq!(
        [&report["requests"], &report["refused"], &report["skipped"]],
        [400, REFUSED, 100]
    );
}

/// A container runtime cuts long lines. The first piece is enough for the client.
#[test]
fn pieces_of_a_line_are_one_request() {
    let mut text = String::new();
    for request in requests() {
        let line = request.combined();
        let (head, tail) = line.split_at(line.len() - 9);
        let time = request.time("%Y-%m-%dT%H:%M:%S.%3fZ");
        text += &format!("{time} stdout P {head}\n{time} stderr F {{}}\n{time} stdout F {tail}\n");
    }
    let report = program::json(&[&ARGS[..], &["--quiet"]].concat(), text.as_bytes());
    assert_eq!([&report["requests"], &report["refused"]], [400, REFUSED]);
}

#[test]
fn one_private_client_is_doubtful() {
    let text: String = requests()
        .iter()
        .map(|request| request.combined().replacen(&request.client, "10.0.0.1", 1) + "\n")
        .collect();
    let ran = run_with_input(&ARGS, text.as_bytes());
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.err.contains("warning: all requests come from 10.0.0.1"),
        "{}",
        ran.err
    );
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn few_private_clients_are_doubtful() {
    let text = lines(|i| format!("10.0.0.{} {REST}", 1 + i % 2)).repeat(3);
    let ran = run_with_input(&ARGS, text.as_bytes());
    assert_eq!(ran.code, Some(0));
    let expected = "warning: all requests come from 2 private addresses such as 10.0.0.1";
    assert!(ran.err.contains(expected), "{}", ran.err);
    let text = lines(|i| format!("10.0.0.{} {REST}", 1 + i % 20)).repeat(3);
    assert_eq!(run_with_input(&ARGS, text.as_bytes()).err, "");
}

/// Of two fields with an address, the one that is a client counts.
#[test]
fn clients_beside_proxies_and_servers() {
    for fields in [
        json!({"remote_addr": "10.0.0.5", "remote_ip": "203.0.113.5"}),
        json!({"remote_addr": "10.0.0.5", "source": {"ip": "203.0.113.5"}}),
        json!({"source": {"ip": "203.0.113.5"}, "remote_addr": "10.0.0.5"}),
        json!({"remote_addr": "10.0.0.5", "client": "203.0.113.5"}),
        json!({"remote_addr": "203.0.113.5", "client": "10.0.0.5"}),
        json!({"remote_addr": "203.0.113.5", "client": "app-7"}),
        json!({"ip": "198.51.100.9", "client": "203.0.113.5"}),
        json!({"client": "203.0.113.5", "ip": "198.51.100.9"}),
        json!({"ip": "198.51.100.9", "remote": "203.0.113.5"}),
        json!({"ip": "198.51.100.9", "peer": "203.0.113.5:4411"}),
        json!({"ip": "203.0.113.5", "client": "app-7"}),
    ] {
        let mut line = fields.clone();
        line["ts"] = json!(1_431_857_103);
        assert_eq!(keys(&line.to_string(), &[]), ["203.0.113.5"], "{fields}");
    }
    let private = json!({"ts": 1_431_857_103, "client_ip": "10.0.0.7", "ip": "198.51.100.9"});
    assert_eq!(keys(&private.to_string(), &[]), ["10.0.0.7"]);
}

/// A client chooses the name with which it logs in, and may write a time into it.
#[test]
fn times_in_names_are_no_times() {
    let line = |user| {
        format!(
            "203.0.113.5 - {user} {}",
            REST.strip_prefix("- - ").unwrap()
        )
    };
    let text = line("ann") + &line("[01/Jan/2001:00:00:00 +0000]");
    let text = text + &line("a [01/Jan/2031:00:00:00 +0000] b");
    let args = ["replay", "-", "--quota", "1/min burst 3", "--json"];
    let report = program::json(&args, text.as_bytes());
    assert_eq!([&report["requests"], &report["late"]], [3, 0]);
    assert_eq!(report["first"], 1_431_857_103.0);
}

/// A line may have nothing but the client before its time.
#[test]
fn clients_without_identity_and_user() {
    let rest = REST.strip_prefix("- - ").unwrap();
    for client in ["2001:db8::1", "203.0.113.5"] {
        assert_eq!(keys(&format!("{client} {rest}"), &[]), [client]);
    }
}

#[test]
fn zones_may_begin_with_a_sign() {
    let text = sample("nginx_combined.log");
    let args = [&ARGS[..], &["--timezone", "-03:30"]].concat();
    assert_eq!(program::json(&args, text.as_bytes())["refused"], REFUSED);
}
