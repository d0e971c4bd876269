//! Short sequences of events that are dangerous in combination.

use proptest::prelude::*;

use super::history::Event::{
    Arrive, Crash, GiveUp, Lose, Peek, Refill, Send, SpendAll, StepBack, TakeAll, UntilDeadline,
    UntilEnd, Wait,
};
use super::history::{BATCH, Event, NODES};

/// Draws a scene, in which each event may be missing.
pub(crate) fn scenes() -> impl Strategy<Value = Vec<Event>> {
    let complete = (0..NODES, 0_usize..6).prop_map(|(node, which)| scene(node, which));
    let kept = prop::collection::vec(prop::bool::weighted(0.9), 9);
    (complete, kept).prop_map(|(events, kept)| {
        let kept = events.into_iter().zip(kept).filter(|(_, kept)| *kept);
        kept.map(|(event, _)| event).collect()
    })
}

fn scene(node: usize, which: usize) -> Vec<Event> {
    let (refill, send, give_up) = (Refill(node, BATCH), Send(node, BATCH), GiveUp(node));
    let (drain, deadline, end) = (SpendAll(node), UntilDeadline(node), UntilEnd(node));
    let (crash, arrive, take, back) = (Crash(node), Arrive(0), TakeAll, StepBack(1_000));
    match which {
        // The lease is spent at its end.
        0 => vec![refill, deadline, drain, end, Wait(4_000), take],
        // The server learns at the lease's end that it was spent.
        1 => vec![refill, deadline, drain, refill, take, drain],
        // A request arrives late, after a later one.
        2 => vec![refill, send, give_up, drain, refill, drain, arrive, take],
        // The lease has ended. After a step back of the clock, it has not ended yet.
        3 => vec![refill, drain, take, end, refill, back, refill, drain],
        // The key is lost, and its bucket is full again.
        4 => vec![refill, Lose, Peek, deadline, drain, take],
        // The key is lost, and so is the reply to the next request.
        _ => vec![
            refill, Lose, send, arrive, give_up, take, refill, drain, crash,
        ],
    }
}
