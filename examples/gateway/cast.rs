//! Who the clients of the demo are.

use std::net::Ipv4Addr;

use crate::tiers::PRO_KEYS;

/// An API key, and what the report calls it.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

pub(crate) const KEYS: [Key; 3] = [
    Key::new("pro", PRO_KEYS[0]),
    // Unknown to the server, as any text but those of the pro tier.
    Key::new("free-1", "free-58b210"),
    Key::new("free-2", "free-a90e77"),
];

impl Key {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }
}

/// Where a client is, and what it shows.
#[derive(Clone, Copy)]
pub(crate) struct Role {
    pub(crate) address: Ipv4Addr,
    /// An index into [`KEYS`].
    pub(crate) key: Option<usize>,
}

const PRO: Option<usize> = Some(0);
const FREE_1: Option<usize> = Some(1);
const FREE_2: Option<usize> = Some(2);

/// What the clients are in turn. Half of them are behind one address, as in an office; two of the keys are used at several
/// addresses.
const ROLES: [Role; 16] = [
    Role::new(2, None),
    Role::new(2, FREE_1),
    Role::new(3, PRO),
    Role::new(5, None),
    Role::new(2, None),
    Role::new(4, FREE_2),
    Role::new(2, PRO),
    Role::new(6, None),
    Role::new(2, None),
    Role::new(2, None),
    Role::new(3, FREE_1),
    Role::new(5, None),
    Role::new(2, None),
    Role::new(4, PRO),
    Role::new(2, None),
    Role::new(6, None),
];

impl Role {
    const fn new(last_octet: u8, key: Option<usize>) -> Self {
        Self {
            address: Ipv4Addr::new(127, 0, 0, last_octet),
            key,
        }
    }

    pub(crate) const fn of_client(number: usize) -> Self {
        ROLES[number % ROLES.len()]
    }
}
