//! Runs every input that fuzzing found worth keeping, and every input that once failed.

use tidegate_fuzz::{BUCKET_OPS, QUOTA_TEXT, SAVED_STATES, WINDOW_OPS, replay};

#[test]
fn every_corpus_replays() {
    for target in &[BUCKET_OPS, WINDOW_OPS, QUOTA_TEXT, SAVED_STATES] {
        let inputs = replay::corpus(target);
        println!("{}: {inputs} inputs", target.name);
        assert!(inputs > 0, "{}: the corpus is empty", target.name);
    }
}
