use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::domain::limits::MAX_ENTRY_BYTES;
use crate::domain::limits::{MAX_ACTIVE_KEYS, MAX_IDENTIFIERS};
use crate::domain::{
    Action, Amendment, AnswerStep, CaseTag, Change, Decision, Dispute, DisputeGround, DisputeOutcome, Erasure, ErasureReason,
    GoodsState, GoodsValue, LeadId, Marker, MarkerKind, MarkerLift, MarkerReason, Opinion, Product, ProductClass, Referral,
    ReferralStage, Rekeying, Retraction, RetractionReason, Sentence, Seq, Sha256Digest, Sighting, SignalRef, Stance,
};
use crate::feed::fixtures::{any, bare_statement, content, entry, signal_entry};

const SALT: [u8; SALT_BYTES] = [0x33; SALT_BYTES];

fn retraction_entry() -> Entry {
    entry(Body::Retraction(Retraction { signal: Seq::new(300), reason: RetractionReason::NoInfringement }))
}

fn marker() -> Body {
    let content = content();
    Body::Marker(Marker {
        kind: MarkerKind::Victim,
        kinds: content.kinds,
        pseudonyms: content.pseudonyms,
        reason: MarkerReason::StolenLicence,
        digests: vec![Sha256Digest([3; 32])],
        valid_days: Some(30),
    })
}

fn referral() -> Body {
    Body::Referral(Referral {
        lead: LeadId([4; 16]),
        stage: ReferralStage::Referred,
        signals: vec!["acme/all/7".parse().expect("valid")],
        region: Some("CN-GD".parse().expect("valid")),
        authority: Some("Police of Shenzhen".into()),
        sentence: None,
        happened_on: Some(jiff::civil::date(2026, 11, 2)),
        goods_value: Some(GoodsValue {
            amount: Some((5_000_000, "CNY".parse().expect("valid"))),
            count: None,
            reference: None,
            state: None,
        }),
    })
}

fn rekeying() -> Rekeying {
    let pseudonyms = content().pseudonyms;
    Rekeying { signal: Seq::new(300), tag: Some(SubmissionTag([0x5b; 16])), pseudonyms }
}

/// One of each, those with a golden test of their own first.
fn bodies() -> Vec<Body> {
    let signal = || "acme/all/7".parse::<SignalRef>().expect("valid");
    let evidence = vec![crate::domain::Evidence::of(crate::domain::EvidenceKind::TestPurchase)];
    let change = Change {
        evidence: evidence.clone(),
        actions: vec![Action::StoreClosed],
        goods_value: Some(GoodsValue {
            amount: None,
            count: Some(2),
            reference: Some("seizure 7".into()),
            state: Some(GoodsState::Unsold),
        }),
        acted_on: Some(jiff::civil::date(2026, 11, 1)),
        step: Some(AnswerStep::SellerNotified),
        outcome: Some(ReferralStage::Accepted),
    };
    let digests = vec![Sha256Digest([2; 32])];
    let dispute = Dispute { signals: vec![signal()], ground: DisputeGround::Licensed, digests, reference: CaseTag([1; 16]) };
    let decision = |outcome| {
        let signals = vec![Seq::new(7), Seq::new(300)];
        Body::Decision(Decision { dispute: signal(), outcome, signals, reference: CaseTag([1; 16]) })
    };
    vec![
        signal_entry().body,
        retraction_entry().body,
        Body::Amendment(Amendment { signal: Seq::new(300), change }),
        Body::Dispute(dispute),
        decision(DisputeOutcome::Upheld),
        decision(DisputeOutcome::Refuted),
        Body::Opinion(Opinion { signal: signal(), stance: Stance::Agree(evidence) }),
        Body::Opinion(Opinion { signal: signal(), stance: Stance::Disagree(DisputeGround::NoRight) }),
        marker(),
        Body::MarkerLift(MarkerLift { marker: Seq::new(300) }),
        Body::Erasure(Erasure { entries: vec![Seq::new(1), Seq::new(300)], tags: vec![], reason: ErasureReason::Request }),
        referral(),
        Body::Rekeying(rekeying()),
    ]
}

