//! Keys of network clients and digests of long keys: which clients share a key.

use core::hash::{BuildHasher, Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;
use tidegate::{
    FixedKeyed, IpKey, Ipv6Prefix, Ipv6PrefixError, KeyDigest, KeyDigester, KeyHasher, ManualClock,
    Quota,
};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn key(text: &str) -> IpKey {
    IpKey::new(ip(text))
}

fn prefix(bits: u8) -> Ipv6Prefix {
    Ipv6Prefix::new(bits).expect("32 to 128")
}

/// Returns a limiter with one token per key, on a clock that does not advance.
fn one_each() -> FixedKeyed<ManualClock> {
    FixedKeyed::with_clock_and_hasher(
        Quota::per_hour(1),
        1_000,
        ManualClock::new(),
        KeyHasher::with_seeds([1, 2, 3, 4]),
    )
}

/// The bytes that a `Hash` implementation writes, one entry per call.
#[derive(Default)]
struct Written(Vec<Vec<u8>>);

impl Hasher for Written {
    fn write(&mut self, bytes: &[u8]) {
        self.0.push(bytes.to_vec());
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn written(key: impl Hash) -> Vec<Vec<u8>> {
    let mut hasher = Written::default();
    key.hash(&mut hasher);
    hasher.0
}

/// Returns the network of an address, masked bit by bit.
fn network(ip: Ipv6Addr, bits: u8) -> Ipv6Addr {
    let mut octets = ip.octets();
    for bit in usize::from(bits)..128 {
        octets[bit / 8] &= !(0x80 >> (bit % 8));
    }
    Ipv6Addr::from(octets)
}

/// Returns the IPv4 address in an IPv4-mapped address, without the standard library's method.
fn mapped(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [head @ .., a, b, c, d] = ip.octets();
    (head == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]).then(|| Ipv4Addr::new(a, b, c, d))
}

#[test]
fn ipv4_client_has_one_key_in_every_form() {
    let forms = [
        "::ffff:203.0.113.7",
        "::FFFF:203.0.113.7",
        "::ffff:cb00:7107",
        "0:0:0:0:0:ffff:203.0.113.7",
        "0000:0000:0000:0000:0000:ffff:cb00:7107",
    ];
    let client = key("203.0.113.7");
    for bits in 32..=128 {
        assert_eq!(prefix(bits).key(ip("203.0.113.7")), client, "/{bits}");
        for form in forms {
            assert_eq!(prefix(bits).key(ip(form)), client, "{form} /{bits}");
        }
        assert_ne!(prefix(bits).key(ip("203.0.113.6")), client, "/{bits}");
        assert_ne!(prefix(bits).key(ip("::ffff:203.0.113.6")), client);
    }
    assert_eq!(client.addr(), ip("203.0.113.7"));
    assert_eq!(client.to_string(), "203.0.113.7");
    assert_eq!(format!("{client:?}"), "IpKey(203.0.113.7)");
    assert_eq!(format!("[{client:>15}]"), "[    203.0.113.7]");
}

/// In CVE-2026-30827 of express-rate-limit, mapped addresses were masked before they were unmapped,
/// so that all IPv4 clients shared one bucket.
#[test]
fn mapped_clients_do_not_share_a_network() {
    let limits = one_each();
    for client in ["203.0.113.7", "203.0.113.8", "198.51.100.1"] {
        let spoof = format!("::ffff:{client}");
        assert!(limits.try_acquire(&key(client), 1).is_ok(), "{client}");
        assert!(limits.try_acquire(&key(&spoof), 1).is_err(), "{spoof}");
    }
}

#[test]
fn only_clients_of_one_network_share_a_bucket() {
    let limits = one_each();
    let admits = |text: &str| limits.try_acquire(&key(text), 1).is_ok();
    assert!(admits("2001:db8:1:2::"));
    assert!(!admits("2001:db8:1:2::1"));
    assert!(!admits("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert!(admits("2001:db8:1:1:ffff:ffff:ffff:ffff"));
    assert!(admits("2001:db8:1:3::"));
    assert_eq!(limits.stats().active, 3);
}

#[test]
fn addresses_that_embed_ipv4_are_not_ipv4_clients() {
    let carriers = [
        ("::203.0.113.7", "::"),                       // compatible
        ("::ffff:0:203.0.113.7", "::"),                // translated (original SIIT)
        ("64:ff9b::203.0.113.7", "64:ff9b::"),         // NAT64
        ("2002:cb00:7107::1", "2002:cb00:7107::"),     // 6to4
        ("2001:0:c633:6401::1", "2001:0:c633:6401::"), // Teredo
        ("1::ffff:203.0.113.7", "1::"),
        ("::1:ffff:203.0.113.7", "::"),
        ("::fffe:203.0.113.7", "::"),
    ];
    for (address, network) in carriers {
        assert_eq!(key(address).addr(), ip(network), "{address}");
        for bits in 32..=128 {
            let carrier = prefix(bits).key(ip(address));
            assert_ne!(carrier, key("203.0.113.7"), "{address} /{bits}");
            assert!(carrier.addr().is_ipv6(), "{address} /{bits}");
        }
        assert_eq!(prefix(128).key(ip(address)).addr(), ip(address));
    }
    assert_eq!(key("::1"), key("::"));
    assert_eq!(key("::1").to_string(), "::");
    assert_ne!(key("::1"), key("127.0.0.1"));
    assert_eq!(prefix(128).key(ip("::1")).to_string(), "::1");
    assert_ne!(key("::"), key("0.0.0.0"));
}

#[test]
fn ports_and_scopes_are_ignored() {
    let of = |peer: &str| IpKey::from(peer.parse::<SocketAddr>().expect("address and port"));
    assert_eq!(of("203.0.113.7:1"), key("203.0.113.7"));
    assert_eq!(of("[::ffff:203.0.113.7]:65535"), key("203.0.113.7"));
    assert_eq!(of("[2001:db8::1]:443"), key("2001:db8::"));
    assert_eq!(of("[fe80::1%2]:80"), of("[fe80::2%3]:81"));
    assert_eq!(IpKey::from(Ipv4Addr::LOCALHOST), key("127.0.0.1"));
    assert_eq!(IpKey::from(Ipv6Addr::LOCALHOST), key("::1"));
    assert_eq!(IpKey::from(ip("2001:db8::1")), key("2001:db8::1"));
}

#[test]
fn prefixes_from_32_to_128_bits_are_allowed() {
    const CUSTOMER: Ipv6Prefix = match Ipv6Prefix::new(56) {
        Ok(prefix) => prefix,
        Err(_) => Ipv6Prefix::DEFAULT,
    };
    const OFFICE: IpKey = IpKey::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)));
    for bits in 0..=u8::MAX {
        let expected = match bits {
            0..=31 => Err(Ipv6PrefixError::TooShort { bits }),
            32..=128 => Ok(bits),
            129..=255 => Err(Ipv6PrefixError::TooLong { bits }),
        };
        assert_eq!(Ipv6Prefix::new(bits).map(Ipv6Prefix::bits), expected);
    }
    assert_eq!(CUSTOMER.bits(), 56);
    assert_eq!(OFFICE, key("203.0.113.7"));
    assert_eq!(Ipv6Prefix::default(), Ipv6Prefix::DEFAULT);
    assert_eq!(Ipv6Prefix::DEFAULT.bits(), 64);

    let message = |bits| {
        let error: Box<dyn core::error::Error> = Box::new(Ipv6Prefix::new(bits).unwrap_err());
        error.to_string()
    };
    assert_eq!(
        message(31),
        "an IPv6 prefix of 31 bits is too short: at least 32"
    );
    assert_eq!(
        message(129),
        "an IPv6 prefix of 129 bits is too long: at most 128"
    );
}

/// Returns any address, and often one near the IPv4-mapped ones.
fn addresses() -> impl Strategy<Value = Ipv6Addr> {
    let mapped = 0xffff_0000_0000_u128;
    prop_oneof![
        any::<u128>(),
        any::<u32>().prop_map(move |low| mapped | u128::from(low)),
        (any::<u32>(), 0..128_u32).prop_map(move |(low, bit)| mapped ^ 1 << bit ^ u128::from(low)),
        (any::<u128>(), 32..96_u32).prop_map(move |(high, bits)| high << bits | mapped),
        any::<u64>().prop_map(u128::from),
    ]
    .prop_map(Ipv6Addr::from_bits)
}

/// Asserts the key of an address, at every prefix length.
fn assert_key_is_network(ip: Ipv6Addr) {
    for bits in 32..=128 {
        let expected = match mapped(ip) {
            Some(ip) => IpAddr::V4(ip),
            None => IpAddr::V6(network(ip, bits)),
        };
        let key = prefix(bits).key(IpAddr::V6(ip));
        assert_eq!(key.addr(), expected, "{ip} /{bits}");
        assert_eq!(key.to_string(), expected.to_string());
        assert_eq!(
            prefix(bits).key(key.addr()),
            key,
            "the key of its own address"
        );
        if let Some(ip) = mapped(ip) {
            assert_eq!(prefix(bits).key(IpAddr::V4(ip)), key);
        }
    }
}

proptest! {
    #[test]
    fn key_is_the_network_of_the_client(ip in addresses()) {
        assert_key_is_network(ip);
    }

    /// Keys also hash like clients, and sort like addresses.
    #[test]
    fn keys_are_equal_when_clients_are(
        one in addresses(),
        other in addresses(),
        flipped in 0..128_u32,
        near in any::<bool>(),
        bits in 32..=128_u8,
    ) {
        let other = if near { Ipv6Addr::from_bits(one.to_bits() ^ 1 << flipped) } else { other };
        let client = |ip| mapped(ip).ok_or_else(|| network(ip, bits));
        let key = |ip| prefix(bits).key(IpAddr::V6(ip));
        let same = client(one) == client(other);
        prop_assert_eq!(key(one) == key(other), same);
        prop_assert_eq!(written(key(one)) == written(key(other)), same);

        let address = |ip| match key(ip).addr() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        prop_assert_eq!(key(one).cmp(&key(other)), address(one).cmp(&address(other)));
    }
}

/// A mask must not turn an address near the mapped range into an IPv4 client.
#[test]
fn addresses_at_the_edges_have_their_own_network() {
    let neighbors = (0..128).map(|bit| 0xffff_cb00_7107_u128 ^ 1 << bit);
    let edges = [0xfffe_ffff_ffff, 0x1_0000_0000_0000, u128::MAX];
    for number in neighbors.chain(edges) {
        assert_key_is_network(Ipv6Addr::from_bits(number));
    }
}

#[test]
fn keys_are_16_bytes_and_hash_in_one_write() {
    assert_eq!((size_of::<IpKey>(), align_of::<IpKey>()), (16, 1));
    assert_eq!((size_of::<KeyDigest>(), align_of::<KeyDigest>()), (16, 1));
    assert_eq!(size_of::<Result<IpKey, KeyDigest>>(), 17);

    let octets = Ipv4Addr::new(203, 0, 113, 7).to_ipv6_mapped().octets();
    assert_eq!(written(key("203.0.113.7")), [octets.to_vec()]);
    let long = KeyDigester::with_secret([7; 16]).digest("text");
    assert_eq!(written(long), [long.to_bytes().to_vec()]);

    // Equal keys of different addresses have equal hashes.
    let hasher = KeyHasher::with_seeds([1, 2, 3, 4]);
    let hash = |text| hasher.hash_one(key(text));
    assert_eq!(hash("2001:db8::1"), hash("2001:db8::2"));
    assert_ne!(hash("2001:db8::1"), hash("2001:db8:0:1::1"));
}

/// Compares with `vectors_sip128` of the reference implementation, github.com/veorq/SipHash.
#[test]
fn the_digest_is_siphash_2_4_128() {
    let published: [(u8, u128); 8] = [
        (0, 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293),
        (1, 0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45),
        (7, 0xa1f1_ebbe_d8db_c153_c0b8_4aa6_1ff0_8239),
        (8, 0x3b62_a9ba_6258_f561_0f83_e264_f314_97b4),
        (9, 0x2644_9906_0ad9_baab_c47f_8b02_bb6d_71ed),
        (15, 0x5493_e999_33b0_a811_7e08_ec0f_97cf_c3d9),
        (16, 0x6ee2_a4ca_67b0_54bb_fd33_15bf_8523_0577),
        (63, 0x5150_d177_2f50_834a_503e_069a_973f_bd7c),
    ];
    let digester = KeyDigester::with_secret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    for (length, digest) in published {
        let message: Vec<u8> = (0..length).collect();
        let key = digester.digest(message);
        assert_eq!(key.to_bytes(), digest.to_be_bytes(), "{length} bytes");
    }
}

proptest! {
    #[test]
    fn digests_are_equal_when_texts_are(
        secret in any::<[u8; 16]>(),
        text in prop::collection::vec(any::<u8>(), 0..200),
        index in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let digester = KeyDigester::with_secret(secret);
        prop_assert_eq!(digester.digest(&text), digester.clone().digest(text.clone()));

        let mut other = secret;
        other[index.index(16)] ^= 1 << bit;
        prop_assert_ne!(digester.digest(&text), KeyDigester::with_secret(other).digest(&text));

        let mut longer = text.clone();
        longer.push(0);
        prop_assert_ne!(digester.digest(&text), digester.digest(&longer));
        longer[index.index(text.len() + 1)] ^= 1 << bit;
        prop_assert_ne!(digester.digest(&text), digester.digest(&longer));
        if !text.is_empty() {
            let mut changed = text.clone();
            changed[index.index(text.len())] ^= 1 << bit;
            prop_assert_ne!(digester.digest(&text), digester.digest(&changed));
        }
    }
}

#[test]
fn texts_of_any_length_have_a_digest() {
    let digester = KeyDigester::with_secret([7; 16]);
    let long = "a".repeat(1 << 20);
    assert_eq!(digester.digest(&long), digester.digest(long.as_bytes()));
    assert_ne!(digester.digest(&long), digester.digest(&long[1..]));
    assert_ne!(digester.digest(""), digester.digest("\0"));

    let limits = one_each();
    assert!(limits.try_acquire(&digester.digest(&long), 1).is_ok());
    assert!(limits.try_acquire(&digester.digest(&long), 1).is_err());
    assert!(limits.try_acquire(&digester.digest(&long[1..]), 1).is_ok());
}

#[test]
#[cfg(feature = "std")]
fn every_new_secret_differs() {
    let secrets: Vec<KeyDigester> = (0..100).map(|_| KeyDigester::new()).collect();
    let digests = secrets
        .iter()
        .map(|digester| digester.digest("text").to_bytes());
    let different: std::collections::HashSet<_> = digests.collect();
    assert_eq!(different.len(), 100);
    assert_ne!(
        KeyDigester::default().digest("text"),
        secrets[0].digest("text")
    );
}

/// `Debug` hides the secret, the text and the digest.
#[test]
fn debug_output_hides_secrets() {
    let digester = KeyDigester::with_secret(*b"SECRETSECRETSECR");
    assert_eq!(
        format!("{digester:?} {digester:#?}"),
        "KeyDigester { .. } KeyDigester { .. }"
    );
    let key = digester.digest("sk-7f3a9c");
    assert_eq!(
        format!("{key:?} {key:#?}"),
        "KeyDigest { .. } KeyDigest { .. }"
    );
}

#[test]
fn keys_are_copy_send_and_sync() {
    const fn everywhere<T: Send + Sync + Unpin + 'static>() {}
    const fn copied<T: Copy + Eq + Hash>() {}
    everywhere::<KeyDigester>();
    everywhere::<Ipv6PrefixError>();
    copied::<IpKey>();
    copied::<KeyDigest>();
    copied::<Ipv6Prefix>();
    copied::<Ipv6PrefixError>();
}
