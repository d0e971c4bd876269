//! The network between nodes and servers, which delays, loses and reorders messages.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Arg, Cmd, RedisResult, Value};
use tidegate_redis::simulation::{Carrier, Reply, SimulatedConnection};
use tokio::sync::oneshot;

use crate::clock::{nanos, now};
use crate::server::{Costs, Load, Server, server_us};
use crate::shards;
use crate::trace::Trace;

/// How messages travel, in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The least time of a message.
    pub delay: Duration,
    /// The mean of what comes on top, which is exponentially distributed.
    pub jitter: Duration,
    /// The share of messages that are lost.
    pub loss: f64,
    /// What becomes of the others on a connection.
    pub order: Order,
}

/// What happens to messages that overtake others of their connection, or are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As on a TCP connection: no message overtakes another, and a lost one is sent again after
    /// this time, then after twice that time and so on, while those behind it wait.
    Tcp(Duration),
    /// Any order, and lost messages stay lost: harder than TCP.
    Any,
}

impl Link {
    /// A data center: 0.1 ms in each direction, and 0.05 ms more on average. The shortest time
    /// after which Linux sends a packet again is 0.2 s.
    pub const DATA_CENTER: Self = Self {
        delay: Duration::from_micros(100),
        jitter: Duration::from_micros(50),
        loss: 0.0,
        order: Order::Tcp(Duration::from_millis(200)),
    };

    /// The same with a share of lost messages.
    pub const fn losing(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    /// The same, with messages that overtake each other and stay lost.
    pub const fn unordered(self, jitter: Duration) -> Self {
        let order = Order::Any;
        Self {
            jitter,
            order,
            ..self
        }
    }
}

/// A call that a server has served.
#[derive(Clone, Debug)]
pub struct LoggedCall {
    /// The server's time, in microseconds.
    pub at_us: u64,
    /// The command.
    pub words: Vec<Vec<u8>>,
    /// The reply.
    pub reply: Value,
}

struct Event {
    at: u64,
    /// Tells apart events of one instant.
    number: u64,
    node: usize,
    message: Message,
    answer: oneshot::Sender<Value>,
}

enum Message {
    Request { server: usize, words: Vec<Vec<u8>> },
    Reply(Value),
}

impl Event {
    const fn key(&self) -> Reverse<(u64, u64)> {
        Reverse((self.at, self.number))
    }
}

/// The earliest event is the greatest, as a heap needs it.
impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Event {}

struct State {
    servers: Vec<Server>,
    events: BinaryHeap<Event>,
    number: u64,
    link: Link,
    random: fastrand::Rng,
    dead: Vec<bool>,
    /// When the last message of each connection arrives: to the server, and back.
    last_arrivals: Vec<[u64; 2]>,
    trace: Trace,
    log: Option<Vec<LoggedCall>>,
}

/// The network, with its servers.
#[derive(Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
    shards: usize,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

/// How a node reaches the servers.
struct NodeLink {
    node: usize,
    network: Network,
}

impl Network {
    /// Returns a network of so many nodes and shards. A single shard is a server, several are a
    /// cluster.
    pub fn new(seed: u64, nodes: usize, shards: usize, link: Link) -> Self {
        let state = State {
            servers: (0..shards).map(|_| Server::new(Costs::MEASURED)).collect(),
            events: BinaryHeap::new(),
            number: 0,
            link,
            random: fastrand::Rng::with_seed(seed),
            dead: vec![false; nodes],
            last_arrivals: vec![[0; 2]; nodes * shards],
            trace: Trace::default(),
            log: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            shards,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection of a node.
    pub fn connection(&self, node: usize) -> SimulatedConnection {
        let network = self.clone();
        SimulatedConnection {
            carrier: Arc::new(NodeLink { node, network }),
            is_cluster: self.shards > 1,
        }
    }

    /// Keeps all calls that servers serve from now on.
    pub fn log_calls(&self) {
        self.lock().log = Some(Vec::new());
    }

    /// Returns the calls that were kept.
    pub fn logged_calls(&self) -> Vec<LoggedCall> {
        self.lock().log.take().unwrap_or_default()
    }

    /// Kills a node: it neither sends nor receives anything from now on.
    pub fn kill(&self, node: usize) {
        self.lock().dead[node] = true;
    }

    /// Makes a server unreachable for a while.
    pub fn cut_off(&self, server: usize, span: std::ops::Range<u64>) {
        self.lock().servers[server].cut_off(span);
    }

    /// Delivers all messages that have arrived by now.
    pub fn deliver(&self, now: u64) {
        let mut state = self.lock();
        while state.events.peek().is_some_and(|event| event.at <= now) {
            let event = state.events.pop().expect("there is one");
            state.arrive(event, self.shards);
        }
    }

    /// Adds an event to the trace that did not come from the network.
    pub fn note(&self, what: u8, at: u64, node: usize) {
        self.lock().trace.add(what, at, node, &[]);
    }

    /// Returns the number of events, and their digest.
    pub fn digest(&self) -> (u64, u64) {
        self.lock().trace.digest()
    }

    /// Returns what each server has done.
    pub fn loads(&self) -> Vec<Load> {
        self.lock().servers.iter().map(Server::load).collect()
    }

    /// Returns how many keys exist on all servers, and the bytes of names and values.
    pub fn size(&self, now: u64) -> (usize, usize) {
        let state = self.lock();
        let sizes = state.servers.iter().map(|server| server.size(now));
        sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }

    /// Returns the value that a key has or had on its server.
    pub fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.lock().servers[shards::of_key(key, self.shards)].value(key)
    }
}

impl State {
    /// Returns when a message arrives that is sent at an instant; `None` if it is lost.
    fn arrival(&mut self, sent: u64, connection: usize, direction: usize) -> Option<u64> {
        let link = self.link;
        // At most 36 times the mean.
        let extra = -(1.0 - self.random.f64()).ln();
        let mut delay = link.delay + link.jitter.mul_f64(extra);
        let last = self.last_arrivals[connection][direction];
        match link.order {
            Order::Any => {
                let arrives = self.random.f64() >= link.loss;
                arrives.then(|| sent + nanos(delay))
            }
            Order::Tcp(mut timeout) => {
                while link.loss > 0.0 && self.random.f64() < link.loss {
                    delay += timeout;
                    timeout *= 2;
                }
                let at = (sent + nanos(delay)).max(last);
                self.last_arrivals[connection][direction] = at;
                Some(at)
            }
        }
    }

