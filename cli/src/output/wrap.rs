//! Breaks sentences into lines.

use textwrap::{Options, WordSplitter};

/// Breaks text into lines of at most `width` columns where possible, and ends the last.
pub fn wrapped(text: &str, width: usize) -> String {
    let options = Options::new(width.max(20))
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    format!("{}\n", textwrap::wrap(text, options).join("\n"))
}

/// As [`wrapped`], with each line indented by two columns.
pub fn indented(text: &str, width: usize) -> String {
    let lines = wrapped(text, width.saturating_sub(2));
    lines.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn words_stay_whole() {
        assert_eq!(
            wrapped("1 of 1,753 clients would notice", 20),
            "1 of 1,753 clients\nwould notice\n"
        );
    }
}
