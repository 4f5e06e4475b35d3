use proptest::prelude::*;

use super::*;
use crate::domain::{IdentifierKind, RetractionReason, SignalStatus};
use crate::feed::fixtures::{any, bare_statement, full_statement};

fn after(change: impl FnOnce(&mut wire::Statement)) -> Result<Statement, FieldError> {
    let mut message = statement_to_wire(&full_statement());
    change(&mut message);
    statement_from_wire(message)
}

fn refused(change: impl FnOnce(&mut wire::Statement)) -> (&'static str, String) {
    let error = after(change).expect_err("refused");
    (error.code, error.field)
}

/// The texts of the domain in the spelling of the proto: `phone` is `IDENTIFIER_KIND_PHONE`.
macro_rules! same_words {
    ($name:ident, $prefix:literal) => {
        let mut numbers: Vec<i32> = $name::ALL.iter().map(|word| word.number()).collect();
        for word in $name::ALL {
            let generated = wire::$name::try_from(word.number()).expect("a number of the proto");
            assert_eq!(generated.as_str_name(), format!("{}_{}", $prefix, word.as_str().to_uppercase()));
        }
        // The domain lacks none: the numbers are dense, and the next one is not in the proto.
        numbers.sort_unstable();
        let next = i32::try_from(numbers.len()).expect("few") + 1;
        assert_eq!(numbers, (1..next).collect::<Vec<_>>());
        assert!(wire::$name::try_from(next).is_err(), "{} {next}", $prefix);
        assert_eq!(wire::$name::try_from(0).map(|zero| zero.as_str_name()), Ok(concat!($prefix, "_UNSPECIFIED")));
    };
}

#[test]
fn the_words_of_the_domain_are_those_of_the_proto() {
    same_words!(IdentifierKind, "IDENTIFIER_KIND");
    same_words!(Infringement, "INFRINGEMENT");
    same_words!(EvidenceKind, "EVIDENCE_KIND");
    same_words!(EvidenceGrade, "EVIDENCE_GRADE");
    same_words!(Action, "ACTION");
    same_words!(RetractionReason, "RETRACTION_REASON");
    same_words!(SignalStatus, "SIGNAL_STATUS");
}

#[test]
fn what_is_not_stated_stays_so() {
    for statement in [bare_statement(), full_statement()] {
        assert_eq!(statement_from_wire(statement_to_wire(&statement)), Ok(statement));
    }
}

#[test]
fn zero_and_unknown_numbers_are_refused() {
    for number in [0, -1, 99, i32::MIN] {
        assert_eq!(refused(|s| s.infringement = number), ("INFRINGEMENT_UNKNOWN", "infringement".into()));
        assert_eq!(refused(|s| s.evidence[1].kind = number), ("EVIDENCE_UNKNOWN", "evidence[1].kind".into()));
        assert_eq!(refused(|s| s.actions[1] = number), ("ACTION_UNKNOWN", "actions[1]".into()));
    }
    assert_eq!(refused(|s| s.evidence[1].grade = 4), ("EVIDENCE_GRADE_UNKNOWN", "evidence[1].grade".into()));
}

#[test]
fn a_grade_that_is_not_given_is_the_usual_one() {
    let statement = after(|s| s.evidence[1].grade = 0).expect("valid");
    assert_eq!(statement.evidence[1].grade, EvidenceKind::TestPurchase.usual_grade());
}

#[test]
fn texts_without_a_meaning_are_refused_where_they_stand() {
    let sighting = |s: &mut wire::Statement, platform: &str, region: &str| {
        s.sighting = Some(wire::Sighting { platform: platform.into(), region: region.into() });
    };
    assert_eq!(refused(|s| sighting(s, "Market!", "")), ("PLATFORM_INVALID", "sighting.platform".into()));
    assert_eq!(refused(|s| sighting(s, "", "CN-XX")), ("REGION_UNKNOWN", "sighting.region".into()));
    assert_eq!(refused(|s| sighting(s, "", "")), ("SIGHTING_EMPTY", "sighting".into()));
    assert_eq!(refused(|s| s.observed_on = "2026-02-30".into()), ("DATE_INVALID", "observed_on".into()));
    assert_eq!(refused(|s| s.acted_on = "20260201".into()), ("DATE_INVALID", "acted_on".into()));
    assert_eq!(refused(|s| s.retention_days = 65_536), ("RETENTION_OUT_OF_RANGE", "retention_days".into()));
    assert_eq!(
        refused(|s| s.evidence[0].sha256 = vec![bytes::Bytes::from_static(b"short")]),
        ("DIGEST_INVALID", "evidence[0].sha256[0]".into())
    );
}