    fn push(&mut self, at: u64, node: usize, message: Message, answer: oneshot::Sender<Value>) {
        self.number += 1;
        self.events.push(Event {
            at,
            number: self.number,
            node,
            message,
            answer,
        });
    }

    fn arrive(&mut self, event: Event, shards: usize) {
        let Event {
            at, node, message, ..
        } = event;
        match message {
            Message::Request { server, words } => {
                self.trace.add(b'q', at, node, &words.concat());
                let Some(served) = self.servers[server].serve(at, &words) else {
                    return;
                };
                let reply = served.reply;
                self.trace.add(b's', served.began, server, &[]);
                let text = format!("{reply:?}");
                self.trace.add(b'r', served.ended, node, text.as_bytes());
                if let Some(log) = &mut self.log {
                    let (at_us, reply) = (server_us(served.began), reply.clone());
                    log.push(LoggedCall {
                        at_us,
                        words,
                        reply,
                    });
                }
                let connection = node * shards + server;
                if let Some(at) = self.arrival(served.ended, connection, 1) {
                    self.push(at, node, Message::Reply(reply), event.answer);
                }
            }
            Message::Reply(reply) => {
                if !self.dead[node] {
                    self.trace.add(b'a', at, node, &[]);
                    // The caller may have given up.
                    let _ = event.answer.send(reply);
                }
            }
        }
    }
}

impl Carrier for NodeLink {
    fn send(&self, command: &Cmd) -> Reply {
        let words = command.args_iter().map(|argument| match argument {
            Arg::Simple(word) => word.to_vec(),
            _ => b"0".to_vec(),
        });
        let words: Vec<Vec<u8>> = words.collect();
        let shards = self.network.shards;
        // `EVAL`, the script, the number of keys, and the first key.
        let server = words.get(3).map_or(0, |key| shards::of_key(key, shards));
        let (answer, reply) = oneshot::channel();
        let mut state = self.network.lock();
        if !state.dead[self.node] {
            let connection = self.node * shards + server;
            if let Some(at) = state.arrival(now(), connection, 0) {
                state.push(at, self.node, Message::Request { server, words }, answer);
            }
        }
        drop(state);
        Box::pin(async move { arrived(reply).await })
    }
}

/// Waits for a reply, for ever if it was lost.
async fn arrived(reply: oneshot::Receiver<Value>) -> RedisResult<Value> {
    match reply.await {
        Ok(value) => Ok(value),
        Err(_) => std::future::pending().await,
    }
}
