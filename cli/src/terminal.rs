//! Pictures in a terminal.

pub mod chart;
mod replay;

pub use replay::{timeline, timeline_in};

/// Which characters there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Blocks in eighths.
    Blocks,
    /// Seven bits.
    Ascii,
}

impl Charset {
    /// As the locale says: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set.
    pub fn of_environment() -> Self {
        let names = ["LC_ALL", "LC_CTYPE", "LANG"];
        let set = names
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty());
        // Where there are no locales, terminals read UTF-8.
        if set.is_none() && cfg!(windows) {
            return Self::Blocks;
        }
        Self::of_locale(set.as_deref().unwrap_or_default())
    }

    /// Of `de_DE.UTF-8`, `C.utf8` and the like, blocks.
    pub fn of_locale(locale: &str) -> Self {
        let locale = locale.to_ascii_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") {
            Self::Blocks
        } else {
            Self::Ascii
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Charset;

    #[test]
    fn locales_say_which_characters_there_are() {
        for locale in ["en_US.UTF-8", "C.utf8", "de_AT.UTF-8@euro"] {
            assert_eq!(Charset::of_locale(locale), Charset::Blocks);
        }
        for locale in ["", "C", "POSIX", "en_US.ISO-8859-1"] {
            assert_eq!(Charset::of_locale(locale), Charset::Ascii);
        }
    }
}
