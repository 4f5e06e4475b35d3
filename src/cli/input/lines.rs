//! Plain lists, one identifier a line, in the dialects that public blocklists are published in.

use crate::domain::{FieldError, IdentifierKind};

/// How the lines of a list are read.
#[derive(Clone)]
pub struct LinesOptions {
    /// Kind of every identifier.
    pub kind: IdentifierKind,
    /// Text that every line starts with and that is no part of the identifier, such as `line-page:`.
    pub strip_prefix: Option<String>,
    /// Scheme that is put before every identifier, such as `line` for `line:<id>`.
    pub scheme: Option<String>,
    /// Only lines that carry this tag at their end count; `#!cffc` and `cffc` mean the same.
    pub only_tag: Option<String>,
    /// Makes every line its own submission id, with this text before it, so that a line that leaves the list can be
    /// retracted by a list of such lines.
    pub id_prefix: Option<String>,
}

/// First fields of a hosts file that stand for "nowhere".
const NOWHERE: [&str; 5] = ["0.0.0.0", "127.0.0.1", "::", "::1", "0"];

impl LinesOptions {
    /// Lines that are identifiers of `kind` as they are.
    #[must_use]
    pub const fn of(kind: IdentifierKind) -> Self {
        Self { kind, strip_prefix: None, scheme: None, only_tag: None, id_prefix: None }
    }

    /// The identifier of a line; `None` for a blank or a comment, or where the tag is another.
    ///
    /// Wildcards within a name stay in it: the node refuses them, and the row is not lost.
    pub(super) fn identifier(&self, line: &str) -> Option<Result<String, FieldError>> {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!', ';']) {
            return None;
        }
        let (text, comment) = self.split_comment(line);
        if self.only_tag.as_deref().is_some_and(|tag| !has_tag(comment, tag)) {
            return None;
        }
        Some(self.value(text))
    }

    /// A comment starts at a `#` after a blank. Names and addresses hold such (`Suite #5`); in them only a tag (`#!`) ends
    /// the value.
    fn split_comment<'a>(&self, line: &'a str) -> (&'a str, &'a str) {
        let mark = match self.kind {
            IdentifierKind::LegalName | IdentifierKind::PostalAddress => "#!",
            _ => "#",
        };
        let start = line.match_indices(mark).find(|(i, _)| line[..*i].ends_with(char::is_whitespace));
        let (text, comment) = line.split_at(start.map_or(line.len(), |(i, _)| i));
        (text.trim_end(), comment)
    }

    fn value(&self, text: &str) -> Result<String, FieldError> {
        let text = match &self.strip_prefix {
            None => text,
            Some(prefix) => text.strip_prefix(prefix.as_str()).ok_or_else(|| {
                FieldError::new("PREFIX_MISSING", "line", "this line does not start with the prefix that is to be stripped")
            })?,
        };
        let text = if self.kind == IdentifierKind::Domain { host(text)? } else { text };
        Ok(match &self.scheme {
            Some(scheme) => format!("{scheme}:{text}"),
            None => text.to_owned(),
        })
    }
}

impl std::fmt::Debug for LinesOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinesOptions({})", self.kind)
    }
}

fn has_tag(comment: &str, tag: &str) -> bool {
    let bare = |text: &str| text.trim_start_matches(['#', '!']).to_owned();
    comment.split_whitespace().any(|word| word.starts_with("#!") && bare(word) == bare(tag))
}

