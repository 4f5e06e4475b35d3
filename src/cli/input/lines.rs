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

/// Options of an ad-block rule that leave it a statement about the host as a whole: who asks, how it is opened, how it ranks.
/// Any other may turn the rule round (`badfilter`), or make it one about another site (`domain=`) or about a part.
const HARMLESS_OPTIONS: [&str; 10] =
    ["3p", "all", "doc", "document", "frame", "important", "network", "popup", "subdocument", "third-party"];
/// Marks of rules about a part of the pages of a site, which ad-block lists put between the site and the part.
const PART_OF_A_PAGE: [&str; 6] = ["##", "#@#", "#?#", "#$#", "#%#", "$$"];
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

    /// Takes off what surrounds a host, where that is what is asked for.
    fn bare<'a>(&self, text: &'a str) -> Result<&'a str, FieldError> {
        // Whatever kind it is read as, an exception says of a site that it is fine.
        if text.starts_with("@@") && matches!(self.kind, IdentifierKind::Domain | IdentifierKind::Url) {
            return Err(refused("LINE_IS_EXCEPTION", "this rule allows a site; nobody is flagged by it"));
        }
        if self.kind == IdentifierKind::Domain { host(text) } else { Ok(text) }
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
        let text = self.bare(text)?;
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
/// Only what surely surrounds a host is taken off. A rule about a part of a site or of its pages, or one whose options change
/// what it says, is no statement about a host and is refused: the honest site that it names must not be flagged.
fn host(text: &str) -> Result<&str, FieldError> {
    let text = match text.split_once(char::is_whitespace) {
        Some((address, name)) if NOWHERE.contains(&address) => name.trim_start(),
        _ => text,
    };
    if text.contains(char::is_whitespace) {
        return Err(refused("LINE_SEVERAL_VALUES", "give one name a line"));
    }
    if PART_OF_A_PAGE.iter().any(|mark| text.contains(mark)) {
        return Err(part());
    }
    let text = without_options(text)?;
    let (text, is_pattern) = match (text.strip_prefix("||"), text.strip_prefix("*://")) {
        (Some(rule), _) => (rule.strip_suffix('^').unwrap_or(rule), true),
        (None, Some(pattern)) => (pattern.strip_suffix('*').unwrap_or(pattern), true),
        (None, None) => (text, false),
    };
    let text = text.strip_prefix("*.").unwrap_or(text);
    match text.split_once('/') {
        Some((name, "")) if is_pattern => Ok(name),
        Some(_) if is_pattern => Err(part()),
        _ => Ok(text),
    }
}

/// `text` without the options of an ad-block rule, where they mean nothing here.
fn without_options(text: &str) -> Result<&str, FieldError> {
    let Some((name, options)) = text.split_once('$') else { return Ok(text) };
    if options.split(',').all(|option| HARMLESS_OPTIONS.contains(&option.to_ascii_lowercase().as_str())) {
        return Ok(name);
    }
    Err(refused(
        "LINE_OPTIONS",
        "the options of this rule change what it says of the host; give the host alone if it is to be flagged",
    ))
}

fn part() -> FieldError {
    refused("LINE_IS_PART", "this rule is about a part of a site; give the host alone if all of it is to be flagged")
}

fn refused(code: &'static str, message: &'static str) -> FieldError {
    FieldError::new(code, "line", message)
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
            ("||example.com^$Document,3p,important", "example.com"),
            ("||example.com/", "example.com"),
            ("||example.com/^$all", "example.com"),
            ("||*.example.com^", "example.com"),
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
            ("||example.com^path", "example.com^path"),
            ("|https://example.com^", "|https://example.com^"),
            ("[Adblock", "[Adblock"),
        ] {
            assert_eq!(read(&domains, line), Some(Ok(expected.to_owned())), "{line:?}");
        }
    }

    #[test]
    fn a_rule_that_says_something_else_flags_nobody() {
        let domains = LinesOptions::of(IdentifierKind::Domain);
        for (line, code) in [
            ("@@||example.com^", "LINE_IS_EXCEPTION"),
            ("@@||example.com^$document", "LINE_IS_EXCEPTION"),
            ("@@*://*.example.com/*", "LINE_IS_EXCEPTION"),
            ("@@|https://example.com/", "LINE_IS_EXCEPTION"),
            ("||example.com^$badfilter", "LINE_OPTIONS"),
            ("||example.com^$third-party,badfilter", "LINE_OPTIONS"),
            ("||example.com^$domain=other.example", "LINE_OPTIONS"),
            ("||example.com^$~third-party", "LINE_OPTIONS"),
            ("||example.com^$", "LINE_OPTIONS"),
            ("||example.com$script", "LINE_OPTIONS"),
            ("https://example.com/$badfilter", "LINE_OPTIONS"),
            ("example.com##.banner", "LINE_IS_PART"),
            ("example.com#@#.banner", "LINE_IS_PART"),
            ("example.com$$script", "LINE_IS_PART"),
            ("||example.com/advert^", "LINE_IS_PART"),
            ("||example.com/advert.js$all", "LINE_IS_PART"),
            ("*://*.example.com/shop*", "LINE_IS_PART"),
        ] {
            assert_eq!(read(&domains, line), Some(Err(code)), "{line:?}");
        }
        let urls = LinesOptions::of(IdentifierKind::Url);
        assert_eq!(read(&urls, "@@https://a.example/b"), Some(Err("LINE_IS_EXCEPTION")));
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
