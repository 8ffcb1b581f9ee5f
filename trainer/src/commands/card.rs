//! Sections of a model card that commands write: what they added to the model, with its
//! measurements.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;
use interlude_models::package::CARD_FILE;

/// Puts the section of a command into the card in a model's folder, which need not be there.
///
/// # Errors
/// When the card can be read or written no more.
pub(super) fn put(folder: &Path, command: &str, section: &str) -> anyhow::Result<()> {
    let path = folder.join(CARD_FILE);
    let old = match fs::read(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
        }
        old => old.unwrap_or_default(),
    };
    interlude_models::files::write(&path, &with_section(&old, command, section))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

/// A folder as a card names it: where it lies on this machine says nothing to a reader.
pub(super) fn place(folder: &Path) -> String {
    let name = folder.file_name().filter(|_| folder.is_absolute());
    name.map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A card with a section in the place of the command's one that is there, or at its end. All else
/// stays byte for byte.
fn with_section(card: &[u8], command: &str, section: &str) -> Vec<u8> {
    let first = format!("<!-- {command}: written by `interlude {command}` -->");
    let last = format!("<!-- end of {command} -->");
    let section = format!("{first}\n{}\n{last}", section.trim());
    let begin = find(card, &first);
    let end = begin.and_then(|begin| Some(begin + find(&card[begin..], &last)? + last.len()));
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
        let first = with_section(b"# A\r\n\xff", "x", "## One\n");
        assert!(first.starts_with(b"# A\r\n\xff\n\n<!--"));
        let moved = [first.as_slice(), b"\n## Licence\n"].concat();
        let second = with_section(&moved, "x", "## Two");
        assert_eq!(second, with_section(&second, "x", "## Two"));
        let text = String::from_utf8_lossy(&second);
        assert!(text.contains("## Two") && !text.contains("## One"), "{text}");
        assert!(text.ends_with("-->\n\n## Licence\n"), "{text}");
    }

    // Each command has its own.
    #[test]
    fn other_sections_stay() {
        let first = with_section(b"# A\n", "attributes", "one");
        let both = with_section(&first, "constrain", "two");
        assert!(both.starts_with(&first));
        assert_eq!(with_section(&both, "attributes", "one"), both);
    }

    // A section that was never ended is left alone, so that nothing of the card is lost.
    #[test]
    fn an_open_section_is_left() {
        let card = "<!-- x: written by `interlude x` -->\n## Mine";
        let new = with_section(card.as_bytes(), "x", "## Two");
        assert!(new.starts_with(card.as_bytes()));
    }

    proptest! {
        // Whatever stands around the section stays, also when it is written again.
        #[test]
        fn all_else_stays(before: Vec<u8>, after: Vec<u8>) {
            let once = with_section(&before, "x", "x");
            prop_assert!(once.starts_with(&before));
            let twice = with_section(&[once.clone(), after.clone()].concat(), "x", "y");
            prop_assert!(twice.starts_with(&before) && twice.ends_with(&after));
            prop_assert_eq!(twice.len(), once.len() + after.len());
        }
    }
}
