//! What the goods of several signals come to together, each piece of goods counted once.
//!
//! Signals are about the same goods when they name one reference of goods or a digest of one piece of evidence, or when one was
//! derived from the other; of what they state the highest value counts. That errs on the low side where one document is evidence
//! of several hauls, as a sum that a prosecutor relies on should. Disputed signals and parallel imports, which are no
//! counterfeits, are left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use petgraph::unionfind::UnionFind;

use super::record::SignalRecord;
use crate::domain::{Currency, GoodsValue, Infringement, Rates, Sha256Digest, SignalRef, SignalStatus, Threshold};

/// What goods come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodsTotal {
    /// The currency of `total_minor`.
    pub currency: Currency,
    /// All that a rate is known for, in minor units.
    pub total_minor: i64,
    /// The same goods as members stated them, in minor units of each currency.
    pub stated: BTreeMap<Currency, i64>,
    /// Currencies of `stated` that the policy has no rate for on a day that is needed: these amounts are not in the total.
    pub without_rate: BTreeSet<Currency>,
    /// Goods that are told apart and have an amount.
    pub goods: usize,
    /// Signals whose goods another signal states too.
    pub repeated: usize,
    /// Signals that state no amount.
    pub unvalued: usize,
    /// Signals that are left out: disputed, or of parallel imports.
    pub left_out: usize,
}

/// By what goods are known again.
#[derive(PartialEq, Eq, Hash)]
enum Sign<'a> {
    Reference(String),
    Evidence(&'a Sha256Digest),
    Signal(&'a SignalRef),
}

/// An amount that a signal states.
struct Stated {
    amount: (i64, Currency),
    /// In the currency of the total.
    worth: Option<i64>,
}

impl GoodsTotal {
    pub(super) fn nothing(currency: Currency) -> Self {
        let (stated, without_rate) = (BTreeMap::new(), BTreeSet::new());
        Self { currency, total_minor: 0, stated, without_rate, goods: 0, repeated: 0, unvalued: 0, left_out: 0 }
    }

    /// What the goods of these signals come to by these rates, each of the day on which the infringement was observed, or the
    /// member acted, or at last the signal was recorded.
    pub(super) fn of(records: &[&SignalRecord], rates: &Rates, currency: Currency) -> Self {
        let mut total = Self::nothing(currency);
        let (counted, left_out): (Vec<&SignalRecord>, Vec<&SignalRecord>) =
            records.iter().copied().partition(|record| counts(record));
        total.left_out = left_out.len();
        // The highest of what each set of signals about the same goods states.
        let mut highest: BTreeMap<usize, Stated> = BTreeMap::new();
        for (record, goods) in counted.iter().zip(same_goods(&counted)) {
            let Some(stated) = stated(record, rates, currency) else {
                total.unvalued += 1;
                continue;
            };
            let rank = |stated: &Stated| (stated.worth, stated.amount);
            match highest.get_mut(&goods) {
                Some(known) => {
                    total.repeated += 1;
                    if rank(&stated) > rank(known) {
                        *known = stated;
                    }
                }
                None => drop(highest.insert(goods, stated)),
            }
        }
        total.goods = highest.len();
        for Stated { amount: (minor, currency), worth } in highest.into_values() {
            let sum = total.stated.entry(currency).or_default();
            *sum = sum.saturating_add(minor);
            match worth {
                Some(worth) => total.total_minor = total.total_minor.saturating_add(worth),
                None => drop(total.without_rate.insert(currency)),
            }
        }
        total
    }
}

/// How goods measure up to a threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The rule.
    pub rule: Threshold,
    /// What the goods that fit it come to, in minor units of its currency.
    pub total_minor: i64,
    /// Different brands that they carry.
    pub marks: usize,
    /// Whether it is met.
    pub met: bool,
}

impl Measured {
    pub(super) fn of(records: &[&SignalRecord], rule: &Threshold, rates: &Rates) -> Self {
        let fitting: Vec<&SignalRecord> =
            records.iter().copied().filter(|record| counts(record) && fits(record, rule)).collect();
        let total_minor = GoodsTotal::of(&fitting, rates, rule.currency).total_minor;
        let brands = fitting.iter().filter_map(|record| letters(record.statement().brand.as_deref()?));
        let marks = brands.collect::<BTreeSet<String>>().len();
        let is_enough = rule.minor().is_ok_and(|needed| total_minor >= needed);
        let met = is_enough && !fitting.is_empty() && (rule.marks <= 1 || marks >= usize::from(rule.marks));
        Self { rule: rule.clone(), total_minor, marks, met }
    }
}

