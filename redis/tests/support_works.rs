//! The servers, processes and judge of other tests do what those tests rely on.
#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

mod support;

use core::time::Duration;
use std::path::Path;

use proptest::prelude::*;
use redis::{Commands, Connection, ErrorKind, RedisResult, ServerErrorKind};
use tidegate::Quota;

use support::admissions::{self, Admission, now_ns};
use support::bound::Bound;
use support::cluster::Cluster;
use support::kinds::Kind;
use support::processes::{self, Children};
use support::servers::{Options, Server};
use support::until::{PATIENCE, until};

fn ping(connection: &mut Connection) -> RedisResult<String> {
    redis::cmd("PING").query(connection)
}

fn value(server: &Server, key: &str) -> Option<u64> {
    server.connection().get(key).unwrap()
}

fn set(server: &Server, key: &str, value: u64) {
    let () = server.connection().set(key, value).unwrap();
}

#[test]
fn each_kind_answers_on_both_ways() {
    for kind in Kind::available() {
        let server = Server::start(Options::new(kind).tcp(0));
        assert_eq!(ping(&mut server.connection()).unwrap(), "PONG");
        let on_socket = redis::Client::open(server.socket_url()).unwrap();
        let mut on_socket = on_socket.get_connection_with_timeout(PATIENCE).unwrap();
        assert_eq!(ping(&mut on_socket).unwrap(), "PONG");
        let says_valkey = server.info("server_name").as_deref() == Some("valkey");
        assert!(
            kind == Kind::Given || says_valkey == (kind == Kind::Valkey),
            "{kind:?}"
        );
    }
}

#[test]
fn a_paused_server_does_not_answer_until_it_is_resumed() {
    for kind in Kind::available() {
        let server = Server::start(Options::new(kind));
        let mut connection = server
            .connection_within(Duration::from_millis(200))
            .unwrap();
        server.pause();
        let error = ping(&mut connection).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        server.resume();
        assert_eq!(ping(&mut server.connection()).unwrap(), "PONG");
    }
}

#[test]
fn a_durable_server_remembers_across_a_kill() {
    for kind in Kind::available() {
        let mut server = Server::start(Options::new(kind).durable());
        let (url, pid) = (server.url(), server.pid());
        set(&server, "key", 7);
        server.kill();
        assert!(server.connection_within(PATIENCE).is_err());
        server.restart();
        assert_eq!(value(&server, "key"), Some(7));
        assert_eq!(server.url(), url);
        assert_ne!(server.pid(), pid);
    }
}

#[test]
fn another_server_forgets() {
    for kind in Kind::available() {
        let mut server = Server::start(Options::new(kind).tcp(0));
        let url = server.url();
        set(&server, "key", 7);
        server.restart();
        assert_eq!(value(&server, "key"), None);
        assert_eq!(server.url(), url);
    }
}

