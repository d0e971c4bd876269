//! The script `semaphore`: nodes whose requests and answers are lost, late or out of order.

pub(crate) mod histories;
pub(crate) mod scenes;
mod semaphore_node;
pub(crate) mod turns;
