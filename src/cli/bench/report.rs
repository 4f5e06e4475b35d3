//! What was measured, beside what limits it and what was to be reached.

use serde::Serialize;

use crate::cli::output::{Show, facts, table};

/// Median, lowest and highest of some runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Spread {
    /// Of at least one value.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        let (middle, last) = (values.len() / 2, values.len().saturating_sub(1));
        let median = if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.saturating_sub(1)), at(middle)) };
        Self { median, low: at(0), high: at(last) }
    }

    pub(super) fn one(value: f64) -> Self {
        Self { median: value, low: value, high: value }
    }
}

/// What is to be reached, by the ratio to the limit where there is one, else by the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

/// What a figure is compared with.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Limit {
    /// What it is.
    pub(super) of: &'static str,
    pub(super) value: Spread,
    /// Ours divided by it, run by run.
    pub(super) ratio: Spread,
}

/// One line of the result. Its JSON fields are part of the interface.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figure {
    pub(super) operation: &'static str,
    /// Signals stored when it was measured.
    pub(super) signals: u64,
    /// Feeds that they lie in.
    pub(super) feeds: usize,
    pub(super) unit: &'static str,
    pub(super) ours: Spread,
    pub(super) limit: Option<Limit>,
    pub(super) goal: Option<Goal>,
    /// Whether the median reaches the goal.
    pub(super) met: Option<bool>,
}

impl Figure {
    pub(super) fn new(operation: &'static str, unit: &'static str, ours: Spread) -> Self {
        Self { operation, signals: 0, feeds: 0, unit, ours, limit: None, goal: None, met: None }
    }

    /// Beside `of`, whose values were measured in turn with ours.
    pub(super) fn beside(operation: &'static str, unit: &'static str, of: &'static str, pairs: &[(f64, f64)]) -> Self {
        let limit = Limit {
            of,
            value: Spread::of(pairs.iter().map(|(_, limit)| *limit)),
            ratio: Spread::of(pairs.iter().map(|(ours, limit)| ours / limit)),
        };
        Self { limit: Some(limit), ..Self::new(operation, unit, Spread::of(pairs.iter().map(|(ours, _)| *ours))) }
    }

    pub(super) fn goal(mut self, goal: Goal) -> Self {
        let judged = self.limit.as_ref().map_or(self.ours.median, |limit| limit.ratio.median);
        self.met = Some(goal.is_met(judged));
        self.goal = Some(goal);
        self
    }

    fn row(&self) -> Vec<String> {
        let limit = self.limit.as_ref();
        let ratio = limit.map(|l| format!("{:.2} ({:.2}-{:.2})", l.ratio.median, l.ratio.low, l.ratio.high));
        let goal = self.goal.map(|goal| match goal {
            Goal::AtLeast(bound) => format!(">= {}", number(bound)),
            Goal::AtMost(bound) => format!("<= {}", number(bound)),
        });
        vec![
            self.operation.to_owned(),
            number(self.signals as f64),
            self.feeds.to_string(),
            format!("{} {}", number(self.ours.median), self.unit),
            limit.map(|limit| format!("{} ({})", number(limit.value.median), limit.of)).unwrap_or_default(),
            ratio.unwrap_or_default(),
            goal.unwrap_or_default(),
            self.met.map(|met| if met { "reached" } else { "short" }.to_owned()).unwrap_or_default(),
        ]
    }
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// What it ran on.
    pub(super) machine: Machine,
    /// What the population came to, beside what it is drawn from.
    pub(super) population: Vec<Share>,
    pub(super) figures: Vec<Figure>,
}

/// The machine, as the operating system describes it.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_bytes: u64,
    pub(super) version: &'static str,
    pub(super) optimised: bool,
}

/// A share of the population.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Share {
    pub(super) of: String,
    pub(super) target: f64,
    pub(super) realised: f64,
}

impl Show for Report {
    fn table(&self) -> String {
        let machine = facts([
            ("processor", format!("{}, {} cores", self.machine.processor, self.machine.cores)),
            ("memory", format!("{} bytes", number(self.machine.memory_bytes as f64))),
            ("version", self.machine.version.to_owned()),
        ]);
        let shares = self.population.iter();
        let shares = shares.map(|s| vec![s.of.clone(), format!("{:.3}", s.target), format!("{:.3}", s.realised)]);
        let population = table(&["population", "target", "realised"], shares);
        let head = ["operation", "signals", "feeds", "ours", "limit", "ratio", "goal", ""];
        let figures = table(&head, self.figures.iter().map(Figure::row));
        let warning =
            if self.machine.optimised { "" } else { "\nThis program was built without optimisation: nothing here counts.\n" };
        format!("{machine}\n{population}\n{figures}{warning}")
    }
}

/// Whole above a hundred, with thousands apart; three digits below.
pub(super) fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_between_its_ends() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, low: 1.0, high: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]), Spread { median: 2.5, low: 1.0, high: 4.0 });
        assert_eq!(Spread::of([7.0]), Spread::one(7.0));
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        let all = [(1_234_567.2, "1,234,567"), (999.6, "1,000"), (100.0, "100"), (0.805, "0.81"), (4.0, "4"), (0.0, "0")];
        for (value, text) in all {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_goal_is_judged_by_the_ratio_where_there_is_one() {
        let pairs = [(80.0, 100.0), (90.0, 100.0), (70.0, 100.0)];
        let figure = |goal| Figure::beside("calls", "a second", "nothing", &pairs).goal(goal);
        assert_eq!(figure(Goal::AtLeast(0.8)).met, Some(true));
        assert_eq!(figure(Goal::AtLeast(0.81)).met, Some(false));
        assert_eq!(figure(Goal::AtMost(0.8)).met, Some(true));
        assert_eq!(Figure::new("disk", "bytes", Spread::one(5.0)).goal(Goal::AtMost(4.0)).met, Some(false));
    }
}
