//! Text that people and clients choose: names, contents, ids of their own. Knows the limits and nothing else.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// Text that breaks a rule; says which, in words for the person who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing there, or only white space.
    #[error("must not be empty")]
    Empty,
    /// Longer than its limit.
    #[error("is longer than {limit} {unit}")]
    TooLong {
        /// The most that is allowed.
        limit: usize,
        /// What is counted: characters or bytes.
        unit: &'static str,
    },
    /// A character that has no place there.
    #[error("contains a character that is not allowed")]
    ForbiddenCharacter,
}

/// A user's name as they wrote it: 1–64 characters, no control characters, no white space but single inner spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// The longest name, in characters.
    pub const LIMIT: usize = 64;

    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, too long, or has control characters or white space where none belongs.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let name: String = text.nfc().collect();
        check_length(&name, Self::LIMIT)?;
        let odd_spaces = name.starts_with(' ') || name.ends_with(' ') || name.contains("  ");
        if odd_spaces
            || name
                .chars()
                .any(|c| (c.is_whitespace() && c != ' ') || c.is_control() || is_invisible(c))
        {
            return Err(InvalidText::ForbiddenCharacter);
        }
        Ok(Self(name))
    }

    /// The form in which names are compared: compatibility-normalised and lower case, so that `Ann` and `ann` are
    /// one name in every store (D35: computed here, since collations differ).
    #[must_use]
    pub fn folded(&self) -> String {
        Self::fold(&self.0)
    }

    /// The folded form of any text, for searching by prefix.
    #[must_use]
    pub fn fold(text: &str) -> String {
        let lower: String = text.nfkc().flat_map(char::to_lowercase).collect();
        lower.nfkc().collect()
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A room's name: 1–80 characters, no control characters, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomName(String);

impl RoomName {
    /// The longest name, in characters.
    pub const LIMIT: usize = 80;

    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, too long, or has control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let name: String = text.trim().nfc().collect();
        check_length(&name, Self::LIMIT)?;
        if name.chars().any(char::is_control) {
            return Err(InvalidText::ForbiddenCharacter);
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a message says: not blank, at most the configured number of bytes of UTF-8 (default 16 KiB).
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Box<str>);

impl Content {
    /// The default limit, in bytes.
    pub const DEFAULT_LIMIT: usize = 16 * 1024;

    /// Reads a content of at most `limit` bytes.
    ///
    /// # Errors
    /// When it is blank or too long.
    pub fn parse(text: &str, limit: usize) -> Result<Self, InvalidText> {
        if text.trim().is_empty() {
            return Err(InvalidText::Empty);
        }
        if text.len() > limit {
            return Err(InvalidText::TooLong {
                limit,
                unit: "bytes",
            });
        }
        Ok(Self(text.into()))
    }

    /// How many bytes JSON writes it with, between the quotes (RFC 8259, section 7, and serde_json's choice among the
    /// forms it allows).
    #[must_use]
    pub fn json_bytes(&self) -> usize {
        let written = |byte: u8| match byte {
            b'"' | b'\\' | 0x08..=0x0A | 0x0C | 0x0D => 2,
            0..0x20 => 6,
            _ => 1,
        };
        self.0.bytes().map(written).sum()
    }

    /// A content read back from a store, whatever the limit is today.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Content {
    /// Contents are never logged: only their length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}

/// A client's own id for a message, unique per sender and conversation: 1–128 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientMessageId(Box<str>);

impl ClientMessageId {
    /// The longest id, in bytes.
    pub const LIMIT: usize = 128;

    /// Reads an id.
    ///
    /// # Errors
    /// When it is empty, too long, or has anything but printable ASCII.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        check_length(text, Self::LIMIT)?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidText::ForbiddenCharacter);
        }
        Ok(Self(text.into()))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A reaction: 1–16 characters without white space or control characters, usually one emoji.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Emoji(Box<str>);

impl Emoji {
    /// The longest reaction, in characters (a family emoji is seven).
    pub const LIMIT: usize = 16;

    /// Reads a reaction.
    ///
    /// # Errors
    /// When it is empty, too long, or has white space, control characters, `.` or `$` (which stores reserve).
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        check_length(text, Self::LIMIT)?;
        if text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '.' || c == '$')
        {
            return Err(InvalidText::ForbiddenCharacter);
        }
        Ok(Self(text.into()))
    }

    /// The reaction.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_length(text: &str, limit: usize) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    // A character is at most four bytes: the cheap test first.
    if text.len() > limit * 4 || text.chars().count() > limit {
        return Err(InvalidText::TooLong {
            limit,
            unit: "characters",
        });
    }
    Ok(())
}

/// Characters that make two names look alike: zero-width and directional marks.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_fold_to_one() {
        let folded = |text| Username::parse(text).map(|name| name.folded());
        assert_eq!(folded("Ann"), folded("aNN"));
        assert_eq!(folded("ﬁn"), folded("FIN"));
        assert_eq!(folded("e\u{301}va"), folded("ÉVA"));
        assert_ne!(folded("ann"), folded("anna"));
    }

    #[test]
    fn names_have_no_odd_spaces_and_no_invisible_characters() {
        for bad in [
            " a",
            "a ",
            "a  b",
            "a\u{A0}b",
            "a\u{200B}",
            "a\n",
            "\u{202E}a",
        ] {
            assert_eq!(
                Username::parse(bad),
                Err(InvalidText::ForbiddenCharacter),
                "{bad:?}"
            );
        }
        assert_eq!(Username::parse(""), Err(InvalidText::Empty));
        assert!(Username::parse(&"é".repeat(64)).is_ok());
        assert!(Username::parse(&"é".repeat(65)).is_err());
    }

    #[test]
    fn content_is_bounded_in_bytes_and_not_blank() {
        assert_eq!(Content::parse(" \n", 10), Err(InvalidText::Empty));
        assert!(Content::parse("éé", 4).is_ok());
        assert_eq!(
            Content::parse("ééx", 4),
            Err(InvalidText::TooLong {
                limit: 4,
                unit: "bytes"
            })
        );
    }

    #[test]
    fn a_content_knows_how_long_it_is_as_json() {
        let all: String = (0..0x100).filter_map(char::from_u32).collect();
        let written = serde_json::to_string(&all).unwrap();
        assert_eq!(Content::stored(all).json_bytes(), written.len() - 2);
    }

    #[test]
    fn contents_are_not_printed() {
        let content = Content::stored("secret".to_owned());
        assert_eq!(format!("{content:?}"), "Content(6 bytes)");
    }

    #[test]
    fn client_ids_are_printable_ascii() {
        assert!(ClientMessageId::parse("a-1:é").is_err());
        assert!(ClientMessageId::parse("").is_err());
        assert!(ClientMessageId::parse(&"x".repeat(129)).is_err());
        assert!(ClientMessageId::parse("0b9e-42").is_ok());
    }
}