#[test]
fn nothing_is_left_of_a_server_even_a_paused_one() {
    let server = Server::start(Options::default().fake_clock());
    let socket = server.socket_url();
    let (folder, pid) = (
        Path::new(&socket["unix://".len()..]).parent().unwrap(),
        server.pid(),
    );
    assert!(folder.exists());
    server.pause();
    drop(server);
    assert!(!folder.exists());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_servers_clock_goes_where_it_is_set() {
    const HOUR_MS: i64 = 3_600_000;
    for kind in Kind::available() {
        let server = Server::start(Options::new(kind).fake_clock().durable());
        let offset_ms = || {
            let ours = std::time::SystemTime::UNIX_EPOCH
                .elapsed()
                .unwrap()
                .as_micros();
            (i128::from(server.time_us()) - i128::try_from(ours).unwrap()) / 1_000
        };
        for set_ms in [0, -HOUR_MS, HOUR_MS, 0, 24 * HOUR_MS, -90_500] {
            server.set_clock_offset_ms(set_ms);
            let difference = offset_ms() - i128::from(set_ms);
            assert!(
                difference.abs() < 10_000,
                "{kind:?}: {difference} ms beside {set_ms} ms"
            );
            set(&server, "key", 1);
        }
        let script = "local time = redis.call('TIME') return time[1]";
        server.set_clock_offset_ms(-HOUR_MS);
        let seconds: i64 = redis::cmd("EVAL")
            .arg(script)
            .arg(0)
            .query(&mut server.connection())
            .unwrap();
        let known = i64::try_from(server.time_us() / 1_000_000).unwrap();
        assert!((seconds - known).abs() < 10, "{seconds} {known}");
    }
}

#[test]
fn a_clock_set_forth_ends_keys_and_one_set_back_keeps_them() {
    let server = Server::start(Options::default().fake_clock());
    let () = server.connection().set_ex("key", 1, 600).unwrap();
    server.set_clock_offset_ms(-3_600_000);
    assert_eq!(value(&server, "key"), Some(1));
    server.set_clock_offset_ms(3_600_000);
    // The server looks at its clock again only between commands.
    until("the end of the key", || {
        value(&server, "key").is_none().then_some(())
    });
}

#[test]
fn round_trips_are_counted() {
    for kind in Kind::available() {
        let server = Server::start(Options::new(kind));
        assert_eq!(server.commands_processed(), 0);
        let mut connection = server.connection();
        for _ in 0..3 {
            let _: i64 = redis::cmd("EVAL")
                .arg("return redis.call('INCR', 'n')")
                .arg(0)
                .query(&mut connection)
                .unwrap();
        }
        assert_eq!(server.calls("eval"), 3);
        assert_eq!(server.commands_processed(), 6);
    }
}

#[test]
fn flushed_scripts_are_gone() {
    for kind in Kind::available() {
        let server = Server::start(Options::new(kind));
        let mut connection = server.connection();
        let hash: String = redis::cmd("SCRIPT")
            .arg("LOAD")
            .arg("return 1")
            .query(&mut connection)
            .unwrap();
        let mut evalsha = redis::cmd("EVALSHA");
        evalsha.arg(hash).arg(0);
        assert_eq!(evalsha.query(&mut connection), Ok(1));
        server.flush_scripts();
        let error = evalsha.query::<i64>(&mut connection).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::NoScript));
    }
}

/// Where a node sends a client for a key, as a port.
fn redirect(cluster: &Cluster, node: usize, key: &str) -> (ErrorKind, u16) {
    let error = cluster
        .node(node)
        .connection()
        .get::<_, Option<u64>>(key)
        .unwrap_err();
    let (address, _) = error.redirect_node().expect("a redirect");
    let (_, port) = address.rsplit_once(':').unwrap();
    (error.kind(), port.parse().unwrap())
}

#[test]
fn a_cluster_redirects_and_moves_slots() {
    for kind in Kind::available() {
        let cluster = Cluster::start_with(&Options::new(kind));
        let port = |node: usize| cluster.node(node).port().unwrap();
        let moved = ErrorKind::Server(ServerErrorKind::Moved);
        for node in 0..cluster.len() {
            let key = cluster.key_on(node, "key");
            assert_eq!(cluster.owner_of(&key), node);
            let (how, to) = redirect(&cluster, (node + 1) % 3, &key);
            assert_eq!((how, to), (moved, port(node)));
            set(cluster.node(node), &key, 5);
        }

        let key = cluster.key_on(0, "key");
        let slot = cluster.slot_of(&key);
        let moving = cluster.begin_move(slot, 1);
        assert_eq!(value(cluster.node(0), &key), Some(5), "not yet moved");
        assert_eq!(moving.move_keys(), 1);
        let ask = ErrorKind::Server(ServerErrorKind::Ask);
        assert_eq!(redirect(&cluster, 0, &key), (ask, port(1)));
        assert_eq!(cluster.owner_of_slot(slot), 0, "halfway");
        moving.finish();
        assert_eq!(cluster.owner_of_slot(slot), 1);
        assert_eq!(value(cluster.node(1), &key), Some(5));
        assert_eq!(redirect(&cluster, 0, &key), (moved, port(1)));
        until("the third node to know", || {
            (redirect(&cluster, 2, &key) == (moved, port(1))).then_some(())
        });

        cluster.move_slot(slot, 2);
        assert_eq!(value(cluster.node(2), &key), Some(5));
    }
}

