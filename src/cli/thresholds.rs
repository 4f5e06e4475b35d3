//! Thresholds as they are given in a file, and how goods measure up to them.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::goods::money;
use super::output::{counted, plain};
use crate::alliance::folder::read_public;
use crate::domain::{GoodsState, Region, Threshold, Thresholds};
use crate::rpc::proto;

/// Bytes of a file of rules: 64 of them, each with a page of comments.
const MAX_FILE_BYTES: u64 = 256 * 1_024;

/// What goods are measured by.
#[derive(Args)]
pub(super) struct ThresholdArguments {
    /// File of the rules that goods are measured by; config/thresholds.toml of the source is an example that a lawyer must check.
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
}

impl ThresholdArguments {
    /// The rules; none where no file is given.
    pub(super) fn rules(&self) -> Result<Vec<proto::Threshold>, Failure> {
        self.thresholds.as_deref().map_or_else(|| Ok(Vec::new()), read)
    }
}

fn read(path: &Path) -> Result<Vec<proto::Threshold>, Failure> {
    let text = read_public(path, MAX_FILE_BYTES)?;
    let invalid = |error: &str| {
        let failure = Failure::new("THRESHOLDS_INVALID", format!("{} has no thresholds: {error}", path.display()));
        failure.advise("put that right; config/thresholds.toml of the source shows the form")
    };
    let thresholds: Thresholds = toml::from_str(&text).map_err(|error| invalid(&error.to_string()))?;
    thresholds.validate().map_err(|error| invalid(&error.to_string()))?;
    if thresholds.rules.is_empty() {
        return Err(invalid("there is no [[threshold]] in it"));
    }
    Ok(thresholds.rules.into_iter().map(message).collect())
}

fn message(rule: Threshold) -> proto::Threshold {
    proto::Threshold {
        name: rule.name,
        region: rule.region.as_ref().map(Region::to_string).unwrap_or_default(),
        infringements: rule.infringements.iter().map(|infringement| infringement.number()).collect(),
        state: rule.state.map_or(0, GoodsState::number),
        marks: rule.marks.into(),
        currency: rule.currency.to_string(),
        amount: rule.amount,
    }
}

/// How goods measure up to one rule. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    threshold: String,
    pub(super) met: bool,
    total_minor: i64,
    needed_minor: i64,
    currency: String,
    marks: u32,
    needed_marks: u32,
}

impl From<proto::MeasuredThreshold> for Measured {
    fn from(measured: proto::MeasuredThreshold) -> Self {
        let proto::MeasuredThreshold { name, met, total_minor, needed_minor, currency, marks, needed_marks } = measured;
        Self { threshold: name, met, total_minor, needed_minor, currency, marks, needed_marks }
    }
}

impl Measured {
    /// A line about it.
    pub(super) fn line(&self) -> String {
        let (total, needed) = (money(self.total_minor, &self.currency), money(self.needed_minor, &self.currency));
        let marks = if self.needed_marks > 1 {
            format!(", {} of {}", self.marks, counted(self.needed_marks.into(), "brand"))
        } else {
            String::new()
        };
        let met = if self.met { "met" } else { "not met" };
        plain(&format!("threshold {met}: {} ({total} of {needed}{marks})", self.threshold)) + "\n"
    }
}
