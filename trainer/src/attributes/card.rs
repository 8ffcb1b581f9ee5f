//! The section about attributes in a model card.

/// What the section begins and ends with, so that it can be found and replaced.
const BEGIN: &str = "<!-- attributes: written by `interlude attributes` -->";
const END: &str = "<!-- end of attributes -->";

/// A card with a section in the place of the one that is there, or at its end. All else stays byte
/// for byte.
pub fn with_section(card: &[u8], section: &str) -> Vec<u8> {
    let section = format!("{BEGIN}\n{}\n{END}", section.trim());
    let begin = find(card, BEGIN);
    let end = begin.and_then(|begin| Some(begin + find(&card[begin..], END)? + END.len()));
    match begin.zip(end) {
        Some((begin, end)) => [&card[..begin], section.as_bytes(), &card[end..]].concat(),
        None => {
            let gap = match card {
                [] => "",
                [.., b'\n', b'\n'] => "",
                [.., b'\n'] => "\n",
                _ => "\n\n",
            };
            [card, gap.as_bytes(), section.as_bytes(), b"\n"].concat()
        }
    }
}

fn find(text: &[u8], word: &str) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // A second section takes the place of the first, wherever that was moved to.
    #[test]
    fn a_section_is_replaced() {
        let first = with_section(b"# A\r\n\xff", "## One\n");
        assert!(first.starts_with(b"# A\r\n\xff\n\n<!--"));
        let moved = [first.as_slice(), b"\n## Licence\n"].concat();
        let second = with_section(&moved, "## Two");
        assert_eq!(second, with_section(&second, "## Two"));
        let text = String::from_utf8_lossy(&second);
        assert!(text.contains("## Two") && !text.contains("## One"), "{text}");
        assert!(text.ends_with("-->\n\n## Licence\n"), "{text}");
    }

    // A section that was never ended is left alone, so that nothing of the card is lost.
    #[test]
    fn an_open_section_is_left() {
        let card = format!("{BEGIN}\n## Mine");
        let new = with_section(card.as_bytes(), "## Two");
        assert!(new.starts_with(card.as_bytes()));
    }

    proptest! {
        // Whatever stands around the section stays, also when it is written again.
        #[test]
        fn all_else_stays(before: Vec<u8>, after: Vec<u8>) {
            let once = with_section(&before, "x");
            prop_assert!(once.starts_with(&before));
            let twice = with_section(&[once.clone(), after.clone()].concat(), "y");
            prop_assert!(twice.starts_with(&before) && twice.ends_with(&after));
            prop_assert_eq!(twice.len(), once.len() + after.len());
        }
    }
}
