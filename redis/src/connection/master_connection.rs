//! A connection to the master of a service. Whenever it is lost, or another master takes over, the
//! next call begins a connection to the master that the sentinels name then.
//!
//! # State
//!
//! The current attempt to connect, if any. A task of its own makes the connection, so that a call
//! that times out does not end it, and then asks the sentinels once a second whether the master is
//! still the same. The attempt is over when that task has ended: it could not connect, another
//! master has taken over, or its runtime has ended. Calls that run on its connection then go on.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, Value};
use tokio::sync::watch;

use super::sentinels::{Sentinels, Service};
use crate::error_class::{ErrorClass, classify};
use crate::unless::unless;

/// See the [module](self) documentation.
#[derive(Clone)]
pub(super) struct MasterConnection {
    service: Arc<Service>,
    current: Arc<ArcSwapOption<Attempt>>,
}

/// `None` while the connection is being made.
type Outcome = Option<RedisResult<MultiplexedConnection>>;

struct Attempt {
    outcome: watch::Receiver<Outcome>,
}

impl MasterConnection {
    /// Connects with the first call.
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            current: Arc::default(),
        }
    }

    pub(super) async fn run(&self, command: &Cmd) -> RedisResult<Value> {
        let attempt = self.attempt();
        let mut connection = attempt.connection().await?;
        let reply = connection.req_packed_command(command).await;
        let reply = reply.and_then(Value::extract_error);
        if reply.as_ref().is_err_and(is_lost) {
            // A later attempt stays.
            self.current.compare_and_swap(&attempt, None);
        }
        reply
    }

    /// Returns the current attempt, or begins one.
    fn attempt(&self) -> Arc<Attempt> {
        let current = self.current.load();
        if let Some(attempt) = &*current
            && !attempt.is_over()
        {
            return Arc::clone(attempt);
        }
        let (sender, outcome) = watch::channel(None);
        let new = Arc::new(Attempt { outcome });
        let previous = self
            .current
            .compare_and_swap(&current, Some(Arc::clone(&new)));
        let is_current = |other| matches!(&*current, Some(was) if Arc::ptr_eq(was, other));
        match &*previous {
            // Another call was faster.
            Some(other) if !is_current(other) => Arc::clone(other),
            _ => {
                let sentinels = Sentinels::new(Arc::clone(&self.service));
                tokio::spawn(drive(sentinels, sender));
                new
            }
        }
    }
}

/// Whether the connection no longer leads to a master.
fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || classify(error) == ErrorClass::WrongServer
}

impl Attempt {
    fn is_over(&self) -> bool {
        self.outcome.has_changed().is_err()
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let ended = || Err((ErrorKind::Io, "the connection's runtime has ended").into());
        let mut outcome = self.outcome.clone();
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(ended),
            Err(_) => ended(),
        }
    }
}

/// Makes a connection, and ends when it fails, another master takes over, or it is not needed any
/// more.
async fn drive(mut sentinels: Sentinels, sender: watch::Sender<Outcome>) {
    let follow = async {
        match sentinels.connect().await {
            Ok((connection, master)) => {
                sender.send_replace(Some(Ok(connection)));
                sentinels.successor(&master).await;
            }
            Err(error) => {
                sender.send_replace(Some(Err(error)));
            }
        }
    };
    let _ = unless(sender.closed(), follow).await;
}
