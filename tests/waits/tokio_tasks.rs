//! Tasks on tokio's runtime.

use alloc::sync::Arc;
use core::future::Future;
use std::sync::Mutex;

use tokio::task::JoinSet;

/// Spawns 10 000 tasks one after the other, and asserts that they end in this order.
pub(crate) async fn assert_served_in_order<F>(task: impl Fn(u32) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for number in 0..10_000_u32 {
        let (task, served) = (task(number), Arc::clone(&served));
        tasks.spawn(async move {
            task.await;
            served.lock().expect("no panic").push(number);
        });
        // The task joins the queue before the next one is spawned.
        tokio::task::yield_now().await;
    }
    tasks.join_all().await;
    assert!(
        served
            .lock()
            .expect("no panic")
            .iter()
            .copied()
            .eq(0..10_000)
    );
}