/// Body by body, without the head that all entries share.
const GOLDEN_BODIES: &[&str] = &[
    "322f08ac02122a0a04080210021201041a0f180222097365697a75726520372802220a323032362d31312d303128013002",
    concat!(
        "3a420a0a61636d652f616c6c2f3710021a20020202020202020202020202020202020202020202020202020202020202020222100101",
        "0101010101010101010101010101",
    ),
    "42250a0a61636d652f616c6c2f3710011a0307ac02221001010101010101010101010101010101",
    "42250a0a61636d652f616c6c2f3710021a0307ac02221001010101010101010101010101010101",
    "4a140a0a61636d652f616c6c2f3710011a0408021002",
    "4a100a0a61636d652f616c6c2f3710022005",
    concat!(
        "52c0010801120201041a480a026b31122010101010101010101010101010101010101010101010101010101010101010101220111111",
        "11111111111111111111111111111111111111111111111111111111111a480a026b3212202020202020202020202020202020202020",
        "2020202020202020202020202020201220212121212121212121212121212121212121212121212121212121212121212120012a2003",
        "03030303030303030303030303030303030303030303030303030303030303301e",
    ),
    "5a0308ac02",
    "62070a0301ac021002",
    concat!(
        "6a530a100404040404040404040404040404040410011a0a61636d652f616c6c2f372205434e2d47442a12506f6c696365206f662053",
        "68656e7a68656e3a0a323032362d31312d3032420a08c096b1021203434e59",
    ),
    concat!(
        "72a90108ac0212105b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b1a480a026b3112201010101010101010101010101010101010101010101010",
        "101010101010101010122011111111111111111111111111111111111111111111111111111111111111111a480a026b32122020202020",
        "20202020202020202020202020202020202020202020202020202020122021212121212121212121212121212121212121212121212121",
        "21212121212121",
    ),
];

fn of_bytes(bytes: Vec<u8>) -> EntryBytes {
    EntryBytes::from_peer(bytes.into()).expect("within bounds")
}

fn signal_message() -> wire::Entry {
    let bytes = encode(&signal_entry(), SALT).expect("valid");
    wire::Entry::decode(bytes.bytes().clone()).expect("a message")
}

/// What is drawn from the entry after a change to its message.
fn after(change: impl FnOnce(&mut wire::Entry)) -> Result<Entry, NotUnderstood> {
    let mut message = signal_message();
    change(&mut message);
    decode(&of_bytes(message.encode_to_vec()))
}

fn after_signal(change: impl FnOnce(&mut wire::Signal)) -> Result<Entry, NotUnderstood> {
    after(|message| match &mut message.body {
        Some(wire::entry::Body::Signal(signal)) => change(signal),
        other => panic!("a signal, not {other:?}"),
    })
}

fn out_of_bounds_at(result: Result<Entry, NotUnderstood>) -> String {
    match result {
        Err(NotUnderstood::OutOfBounds(field)) => field.field,
        other => panic!("out of bounds, not {other:?}"),
    }
}

/// `bytes` with the message field `number` appended.
fn with_field(bytes: &[u8], number: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).expect("a short field");
    [bytes, &[number << 3 | 2, length], value].concat()
}

/// Head, signal, a set of pseudonyms for each key, then the statement field by field.
const GOLDEN_SIGNAL: &str = concat!(
    "080112103333333333333333333333333333333318fbc8e2e1c133",
    "22ca020a105a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a12020104",
    "1a480a026b311220101010101010101010101010101010101010101010101010101010101010101012201111111111111111111111111111111111111111111111111111111111111111",
    "1a480a026b321220202020202020202020202020202020202020202020202020202020202020202012202121212121212121212121212121212121212121212121212121212121212121",
    "229d010801",
    "12104578616d706c6520486f6c64696e6773",
    "1a084578c3a46d706c65",
    "220408011002",
    "2226080210031a20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "2a020104",
    "320f0a066d61726b65741205434e2d4744",
    "3a11082a1a0d34303036333831333333393331",
    "420c08d0a54c1203434e5918f403",
    "4a0a323032362d30312d3330",
    "520a323032362d30322d3031",
    "58ed02",
);

#[test]
fn the_bytes_of_a_retraction_never_change() {
    let bytes = encode(&retraction_entry(), SALT).expect("valid");
    assert_eq!(hex::encode(bytes.as_slice()), "080112103333333333333333333333333333333318fbc8e2e1c1332a0508ac021002");
}

#[test]
fn the_bytes_of_a_signal_never_change() {
    let bytes = encode(&signal_entry(), SALT).expect("valid");
    assert_eq!(hex::encode(bytes.as_slice()), GOLDEN_SIGNAL);
}

#[test]
fn every_body_reads_back() {
    for body in bodies() {
        let entry = entry(body);
        assert_eq!(decode(&encode(&entry, SALT).expect("valid")), Ok(entry));
    }
}

