//! Errors of libraries in the editor's words.

/// An error as a sentence: a capital letter first, a full stop last.
pub(super) fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let mut sentence: String = match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    };
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first letter is a capital and a full stop ends it, once; an empty error is no crash.
    #[test]
    fn errors_become_sentences() {
        for (error, expected) in [("no such file", "No such file."), ("Élan.", "Élan."), ("", ".")]
        {
            assert_eq!(sentence(&std::io::Error::other(error)), expected);
        }
    }
}