#[test]
fn a_change_says_what_was_handed_in() {
    let change = wire::Change { acted_on: "2026-11-02".into(), actions: vec![1], ..Default::default() };
    let read = change_from_wire(change.clone()).expect("valid");
    assert_eq!((change_to_wire(&read), read.acted_on), (change, Some(jiff::civil::date(2026, 11, 2))));
    let error = change_from_wire(wire::Change { actions: vec![99], ..Default::default() }).expect_err("refused");
    assert_eq!((error.code, error.field.as_str()), ("ACTION_UNKNOWN", "actions[0]"));
}

#[test]
fn goods_are_named_and_valued_with_standards() {
    let product = |s: &mut wire::Statement, class, gtin: &str| s.product = Some(wire::Product { class, gtin: gtin.into() });
    let hs = |chapter| Some(wire::product::Class::HsChapter(chapter));
    assert_eq!(refused(|s| product(s, hs(77), "")), ("HS_CHAPTER_UNKNOWN", "product.hs_chapter".into()));
    let nice = Some(wire::product::Class::NiceClass(46));
    assert_eq!(refused(|s| product(s, nice, "")), ("NICE_CLASS_UNKNOWN", "product.nice_class".into()));
    assert_eq!(refused(|s| product(s, None, "4006381333932")), ("GTIN_INVALID", "product.gtin".into()));
    assert_eq!(refused(|s| product(s, None, "")), ("PRODUCT_EMPTY", "product".into()));
    let value = |s: &mut wire::Statement, amount_minor, currency: &str, count| {
        s.goods_value = Some(wire::GoodsValue { amount_minor, currency: currency.into(), count, ..Default::default() });
    };
    assert_eq!(refused(|s| value(s, 1, "", 0)), ("CURRENCY_UNKNOWN", "goods_value.currency".into()));
    assert_eq!(refused(|s| value(s, 1, "RMB", 0)), ("CURRENCY_UNKNOWN", "goods_value.currency".into()));
    assert_eq!(refused(|s| value(s, -1, "CNY", 0)), ("AMOUNT_INVALID", "goods_value.amount_minor".into()));
    assert_eq!(refused(|s| value(s, 0, "CNY", 5)), ("AMOUNT_INVALID", "goods_value.amount_minor".into()));
    assert_eq!(refused(|s| value(s, 0, "", 0)), ("GOODS_VALUE_EMPTY", "goods_value".into()));
    let counted = GoodsValue { amount: None, count: Some(5), reference: None, state: None };
    assert_eq!(after(|s| value(s, 0, "", 5)).expect("valid").goods_value, Some(counted));
    let known_by = |s: &mut wire::Statement, reference: &str| {
        s.goods_value = Some(wire::GoodsValue { reference: reference.into(), ..Default::default() });
    };
    let known = after(|s| known_by(s, "HUANGPU 2026/1189")).expect("valid").goods_value.expect("stated");
    assert_eq!(known.reference.as_deref(), Some("HUANGPU 2026/1189"));
    assert_eq!(refused(|s| known_by(s, "a\nb")), ("TEXT_INVALID", "goods_value.reference".into()));
    let in_state = |s: &mut wire::Statement, state: i32| {
        s.goods_value = Some(wire::GoodsValue { count: 1, state, ..Default::default() });
    };
    let sold = after(|s| in_state(s, 1)).expect("valid").goods_value.expect("stated");
    assert_eq!(sold.state, Some(crate::domain::GoodsState::Sold));
    assert_eq!(refused(|s| in_state(s, 9)), ("GOODS_STATE_UNKNOWN", "goods_value.state".into()));
}

proptest! {
    #[test]
    fn statements_survive_the_wire(statement in any::statement()) {
        prop_assert!(statement.validate(Date::MAX).is_ok());
        prop_assert_eq!(statement_from_wire(statement_to_wire(&statement)), Ok(statement));
    }
}
