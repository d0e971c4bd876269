pub mod aios {
    #![doc = include_str!("docs/aios.md")]
}

// The pictures are within the page, because no other file of the repository comes along with the documentation.
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
}