fn fits(record: &SignalRecord, rule: &Threshold) -> bool {
    let statement = record.statement();
    let seen_in = statement.sighting.as_ref().and_then(|sighting| sighting.region.as_ref());
    let state = statement.goods_value.as_ref().and_then(|value| value.state);
    rule.region.as_ref().is_none_or(|region| seen_in.is_some_and(|seen| seen.is_in(region)))
        && (rule.infringements.is_empty() || rule.infringements.contains(&statement.infringement))
        && (rule.state.is_none() || rule.state == state)
}

fn counts(record: &SignalRecord) -> bool {
    record.status.is_live()
        && record.status != SignalStatus::Disputed
        && record.statement().infringement != Infringement::ParallelImport
}

fn stated(record: &SignalRecord, rates: &Rates, currency: Currency) -> Option<Stated> {
    let statement = record.statement();
    let (minor, of) = statement.goods_value.as_ref()?.amount?;
    let day = statement.observed_on.or(statement.acted_on).unwrap_or_else(|| record.recorded_at.date());
    Some(Stated { amount: (minor, of), worth: rates.convert(minor, of, currency, day) })
}

/// For each signal a number that those about the same goods have in common.
fn same_goods(records: &[&SignalRecord]) -> Vec<usize> {
    let mut sets = UnionFind::new(records.len());
    let mut first: HashMap<Sign<'_>, usize> = HashMap::new();
    for (place, record) in records.iter().enumerate() {
        let statement = record.statement();
        let evidence = statement.evidence.iter().flat_map(|evidence| &evidence.digests).map(Sign::Evidence);
        let signals = std::iter::once(&record.signal).chain(&statement.derived_from).map(Sign::Signal);
        let reference = statement.goods_value.as_ref().and_then(reference).map(Sign::Reference);
        for sign in evidence.chain(signals).chain(reference) {
            sets.union(place, *first.entry(sign).or_insert(place));
        }
    }
    sets.into_labeling()
}

fn reference(value: &GoodsValue) -> Option<String> {
    letters(value.reference.as_deref()?)
}