/// The host of one line of a hosts file, an ad-block list, a list of match patterns or a plain list.
///
/// Only what surely surrounds a host is taken off. An exception (`@@||name^`) or a rule about a part of a page is no
/// statement about a host; it stays as it is, and the node refuses it.
fn host(text: &str) -> Result<&str, FieldError> {
    let text = match text.split_once(char::is_whitespace) {
        Some((address, name)) if NOWHERE.contains(&address) => name.trim_start(),
        _ => text,
    };
    if text.contains(char::is_whitespace) {
        return Err(FieldError::new("LINE_SEVERAL_VALUES", "line", "give one name a line"));
    }
    if let Some(rule) = text.strip_prefix("||") {
        return Ok(match rule.split_once('^') {
            Some((name, options)) if options.is_empty() || options.starts_with('$') => name,
            _ => rule.split_once('$').map_or(rule, |(name, _)| name),
        });
    }
    let text = match text.strip_prefix("*://") {
        Some(pattern) => pattern.strip_suffix("/*").or_else(|| pattern.strip_suffix('/')).unwrap_or(pattern),
        None => text,
    };
    Ok(text.strip_prefix("*.").unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &LinesOptions, line: &str) -> Option<Result<String, &'static str>> {
        options.identifier(line).map(|result| result.map_err(|e| e.code))
    }

    #[test]
    fn every_dialect_gives_the_host() {
        let domains = LinesOptions::of(IdentifierKind::Domain);
        for (line, expected) in [
            ("example.com", "example.com"),
            ("  example.com\t", "example.com"),
            ("0.0.0.0 www.example.com", "www.example.com"),
            ("127.0.0.1\texample.com", "example.com"),
            ("::1   example.com # because", "example.com"),
            ("0.0.0.0 http://example.com.tw/", "http://example.com.tw/"),
            ("||example.com^", "example.com"),
            ("||example.com^$third-party,doc", "example.com"),
            ("||example.com$popup", "example.com"),
            ("||example.com", "example.com"),
            ("*://*.example.com/*", "example.com"),
            ("*://*.example.com/", "example.com"),
            ("*://example.com/*", "example.com"),
            ("*.example.com", "example.com"),
            ("example.com  #!cffc", "example.com"),
            ("app.example.top #path=/fbx/ #!165jtz", "app.example.top"),
            ("example.com/index#top", "example.com/index#top"),
            ("例え.テスト", "例え.テスト"),
            // Handed on for the node to refuse: nothing is dropped in silence, and nothing is guessed.
            ("51*.top  #!cffc", "51*.top"),
            ("@@||example.com^", "@@||example.com^"),
            ("||example.com^path", "example.com^path"),
            ("*://*.example.com/shop*", "example.com/shop*"),
            ("example.com##.banner", "example.com##.banner"),
            ("[Adblock", "[Adblock"),
        ] {
            assert_eq!(read(&domains, line), Some(Ok(expected.to_owned())), "{line:?}");
        }
    }

    #[test]
    fn blanks_and_comments_are_no_rows() {
        let domains = LinesOptions::of(IdentifierKind::Domain);
        for line in ["", "  \t", "# a", "   # a", "! a", "; a", "#!cffc", "\u{a0}"] {
            assert_eq!(read(&domains, line), None, "{line:?}");
        }
    }

    #[test]
    fn two_names_on_a_line_are_refused_and_not_joined() {
        let domains = LinesOptions::of(IdentifierKind::Domain);
        for line in ["0.0.0.0 a.example b.example", "a.example b.example", "10.0.0.1 a.example"] {
            assert_eq!(read(&domains, line), Some(Err("LINE_SEVERAL_VALUES")), "{line:?}");
        }
    }

    #[test]
    fn other_kinds_are_taken_as_they_are() {
        for (kind, line, expected) in [
            (IdentifierKind::Phone, "+86 138 0013 8000 # shop", "+86 138 0013 8000"),
            (IdentifierKind::Url, "https://a.example/#top", "https://a.example/#top"),
            (IdentifierKind::Url, "||a.example^", "||a.example^"),
            (IdentifierKind::PostalAddress, "1 Main St, Suite #5", "1 Main St, Suite #5"),
            (IdentifierKind::PostalAddress, "1 Main St #5 #!tag", "1 Main St #5"),
        ] {
            assert_eq!(read(&LinesOptions::of(kind), line), Some(Ok(expected.to_owned())), "{line:?}");
        }
    }

    #[test]
    fn a_prefix_goes_and_a_scheme_comes() {
        let options = LinesOptions {
            strip_prefix: Some("line-page:".into()),
            scheme: Some("line".into()),
            ..LinesOptions::of(IdentifierKind::MessagingAccount)
        };
        assert_eq!(read(&options, "line-page:kgi2492f #!165line"), Some(Ok("line:kgi2492f".to_owned())));
        assert_eq!(read(&options, "kgi2492f"), Some(Err("PREFIX_MISSING")));
    }

    #[test]
    fn a_tag_chooses_lines() {
        for tag in ["cffc", "#!cffc"] {
            let options = LinesOptions { only_tag: Some(tag.into()), ..LinesOptions::of(IdentifierKind::Domain) };
            assert_eq!(read(&options, "a.example  #!cffc"), Some(Ok("a.example".to_owned())));
            assert_eq!(read(&options, "a.example #path=/x #!cffc"), Some(Ok("a.example".to_owned())));
            for other in ["a.example", "a.example #!165jtz", "a.example #!cffc2", "a.example cffc", "a.example # cffc"] {
                assert_eq!(read(&options, other), None, "{other:?}");
            }
        }
    }
}
