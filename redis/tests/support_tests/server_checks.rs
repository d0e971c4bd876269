//! Properties of the servers on which no other test depends visibly.

use std::path::Path;
use std::time::SystemTime;

use crate::support::server::{Server, ServerOptions};
use crate::support::server_kind::ServerKind;

#[test]
fn each_kind_runs_its_own_program() {
    for kind in ServerKind::available() {
        let server = ServerOptions::new(kind).start();
        let is_valkey = server.info("server_name").as_deref() == Some("valkey");
        assert_eq!(is_valkey, kind == ServerKind::Valkey, "{kind:?}");
    }
}

#[test]
fn only_a_durable_server_remembers_after_a_kill() {
    for options in ServerOptions::each_kind() {
        let forgetful = (options.clone().tcp(), None);
        for (options, remembered) in [(options.durable(), Some(7)), forgetful] {
            let mut server = options.start();
            let (url, pid) = (server.url(), server.pid());
            let () = server.query(&["SET", "key", "7"]);
            server.kill();
            assert!(server.try_query::<String>(&["PING"]).is_err());
            server.restart();
            assert_eq!(server.query::<Option<u64>>(&["GET", "key"]), remembered);
            assert_eq!(server.url(), url);
            assert_ne!(server.pid(), pid);
        }
    }
}

#[test]
fn dropped_server_leaves_nothing_behind() {
    let server = ServerOptions::default().fake_clock().start();
    let (socket, pid) = (server.socket(), server.pid());
    let folder = socket.parent().unwrap();
    assert!(folder.exists());
    server.pause();
    drop(server);
    assert!(!folder.exists());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn server_clock_can_be_set() {
    const HOUR_MS: i64 = 3_600_000;
    for options in ServerOptions::each_kind() {
        let server = options.fake_clock().durable().start();
        for offset_ms in [0, -HOUR_MS, HOUR_MS, 0, 24 * HOUR_MS, -90_500] {
            server.set_clock_offset_ms(offset_ms);
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
            let ahead_us = i128::from(server.time_us()) - i128::try_from(now).unwrap();
            let error_ms = ahead_us / 1_000 - i128::from(offset_ms);
            assert!(error_ms.abs() < 10_000, "{error_ms} ms off {offset_ms} ms");
        }
    }
}

#[test]
fn commands_of_scripts_are_counted() {
    for server in Server::each_kind() {
        for _ in 0..3 {
            let _: i64 = server.query(&["EVAL", "return redis.call('INCR', 'n')", "0"]);
        }
        assert_eq!((server.script_calls(), server.calls("incr")), (3, 3));
    }
}
