//! `tidegate`: see what a limit would do.

fn main() {}
