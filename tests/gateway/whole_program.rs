//! The example as a program that is started and stopped.

use std::net::SocketAddr;

use crate::client::request;
use crate::program::{PATIENCE, Program};

/// Starts the program on a free port.
fn start() -> (Program, SocketAddr) {
    let program = Program::start("gateway", &["--addr", "127.0.0.1:0"]);
    let first = program.stdout.recv_timeout(PATIENCE).unwrap();
    let address = first.strip_prefix("listening on http://").unwrap();
    let address = address.parse().unwrap();
    (program, address)
}

#[test]
fn demo_prints_each_limit_within_its_bound() {
    let demo = Program::start("gateway", &["--demo"]).finish();
    assert!(demo.status.success(), "{demo:?}");

    let row = |limit: &str| -> [u64; 3] {
        let start = format!("{limit:<20} ");
        let mut rows = demo.stdout.lines();
        let row = rows.find_map(|line| line.strip_prefix(&start));
        let cells = row.expect(&demo.stdout).split_whitespace();
        let numbers = cells.map(|cell| cell.parse().unwrap());
        numbers.collect::<Vec<_>>().try_into().unwrap()
    };
    let sum = |limits: &[&str]| limits.iter().map(|limit| row(limit)[0]).sum::<u64>();
    let global = sum(&["global"]);
    assert!(global > 0, "{}", demo.stdout);
    assert_eq!(sum(&["/", "/search", "/upload", "unknown"]), global);
    if cfg!(target_os = "linux") {
        let addresses = [1, 2, 3, 4, 5].map(|octet| format!("address 127.0.0.{octet}"));
        assert_eq!(sum(&addresses.each_ref().map(String::as_str)), global);
    }
    let keys = ["key free-58b210", "key pro-7f3a9c"];
    assert!(sum(&keys) < global, "some requests have no key");
    for limit in ["global", "/", "key free-58b210", "key pro-7f3a9c"] {
        let [admitted, bound, _] = row(limit);
        assert!(admitted <= bound, "{}", demo.stdout);
    }
    // The smallest limits are always exceeded.
    let [admitted, bound, refused] = row("key free-58b210");
    assert!(
        (admitted, bound) == (10, 10) && refused > 0,
        "{}",
        demo.stdout
    );
    // The table fits a terminal of 80 columns.
    let mut lines = demo.stdout.lines();
    assert!(lines.all(|line| line.len() <= 80), "{}", demo.stdout);
}

#[test]
fn wrong_arguments_fail() {
    let cases: [(&[&str], &str); 6] = [
        (&["--fast"], "usage: gateway"),
        (&["8080"], "usage: gateway"),
        (&["--addr"], "usage: gateway"),
        (&["--demo=yes"], "usage: gateway"),
        (&["--demo", "--addr", "127.0.0.1:0"], "usage: gateway"),
        (&["--addr", "127.0.0.1"], "cannot listen on 127.0.0.1: "),
    ];
    for (arguments, message) in cases {
        let gateway = Program::start("gateway", arguments).finish();
        assert_eq!(gateway.status.code(), Some(1), "{arguments:?} {gateway:?}");
        let has_message = gateway.stderr.contains(message);
        assert!(has_message, "{arguments:?} {gateway:?}");
        assert_eq!(gateway.stdout, "", "{arguments:?}");
    }
}

#[test]
fn address_in_use_fails() {
    let (_gateway, address) = start();
    let address = address.to_string();
    let second = Program::start("gateway", &["--addr", &address]).finish();
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let message = format!("cannot listen on {address}");
    assert!(second.stderr.contains(&message), "{second:?}");
}

#[cfg(target_os = "linux")]
mod on_linux {
    use std::fs;
    use std::net::Ipv4Addr;
    use std::process::Command;
    use std::thread;

    use tidegate::{Clock, MonotonicClock};

    use super::*;
    use crate::client::{exchange, header, stats};

    /// Reads a field of the kernel's status of a process.
    fn status_of(program: &Program, field: &str) -> String {
        let status = format!("/proc/{}/status", program.process.id());
        let status = fs::read_to_string(status).unwrap();
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(":"));
        value.unwrap().trim().to_owned()
    }

    #[test]
    fn ctrl_c_stops_the_server() {
        let (gateway, address) = start();
        let deadline = MonotonicClock.now() + PATIENCE;
        // A mask of the signals that the process catches.
        let catches_interrupt = |mask: &str| u64::from_str_radix(mask, 16).unwrap() & (1 << 1) != 0;
        while !catches_interrupt(&status_of(&gateway, "SigCgt")) {
            assert!(MonotonicClock.now() < deadline, "no signal handler");
            thread::yield_now();
        }
        assert_eq!(request(address, "GET", "/").status, 200);
        let kill = format!("kill -INT {}", gateway.process.id());
        let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(killed.success());
        let stopped = gateway.finish();
        assert!(stopped.status.success(), "{stopped:?}");
    }

    #[test]
    fn memory_does_not_depend_on_key_length() {
        let (gateway, server) = start();
        let resident_kib = || -> u64 {
            let resident = status_of(&gateway, "VmRSS");
            resident.split(' ').next().unwrap().parse().unwrap()
        };
        // Sends 20 new keys of 8 KiB from a new address, and returns how many were admitted.
        let send = |batch: u16| {
            let [high, low] = batch.to_be_bytes();
            let request = |index| {
                let key = format!("{batch:04096}{index:04096}");
                ("GET", "/", header("x-api-key", key))
            };
            let requests: Vec<_> = (0..20).map(request).collect();
            let answers = exchange(server, Ipv4Addr::new(127, 1, high, low), &requests);
            assert_eq!(answers.len(), 20);
            answers.iter().filter(|answer| answer.status == 200).count() as u64
        };
        // The first requests allocate the buffers.
        let mut admitted = (0..5).map(send).sum::<u64>();
        let before = resident_kib();
        let enough = admitted + 400;
        for batch in 5.. {
            admitted += send(batch);
            if admitted >= enough {
                break;
            }
        }
        let grown = resident_kib().saturating_sub(before);

        // The keys have 3,200 KiB.
        assert!(grown < 1_600, "{grown} KiB");
        let stats = stats(server);
        assert_eq!(stats["keys"]["created"].as_u64(), Some(admitted));
        // A bucket is full again, and can be evicted, after a minute.
        assert_eq!(stats["keys"]["active"].as_u64(), Some(admitted));
        assert_eq!(stats["refused_by"]["key"].as_u64(), Some(0));
    }
}