#[test]
fn the_bytes_of_the_other_bodies_never_change() {
    let body = |body| hex::encode(&encode(&entry(body), SALT).expect("valid").as_slice()[27..]);
    let bytes: Vec<String> = bodies().into_iter().skip(2).map(body).collect();
    assert_eq!(bytes, GOLDEN_BODIES);
}

#[test]
fn what_clears_a_seller_is_read_whatever_else_stands_in_it() {
    for body in bodies() {
        let clears = match &body {
            Body::Retraction(_) | Body::Dispute(_) | Body::Erasure(_) | Body::Marker(_) => true,
            Body::Decision(decision) => decision.outcome == DisputeOutcome::Refuted,
            Body::Opinion(opinion) => matches!(opinion.stance, Stance::Disagree(_)),
            _ => false,
        };
        let bytes = encode(&entry(body.clone()), SALT).expect("valid");
        let later = decode(&of_bytes(with_field(bytes.as_slice(), 15, b"later")));
        let expected = if clears { Ok(entry(body)) } else { Err(NotUnderstood::NotCanonical) };
        assert_eq!(later, expected);
    }
}

#[test]
fn a_victims_marker_holds_for_the_kinds_that_are_known() {
    let Body::Marker(marker) = marker() else { panic!("a marker") };
    let bytes = encode(&entry(Body::Marker(marker.clone())), SALT).expect("valid");
    let mut message = wire::Entry::decode(bytes.bytes().clone()).expect("a message");
    let Some(wire::entry::Body::Marker(newer)) = &mut message.body else { panic!("a marker") };
    (newer.kinds[0], newer.reason) = (99, 99);
    let mut known = marker;
    known.kinds.remove(0);
    for set in &mut known.pseudonyms {
        set.pseudonyms.remove(0);
    }
    known.reason = MarkerReason::Other;
    assert_eq!(decode(&of_bytes(message.encode_to_vec())), Ok(entry(Body::Marker(known))));
    let Some(wire::entry::Body::Marker(newer)) = &mut message.body else { panic!("a marker") };
    newer.kind = MarkerKind::KnownGood.number();
    assert!(decode(&of_bytes(message.encode_to_vec())).is_err(), "a word for a seller is read as it was given, or not at all");
}

#[test]
fn what_is_said_of_others_is_of_one_audience_and_bounded() {
    let signal = |text: &str| text.parse::<SignalRef>().expect("valid");
    let dispute = |signals: Vec<SignalRef>| {
        Body::Dispute(Dispute { signals, ground: DisputeGround::Other, digests: vec![], reference: CaseTag([1; 16]) })
    };
    let decision = |outcome, signals: Vec<Seq>| {
        Body::Decision(Decision { dispute: signal("acme/all/9"), outcome, signals, reference: CaseTag([1; 16]) })
    };
    let refused = |body: Body| {
        let error = encode(&entry(body.clone()), SALT).map(|_| ()).expect_err("refused");
        assert_eq!(error.code(), "ENTRY_OUT_OF_BOUNDS", "{body:?}");
    };
    refused(dispute(vec![]));
    refused(dispute(vec![signal("acme/all/1"), signal("acme/all/1")]));
    refused(dispute(vec![signal("acme/all/1"), signal("acme/luxury/1")]));
    refused(dispute((0..65).map(|n| signal(&format!("acme/all/{n}"))).collect()));
    refused(decision(DisputeOutcome::Upheld, vec![]));
    refused(decision(DisputeOutcome::TakenBack, vec![Seq::ZERO]));
    refused(Body::Amendment(Amendment { signal: Seq::ZERO, change: Change::default() }));
    refused(Body::Opinion(Opinion { signal: signal("acme/all/1"), stance: Stance::Agree(vec![]) }));
    refused(Body::Erasure(Erasure { entries: vec![], tags: vec![], reason: ErasureReason::Other }));
    refused(Body::Erasure(Erasure { entries: vec![Seq::new(2), Seq::new(1)], tags: vec![], reason: ErasureReason::Other }));
    let Body::Marker(marker) = marker() else { return };
    refused(Body::Marker(Marker { kinds: vec![], ..marker }));
    let Body::Referral(referral) = referral() else { return };
    refused(Body::Referral(Referral { stage: ReferralStage::Accepted, ..referral.clone() }));
    refused(Body::Referral(Referral { sentence: Some(Sentence::Fine), ..referral }));
    // As long as names can be.
    let long = format!("{}/{}/", "m".repeat(40), "g".repeat(40));
    let fits = encode(&entry(dispute((0..64).map(|n| signal(&format!("{long}{}", u64::MAX - n))).collect())), SALT);
    assert!(fits.expect("fits").as_slice().len() < MAX_ENTRY_BYTES);
}

