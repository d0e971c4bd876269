pub mod aios {
    #![doc = include_str!("docs/aios.md")]
}
