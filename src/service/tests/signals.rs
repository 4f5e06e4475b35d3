//! Submitting and listing at the bounds.

use super::world::{World, allegation, submission};
use crate::domain::limits::MAX_PAGE_BYTES;
use crate::domain::{Audience, Evidence, EvidenceKind, GoodsValue, Seq, Sha256Digest};

#[tokio::test]
async fn a_page_ends_where_an_answer_would_become_too_large() {
    let world = World::new(&["aurelle"]).await;
    let node = world.node("aurelle");
    let digests = |case: u8| (0..8).map(|i| Sha256Digest([case.wrapping_add(i); 32])).collect::<Vec<_>>();
    let large = |case: u8| {
        let mut row = allegation("shop.test", case.into());
        let evidence = |i| Evidence { digests: digests(case ^ i), ..Evidence::of(EvidenceKind::TestPurchase) };
        row.statement.evidence = (0..16).map(evidence).collect();
        row
    };
    node.submit_all((0..250).map(large)).await;
    let (mut from, mut listed, mut pages) = (Seq::ZERO, 0, 0);
    loop {
        let page = node.signals.list(Audience::Alliance, from, 1_000, true).await.expect("a page");
        assert!(page.records.len() < 250 && page.records.len() * 4_096 < MAX_PAGE_BYTES + 8_192, "{}", page.records.len());
        (listed, pages) = (listed + page.records.len(), pages + 1);
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!((listed, pages), (250, 2));
}

#[tokio::test]
async fn an_unknown_audience_is_refused_and_a_group_that_was_left_is_not() {
    let mut world = World::new(&["aurelle", "bazaar"]).await;
    world.node("aurelle").submit(submission("makers", "shop.test", EvidenceKind::TestPurchase, 1)).await.expect("taken");
    world.amend(|roster| roster.groups.clear()).await;
    let list = async |id: &str, audience: &str| {
        let audience = audience.parse().expect("a name");
        let page = world.node(id).signals.list(audience, Seq::ZERO, 10, false).await;
        page.map(|page| page.records.len()).map_err(|error| error.code())
    };
    assert_eq!(list("aurelle", "makers").await, Ok(1));
    assert_eq!(list("bazaar", "makers").await, Err("AUDIENCE_UNKNOWN"));
    assert_eq!(list("bazaar", "all").await, Ok(0));
}

#[tokio::test]
async fn an_amount_is_in_a_currency_that_has_amounts() {
    let world = World::new(&["aurelle"]).await;
    let worth = |currency: &str| {
        let mut row = allegation("shop.test", 1);
        row.statement.goods_value = Some(GoodsValue {
            amount: Some((5, currency.parse().expect("listed"))),
            count: None,
            reference: None,
            state: None,
        });
        row
    };
    for currency in ["XXX", "XAU"] {
        let refused = world.node("aurelle").submit(worth(currency)).await.expect_err(currency);
        assert_eq!(refused.code(), "CURRENCY_WITHOUT_MINOR_UNIT");
        assert!(refused.to_string().contains("statement.goods_value.currency"), "{refused}");
    }
    assert!(world.node("aurelle").submit(worth("JPY")).await.expect("taken").created);
}
