//! The shipped bucket of shards under every model.

use tidegate::ShardedTokenBucket;
use tidegate_loom_tests::sharded_models as models;
use tidegate_loom_tests::sharded_twin::Present;

type Shipped = ShardedTokenBucket<Present>;

#[test]
fn settled_by_a_stale_reader() {
    models::settled_by_a_stale_reader::<Shipped>();
}

#[test]
fn taken_by_a_stale_reader() {
    models::taken_by_a_stale_reader::<Shipped>();
}

#[test]
fn two_shards() {
    models::two_shards::<Shipped>();
}

#[test]
fn thief() {
    models::thief::<Shipped>();
}

#[test]
fn one_shard() {
    models::one_shard::<Shipped>();
}

#[test]
fn nothing_is_lost() {
    models::nothing_is_lost::<Shipped>();
}

#[test]
fn two_first_leases() {
    models::two_first_leases::<Shipped>();
}

#[test]
fn three_threads() {
    models::three_threads::<Shipped>();
}

#[test]
fn refused_for_a_reason() {
    models::refused_for_a_reason::<Shipped>();
}