#[test]
fn the_largest_signals_are_refused_before_they_are_signed() {
    let mut large = content();
    large.kinds = vec![IdentifierKind::Phone; MAX_IDENTIFIERS];
    let set = |n: usize| PseudonymSet {
        key: format!("key-{n}").parse().expect("valid"),
        pseudonyms: vec![Pseudonym([0; 32]); MAX_IDENTIFIERS],
    };
    large.pseudonyms = (0..MAX_ACTIVE_KEYS).map(set).collect();
    large.statement = bare_statement();
    let of =
        |content: &SignalContent| encode(&entry(Body::Signal { tag: SubmissionTag([0; 16]), content: content.clone() }), SALT);
    let fits = of(&large).expect("every identifier under every key fits").as_slice().len();
    assert!(fits < MAX_ENTRY_BYTES, "{fits}");
    let digests = vec![crate::domain::Sha256Digest([1; 32]); 8];
    let evidence = crate::domain::Evidence { digests, ..large.statement.evidence[0].clone() };
    large.statement.evidence = vec![evidence; 16];
    assert_eq!(of(&large).expect_err("refused").code(), "ENTRY_TOO_LARGE");
}

#[test]
fn an_entry_that_nobody_would_understand_is_not_written() {
    let mut bad = content();
    bad.pseudonyms[0].pseudonyms.pop();
    let bad = entry(Body::Signal { tag: SubmissionTag([0; 16]), content: bad });
    assert_eq!(encode(&bad, SALT).expect_err("refused").code(), "ENTRY_OUT_OF_BOUNDS");
    let refused = |change: &dyn Fn(&mut SignalContent)| {
        let mut bad = content();
        change(&mut bad);
        let entry = entry(Body::Signal { tag: SubmissionTag([0; 16]), content: bad });
        encode(&entry, SALT).expect_err("refused").code() == "ENTRY_OUT_OF_BOUNDS"
    };
    let key = |n: usize| format!("key-{n}").parse().expect("valid");
    assert!(refused(&|c| c.kinds.clear()));
    assert!(refused(&|c| c.kinds = vec![IdentifierKind::Phone; MAX_IDENTIFIERS + 1]));
    assert!(refused(&|c| c.pseudonyms.clear()));
    assert!(refused(
        &|c| c.pseudonyms = (0..=MAX_ACTIVE_KEYS).map(|n| PseudonymSet { key: key(n), ..c.pseudonyms[0].clone() }).collect()
    ));
    assert!(refused(&|c| c.pseudonyms.push(c.pseudonyms[0].clone())));
    let empty = |text: &str| Some(text.to_owned());
    assert!(refused(&|c| c.statement.brand = empty("")));
    assert!(refused(&|c| c.statement.rights_holder = empty(" x")));
    assert!(refused(&|c| c.statement.sighting = Some(Sighting { platform: None, region: None })));
    assert!(refused(&|c| c.statement.product = Some(Product { class: None, gtin: None })));
    assert!(refused(&|c| c.statement.product = Some(Product { class: Some(ProductClass::HsChapter(77)), gtin: None })));
    assert!(refused(&|c| c.statement.product = Some(Product { class: Some(ProductClass::Nice(0)), gtin: None })));
    assert!(refused(
        &|c| c.statement.goods_value = Some(GoodsValue { amount: None, count: None, reference: None, state: None })
    ));
    assert!(refused(
        &|c| c.statement.goods_value = Some(GoodsValue { amount: None, count: Some(0), reference: None, state: None })
    ));
    let none = Some((0, "EUR".parse().expect("valid")));
    assert!(refused(
        &|c| c.statement.goods_value = Some(GoodsValue { amount: none, count: Some(1), reference: None, state: None })
    ));
    assert!(refused(&|c| c.statement.retention_days = Some(0)));
    assert!(refused(&|c| c.statement.actions = vec![Action::StoreClosed; 2]));
    let before_1970 = Entry { recorded_at: Timestamp::from_unix_ms(-1), ..retraction_entry() };
    assert_eq!(encode(&before_1970, SALT).expect_err("refused").code(), "ENTRY_OUT_OF_BOUNDS");
}

