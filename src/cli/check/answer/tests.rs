use serde_json::Value as Json;

use super::*;
use crate::rpc::proto::{self, FeedFreshness, GoodsValue, Product, Sighting, Statement, product};

/// 2026-11-22T00:00:00Z.
const NOW_MS: i64 = 1_795_305_600_000;

fn feed(member: &str, change: impl FnOnce(&mut FeedFreshness)) -> FeedFreshness {
    let mut feed = FeedFreshness {
        member: member.into(),
        audience: "all".into(),
        size: 10,
        newest_size: 10,
        last_heard_ms: NOW_MS - 4_000,
        state: proto::FeedState::Followed as i32,
        live_signals: 9,
        not_understood: 0,
        missing: 0,
    };
    change(&mut feed);
    feed
}

fn freshness(feeds: Vec<FeedFreshness>) -> Freshness {
    Freshness { as_of_ms: NOW_MS, feeds }
}

fn signal(member: &str, brand: &str, matched: &[(u32, i32, proto::Strength)]) -> SignalMatch {
    SignalMatch {
        signal: format!("{member}/all/7"),
        member: member.into(),
        status: 1,
        recorded_at_ms: NOW_MS - 86_400_000,
        statement: Some(Statement {
            infringement: 1,
            brand: brand.into(),
            evidence: vec![proto::Evidence { kind: 2, grade: 2, sha256: vec![vec![0xab; 32].into()] }],
            actions: vec![1, 4],
            sighting: Some(Sighting { platform: "taobao".into(), region: "CN-GD".into() }),
            product: Some(Product { class: Some(product::Class::HsChapter(42)), gtin: String::new() }),
            goods_value: Some(GoodsValue {
                amount_minor: 123_450,
                currency: "CNY".into(),
                count: 12,
                reference: String::new(),
                state: 1,
            }),
            observed_on: "2026-11-01".into(),
            ..Statement::default()
        }),
        matched: matched
            .iter()
            .map(|(index, kind, strength)| MatchedIdentifier { index: *index, kind: *kind, strength: *strength as i32 })
            .collect(),
        quarantined: false,
        counts: true,
    }
}

fn alleged() -> Answer {
    let strong = proto::Strength::Strong;
    let mut weak = signal("globex", "", &[(3, 11, proto::Strength::Weak)]);
    weak.counts = false;
    let answer = CheckAnswer {
        reference: "chk_1".into(),
        checked_at_ms: NOW_MS,
        verdict: 2,
        members_elsewhere: 1,
        elsewhere: vec![signal("acme", "Ac\u{1b}me", &[(0, 2, strong), (2, 4, strong)]), weak],
        own: vec![signal("market", "Acme", &[(1, 4, strong)])],
        matches_omitted: 0,
        own_omitted: 0,
        reference_error: String::new(),
        watch: String::new(),
        watch_error: String::new(),
        reasons: vec![proto::Reason::AllegedByMember.into()],
        score: 50,
        markers: vec![],
        overrides: vec![],
    };
    let feeds = vec![
        feed("acme", |_| {}),
        feed("globex", |f| {
            f.newest_size = 14;
            f.last_heard_ms = NOW_MS - 3_600_000;
        }),
        feed("initech", |f| f.state = proto::FeedState::Quarantined as i32),
        feed("market", |f| f.last_heard_ms = NOW_MS),
        feed("umbrella", |f| f.last_heard_ms = 0),
    ];
    Answer::of(answer, freshness(feeds), &[2, 4, 4, 11], false)
}

#[test]
fn an_answer_that_a_person_understands() {
    let expected = "\
ALLEGED: 1 other member and your own flag this seller, without conclusive evidence
reference      chk_1 (kept for 365 days)
checked at     2026-11-22T00:00:00Z
because        a member alleges it
asked          domain, phone, phone, legal_name

acme, alleged: trademark_counterfeit of Ac me
  signal       acme/all/7
  matched by   domain (strong), phone 2 (strong)
  evidence     test_purchase (substantial)
  actions      listing_removed, store_closed
  seen         taobao, CN-GD, observed 2026-11-01

globex, alleged, does not count: trademark_counterfeit
  signal       globex/all/7
  matched by   legal_name (weak)
  evidence     test_purchase (substantial)
  actions      listing_removed, store_closed
  seen         taobao, CN-GD, observed 2026-11-01

your own, alleged: trademark_counterfeit of Acme
  signal       market/all/7
  matched by   phone 1 (strong)
  evidence     test_purchase (substantial)
  actions      listing_removed, store_closed
  seen         taobao, CN-GD, observed 2026-11-01

rests on 5 feeds, of which 3 not current:
FEED          ENTRIES  BEHIND  LIVE  LAST HEARD  NOTICE
globex/all    10       4       9     60 min ago  behind, silent
initech/all   10       0       9     4 s ago     quarantined
umbrella/all  10       0       9     never       never heard
";
    assert_eq!(alleged().table(), expected);
}

