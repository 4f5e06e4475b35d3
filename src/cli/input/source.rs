//! Where rows come from: a file, standard input, either of them compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::{InputError, MAX_RECORD_BYTES};

/// First bytes of a gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The UTF-8 byte order mark that some spreadsheets write.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// An opened input: text, decompressed where it has to be, without its byte order mark.
pub struct Source {
    reader: Box<dyn BufRead + Send>,
    lines: u64,
}

/// What [`Source::append_line`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line, appended without its end.
    Line,
    /// A line that did not fit; it was passed over and the buffer holds a part of it.
    TooLong,
    /// The end of the input.
    End,
}

impl Source {
    /// Opens a file, or standard input for `-`. Compression is told by the first bytes and not by the name.
    ///
    /// # Errors
    /// [`InputError::Open`].
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let opened = if path == Path::new("-") { Self::new(io::stdin()) } else { File::open(path).and_then(Self::new) };
        opened.map_err(|source| InputError::Open { path: path.to_owned(), source })
    }

    /// An input that is read from `reader`.
    ///
    /// # Errors
    /// What reading the first bytes ends in.
    pub fn new(reader: impl Read + Send + 'static) -> io::Result<Self> {
        let (head, reader) = peek(reader)?;
        let text: Box<dyn Read + Send> =
            if head.starts_with(&GZIP_MAGIC) { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
        let (head, mut text) = peek(text)?;
        if head == BYTE_ORDER_MARK {
            text.read_exact(&mut [0; BYTE_ORDER_MARK.len()])?;
        }
        Ok(Self { reader: Box::new(BufReader::with_capacity(64 * 1_024, text)), lines: 0 })
    }

    /// Lines read so far; one that is not ended by a line feed counts too.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Appends the next line to `buffer`, without its line feed or carriage return and line feed. `buffer` never grows
    /// above [`MAX_RECORD_BYTES`].
    pub(super) fn append_line(&mut self, buffer: &mut Vec<u8>) -> io::Result<Next> {
        let start = buffer.len();
        let (mut seen, mut fits) = (false, true);
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if chunk.is_empty() && !seen {
                return Ok(Next::End);
            }
            let end = chunk.iter().position(|b| *b == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            fits = fits && buffer.len() + part.len() <= MAX_RECORD_BYTES;
            if fits {
                buffer.extend_from_slice(part);
            }
            let last = end.is_some() || chunk.is_empty();
            let consumed = part.len() + usize::from(end.is_some());
            self.reader.consume(consumed);
            seen = true;
            if last {
                break;
            }
        }
        self.lines += 1;
        if buffer.len() > start && buffer.ends_with(b"\r") {
            buffer.pop();
        }
        Ok(if fits { Next::Line } else { Next::TooLong })
    }
}

/// The first bytes of `reader`, as many as a mark can have, and a reader that starts with them.
fn peek<R: Read>(mut reader: R) -> io::Result<(Vec<u8>, impl Read)> {
    let mut head = Vec::new();
    reader.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(reader)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("in memory");
        encoder.finish().expect("in memory")
    }

    fn lines(bytes: Vec<u8>) -> io::Result<Vec<String>> {
        let mut source = Source::new(Cursor::new(bytes))?;
        let mut out = Vec::new();
        loop {
            let mut line = Vec::new();
            match source.append_line(&mut line)? {
                Next::Line => out.push(String::from_utf8(line).expect("text")),
                Next::TooLong => out.push("too long".into()),
                Next::End => return Ok(out),
            }
        }
    }

    #[test]
    fn lines_end_in_any_usual_way() {
        for (text, expected) in [
            ("", vec![]),
            ("\n", vec![""]),
            ("a", vec!["a"]),
            ("a\r\nb\n\nc", vec!["a", "b", "", "c"]),
            ("\u{feff}a\n\u{feff}b", vec!["a", "\u{feff}b"]),
            ("\r\r\n", vec!["\r"]),
        ] {
            assert_eq!(lines(text.into()).expect("readable"), expected, "{text:?}");
        }
    }

    #[test]
    fn gzip_is_told_by_its_bytes_and_may_have_several_members() {
        let bytes = [gzip("\u{feff}a\nb".as_bytes()), gzip(b"c\n"), gzip(b""), gzip(b"d\n")].concat();
        assert_eq!(lines(bytes).expect("readable"), ["a", "bc", "d"]);
    }

    #[test]
    fn a_cut_off_gzip_file_is_an_error_and_not_a_short_file() {
        let mut bytes = gzip("line\n".repeat(10_000).as_bytes());
        bytes.truncate(bytes.len() - 4);
        assert_eq!(lines(bytes).expect_err("cut off").kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_line_beyond_the_bound_is_passed_over() {
        let fits = "x".repeat(MAX_RECORD_BYTES);
        let text = format!("a\n{fits}\n{fits}y\nb");
        assert_eq!(lines(text.into()).expect("readable"), ["a", fits.as_str(), "too long", "b"]);
    }
}