#[test]
fn another_format_is_not_understood_whatever_follows() {
    assert_eq!(after(|m| m.format = 0), Err(NotUnderstood::UnknownFormat { format: 0 }));
    assert_eq!(after(|m| m.format = 2), Err(NotUnderstood::UnknownFormat { format: 2 }));
    // In a later layout field 4 may be a number.
    assert_eq!(decode(&of_bytes(vec![0x08, 2, 0x20, 1])), Err(NotUnderstood::UnknownFormat { format: 2 }));
}

#[test]
fn a_body_of_a_later_version_is_not_understood() {
    assert_eq!(after(|m| m.body = None), Err(NotUnderstood::UnknownBody));
    let mut message = signal_message();
    message.body = None;
    let later = with_field(&message.encode_to_vec(), 15, b"\x08\x01");
    assert_eq!(decode(&of_bytes(later)), Err(NotUnderstood::UnknownBody));
}

#[test]
fn two_bodies_are_never_one_of_them() {
    let signal = encode(&signal_entry(), SALT).expect("valid");
    for number in [5, 7, 8, 12, 15] {
        let two = with_field(signal.as_slice(), number, b"\x10\x02");
        assert_eq!(decode(&of_bytes(two)), Err(NotUnderstood::NotCanonical), "field {number}");
    }
    let rekeyed = with_field(signal.as_slice(), 14, b"\x08\x02");
    assert_eq!(decode(&of_bytes(rekeyed)), Err(NotUnderstood::NotCanonical), "not even a signal with its own rekeying");
}

#[test]
fn every_bound_of_a_rekeying_holds() {
    let bytes = encode(&entry(Body::Rekeying(rekeying())), SALT).expect("valid");
    let at = |change: &dyn Fn(&mut wire::Rekeying)| {
        let mut message = wire::Entry::decode(bytes.bytes().clone()).expect("a message");
        let Some(wire::entry::Body::Rekeying(rekeying)) = &mut message.body else { panic!("a rekeying") };
        change(rekeying);
        out_of_bounds_at(decode(&of_bytes(message.encode_to_vec())))
    };
    assert_eq!(at(&|r| r.submission_tag = Bytes::from_static(&[0; 15])), "rekeying.submission_tag");
    assert_eq!(at(&|r| r.pseudonyms.clear()), "rekeying.pseudonyms");
    assert_eq!(at(&|r| r.pseudonyms = vec![r.pseudonyms[0].clone(); 5]), "rekeying.pseudonyms");
    assert_eq!(at(&|r| r.pseudonyms[1].key_id = "k1".into()), "rekeying.pseudonyms[1].key_id");
    assert_eq!(at(&|r| r.pseudonyms[1].key_id = "K1".into()), "rekeying.pseudonyms[1].key_id");
    assert_eq!(at(&|r| r.pseudonyms[1].pseudonyms.truncate(1)), "rekeying.pseudonyms[1].pseudonyms");
    assert_eq!(at(&|r| r.pseudonyms[0].pseudonyms[1] = Bytes::from_static(&[0; 31])), "rekeying.pseudonyms[0].pseudonyms[1]");
    assert_eq!(at(&|r| r.pseudonyms.iter_mut().for_each(|set| set.pseudonyms.clear())), "rekeying.pseudonyms");
    let pseudonym = Bytes::from_static(&[0; 32]);
    assert_eq!(
        at(&|r| r.pseudonyms.iter_mut().for_each(|set| set.pseudonyms = vec![pseudonym.clone(); 33])),
        "rekeying.pseudonyms"
    );
    // The most that there can be.
    let set = |n: usize| PseudonymSet {
        key: format!("{}{n}", "k".repeat(39)).parse().expect("valid"),
        pseudonyms: vec![Pseudonym([0; 32]); MAX_IDENTIFIERS],
    };
    let most = Rekeying { signal: Seq::new(u64::MAX), pseudonyms: (0..MAX_ACTIVE_KEYS).map(set).collect(), ..rekeying() };
    assert!(encode(&entry(Body::Rekeying(most)), SALT).expect("fits").as_slice().len() < MAX_ENTRY_BYTES);
    let untagged = entry(Body::Rekeying(Rekeying { tag: None, ..rekeying() }));
    assert_eq!(decode(&encode(&untagged, SALT).expect("valid")), Ok(untagged));
}