/// The letters and digits of a text, so that blanks, dashes and case make no difference.
fn letters(text: &str) -> Option<String> {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    Some(letters.flat_map(char::to_uppercase).collect()).filter(|text: &String| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Evidence, EvidenceGrade, EvidenceKind, GoodsState, Sighting, SignalContent, Statement, Timestamp};

    fn code(code: &str) -> Currency {
        code.parse().expect("listed")
    }

    fn rates() -> Rates {
        toml::from_str("[from.2026-01-01]\nUSD = \"7\"\n").expect("rates")
    }

    /// A signal of goods worth that, and by what they are known.
    fn signal(name: &str, amount: Option<(i64, &str)>, reference: &str, digests: &[u8]) -> SignalRecord {
        let amount = amount.map(|(minor, of)| (minor, code(of)));
        let reference = Some(reference.to_owned()).filter(|text| !text.is_empty());
        let digests = digests.iter().map(|byte| Sha256Digest([*byte; 32])).collect();
        let evidence = Evidence { kind: EvidenceKind::TestPurchase, grade: EvidenceGrade::Substantial, digests };
        let statement = Statement {
            goods_value: Some(GoodsValue { amount, count: Some(1), reference, state: None }),
            observed_on: Some("2026-03-01".parse().expect("a day")),
            ..Statement::of(Infringement::TrademarkCounterfeit, vec![evidence])
        };
        SignalRecord {
            signal: name.parse().expect("a name"),
            status: SignalStatus::Alleged,
            recorded_at: Timestamp::from_unix_ms(0),
            content: SignalContent { kinds: Vec::new(), pseudonyms: Vec::new(), statement },
            rekeyed: Vec::new(),
            retraction: None,
            life: None,
        }
    }

    fn total(records: &[SignalRecord]) -> GoodsTotal {
        GoodsTotal::of(&records.iter().collect::<Vec<_>>(), &rates(), Currency::CNY)
    }

    #[test]
    fn goods_that_several_members_state_count_once_at_the_highest_value() {
        let mut derived = signal("third/all/0", Some((900, "CNY")), "", &[]);
        derived.content.statement.derived_from = vec!["acme/all/0".parse().expect("a name")];
        let records = [
            signal("acme/all/0", Some((1_000, "CNY")), "HP 2026-1189", &[1]),
            signal("globex/all/0", Some((200, "USD")), "hp2026/1189", &[2]),
            // By a piece of evidence the same as the second, and so as the first.
            signal("market/all/0", Some((1_300, "CNY")), "", &[2, 3]),
            derived,
            signal("market/all/1", Some((50, "CNY")), "", &[4]),
            signal("market/all/2", None, "", &[]),
        ];
        let expected = GoodsTotal {
            total_minor: 1_450,
            stated: [(Currency::CNY, 50), (code("USD"), 200)].into(),
            goods: 2,
            repeated: 3,
            unvalued: 1,
            ..GoodsTotal::nothing(Currency::CNY)
        };
        assert_eq!(total(&records), expected);
        // Whatever their order.
        let mut turned = records.to_vec();
        for _ in 0..turned.len() {
            turned.rotate_left(1);
            assert_eq!(total(&turned), expected);
        }
    }

    #[test]
    fn disputed_signals_and_parallel_imports_are_no_counterfeit_goods() {
        let mut records = [1, 2, 3].map(|byte| signal(&format!("acme/all/{byte}"), Some((100, "CNY")), "", &[byte]));
        records[0].status = SignalStatus::Disputed;
        records[1].content.statement.infringement = Infringement::ParallelImport;
        let total = total(&records);
        assert_eq!((total.total_minor, total.goods, total.left_out), (100, 1, 2));
    }

    #[test]
    fn a_threshold_measures_the_goods_that_fit_it_and_no_others() {
        let seen = |name: &str, region: &str, brand: &str, state, minor| {
            let mut record = signal(name, Some((minor, "CNY")), name, &[]);
            let statement = &mut record.content.statement;
            statement.sighting = Some(Sighting { platform: None, region: region.parse().ok() });
            statement.brand = Some(brand.to_owned());
            statement.evidence.clear();
            statement.goods_value.as_mut().expect("stated").state = state;
            record
        };
        let mut records = vec![
            seen("acme/all/0", "CN-GD", "Acme", Some(GoodsState::Sold), 3_000_000),
            seen("acme/all/1", "CN", "A C M E", Some(GoodsState::Unsold), 2_000_000),
            seen("acme/all/2", "DE", "Other", Some(GoodsState::Sold), 9_000_000),
        ];
        let rule = |more: &str| -> Threshold {
            toml::from_str(&format!("name = \"a\"\nregion = \"CN\"\ncurrency = \"CNY\"\n{more}")).expect("a rule")
        };
        let measure = |records: &[SignalRecord], more: &str| {
            let measured = Measured::of(&records.iter().collect::<Vec<_>>(), &rule(more), &rates());
            (measured.total_minor, measured.marks, measured.met)
        };
        assert_eq!(measure(&records, "amount = 50000"), (5_000_000, 1, true), "to the cent");
        assert_eq!(measure(&records, "amount = 50001"), (5_000_000, 1, false));
        assert_eq!(measure(&records, "amount = 30000\nmarks = 2"), (5_000_000, 1, false), "one brand, however it is written");
        assert_eq!(measure(&records, "amount = 30000\nstate = \"sold\""), (3_000_000, 1, true));
        assert_eq!(measure(&records, "amount = 1\ninfringements = [\"design\"]"), (0, 0, false));
        assert_eq!(measure(&records, "amount = 0\nstate = \"sold\"\nmarks = 1"), (3_000_000, 1, true));
        records[0].status = SignalStatus::Disputed;
        records[1].content.statement.infringement = Infringement::ParallelImport;
        assert_eq!(measure(&records, "amount = 0"), (0, 0, false), "nothing is left that counts");
    }

    #[test]
    fn an_amount_without_a_rate_is_named_and_in_no_total() {
        let records = [signal("acme/all/0", Some((100, "CNY")), "", &[]), signal("acme/all/1", Some((7, "EUR")), "", &[])];
        let total = total(&records);
        assert_eq!((total.total_minor, total.goods), (100, 2));
        assert_eq!((total.stated[&code("EUR")], total.without_rate), (7, [code("EUR")].into()));
    }

    #[test]
    fn sums_beyond_all_measure_stay_at_the_highest() {
        let records = [0, 1].map(|byte| signal(&format!("acme/all/{byte}"), Some((i64::MAX, "CNY")), "", &[byte]));
        assert_eq!(total(&records).total_minor, i64::MAX);
    }
}