#[test]
fn an_answer_for_a_program() {
    let json = serde_json::to_value(alleged()).expect("JSON");
    assert_eq!(json["verdict"], "alleged");
    assert_eq!(json["asked"], serde_json::json!(["domain", "phone", "phone", "legal_name"]));
    let keys: Vec<&String> = json.as_object().expect("object").keys().collect();
    assert_eq!(
        keys,
        [
            "asked",
            "checked_at",
            "elsewhere",
            "freshness",
            "markers",
            "matches_omitted",
            "members_elsewhere",
            "overrides",
            "own",
            "reasons",
            "reference",
            "reference_error",
            "score",
            "verdict",
            "watch",
            "watch_error"
        ]
    );
    let expected = serde_json::json!({
        "signal": "market/all/7", "member": "market", "status": "alleged", "recorded_at": "2026-11-21T00:00:00Z",
        "counts": true, "quarantined": false, "matched": [{"index": 1, "kind": "phone", "strength": "strong"}],
        "infringement": "trademark_counterfeit", "rights_holder": "", "brand": "Acme",
        "evidence": [{"kind": "test_purchase", "grade": "substantial", "sha256": ["ab".repeat(32)]}],
        "actions": ["listing_removed", "store_closed"], "platform": "taobao", "seen_region": "CN-GD", "hs_chapter": 42,
        "nice_class": Json::Null, "gtin": "", "goods_value": {"amount_minor": 123_450, "currency": "CNY", "count": 12, "reference": "", "state": "sold"},
        "observed_on": "2026-11-01", "acted_on": ""
    });
    assert_eq!(json["own"][0], expected);
    let expected = serde_json::json!({
        "member": "globex", "audience": "all", "state": "followed", "size": 10, "behind": 4, "live_signals": 9,
        "not_understood": 0, "missing": 0, "last_heard": "2026-11-21T23:00:00Z", "silent_ms": 3_600_000, "notices": ["behind", "silent"]
    });
    assert_eq!(json["freshness"]["feeds"][1], expected);
}

#[test]
fn nothing_known_says_on_what_it_rests() {
    let answer =
        CheckAnswer { reference_error: "STORE_FULL".into(), checked_at_ms: NOW_MS, verdict: 1, ..CheckAnswer::default() };
    let feeds = || freshness(vec![feed("acme", |_| {}), feed("market", |_| {})]);
    assert_eq!(
        Answer::of(answer.clone(), feeds(), &[2], false).table(),
        "NONE KNOWN: nothing matches\nreference      not kept: STORE_FULL\nchecked at     2026-11-22T00:00:00Z\n\
         asked          domain\n\nrests on 2 feeds, all of them current\n"
    );
    assert!(!is_flagged(&answer));
    let verbose = Answer::of(answer, feeds(), &[2], true).table();
    assert!(verbose.contains("acme/all    10       0       9     4 s ago"), "{verbose}");
}

#[test]
fn the_verdict_in_words() {
    let sentence = |verdict, elsewhere, own: bool| {
        let own = own.then(|| signal("market", "", &[])).into_iter().collect();
        let answer = CheckAnswer { verdict, members_elsewhere: elsewhere, own, ..CheckAnswer::default() };
        Answer::of(answer, Freshness::default(), &[], false).sentence()
    };
    assert_eq!(sentence(3, 2, false), "CONFIRMED: 2 other members flag this seller, on conclusive evidence");
    assert_eq!(sentence(3, 2, true), "CONFIRMED: 2 other members and your own flag this seller, on conclusive evidence");
    assert_eq!(sentence(2, 1, false), "ALLEGED: 1 other member flags this seller, without conclusive evidence");
    assert_eq!(sentence(2, 0, true), "ALLEGED: only your own member flags this seller, without conclusive evidence");
    assert_eq!(sentence(99, 0, false), "UNKNOWN");
}
