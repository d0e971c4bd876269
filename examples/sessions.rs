//! Sessions that carry a limiter, in a `DashMap` that the program has anyway.
//!
//! A session has a user, a plan and a limiter. Requests are limited by session, a session that does
//! not exist is refused, exports wait for their turn, and a task evicts what is unused, but no
//! session that is logged in. Time is a `ManualClock`, so that every line can be asserted.
//!
//! `cargo run --features dashmap --example sessions`

extern crate alloc;

use alloc::sync::Arc;
use core::error::Error;
use core::time::Duration;

use dashmap::DashMap;
use tidegate::{Clock, DashKeyed, Denied, KnownKeys, ManualClock, Quota, Timestamp, TokenBucket};

/// In a real program: `DefaultClock`, which is the default everywhere.
type Bucket = TokenBucket<ManualClock>;

#[derive(Clone, Copy)]
enum Plan {
    Free,
    Team,
}

impl Plan {
    const fn quota(self) -> Quota {
        match self {
            Self::Free => Quota::per_minute(6).burst(3),
            Self::Team => Quota::per_minute(600).burst(20),
        }
    }
}

/// What the program keeps for a session. The limiter is a part of it.
struct Session {
    user: String,
    is_logged_in: bool,
    limiter: Bucket,
}

type SessionMap = DashMap<u64, Session>;
/// The projection is a function pointer, so that the type has a name.
type Limits = DashKeyed<Arc<SessionMap>, fn(&Session) -> &Bucket, KnownKeys, ManualClock>;

struct Server {
    sessions: Arc<SessionMap>,
    limits: Limits,
    clock: ManualClock,
}

/// How a request ended.
#[derive(Debug, PartialEq, Eq)]
enum Response {
    Ok(String),
    NoSession,
    TooManyRequests { retry_after: Duration },
}

impl Server {
    fn new(clock: ManualClock) -> Self {
        let sessions = Arc::new(SessionMap::new());
        // In a real program: `DashKeyed::new(sessions.clone(), |session| &session.limiter)`.
        let limits = DashKeyed::with_clock(
            sessions.clone(),
            (|session| &session.limiter) as fn(&Session) -> &Bucket,
            clock.clone(),
        );
        Self {
            sessions,
            limits,
            clock,
        }
    }

    fn log_in(&self, id: u64, user: &str, plan: Plan) {
        let session = Session {
            user: user.to_owned(),
            is_logged_in: true,
            limiter: TokenBucket::with_clock(plan.quota(), self.clock.clone()),
        };
        self.sessions.insert(id, session);
    }

    /// The session itself stays until its limiter is unused, and is then evicted.
    fn log_out(&self, id: u64) {
        if let Some(mut session) = self.sessions.get_mut(&id) {
            session.is_logged_in = false;
        }
    }

    fn request(&self, id: u64) -> Response {
        // First the decision, then the session: no reference is held while the table is called.
        match self.limits.try_acquire(&id, 1) {
            Ok(()) => {}
            Err(Denied::Never { .. }) => return Response::NoSession,
            Err(denied) => {
                let retry_after = denied.retry_after().unwrap_or_default();
                return Response::TooManyRequests { retry_after };
            }
        }
        match self.sessions.get(&id) {
            Some(session) if session.is_logged_in => {
                Response::Ok(format!("hello, {}", session.user))
            }
            _ => Response::NoSession,
        }
    }

    /// Waits for the permits of an export. In a real program without the timer, or in a thread with
    /// `.wait()` instead of `.await`.
    async fn export(&self, id: u64, patience: Duration) -> Result<(), Denied> {
        let sleep = |wait| {
            self.clock.advance(wait);
            core::future::ready(())
        };
        let export = self.limits.acquire(&id, 3);
        export.timeout(patience).timer(sleep).await
    }

    /// For a task that runs all the time: a few sessions, with a short pause of the others.
    fn clean_up(&self) -> u64 {
        self.limits
            .evict_some(1_000, |_, session| !session.is_logged_in)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let server = Server::new(clock.clone());
    server.log_in(1, "alice", Plan::Team);
    server.log_in(2, "bob", Plan::Free);

    // Each session has the limit of its plan.
    let admitted = |id| {
        (0..30)
            .filter(|_| matches!(server.request(id), Response::Ok(_)))
            .count()
    };
    let (alice, bob) = (admitted(1), admitted(2));
    println!("of 30 requests at once: alice {alice}, bob {bob}");
    assert_eq!((alice, bob), (20, 3));

    let refused = server.request(2);
    println!("then bob gets {refused:?}");
    let retry_after = Duration::from_secs(10);
    assert_eq!(refused, Response::TooManyRequests { retry_after });

    let unknown = server.request(3);
    println!("a session that does not exist gets {unknown:?}, and is not added");
    assert_eq!((unknown, server.sessions.len()), (Response::NoSession, 2));

    // A wait is refused before it sleeps if its timeout is too short.
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let export = |patience| runtime.block_on(server.export(2, Duration::from_secs(patience)));
    let denied = export(20);
    println!("bob's export within 20 s: {denied:?}");
    let retry_after = Duration::from_secs(30);
    assert_eq!(
        denied,
        Err(Denied::NotYet {
            retry_after: retry_after.into()
        })
    );
    assert_eq!(clock.now(), Timestamp::ZERO);
    export(60)?;
    println!(
        "bob's export within 60 s: done after {:?}",
        clock.now() - Timestamp::ZERO
    );
    assert_eq!(clock.now(), Timestamp::ZERO + Duration::from_secs(30));

    // What is unused goes, unless it is logged in.
    server.log_out(2);
    let evicted = server.clean_up();
    println!("bob logs out: {evicted} evicted, because the bucket is not full yet");
    assert_eq!(evicted, 0);
    clock.advance(Duration::from_secs(30));
    let evicted = server.clean_up();
    println!("30 s later: {evicted} evicted");
    assert_eq!(evicted, 1);
    assert!(server.sessions.contains_key(&1) && !server.sessions.contains_key(&2));
    Ok(())
}
