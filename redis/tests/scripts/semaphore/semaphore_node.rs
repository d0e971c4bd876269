//! A node that holds permits, as its own account says.

use proptest::prop_assert;
use proptest::test_runner::TestCaseError;

use crate::script_calls::{ScriptCall, ScriptReply, number, numbers, unsigned};
use crate::script_harness::Scripts;

/// A semaphore as all nodes use it.
#[derive(Clone, Debug)]
pub(crate) struct Semaphore {
    pub(crate) key: String,
    pub(crate) limit: u64,
    pub(crate) ttl_us: u64,
    /// How long a wait counts.
    pub(crate) waits_for_us: u64,
    pub(crate) empty_for_us: u64,
}

/// What a request asks for: permits, and whether it waits.
pub(crate) type Asks = Vec<(u64, bool)>;

#[derive(Clone, Debug)]
pub(crate) struct SemaphoreNode {
    name: [u8; 16],
    seq: u64,
    pub(crate) held: u64,
    /// Of these, what was admitted without the server.
    pub(crate) unasked: u64,
    /// Until when it holds them, in real time.
    pub(crate) until_us: u64,
    /// Its requests that had no answer.
    unanswered: u64,
}

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// How many calls are decided, and the places of those that got nothing.
    pub(crate) decided: usize,
    pub(crate) refused: Vec<usize>,
    pub(crate) kept: bool,
    /// The permits out over all nodes.
    pub(crate) out: u64,
}

impl Grant {
    pub(crate) const fn granted(&self) -> usize {
        self.decided - self.refused.len()
    }
}

impl SemaphoreNode {
    pub(crate) const fn new(name: u8) -> Self {
        Self {
            name: [name; 16],
            seq: 0,
            held: 0,
            unasked: 0,
            until_us: 0,
            unanswered: 0,
        }
    }

    /// What the node holds by its own account.
    pub(crate) const fn surely_held(&self, real_us: u64) -> u64 {
        if real_us < self.until_us {
            self.held
        } else {
            0
        }
    }

    /// Its next request. What was not renewed in time is lost.
    pub(crate) fn request(
        &mut self,
        semaphore: &Semaphore,
        asks: &[(u64, bool)],
        real_us: u64,
    ) -> Vec<Vec<u8>> {
        if real_us >= self.until_us {
            self.held = self.unasked;
        }
        self.seq += 1;
        let mut arguments = vec![number(semaphore.limit), self.name.to_vec()];
        let numbers = [
            self.seq,
            semaphore.ttl_us,
            semaphore.waits_for_us,
            semaphore.empty_for_us,
            self.held,
            self.unasked,
            (self.unanswered > 0).into(),
        ];
        self.unanswered += 1;
        arguments.extend(numbers.map(number));
        for &(permits, waits) in asks {
            arguments.extend([permits, waits.into()].map(number));
        }
        arguments
    }

    /// Applies the answer to a request that was sent at `sent_us`.
    pub(crate) fn answered(
        &mut self,
        semaphore: &Semaphore,
        asks: &[(u64, bool)],
        grant: &Grant,
        sent_us: u64,
    ) {
        self.unanswered -= 1;
        if !grant.kept {
            self.held = self.unasked;
        }
        let decided = asks[..grant.decided].iter().enumerate();
        let granted = decided.filter(|(place, _)| !grant.refused.contains(place));
        self.held += granted.map(|(_, (permits, _))| permits).sum::<u64>();
        self.until_us = sent_us + semaphore.ttl_us;
    }
}

/// Runs a request. `None` if a later one arrived before.
pub(crate) fn deliver(
    scripts: &mut Scripts,
    semaphore: &Semaphore,
    arguments: Vec<Vec<u8>>,
    server_us: u64,
) -> Result<Option<Grant>, TestCaseError> {
    let (reply, stored): (ScriptReply, _) = scripts.semaphore(ScriptCall {
        keys: vec![semaphore.key.clone()],
        arguments,
        now_us: server_us,
    });
    // A record for each of four nodes, and one for what is unknown.
    let length = stored[0].value.as_ref().map_or(0, Vec::len);
    prop_assert!(length <= 22 + 5 * 58, "{length} bytes");
    let numbers = numbers(&reply)?;
    if numbers == [-1] {
        return Ok(None);
    }
    let place = |number| unsigned(number).map(|number| usize::try_from(number).unwrap());
    let refused: Result<_, _> = numbers[3..].iter().copied().map(place).collect();
    Ok(Some(Grant {
        decided: place(numbers[0])?,
        refused: refused?,
        kept: numbers[1] == 1,
        out: unsigned(numbers[2])?,
    }))
}

/// The permits that are out over all nodes, as the server knows it.
pub(crate) fn in_use(
    scripts: &mut Scripts,
    semaphore: &Semaphore,
    server_us: u64,
) -> Result<u64, TestCaseError> {
    let mut arguments = vec![number(semaphore.limit), Vec::new()];
    arguments.extend([0, 0, 0, semaphore.empty_for_us, 0, 0, 0].map(number));
    let grant = deliver(scripts, semaphore, arguments, server_us)?;
    Ok(grant.expect("no node asks").out)
}
