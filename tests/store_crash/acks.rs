//! What a child tried and what was acknowledged to it, line by line in a file that the shim leaves alone.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use countermark::domain::Seq;
use countermark::store::CheckReference;

/// What stands before a line on the child's output.
pub const ECHO: &str = "acknowledged: ";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A submission is about to be handed in.
    Try {
        audience: String,
        n: u64,
    },
    Signal {
        audience: String,
        n: u64,
        seq: Seq,
    },
    Retracted {
        audience: String,
        signal: Seq,
    },
    Erased {
        audience: String,
        signal: Seq,
    },
    Check {
        n: u64,
        reference: CheckReference,
    },
    Imported {
        size: Seq,
    },
    Roster {
        n: u64,
    },
    /// The feed that is forked is quarantined.
    Forked,
    /// The own feed that is behind is marked.
    Behind,
    /// The clock is about to be moved on so far that the checks before this line are no longer kept.
    Expire,
    /// The load is at a point that the parent waits for.
    At(String),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Try { audience, n } => writeln!(f, "try {audience} {n}"),
            Self::Signal { audience, n, seq } => writeln!(f, "signal {audience} {n} {seq}"),
            Self::Retracted { audience, signal } => writeln!(f, "retracted {audience} {signal}"),
            Self::Erased { audience, signal } => writeln!(f, "erased {audience} {signal}"),
            Self::Check { n, reference } => writeln!(f, "check {n} {reference}"),
            Self::Imported { size } => writeln!(f, "imported {size}"),
            Self::Roster { n } => writeln!(f, "roster {n}"),
            Self::Forked => writeln!(f, "forked"),
            Self::Behind => writeln!(f, "behind"),
            Self::Expire => writeln!(f, "expire"),
            Self::At(point) => writeln!(f, "at {point}"),
        }
    }
}

fn number<T: FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a number")
}

impl Line {
    fn parse(line: &str) -> Self {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["try", audience, n] => Self::Try { audience: audience.to_owned(), n: number(n) },
            ["signal", audience, n, seq] => {
                Self::Signal { audience: audience.to_owned(), n: number(n), seq: Seq::new(number(seq)) }
            }
            ["retracted", audience, signal] => {
                Self::Retracted { audience: audience.to_owned(), signal: Seq::new(number(signal)) }
            }
            ["erased", audience, signal] => Self::Erased { audience: audience.to_owned(), signal: Seq::new(number(signal)) },
            ["check", n, reference] => Self::Check { n: number(n), reference: reference.parse().expect("a reference") },
            ["imported", size] => Self::Imported { size: Seq::new(number(size)) },
            ["roster", n] => Self::Roster { n: number(n) },
            ["forked"] => Self::Forked,
            ["behind"] => Self::Behind,
            ["expire"] => Self::Expire,
            ["at", point] => Self::At(point.to_owned()),
            _ => panic!("no acknowledgement: {line}"),
        }
    }
}

pub struct Acks(File);

impl Acks {
    pub fn open(path: &Path) -> Self {
        // A kill may have cut the last line; what follows starts on a new one.
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the acknowledgements");
        let whole = fs::read(path).expect("the acknowledgements");
        if whole.last().is_some_and(|byte| *byte != b'\n') {
            file.write_all(b" cut\n").expect("an acknowledgement");
        }
        Self(file)
    }

    pub fn write(&self, lines: &[Line]) {
        let text: String = lines.iter().map(Line::to_string).collect();
        (&self.0).write_all(text.as_bytes()).expect("an acknowledgement");
        if let Some(last) = lines.last() {
            print!("{ECHO}{last}");
        }
    }
}

/// Every whole line.
pub fn read(path: &Path) -> Vec<Line> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).filter(|line| !line.ends_with(" cut"));
    whole.map(Line::parse).collect()
}
