//! Where a quota is wrong.

use tidegate::{ParseQuotaError, Quota};

use crate::picture::key::{shown, width};

/// A quota, or what is wrong with it and where.
///
/// # Errors
///
/// The message, and the text with a caret below the place.
pub fn quota(text: &str) -> Result<Quota, String> {
    text.parse().map_err(|error| pointed(text, &error))
}

/// A window's limit and length: a quota without a burst.
///
/// # Errors
///
/// As [`quota`], and if it has a burst.
pub fn window(text: &str) -> Result<Quota, String> {
    let quota = quota(text)?;
    if quota.capacity() == quota.rate() {
        Ok(quota)
    } else {
        Err("a window has no burst".to_owned())
    }
}

/// What is wrong, and below it the text with a caret at the place.
pub fn pointed(text: &str, error: &ParseQuotaError) -> String {
    let told = error.to_string();
    let told = told
        .strip_suffix(&format!(" at byte {}", error.offset()))
        .unwrap_or(&told)
        .to_owned();
    let before = text.get(..error.offset()).unwrap_or(text);
    // As it is shown, for a caret below it; an empty text has nothing to show.
    let visible = |text: &str| {
        if text.is_empty() {
            String::new()
        } else {
            shown(text, usize::MAX)
        }
    };
    let columns: usize = visible(before).chars().map(width).sum();
    format!("{told}\n  {}\n  {:columns$}^", visible(text), "")
}

#[cfg(test)]
mod tests {
    use super::quota;

    /// The place below which the caret stands.
    fn pointed_at(text: &str) -> String {
        let error = quota(text).unwrap_err();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines[2].ends_with('^') && !lines[0].contains("byte"));
        lines[1]
            .chars()
            .skip(lines[2].chars().count() - 1)
            .collect()
    }

    #[test]
    fn carets_stand_below_what_is_wrong() {
        assert_eq!(pointed_at("100/fortnight"), "fortnight");
        assert_eq!(pointed_at("100/min burts 20"), "burts 20");
        assert_eq!(pointed_at("100/min burst 0"), "0");
        assert_eq!(pointed_at("0/s"), "0/s");
        assert_eq!(pointed_at("100"), "");
        assert_eq!(pointed_at(""), "");
        assert_eq!(pointed_at("ten/s"), "ten/s");
        assert_eq!(pointed_at("1/min bürst"), "bürst");
        assert_eq!(pointed_at("5/0s"), "0s");
    }

    #[test]
    fn what_is_before_it_is_as_wide_as_it_is_shown() {
        assert_eq!(pointed_at("5\t/\tfort"), "fort");
        let error = quota("5\u{3000}/漢").unwrap_err();
        assert!(error.ends_with("  5\\u{3000}/漢\n            ^"), "{error}");
    }
}