#[test]
fn a_clusters_node_is_killed_and_comes_back() {
    let mut cluster = Cluster::start_with(&Options::default().durable());
    let keys: Vec<String> = (0..3).map(|node| cluster.key_on(node, "key")).collect();
    set(cluster.node(1), &keys[1], 5);
    let port = cluster.node(1).port();
    cluster.node_mut(1).kill();
    set(cluster.node(0), &keys[0], 6);
    cluster.node_mut(1).restart();
    cluster.wait_until_well();
    assert_eq!(cluster.node(1).port(), port);
    assert_eq!(value(cluster.node(1), &keys[1]), Some(5));
}

#[test]
fn several_processes_report_what_they_were_admitted_to_do() {
    let name = "several_processes_report_what_they_were_admitted_to_do";
    if let Some(child) = processes::child(name) {
        child.meet("start");
        let mut connection = redis::Client::open(child.arguments[0].as_str())
            .unwrap()
            .get_connection()
            .unwrap();
        for _ in 0..5 {
            let decide = || connection.incr::<_, _, u64>("taken", 1).unwrap() <= 12;
            if let Some(admission) = Admission::around(1, decide) {
                child.admitted(admission);
            }
        }
        child.tell(format_args!("{} of {}", child.number, child.count));
        return;
    }
    let server = Server::start(Options::default());
    let mut children = Children::start(name, 4, &[&server.url()]);
    children.finish();
    assert_eq!(children.told(), ["0 of 4", "1 of 4", "2 of 4", "3 of 4"]);
    assert_eq!(value(&server, "taken"), Some(20));
    let admissions = children.admissions();
    assert_eq!(admissions.len(), 12);
    Bound::new(Quota::per_day(12)).assert_within(&admissions);
    assert_eq!(
        Bound::new(Quota::per_day(12).burst(11))
            .excess(&admissions)
            .permits_over,
        1
    );
}

#[test]
fn reports_of_killed_processes_count() {
    let name = "reports_of_killed_processes_count";
    if let Some(child) = processes::child(name) {
        child.admitted(Admission::around(3, || true).unwrap());
        until("the end", || child.should_end().then_some(()));
        return;
    }
    let mut children = Children::start(name, 2, &[]);
    until("two reports", || {
        (children.admissions_so_far().len() == 2).then_some(())
    });
    children.kill(0);
    children.end();
    assert_eq!(
        children
            .admissions()
            .iter()
            .map(|admission| admission.permits)
            .sum::<u64>(),
        6
    );
}

#[test]
#[should_panic(expected = "had nothing to do")]
fn a_wrong_name_is_noticed() {
    drop(Children::start("no_such_test", 1, &[]).admissions());
}

#[test]
#[should_panic(expected = "child 0 failed")]
fn a_child_that_fails_is_noticed() {
    if processes::child("a_child_that_fails_is_noticed").is_some() {
        // Without a panic, which this test expects.
        std::process::exit(3);
    }
    drop(Children::start("a_child_that_fails_is_noticed", 1, &[]).admissions());
}

#[test]
fn reports_are_read_back() {
    let both = [admitted(1, 2, 3), admitted(u64::MAX, u64::MAX, u64::MAX)];
    let report = admissions::write(&both);
    assert_eq!(admissions::read(&report), both);
    assert_eq!(
        admissions::read(&report[..report.len() - 1]),
        both[..1],
        "the last is not whole"
    );
    assert!("2 1 1".parse::<Admission>().is_err());
    assert!(now_ns() <= now_ns());
}

const fn admitted(start_ns: u64, end_ns: u64, permits: u64) -> Admission {
    Admission {
        start_ns,
        end_ns,
        permits,
    }
}

/// 10 at once, and 3 in each 7 ns.
const BOUND: Bound = Bound {
    capacity: 10,
    tokens: 3,
    period_ns: 7,
};

