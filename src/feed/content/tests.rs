use proptest::prelude::*;
use proptest::test_runner::TestRng;

use super::*;
use crate::domain::{Action, EvidenceGrade, GoodsState, IdentifierKind, Infringement, Pseudonym};
use crate::feed::fixtures::{any, content};

/// The same content with everything that has no order in another one.
fn shuffled(content: &SignalContent, rng: &mut TestRng) -> SignalContent {
    fn shuffle<T>(items: &mut [T], rng: &mut TestRng) {
        for i in (1..items.len()).rev() {
            items.swap(i, usize::try_from(rng.next_u32()).expect("fits") % (i + 1));
        }
    }
    let mut order: Vec<usize> = (0..content.kinds.len()).collect();
    shuffle(&mut order, rng);
    let mut out = content.clone();
    out.kinds = order.iter().map(|i| content.kinds[*i]).collect();
    for set in &mut out.pseudonyms {
        set.pseudonyms = order.iter().map(|i| set.pseudonyms[*i]).collect();
    }
    shuffle(&mut out.pseudonyms, rng);
    shuffle(&mut out.statement.evidence, rng);
    shuffle(&mut out.statement.actions, rng);
    out.statement.evidence.iter_mut().for_each(|e| shuffle(&mut e.digests, rng));
    out
}

#[test]
fn the_digest_never_changes() {
    let under = |key: &str| content_digest(&content(), &key.parse().expect("valid")).map(|digest| digest.to_string());
    assert_eq!(under("k1").as_deref(), Some("4e4f2369957f70314aa541fa80315b702d088c29b736e9272ceb97bc75b62f30"));
    assert_eq!(under("k2").as_deref(), Some("175a399ea3a81239d80c7a6cae3e979f43bf8749a3244e31c1e1c24441be4fed"));
    assert_eq!(under("k3"), None);
}

/// With what later versions added.
fn later_content() -> SignalContent {
    let mut content = content();
    let goods = content.statement.goods_value.as_mut().expect("stated");
    goods.reference = Some("HP 2026/1189".into());
    goods.state = Some(GoodsState::Sold);
    content.statement.product.as_mut().expect("stated").class = Some(crate::domain::ProductClass::Nice(25));
    content.statement.derived_from = vec!["acme/all/7".parse().expect("valid")];
    content
}

#[test]
fn what_later_versions_added_counts_and_its_digest_never_changes() {
    let key: KeyId = "k2".parse().expect("valid");
    let digest = |change: &dyn Fn(&mut Statement)| {
        let mut content = later_content();
        change(&mut content.statement);
        content_digest(&content, &key).expect("under this key").to_string()
    };
    let original = digest(&|_| ());
    assert_eq!(original, "e2f24405502f72b29309af50730eff1cb45c770b32ce984b5246202d9e166cdd");
    let goods = |s: &mut Statement| s.goods_value.take().expect("stated");
    let others = [
        digest(&|s| s.goods_value = Some(crate::domain::GoodsValue { reference: Some("HP 2026/1190".into()), ..goods(s) })),
        digest(&|s| s.goods_value = Some(crate::domain::GoodsValue { reference: None, ..goods(s) })),
        digest(&|s| s.goods_value = Some(crate::domain::GoodsValue { state: Some(GoodsState::Unsold), ..goods(s) })),
        digest(&|s| s.goods_value = Some(crate::domain::GoodsValue { state: None, ..goods(s) })),
        digest(&|s| s.derived_from = vec!["acme/all/8".parse().expect("valid")]),
        digest(&|s| s.derived_from.clear()),
    ];
    assert!(others.iter().all(|other| *other != original));
}

#[test]
fn all_that_is_said_counts() {
    let key: KeyId = "k2".parse().expect("valid");
    let original = content_digest(&content(), &key);
    let differs = |change: &dyn Fn(&mut SignalContent)| {
        let mut other = content();
        change(&mut other);
        assert!(!same_content(&content(), &other));
        content_digest(&other, &key) != original
    };
    assert!(differs(&|c| c.kinds[0] = IdentifierKind::Email));
    assert!(differs(&|c| c.kinds.swap(0, 1)), "kinds belong to their pseudonyms");
    assert!(differs(&|c| c.pseudonyms[1].pseudonyms[0] = Pseudonym([0; 32])));
    assert!(differs(&|c| c.pseudonyms[1].pseudonyms.swap(0, 1)), "pseudonyms of one identifier belong together");
    assert!(differs(&|c| c.statement.infringement = Infringement::Other));
    assert!(differs(&|c| c.statement.brand = None));
    assert!(differs(&|c| c.statement.brand = c.statement.rights_holder.take()));
    assert!(differs(&|c| c.statement.evidence[0].grade = EvidenceGrade::Indicative));
    assert!(differs(&|c| c.statement.evidence[1].digests.clear()));
    assert!(differs(&|c| c.statement.actions.push(Action::PermanentBan)));
    assert!(differs(&|c| c.statement.sighting.as_mut().expect("stated").region = None));
    assert!(differs(&|c| c.statement.product.as_mut().expect("stated").class = Some(crate::domain::ProductClass::Nice(42))));
    assert!(differs(&|c| c.statement.product.as_mut().expect("stated").gtin = None));
    assert!(differs(&|c| c.statement.goods_value.as_mut().expect("stated").amount = None));
    assert!(differs(&|c| c.statement.goods_value.as_mut().expect("stated").count = None));
    assert!(differs(&|c| c.statement.goods_value.as_mut().expect("stated").reference = Some("HP 2026/1189".into())));
    assert!(differs(&|c| c.statement.goods_value.as_mut().expect("stated").state = Some(GoodsState::Sold)));
    assert!(differs(&|c| c.statement.observed_on = c.statement.acted_on));
    assert!(differs(&|c| c.statement.acted_on = None));
    assert!(differs(&|c| c.statement.retention_days = None));
}

#[test]
fn a_new_key_does_not_make_it_another_content() {
    let both = content();
    let mut old = content();
    old.pseudonyms.truncate(1);
    let mut new = content();
    new.pseudonyms.remove(0);
    let (k1, k2) = ("k1".parse().expect("valid"), "k2".parse().expect("valid"));
    assert_eq!(content_digest(&both, &k1), content_digest(&old, &k1));
    assert_eq!(content_digest(&both, &k2), content_digest(&new, &k2));
    assert_ne!(content_digest(&both, &k1), content_digest(&both, &k2));
    assert!(same_content(&both, &old) && same_content(&new, &both));
    assert!(!same_content(&old, &new), "nothing to compare by");
    assert!(are_comparable(&both, &old) && !are_comparable(&old, &new));
}

proptest! {
    #[test]
    fn order_says_nothing(content in any::content(), mut rng in Just(()).prop_perturb(|(), rng| rng)) {
        let other = shuffled(&content, &mut rng);
        for set in &content.pseudonyms {
            prop_assert_eq!(content_digest(&other, &set.key), content_digest(&content, &set.key));
        }
        prop_assert!(same_content(&content, &other));
    }
}