#[test]
fn a_field_that_this_version_does_not_know_is_not_skipped() {
    let bytes = encode(&signal_entry(), SALT).expect("valid");
    let outer = with_field(bytes.as_slice(), 15, b"later");
    assert_eq!(decode(&of_bytes(outer)), Err(NotUnderstood::NotCanonical));
}

#[test]
fn a_retraction_withdraws_whatever_else_stands_in_it() {
    let bytes = encode(&retraction_entry(), SALT).expect("valid");
    let outer = with_field(bytes.as_slice(), 15, b"later");
    assert_eq!(decode(&of_bytes(outer)), Ok(retraction_entry()));
    // The retraction is the last field: its length byte and content can grow.
    let body = bytes.as_slice().iter().rposition(|b| *b == 0x2a).expect("field 5");
    let mut inner = bytes.as_slice().to_vec();
    inner[body + 1] += 2;
    inner.extend([0x18, 1]);
    assert_eq!(decode(&of_bytes(inner)), Ok(retraction_entry()));
}

#[test]
fn an_entry_has_one_encoding() {
    let bytes = encode(&signal_entry(), SALT).expect("valid");
    let (format, rest) = bytes.as_slice().split_at(2);
    let not_canonical = [
        [rest, format].concat(),                    // fields out of order
        [format, bytes.as_slice()].concat(),        // a field twice
        [&[0x08, 0x81, 0x00], rest].concat(),       // an overlong number
        [bytes.as_slice(), &[0x18, 0x00]].concat(), // a default written out
    ];
    for bytes in not_canonical {
        assert_eq!(decode(&of_bytes(bytes.clone())), Err(NotUnderstood::NotCanonical), "{}", hex::encode(&bytes));
    }
}

#[test]
fn what_follows_the_message_is_refused() {
    let bytes = encode(&signal_entry(), SALT).expect("valid");
    for garbage in [&[0x00][..], &[0xff], &[0x07], b"garbage"] {
        let long = [bytes.as_slice(), garbage].concat();
        assert!(decode(&of_bytes(long)).is_err(), "{garbage:?}");
    }
    for length in 1..bytes.as_slice().len() {
        assert!(decode(&of_bytes(bytes.as_slice()[..length].to_vec())).is_err(), "{length}");
    }
}

#[test]
fn every_bound_of_a_signal_holds() {
    let at = |change: &dyn Fn(&mut wire::Signal)| out_of_bounds_at(after_signal(|s| change(s)));
    assert_eq!(out_of_bounds_at(after(|m| m.salt = Bytes::from_static(&[0; 15]))), "salt");
    assert_eq!(out_of_bounds_at(after(|m| m.recorded_at_ms = -1)), "recorded_at_ms");
    assert_eq!(out_of_bounds_at(after(|m| m.recorded_at_ms = i64::MAX)), "recorded_at_ms");
    assert_eq!(at(&|s| s.submission_tag = Bytes::new()), "signal.submission_tag");
    assert_eq!(at(&|s| s.kinds.clear()), "signal.kinds");
    assert_eq!(at(&|s| s.kinds = vec![1; 33]), "signal.kinds");
    assert_eq!(at(&|s| s.kinds[1] = 0), "signal.kinds[1]");
    assert_eq!(at(&|s| s.kinds[1] = 99), "signal.kinds[1]");
    assert_eq!(at(&|s| s.pseudonyms.clear()), "signal.pseudonyms");
    assert_eq!(at(&|s| s.pseudonyms = vec![s.pseudonyms[0].clone(); 5]), "signal.pseudonyms");
    assert_eq!(at(&|s| s.pseudonyms[1].key_id = "k1".into()), "signal.pseudonyms[1].key_id");
    assert_eq!(at(&|s| s.pseudonyms[1].key_id = "K1".into()), "signal.pseudonyms[1].key_id");
    assert_eq!(at(&|s| s.pseudonyms[1].pseudonyms.truncate(1)), "signal.pseudonyms[1].pseudonyms");
    assert_eq!(at(&|s| s.pseudonyms[0].pseudonyms[1] = Bytes::from_static(&[0; 31])), "signal.pseudonyms[0].pseudonyms[1]");
    assert_eq!(at(&|s| s.statement = None), "signal.statement");
    let statement = |change: &dyn Fn(&mut wire::Statement)| {
        out_of_bounds_at(after_signal(|s| change(s.statement.as_mut().expect("a statement"))))
    };
    assert_eq!(statement(&|s| s.evidence[0].kind = 0), "signal.statement.evidence[0].kind");
    assert_eq!(statement(&|s| s.evidence.clear()), "signal.statement.evidence");
    assert_eq!(statement(&|s| s.actions = vec![1, 1]), "signal.statement.actions");
}