#[test]
fn the_bound_may_be_reached_and_not_passed() {
    let over = |admissions: &[Admission]| BOUND.excess(admissions).permits_over;
    assert_eq!(over(&[]), -10);
    assert_eq!(over(&[admitted(5, 5, 10)]), 0);
    assert_eq!(over(&[admitted(5, 5, 11)]), 1);
    assert_eq!(over(&[admitted(5, 5, 10), admitted(12, 12, 3)]), 0);
    assert_eq!(over(&[admitted(5, 5, 10), admitted(12, 12, 4)]), 1);
    assert_eq!(
        over(&[admitted(5, 5, 10), admitted(11, 11, 3)]),
        1,
        "by 3/7"
    );
    assert_eq!(over(&[admitted(5, 5, 10), admitted(13, 13, 3)]), 0);
    assert_eq!(
        over(&[admitted(4, 5, 10), admitted(11, 12, 3)]),
        0,
        "it may have been 4 and 12"
    );
    assert_eq!(over(&[admitted(4, 6, 10), admitted(5, 5, 10)]), 10);
    assert_eq!(
        over(&[admitted(0, 100, 52)]),
        0,
        "within 100 ns flow in 42 and more"
    );
    assert_eq!(over(&[admitted(0, 100, 53)]), 1);
}

#[test]
#[should_panic(
    expected = "10 at once and 3 per 7 ns: 13 admitted in 5..=11 (6 ns), which is 1 over"
)]
fn the_judge_shows_the_span() {
    BOUND.assert_within(&[admitted(11, 11, 3), admitted(1, 90, 1), admitted(5, 5, 10)]);
}

#[test]
fn the_judge_of_many_is_quick_and_exact() {
    let bound = Bound::new(Quota::per_second(1_000_000).burst(1_000));
    // A day after the epoch of 1970 plus half a century, in nanoseconds: numbers as large as they come.
    let start = 1_600_000_000_000_000_000;
    let mut all: Vec<Admission> = (0..200_000)
        .map(|us| admitted(start + us * 1_000, start + us * 1_000, 1))
        .collect();
    all.push(admitted(start + 50_000_000, start + 50_000_000, 999));
    bound.assert_within(&all);
    all.push(admitted(start + 70_000_000, start + 70_000_000, 1));
    let excess = bound.excess(&all);
    assert_eq!((excess.permits_over, excess.permits), (1, 71_001));
    assert_eq!((excess.from_ns, excess.to_ns), (start, start + 70_000_000));
}

/// The definition: each span from a start to an end.
fn slow_excess(bound: &Bound, admissions: &[Admission]) -> i128 {
    let mut most = -i128::from(bound.capacity) * i128::from(bound.period_ns);
    for from in admissions.iter().map(|admission| admission.start_ns) {
        for to in admissions
            .iter()
            .map(|admission| admission.end_ns)
            .filter(|&to| from <= to)
        {
            let within = admissions
                .iter()
                .filter(|admission| from <= admission.start_ns && admission.end_ns <= to);
            let permits: u64 = within.map(|admission| admission.permits).sum();
            let allowed = i128::from(bound.capacity) * i128::from(bound.period_ns)
                + i128::from(bound.tokens * (to - from));
            most = most.max(i128::from(permits) * i128::from(bound.period_ns) - allowed);
        }
    }
    -(-most).div_euclid(i128::from(bound.period_ns))
}

proptest! {
    #[test]
    fn the_judge_agrees_with_the_definition(
        capacity in 1_u64..10,
        tokens in 1_u64..10,
        period_ns in 1_u64..20,
        times in prop::collection::vec((0_u64..60, 0_u64..20, 0_u64..6), 0..20),
    ) {
        let bound = Bound { capacity, tokens, period_ns };
        let all: Vec<_> = times.into_iter().map(|(start, long, permits)| admitted(start, start + long, permits)).collect();
        let excess = bound.excess(&all);
        prop_assert_eq!(excess.permits_over, slow_excess(&bound, &all));
        // The span that it shows has what it says.
        let (from, to) = (excess.from_ns, excess.to_ns);
        let within = all.iter().filter(|admission| from <= admission.start_ns && admission.end_ns <= to);
        let permits: u64 = within.map(|admission| admission.permits).sum();
        let over = i128::from(permits) * i128::from(period_ns)
            - i128::from(capacity * period_ns)
            - i128::from(tokens * (to - from));
        if !all.is_empty() && excess.permits > 0 {
            prop_assert_eq!(u128::from(permits), excess.permits);
            prop_assert_eq!(-(-over).div_euclid(i128::from(period_ns)), excess.permits_over);
        }
    }
}
