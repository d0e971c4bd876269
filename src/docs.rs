pub mod aios {
    #![doc = include_str!("docs/aios.md")]
}

pub mod design {
    #![doc = include_str!("docs/design.md")]
    //!
    #![cfg_attr(
        feature = "std",
        doc = "[`Keyed`]: crate::Keyed\n[`ShardedTokenBucket`]: crate::ShardedTokenBucket"
    )]
    #![cfg_attr(
        not(feature = "std"),
        doc = "[`Keyed`]: crate#features\n[`ShardedTokenBucket`]: crate#features"
    )]
}

pub mod restarts {
    #![doc = include_str!("docs/restarts.md")]
    //!
    #![cfg_attr(
        feature = "std",
        doc = "[`Keyed`]: crate::Keyed\n[`ShardedTokenBucket`]: crate::ShardedTokenBucket"
    )]
    #![cfg_attr(
        not(feature = "std"),
        doc = "[`Keyed`]: crate#features\n[`ShardedTokenBucket`]: crate#features"
    )]
}

#[cfg(feature = "std")]
pub mod many_keys {
    #![doc = include_str!("docs/many_keys.md")]
    //!
    #![cfg_attr(feature = "dashmap", doc = "[`DashKeyed`]: crate::DashKeyed")]
    #![cfg_attr(not(feature = "dashmap"), doc = "[`DashKeyed`]: crate#features")]
}

#[cfg(feature = "std")]
pub mod changing_limits {
    #![doc = include_str!("docs/changing_limits.md")]
}

#[cfg(feature = "rules")]
pub mod rules {
    #![doc = include_str!("docs/rules.md")]
}

// The pictures are inline, because documentation ships no other files of the repository.
#[cfg(feature = "http")]
pub mod providers {
    #![doc = include_str!("docs/providers.md")]
    #![doc = include_str!("docs/plots/style.html")]
    //!
    #![doc = include_str!("docs/plots/adaptive.svg")]
}

pub mod measured {
    #![doc = include_str!("docs/measured.md")]
    #![doc = include_str!("docs/plots/style.html")]
    //!
    //! # Calls per second
    //!
    #![doc = include_str!("docs/plots/throughput.svg")]
    //!
    //! # Single calls
    //!
    #![doc = include_str!("docs/plots/latency.svg")]
    //!
    //! # Exactness
    //!
    #![doc = include_str!("docs/plots/accuracy.svg")]
    //!
    //! # What gets through
    //!
    #![doc = include_str!("docs/plots/shaping.svg")]
    //!
    //! # Waits
    //!
    #![doc = include_str!("docs/measured_waits.md")]
    //!
    #![doc = include_str!("docs/plots/waits.svg")]
}