#[test]
fn a_reason_that_is_not_known_is_another_reason() {
    let with = |reason| {
        let retraction = wire::Retraction { signal_seq: 1, reason };
        after(|m| m.body = Some(wire::entry::Body::Retraction(retraction)))
    };
    let reads_as = |reason| Ok(Body::Retraction(Retraction { signal: Seq::new(1), reason }));
    for unknown in [0, 99] {
        assert_eq!(with(unknown).map(|entry| entry.body), reads_as(RetractionReason::Other));
    }
    assert_eq!(with(1).map(|entry| entry.body), reads_as(RetractionReason::MistakenIdentity));
}

#[test]
fn what_an_entry_means_hangs_on_no_table() {
    let with = |change: &dyn Fn(&mut wire::Statement)| after_signal(|s| change(s.statement.as_mut().expect("a statement")));
    // Neither a country, nor a currency, nor a grade that this version would take of a submitter.
    assert!(with(&|s| s.sighting.as_mut().expect("a sighting").region = "XY-ZZ9".into()).is_ok());
    assert!(with(&|s| s.goods_value.as_mut().expect("a value").currency = "XYZ".into()).is_ok());
    assert!(with(&|s| s.evidence[0].grade = 3).is_ok());
    let at = |change| out_of_bounds_at(with(change));
    assert_eq!(at(&|s| s.evidence[0].grade = 0), "signal.statement.evidence[0].grade");
    assert_eq!(at(&|s| s.sighting.as_mut().expect("a sighting").region = "xy".into()), "signal.statement.sighting.region");
    assert_eq!(
        at(&|s| s.goods_value.as_mut().expect("a value").currency = "XY1".into()),
        "signal.statement.goods_value.currency"
    );
}

#[test]
fn a_day_that_lay_in_the_future_when_it_was_written_is_read() {
    let far = after_signal(|s| s.statement.as_mut().expect("a statement").observed_on = "9999-12-31".into());
    assert!(far.is_ok());
}

proptest! {
    #[test]
    fn what_is_written_reads_back(entry in any::entry(), salt in proptest::prelude::any::<[u8; SALT_BYTES]>()) {
        let bytes = encode(&entry, salt).expect("valid");
        prop_assert_eq!(decode(&bytes), Ok(entry));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(proptest::prelude::any::<u8>(), 1..400)) {
        let entry = of_bytes(bytes);
        if let Err(reason) = decode(&entry) {
            prop_assert!(reason.code().starts_with("ENTRY_"));
        }
    }

    /// Damage is either not understood or, being canonical, an entry that encodes to those very bytes.
    #[test]
    fn no_damage_makes_it_panic(at in proptest::prelude::any::<prop::sample::Index>(), byte in proptest::prelude::any::<u8>()) {
        let mut bytes = encode(&signal_entry(), SALT).expect("valid").as_slice().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let damaged = of_bytes(bytes.clone());
        if let Ok(entry) = decode(&damaged) {
            let salt = wire::Entry::decode(damaged.bytes().clone()).expect("a message").salt;
            let salt = salt.as_ref().try_into().expect("16 bytes");
            let again = encode(&entry, salt).expect("valid");
            prop_assert_eq!(again.as_slice(), bytes);
        }
    }
}

#[test]
fn what_is_left_out_of_a_body_stays_so() {
    let signal = || "acme/all/7".parse::<SignalRef>().expect("valid");
    let Body::Marker(marker) = marker() else { panic!("a marker") };
    let change = Change { acted_on: Some(jiff::civil::date(2026, 11, 1)), ..Change::default() };
    let tags = vec![None, Some(SubmissionTag([0x5c; 16]))];
    let named = Erasure { entries: vec![Seq::new(1), Seq::new(300)], tags, reason: ErasureReason::Request };
    for body in [
        Body::Opinion(Opinion { signal: signal(), stance: Stance::None }),
        Body::Marker(Marker { valid_days: None, ..marker.clone() }),
        Body::Marker(Marker { valid_days: Some(1), ..marker }),
        Body::Amendment(Amendment { signal: Seq::new(300), change }),
        Body::Erasure(named.clone()),
    ] {
        let written = encode(&entry(body.clone()), SALT).expect("valid");
        assert_eq!(decode(&written).map(|read| read.body), Ok(body));
    }
    // Tags that do not fit take nothing from what is erased.
    let short = wire::Erasure {
        seqs: vec![1, 300],
        reason: ErasureReason::Request.number(),
        submission_tags: vec![Bytes::from_static(&[0x5c; 16])],
    };
    let read = after(|message| message.body = Some(wire::entry::Body::Erasure(short)));
    assert_eq!(read.map(|read| read.body), Ok(Body::Erasure(Erasure { tags: vec![], ..named })));
}

