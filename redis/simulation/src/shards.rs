//! Which shard of a cluster has a key.

/// The hash slots of a cluster.
const SLOTS: usize = 16_384;

/// Returns the shard of a key. Each of `shards` has an equal range of slots.
pub fn of_key(key: &[u8], shards: usize) -> usize {
    let slot = usize::from(crc16::State::<crc16::XMODEM>::calculate(tag(key))) % SLOTS;
    slot * shards / SLOTS
}

/// Returns what is between the first `{` and the next `}`, or the whole key.
fn tag(key: &[u8]) -> &[u8] {
    let open = key.iter().position(|&byte| byte == b'{');
    let tag = open.and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|&byte| byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    tag.unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::of_key;

    /// The example of the cluster's specification: the slot of "123456789" is 12 739.
    #[test]
    fn keys_with_one_tag_are_on_one_shard() {
        assert_eq!(of_key(b"123456789", 16_384), 12_739);
        assert_eq!(of_key(b"a:{123456789}:b", 16_384), 12_739);
        assert_eq!(
            of_key(b"{}123456789", 16_384),
            of_key(b"{}123456789", 16_384)
        );
        assert_eq!(of_key(b"any", 1), 0);
        assert_eq!(of_key(b"123456789", 4), 3);
    }
}
