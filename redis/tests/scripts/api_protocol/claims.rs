//! Nodes that wait for long: calls that wait on other nodes leave what they need.

use tidegate::RateLimitConfig;

use super::call_arguments::{AskedCall, Layout};
use super::runner::{ALIGNED_US, ApiScript};

const CONFIG: RateLimitConfig = RateLimitConfig {
    tokens_per_minute: 60_000,
    token_burst_size: Some(1_000),
    ..RateLimitConfig::UNLIMITED
};

struct Fleet {
    script: ApiScript,
    layout: Layout,
    now_us: u64,
    calls: u64,
}

impl Fleet {
    /// Asks, and returns whether the call was admitted.
    fn ask(&mut self, node: Option<(u8, bool)>, tokens: u64) -> bool {
        self.refuses(node, tokens).is_none()
    }

    /// Asks, and returns the limit that refuses, counted from 1.
    fn refuses(&mut self, node: Option<(u8, bool)>, tokens: u64) -> Option<i64> {
        self.calls += 1;
        let id = [&[1; 16][..], &self.calls.to_be_bytes()].concat();
        let name = [node.map_or(0, |(node, _)| node); 16];
        let call = AskedCall {
            id: &id,
            waits: node.map(|(_, claims)| (&name[..], claims)),
            ttl_us: 60_000_000,
            estimate: Some(tokens.into()),
        };
        let arguments = self.layout.decide("reserve", call);
        let reply = self.script.run(&self.layout.keys, &arguments, self.now_us);
        let reply = reply.unwrap();
        (reply[0] != 1).then_some(reply[1])
    }
}

fn fleet() -> Fleet {
    Fleet {
        script: ApiScript::start(),
        layout: Layout::new(CONFIG),
        now_us: ALIGNED_US,
        calls: 0,
    }
}

/// A thousand tokens flow in per second, and small calls of another node take them all.
#[test]
fn large_estimates_of_a_waiting_node_are_not_overtaken_for_ever() {
    let mut fleet = fleet();
    assert!(fleet.ask(None, 1_000));
    let mut served_after = None;
    for tenth in 1..40 {
        fleet.now_us += 100_000;
        let claims = tenth > 10;
        if fleet.ask(Some((1, claims)), 1_000) {
            served_after = Some(tenth);
            break;
        }
        let small = fleet.ask(Some((2, false)), 100);
        assert_eq!(small, !claims, "after {tenth} tenths of a second");
    }
    // The claim is made after a second, when the bucket is empty, and takes another to fill up.
    assert_eq!(served_after, Some(20));
    fleet.now_us += 100_000;
    assert!(fleet.ask(Some((2, false)), 100), "the claim has ended");
}

#[test]
fn claims_have_an_order_and_end_with_their_nodes() {
    let mut fleet = fleet();
    assert!(fleet.ask(None, 1_000));
    assert!(!fleet.ask(Some((1, true)), 600));
    assert!(!fleet.ask(Some((2, true)), 300));
    fleet.now_us += 400_000;
    // The first has not enough yet, and the second leaves it what there is.
    assert!(!fleet.ask(Some((1, true)), 600));
    assert!(!fleet.ask(Some((2, true)), 300));
    // A call that does not wait may overtake.
    assert!(fleet.ask(None, 100));
    fleet.now_us += 600_000;
    assert!(fleet.ask(Some((2, true)), 300), "900 are left");
    assert!(fleet.ask(Some((1, true)), 600));
    // A node that no longer asks claims nothing after three seconds.
    assert!(!fleet.ask(Some((3, true)), 1_000));
    fleet.now_us += 500_000;
    assert!(!fleet.ask(Some((2, false)), 100));
    fleet.now_us += 2_500_000;
    assert!(fleet.ask(None, 900));
    assert!(fleet.ask(Some((2, false)), 100));
}

/// Nodes are deployed one after another, so two may have different limits. A claim of one limit in
/// microseconds is then at the place of another that counts permits.
#[test]
fn a_claim_counts_for_the_same_limit_of_a_node_with_other_limits() {
    let mut fleet = fleet();
    assert!(fleet.ask(None, 1_000));
    assert!(!fleet.ask(Some((1, true)), 1_000), "a claim of a second");
    let old_keys = fleet.layout.keys.clone();
    let mut layout = Layout::new(RateLimitConfig {
        requests_per_minute: 1_000,
        ..CONFIG
    });
    let tokens = layout.keys.len() - 1;
    layout.keys[..3].clone_from_slice(&old_keys[..3]);
    layout.keys[tokens].clone_from(&old_keys[3]);
    layout.keys[3] = "minute".into();
    fleet.layout = layout;
    fleet.now_us += 100_000;
    // A request needs one token, of which a hundred have flown in.
    assert_eq!(fleet.refuses(Some((2, false)), 50), Some(2), "the tokens");
    assert_eq!(fleet.refuses(None, 50), None, "a call that does not wait");
}
