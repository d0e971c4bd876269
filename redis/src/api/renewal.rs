//! The task that renews the open calls of a node, all in one call of the script.
//!
//! It runs in the runtime of one of them. If that ends, it goes on in the runtime of another.

use std::sync::{Arc, Weak};

use tokio::runtime::{Handle, Id};

use super::call_id::CallId;
use super::core::{Core, KEPT};
use super::fleet_limit::micros;
use crate::script::ScriptArgs;

/// The most calls that one script renews.
const MOST: usize = 500;

/// Notes the end of the task, also if its runtime ends.
struct Renewal {
    core: Weak<Core>,
    runtime: Id,
    has_ended: bool,
}

impl Drop for Renewal {
    fn drop(&mut self) {
        let (false, Some(core)) = (self.has_ended, self.core.upgrade()) else {
            return;
        };
        // A runtime that has ended drops the task at once, and each is tried once.
        if let Some(other) = core.open_calls.task_was_dropped(self.runtime) {
            start(&core, &other);
        }
    }
}

/// Notes that a call is open, and renews it as long as it is.
pub(super) fn open(core: &Arc<Core>, id: CallId, runtime: &Handle) {
    if core.open_calls.insert(id, runtime) {
        start(core, runtime);
    }
}

fn start(core: &Arc<Core>, runtime: &Handle) {
    let interval = core.call_ttl / 3;
    let renewal = Renewal {
        core: Arc::downgrade(core),
        runtime: runtime.id(),
        has_ended: false,
    };
    runtime.spawn(async move {
        // As a whole: a block that names only its fields would take only those.
        let mut renewal = renewal;
        let mut wait = interval;
        loop {
            tokio::time::sleep(wait).await;
            let Some(core) = renewal.core.upgrade() else {
                return;
            };
            let Some(ids) = core.open_calls.to_renew() else {
                renewal.has_ended = true;
                return;
            };
            // More often while the server does not answer, so that a short outage ends no call.
            wait = if renew(&core, &ids).await {
                interval
            } else {
                interval / 10
            };
        }
    });
}

/// Returns whether all were renewed.
async fn renew(core: &Core, ids: &[CallId]) -> bool {
    for ids in ids.chunks(MOST) {
        let mut arguments = ScriptArgs::default();
        arguments
            .bytes(b"renew")
            .number(micros(core.call_ttl))
            .number(micros(KEPT));
        for id in ids {
            arguments.bytes(&id.to_bytes());
        }
        if core.run(arguments).await.is_err() {
            return false;
        }
    }
    true
}
