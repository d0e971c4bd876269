//! The wait queue of a limiter.

use std::task::{Context, Waker};

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::model::{explore, leaked};
use crate::mutant;
use crate::tidegate::modelled::{ModelledQueue, ModelledTicket};
use crate::waiting::{block_on, kept_in_a_deadlock};

/// Sleeps until the ticket is at the head.
fn wait(ticket: ModelledTicket<'static>) -> ModelledTicket<'static> {
    kept_in_a_deadlock(ticket, |ticket| {
        block_on(|context| ticket.poll_head(context))
    })
}

fn is_head(ticket: &mut ModelledTicket<'static>) -> bool {
    ticket
        .poll_head(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

/// Three threads with one turn each. Kills `no_second_check`, `no_check_after_leaving`.
///
/// Each thread is alone at the head, and none sleeps forever.
fn each_has_a_turn() {
    explore(3, || {
        let queue = leaked(ModelledQueue::new());
        let inside = leaked(AtomicU64::new(0));
        let turn = move || {
            let ticket = wait(queue.join());
            assert_eq!(inside.fetch_add(1, Relaxed), 0, "two at the head");
            inside.fetch_sub(1, Relaxed);
            drop(ticket);
        };
        let others = [thread::spawn(turn), thread::spawn(turn)];
        turn();
        for other in others {
            other.join().unwrap();
        }
        assert!(!queue.is_busy());
    });
}

/// Three threads: the head leaves, one waiter gives up, one waits. Kills `kept_turn`.
///
/// The waiter that gives up may just have become the head. The one behind it is served all the
/// same.
fn a_turn_is_given_up() {
    explore(3, || {
        let queue = leaked(ModelledQueue::new());
        let mut head = queue.join();
        assert!(is_head(&mut head));
        let mut leaves = queue.join();
        assert!(!is_head(&mut leaves));
        let mut last = queue.join();
        assert!(!is_head(&mut last));
        let others = [
            thread::spawn(move || drop(head)),
            thread::spawn(move || drop(leaves)),
        ];
        let last = wait(last);
        for other in others {
            other.join().unwrap();
        }
        drop(last);
    });
}

/// Two threads: the head leaves, and two waiters join, one after the other. Kills `for_itself`,
/// `past_the_list`, `busy_while_taken`.
///
/// The waiters are served in that order, and a caller that arrives later sees that the queue is
/// busy.
fn no_waiter_is_overtaken() {
    explore(5, || {
        let queue = leaked(ModelledQueue::new());
        let mut head = queue.join();
        assert!(is_head(&mut head));
        let leaving = thread::spawn(move || drop(head));
        let mut first = queue.join();
        if !is_head(&mut first) {
            assert!(queue.is_busy(), "a later caller may pass");
        }
        let mut second = queue.join();
        let has_overtaken = is_head(&mut second);
        leaving.join().unwrap();
        let in_order = is_head(&mut first) && !has_overtaken && !is_head(&mut second);
        assert!(in_order, "overtaken");
        drop(first);
        assert!(is_head(&mut second));
    });
}

mutant::tests! { "wait_queue":
    each_has_a_turn { no_second_check: "deadlock", no_check_after_leaving: "deadlock" }
    a_turn_is_given_up { kept_turn: "deadlock" }
    no_waiter_is_overtaken {
        for_itself: "overtaken",
        past_the_list: "overtaken",
        busy_while_taken: "a later caller may pass",
    }
}