#[test]
fn an_opinion_has_what_goes_with_its_stance() {
    use crate::feed::stance_from_wire;
    let given = || vec![wire::Evidence { kind: 1, ..Default::default() }];
    let refused = |stance: wire::Stance, evidence, reason| {
        let error = stance_from_wire(stance.into(), evidence, reason).expect_err("refused");
        (error.code, error.field)
    };
    let ground = DisputeGround::Licensed.number();
    assert!(stance_from_wire(wire::Stance::Agree.into(), given(), 0).is_ok());
    assert_eq!(stance_from_wire(wire::Stance::Disagree.into(), vec![], ground), Ok(Stance::Disagree(DisputeGround::Licensed)));
    for stance in [wire::Stance::Disagree, wire::Stance::None] {
        assert_eq!(refused(stance, given(), 0), ("EVIDENCE_COUNT", "evidence".into()));
    }
    for stance in [wire::Stance::Agree, wire::Stance::None] {
        assert_eq!(refused(stance, vec![], ground), ("DISPUTE_GROUND_UNFIT", "reason".into()));
    }
}

#[test]
fn in_an_entry_there_is_no_usual_grade() {
    let evidence = || vec![wire::Evidence { kind: 1, ..Default::default() }];
    let opinion = wire::Opinion {
        signal: "acme/all/7".into(),
        stance: wire::Stance::Agree.into(),
        evidence: evidence(),
        ..Default::default()
    };
    let change = wire::Change { evidence: evidence(), ..Default::default() };
    let amendment = wire::Amendment { signal_seq: 300, change: Some(change) };
    for body in [wire::entry::Body::Opinion(opinion), wire::entry::Body::Amendment(amendment)] {
        let place = out_of_bounds_at(after(|message| message.body = Some(body)));
        assert!(place.ends_with("evidence[0].grade"), "{place}");
    }
}

#[test]
fn a_better_grade_than_its_kind_can_have_is_read_once_it_is_written() {
    let evidence = crate::domain::Evidence {
        grade: crate::domain::EvidenceGrade::Conclusive,
        ..crate::domain::Evidence::of(crate::domain::EvidenceKind::ConsumerComplaint)
    };
    let signal = "acme/all/7".parse().expect("valid");
    let body = Body::Opinion(Opinion { signal, stance: Stance::Agree(vec![evidence]) });
    assert!(encode(&entry(body), SALT).is_ok());
}

#[test]
fn the_first_instant_is_one_and_names_are_refused_where_they_stand() {
    assert_eq!(after(|message| message.recorded_at_ms = 0).map(|read| read.recorded_at.unix_ms()), Ok(0));
    assert_eq!(out_of_bounds_at(after(|message| message.recorded_at_ms = -1)), "recorded_at_ms");
    let opinion = wire::Opinion { signal: "acme".into(), stance: wire::Stance::None.into(), ..Default::default() };
    assert_eq!(out_of_bounds_at(after(|message| message.body = Some(wire::entry::Body::Opinion(opinion)))), "opinion.signal");
    let decision = wire::Decision {
        dispute: "acme".into(),
        outcome: DisputeOutcome::Upheld.number(),
        signal_seqs: vec![7],
        reference: Bytes::from_static(&[1; 16]),
    };
    assert_eq!(
        out_of_bounds_at(after(|message| message.body = Some(wire::entry::Body::Decision(decision)))),
        "decision.dispute"
    );
    let derived = |message: &mut wire::Signal| {
        let statement = message.statement.as_mut().expect("stated");
        statement.derived_from = vec!["acme/all/7".into(), "acme".into()];
    };
    assert!(out_of_bounds_at(after_signal(derived)).ends_with("derived_from[1]"));
    // Whatever a type leaves open has one code.
    let lasting = after_signal(|message| message.kinds.clear()).map(drop).map_err(|error| match error {
        NotUnderstood::OutOfBounds(field) => field.code,
        other => panic!("out of bounds, not {other:?}"),
    });
    assert_eq!(lasting, Err("ENTRY_OUT_OF_BOUNDS"));
}
