//! From a ring to a conviction, and what an authority is given.

use super::rekeying::{destroy_old_key, replace_key};
use super::world::{World, allegation, feed, identifier, member, submission};
use crate::domain::limits::MAX_LEAD_STEPS;
use crate::domain::{
    Audience, ErasureReason, EvidenceKind, GoodsValue, IdentifierKind, LeadId, MemberState, Referral, ReferralStage, Region,
    RetractionReason, Sentence, Seq, SignalRef, SignalStatus, Submission, Thresholds,
};
use crate::feed::{Body, verify_proof};
use crate::service::{CaseError, FoundLead, Funnel, LeadFilter, Progress, Reach, Swept, Target};

const TWO: [&str; 2] = ["aurelle", "bazaar"];

/// Goods of the shop worth so many yuan, seen in Shenzhen's province, with phones that link it.
pub(super) fn goods(audience: &str, shop: usize, yuan: i64, phones: &[usize]) -> Submission {
    let mut stated = submission(audience, &format!("shop-{shop}.example"), EvidenceKind::TestPurchase, shop);
    let phone = |n: &usize| identifier(IdentifierKind::Phone, &format!("+86138001380{n:02}"));
    stated.identifiers.extend(phones.iter().map(phone));
    let amount = (yuan > 0).then(|| (yuan * 100, "CNY".parse().expect("listed")));
    stated.statement.goods_value = Some(GoodsValue { amount, count: Some(1), reference: None, state: None });
    stated.statement.sighting = Some(crate::domain::Sighting { platform: None, region: Some(region("CN-GD")) });
    stated
}

fn region(code: &str) -> Region {
    code.parse().expect("listed")
}

fn thresholds() -> Thresholds {
    toml::from_str("[[threshold]]\nname = \"mark\"\nregion = \"CN\"\ncurrency = \"CNY\"\namount = 50000\n").expect("rules")
}

fn step(stage: ReferralStage) -> Progress {
    Progress { stage, region: None, authority: None, sentence: None, happened_on: None }
}

fn code<T: std::fmt::Debug>(result: Result<T, CaseError>) -> &'static str {
    result.expect_err("refused").code()
}

async fn found(world: &World, at: &str) -> Vec<FoundLead> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let page = world.node(at).leads.find(from, thresholds(), Reach::default()).await.expect("looked");
        found.extend(page.found);
        match page.next {
            Some(next) => from = Some(next),
            None => return found,
        }
    }
}

/// Two shops of one controller, each found by another member, together above the threshold.
async fn controller(world: &World) -> (SignalRef, SignalRef) {
    let first = world.node("aurelle").submit(goods("all", 0, 30_000, &[1])).await.expect("taken").signal;
    let second = world.node("bazaar").submit(goods("all", 1, 20_000, &[1, 2])).await.expect("taken").signal;
    world.deliver("aurelle/all", "bazaar").await;
    world.deliver("bazaar/all", "aurelle").await;
    (first, second)
}

#[tokio::test]
async fn a_lead_goes_from_a_ring_to_a_conviction_and_every_member_sees_it() {
    let world = World::new(&TWO).await;
    let (first, second) = controller(&world).await;
    let ring = found(&world, "bazaar").await;
    assert_eq!(ring.len(), 1, "a ring is told of once: {ring:?}");
    assert_eq!((&ring[0].signal, ring[0].sellers, ring[0].signals), (&first, 2, 2));
    assert_eq!((ring[0].goods.total_minor, ring[0].thresholds[0].met), (5_000_000, true));
    assert_eq!((ring[0].members.len(), ring[0].regions.len(), ring[0].leads.len()), (2, 1, 0));

    let (aurelle, bazaar) = (world.node("aurelle"), world.node("bazaar"));
    let (lead, created) = bazaar.leads.open(second.clone(), Reach::default(), None).await.expect("opened");
    assert!(created && lead.lead.stage() == ReferralStage::Identified);
    assert_eq!(lead.lead.region(), Some(&region("CN-GD")));
    assert_eq!(lead.lead.goods_value().and_then(|value| value.amount).map(|(minor, _)| minor), Some(5_000_000));
    let name = lead.lead.name().clone();
    let (again, created) = bazaar.leads.open(first.clone(), Reach::default(), None).await.expect("known");
    assert!(!created && *again.lead.name() == name, "from its other signal, too");
    world.deliver("bazaar/all", "aurelle").await;
    assert_eq!(found(&world, "aurelle").await[0].leads, [name.clone()].into(), "nobody begins what another follows");

    assert_eq!(code(aurelle.leads.progress(name.clone(), step(ReferralStage::Dropped)).await), "ENTRY_NOT_OWN");
    assert_eq!(code(bazaar.leads.progress(name.clone(), step(ReferralStage::Convicted)).await), "LEAD_STAGE_UNFIT");
    let tomorrow = Progress { happened_on: "2027-01-01".parse().ok(), ..step(ReferralStage::Referred) };
    assert_eq!(code(bazaar.leads.progress(name.clone(), tomorrow).await), "DATE_OUT_OF_RANGE");
    let fined = Progress { sentence: Some(Sentence::Fine), ..step(ReferralStage::Referred) };
    assert_eq!(code(bazaar.leads.progress(name.clone(), fined).await), "SENTENCE_UNFIT");
    assert_eq!(bazaar.leads.get(second.clone()).await.expect("held").lead.name(), &name, "by a signal that it rests on");
    assert_eq!(code(aurelle.leads.get(second.clone()).await), "LEAD_NOT_FOUND", "which names own leads only");

    // A signal that was withdrawn meanwhile is not handed over.
    aurelle.signals.retract(Target::Signal(first.clone()), RetractionReason::EntryError).await.expect("durable");
    world.deliver("aurelle/all", "bazaar").await;
    let referred = Progress { authority: Some("Police of Shenzhen".into()), ..step(ReferralStage::Referred) };
    let entry = bazaar.leads.progress(name.clone(), referred.clone()).await.expect("durable");
    assert_eq!(bazaar.leads.progress(name.clone(), referred).await, Ok(entry), "the same again is the same");
    for stage in [ReferralStage::Accepted, ReferralStage::Arrested] {
        bazaar.leads.progress(name.clone(), step(stage)).await.expect("durable");
    }
    let convicted = Progress { sentence: Some(Sentence::Imprisonment), ..step(ReferralStage::Convicted) };
    bazaar.leads.progress(name.clone(), convicted).await.expect("durable");
    world.deliver("bazaar/all", "aurelle").await;

    let seen = aurelle.leads.get(name.clone()).await.expect("held");
    assert_eq!((seen.lead.stage(), seen.lead.authority()), (ReferralStage::Convicted, Some("Police of Shenzhen")));
    assert_eq!(seen.signals, [(second, Some(SignalStatus::Alleged))]);
    let funnels = aurelle.leads.funnels(false).await.expect("read");
    let whole = Funnel { identified: 1, referred: 1, accepted: 1, arrested: 1, convicted: 1, open: 0 };
    assert_eq!((funnels.overall, funnels.by_region), (whole, [(Some(region("CN-GD")), whole)].into()));
    assert_eq!(aurelle.leads.funnels(true).await.expect("read").overall, Funnel::default());
    let open = LeadFilter { open_only: true, ..LeadFilter::default() };
    assert!(aurelle.leads.list(open, None, 10).await.expect("read").leads.is_empty());
    let in_china = LeadFilter { region: Some(region("CN")), ..LeadFilter::default() };
    assert_eq!(aurelle.leads.list(in_china.clone(), None, 10).await.expect("read").leads.len(), 1);
    assert!(aurelle.leads.list(in_china, Some(name), 10).await.expect("read").leads.is_empty(), "after the last");
}

#[tokio::test]
async fn what_a_group_knows_is_not_told_to_all() {
    let world = World::new(&TWO).await;
    let aurelle = world.node("aurelle");
    let first = aurelle.submit(goods("all", 0, 60_000, &[1])).await.expect("taken").signal;
    aurelle.submit(goods("all", 1, 70_000, &[2])).await.expect("taken");
    // Only the group knows that the two belong together.
    let linking = aurelle.submit(goods("makers", 2, 1_000, &[1, 2])).await.expect("taken").signal;
    assert_eq!(found(&world, "aurelle").await.len(), 1, "for the member itself it is one ring");
    let (lead, _) = aurelle.leads.open(first.clone(), Reach::default(), None).await.expect("opened");
    assert_eq!(lead.lead.signals(), [first]);
    let (lead, _) = aurelle.leads.open(linking.clone(), Reach::default(), None).await.expect("opened");
    assert_eq!((lead.lead.feed(), lead.lead.signals()), (&feed("aurelle/makers"), [linking].as_slice()));
}

#[tokio::test]
async fn a_search_goes_on_where_its_page_ended_and_tells_of_each_ring_once() {
    let world = World::new(&TWO).await;
    let shops = (0..90).map(|shop| goods("all", shop, if shop % 3 == 0 { 50_000 } else { 100 }, &[]));
    world.node("aurelle").submit_all(shops).await;
    world.node("aurelle").submit_all((100..103).map(|shop| allegation(&format!("plain-{shop}.example"), shop))).await;
    let rings = found(&world, "aurelle").await;
    assert_eq!(rings.len(), 30);
    let none = world.node("aurelle").leads.find(None, Thresholds::default(), Reach::default()).await;
    assert_eq!(code(none), "THRESHOLD_COUNT");
    let far = Reach { depth: 9, ..Reach::default() };
    assert_eq!(code(world.node("aurelle").leads.find(None, thresholds(), far).await), "RING_DEPTH_INVALID");
}

#[tokio::test]
async fn a_lead_whose_opening_was_erased_is_no_lead_anywhere() {
    let world = World::new(&TWO).await;
    let (first, _) = controller(&world).await;
    let aurelle = world.node("aurelle");
    let (lead, _) = aurelle.leads.open(first, Reach::default(), None).await.expect("opened");
    let name = lead.lead.name().clone();
    aurelle.leads.progress(name.clone(), step(ReferralStage::Dropped)).await.expect("durable");
    world.deliver("aurelle/all", "bazaar").await;
    assert!(world.node("bazaar").leads.get(name.clone()).await.is_ok());
    aurelle.eraser.erase(Target::Signal(name.clone()), ErasureReason::EntryError).await.expect("durable");
    world.deliver("aurelle/all", "bazaar").await;
    for node in TWO {
        assert_eq!(code(world.node(node).leads.get(name.clone()).await), "LEAD_NOT_FOUND", "{node}");
    }
    for node in TWO {
        world.node(node).store.rebuild().await.expect("whole");
        assert_eq!(code(world.node(node).leads.get(name.clone()).await), "LEAD_NOT_FOUND", "{node}, from its log");
    }
}

#[tokio::test]
async fn each_entry_of_a_bundle_is_proven_under_its_members_signature() {
    let world = World::new(&TWO).await;
    let aurelle = world.node("aurelle");
    // Over several kept checkpoints.
    for part in 0..3 {
        aurelle.submit_all((0..4_000).map(|n| allegation(&format!("other-{n}.example"), part * 10_000 + n))).await;
    }
    let (first, second) = controller(&world).await;
    aurelle.submit_all((0..10).map(|n| allegation(&format!("later-{n}.example"), 50_000 + n))).await;
    let stance = crate::domain::Stance::Disagree(crate::domain::DisputeGround::GenuineGoods);
    aurelle.cases.opine(second.clone(), stance).await.expect("durable");
    let (lead, _) = aurelle.leads.open(first.clone(), Reach::default(), None).await.expect("opened");
    let bundle = aurelle.leads.export(lead.lead.name().clone()).await.expect("gathered");
    let names: Vec<String> = bundle.entries.iter().map(|(name, ..)| name.to_string()).collect();
    assert_eq!(names, ["aurelle/all/12000", "aurelle/all/12011", "aurelle/all/12012", "bazaar/all/0"]);
    assert!(!bundle.cut && bundle.made_by == member("aurelle"));
    for (name, bytes, proof) in &bundle.entries {
        let key = world.node(name.feed.member.as_str()).feed_key().public();
        let alliance = &world.roster.alliance;
        let signed = verify_proof(proof, bytes.leaf_hash(), name.seq, alliance, |feed| (*feed == name.feed).then_some(key));
        assert!(signed.is_ok(), "{name}: {signed:?}");
    }
}

#[tokio::test]
async fn a_bundle_holds_what_links_its_signals_when_keys_change() {
    let mut world = World::new(&TWO).await;
    let first = world.node("aurelle").submit(goods("all", 0, 30_000, &[1])).await.expect("taken").signal;
    replace_key(&mut world).await;
    assert!(world.node("aurelle").submit(goods("all", 0, 30_000, &[1])).await.expect("taken").rekeyed);
    // Stated under the new key alone.
    let second = world.node("aurelle").submit(goods("all", 1, 20_000, &[1])).await.expect("taken").signal;
    destroy_old_key(&mut world).await;
    let (lead, _) = world.node("aurelle").leads.open(first.clone(), Reach::default(), None).await.expect("opened");
    assert_eq!(lead.lead.signals(), [first.clone(), second.clone()]);
    let bundle = world.node("aurelle").leads.export(lead.lead.name().clone()).await.expect("gathered");
    let names: Vec<SignalRef> = bundle.entries.into_iter().map(|(name, ..)| name).collect();
    let rekeying = SignalRef { feed: first.feed.clone(), seq: Seq::new(1) };
    assert_eq!(names, [first, rekeying, second, lead.lead.name().clone()]);
}

#[tokio::test]
async fn a_lead_ends_as_a_whole_after_the_last_that_was_said_of_it() {
    let mut world = World::new(&TWO).await;
    world.amend(|roster| roster.policy.retention_days = 100).await;
    let (first, _) = controller(&world).await;
    let (aurelle, bazaar) = (world.node("aurelle"), world.node("bazaar"));
    let (lead, _) = aurelle.leads.open(first, Reach::default(), None).await.expect("opened");
    let name = lead.lead.name().clone();
    aurelle.clock.advance_days(60);
    aurelle.leads.progress(name.clone(), step(ReferralStage::Dropped)).await.expect("durable");
    aurelle.clock.advance_days(60);
    assert_eq!(aurelle.retention.sweep().await, Ok(Swept { erased: 1, removed: 0 }), "its signal");
    assert_eq!(aurelle.leads.get(name.clone()).await.expect("held").lead.steps().count(), 2, "it was said of 60 days ago");
    world.deliver("aurelle/all", "bazaar").await;
    bazaar.clock.advance_days(140);
    assert_eq!(bazaar.retention.sweep().await, Ok(Swept { erased: 1, removed: 0 }), "of its own; of others after the grace");
    assert!(bazaar.leads.get(name.clone()).await.is_ok());
    aurelle.clock.advance_days(41);
    assert_eq!(aurelle.retention.sweep().await, Ok(Swept { erased: 2, removed: 1 }), "and the other's signal");
    assert_eq!(code(aurelle.leads.get(name.clone()).await), "LEAD_NOT_FOUND");
    // Its member is gone and never erased it.
    bazaar.clock.advance_days(60);
    assert_eq!(bazaar.retention.sweep().await, Ok(Swept { erased: 0, removed: 2 }));
    assert_eq!(code(bazaar.leads.get(name).await), "LEAD_NOT_FOUND");
}

#[tokio::test]
async fn whoever_erases_a_step_erases_the_lead() {
    let world = World::new(&TWO).await;
    let (first, _) = controller(&world).await;
    let aurelle = world.node("aurelle");
    let (lead, _) = aurelle.leads.open(first, Reach::default(), None).await.expect("opened");
    let name = lead.lead.name().clone();
    let (_, referred) = aurelle.leads.progress(name.clone(), step(ReferralStage::Referred)).await.expect("durable");
    aurelle.leads.progress(name.clone(), step(ReferralStage::Accepted)).await.expect("durable");
    aurelle.eraser.erase(Target::Signal(referred), ErasureReason::EntryError).await.expect("durable");
    assert_eq!(code(aurelle.leads.get(name).await), "LEAD_NOT_FOUND", "and no lead with another history is left");
    assert_eq!(aurelle.leads.funnels(false).await.expect("counted").overall, Funnel::default());
}

#[tokio::test]
async fn a_step_that_would_not_count_is_refused() {
    let world = World::new(&TWO).await;
    let (first, _) = controller(&world).await;
    let aurelle = world.node("aurelle");
    let (lead, _) = aurelle.leads.open(first, Reach::default(), None).await.expect("opened");
    let name = lead.lead.name().clone();
    for count in 1..MAX_LEAD_STEPS {
        let stage = if count % 2 == 1 { ReferralStage::Referred } else { ReferralStage::NotAccepted };
        aurelle.leads.progress(name.clone(), step(stage)).await.expect("durable");
    }
    let size = aurelle.store.size(&feed("aurelle/all"));
    for _ in 0..2 {
        assert_eq!(code(aurelle.leads.progress(name.clone(), step(ReferralStage::NotAccepted)).await), "LEAD_STEPS_FULL");
    }
    assert_eq!(aurelle.store.size(&feed("aurelle/all")), size);
}

#[tokio::test]
async fn what_was_erased_or_may_not_be_read_any_more_is_in_no_bundle() {
    let mut world = World::new(&TWO).await;
    let first = world.node("aurelle").submit(goods("makers", 0, 30_000, &[1])).await.expect("taken").signal;
    let second = world.node("aurelle").submit(goods("makers", 1, 30_000, &[1])).await.expect("taken").signal;
    let third = world.node("bazaar").submit(goods("makers", 2, 20_000, &[1])).await.expect("taken").signal;
    world.deliver("bazaar/makers", "aurelle").await;
    let (lead, _) = world.node("aurelle").leads.open(first.clone(), Reach::default(), None).await.expect("opened");
    let name = lead.lead.name().clone();
    let names = async |world: &World| {
        let bundle = world.node("aurelle").leads.export(name.clone()).await.expect("gathered");
        bundle.entries.into_iter().map(|(name, ..)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&world).await, [first.clone(), second.clone(), name.clone(), third]);
    let aurelle = world.node("aurelle");
    let erased = aurelle.eraser.erase(Target::Signal(second), ErasureReason::EntryError).await.expect("durable");
    world.amend(|roster| roster.groups[0].members.retain(|member| member.as_str() == "aurelle")).await;
    assert_eq!(names(&world).await, [first, name.clone(), erased.erasure.expect("named")]);
}

/// Shops in a row, each linked to the next one.
async fn row(world: &World, yuan: &[i64]) -> Vec<SignalRef> {
    let mut signals = Vec::new();
    for (shop, yuan) in yuan.iter().enumerate() {
        signals.push(world.node("aurelle").submit(goods("all", shop, *yuan, &[shop, shop + 1])).await.expect("taken").signal);
    }
    signals
}

#[tokio::test]
async fn no_ring_is_missed_because_a_walk_did_not_know_all_of_it() {
    let near = Reach { depth: 1, ..Reach::default() };
    let world = World::new(&TWO).await;
    let shops = row(&world, &[20_000, 20_000, 20_000]).await;
    let told = async |world: &World| {
        let page = world.node("aurelle").leads.find(None, thresholds(), near.clone()).await.expect("looked");
        page.found.into_iter().map(|found| (found.signal, found.sellers, found.cut)).collect::<Vec<_>>()
    };
    assert_eq!(told(&world).await, [(shops[1].clone(), 3, false)], "only from the middle all of it is known");

    let world = World::new(&TWO).await;
    let shops = row(&world, &[20_000; 5]).await;
    assert_eq!(told(&world).await, [1, 2, 3].map(|shop| (shops[shop].clone(), 3, true)), "cut, and told by each part");

    let world = World::new(&TWO).await;
    let shops = row(&world, &[0, 60_000]).await;
    world.deliver("aurelle/all", "bazaar").await;
    let licensed = crate::domain::Stance::Agree(vec![crate::domain::Evidence::of(EvidenceKind::TestPurchase)]);
    world.node("bazaar").cases.opine(shops[0].clone(), licensed).await.expect("durable");
    world.deliver("bazaar/all", "aurelle").await;
    assert_eq!(
        told(&world).await,
        [(shops[0].clone(), 2, false)],
        "begun at a signal without an amount of which something is said"
    );
}

/// A shop without an amount in a ring with more signals that state one than a lead can name.
async fn large(world: &mut World) -> SignalRef {
    world.amend(|roster| roster.policy.hub_sellers = 200).await;
    let aurelle = world.node("aurelle");
    aurelle.submit_all((0..70).map(|shop| goods("all", shop, 1_000, &[1]))).await;
    aurelle.submit(goods("all", 90, 0, &[1])).await.expect("taken").signal
}

#[tokio::test]
async fn a_lead_names_the_signal_that_it_was_opened_at() {
    let mut world = World::new(&TWO).await;
    let start = large(&mut world).await;
    let aurelle = world.node("aurelle");
    let (lead, created) = aurelle.leads.open(start.clone(), Reach::default(), None).await.expect("opened");
    assert!(created && lead.lead.signals().len() == 64 && lead.lead.signals().contains(&start));
    let (again, created) = aurelle.leads.open(start, Reach::default(), None).await.expect("known");
    assert!(!created && again.lead.name() == lead.lead.name());
}

#[tokio::test]
async fn a_bundle_holds_what_was_decided_of_many_signals_once() {
    let mut world = World::new(&TWO).await;
    let start = large(&mut world).await;
    let aurelle = world.node("aurelle");
    let (lead, _) = aurelle.leads.open(start, Reach::default(), None).await.expect("opened");
    let signals = lead.lead.signals().to_vec();
    let ground = crate::domain::DisputeGround::GenuineGoods;
    let dispute = aurelle.cases.open_dispute(signals.clone(), ground, vec![]).await.expect("durable").dispute;
    for signal in signals {
        let upheld = crate::domain::DisputeOutcome::Upheld;
        aurelle.cases.decide(dispute.clone(), upheld, vec![signal]).await.expect("durable");
    }
    let bundle = aurelle.leads.export(lead.lead.name().clone()).await.expect("gathered");
    assert_eq!((bundle.entries.len(), bundle.cut), (1 + 64 + 1 + 64, false));
}

#[tokio::test]
async fn no_lead_is_opened_at_what_an_expelled_member_said() {
    let mut world = World::new(&TWO).await;
    let (_, second) = controller(&world).await;
    world.amend(|roster| roster.members[1].state = MemberState::Expelled).await;
    let refused = world.node("aurelle").leads.open(second, Reach::default(), None).await;
    assert_eq!(code(refused.map(drop)), "SIGNAL_NOT_LIVE");
}

#[tokio::test]
async fn what_an_expelled_member_said_is_not_referred() {
    let mut world = World::new(&TWO).await;
    let (first, second) = controller(&world).await;
    let (lead, _) = world.node("aurelle").leads.open(first.clone(), Reach::default(), None).await.expect("opened");
    let name = lead.lead.name().clone();
    assert!(lead.lead.signals().contains(&second));
    world.amend(|roster| roster.members[1].state = MemberState::Expelled).await;
    let aurelle = world.node("aurelle");
    aurelle.leads.progress(name.clone(), step(ReferralStage::Referred)).await.expect("durable");
    assert_eq!(aurelle.leads.get(name).await.expect("held").lead.signals(), [first]);
}

#[tokio::test]
async fn nothing_is_said_of_a_lead_that_is_erased_at_the_same_time() {
    let world = World::new(&TWO).await;
    let (first, _) = controller(&world).await;
    let aurelle = world.node("aurelle");
    for _ in 0..20 {
        let (lead, _) = aurelle.leads.open(first.clone(), Reach::default(), None).await.expect("opened");
        let name = lead.lead.name().clone();
        let referring = aurelle.leads.progress(name.clone(), step(ReferralStage::Referred));
        let erasing = aurelle.eraser.erase(Target::Signal(name.clone()), ErasureReason::EntryError);
        let (referred, erased) = tokio::join!(referring, erasing);
        erased.expect("durable");
        assert!(referred.is_ok() || referred.map_err(|error| error.code()) == Err("LEAD_NOT_FOUND"));
        assert_eq!(aurelle.leads.funnels(false).await.expect("counted").overall, Funnel::default(), "nothing of it is left");
    }
}

#[tokio::test]
async fn a_page_of_leads_fits_into_one_answer_and_names_few_of_many_others() {
    let world = World::new(&TWO).await;
    let (first, _) = controller(&world).await;
    let bazaar = world.node("bazaar");
    let audience: Audience = "all".parse().expect("valid");
    for n in 0..200_u8 {
        let signals = (0..64).map(|seq| SignalRef { feed: feed("aurelle/all"), seq: Seq::new(seq) }).collect();
        let (stage, region, goods_value) = (ReferralStage::Identified, None, None);
        let (authority, sentence, happened_on) = (None, None, None);
        let opening = Referral { lead: LeadId([n; 16]), stage, region, authority, sentence, happened_on, signals, goods_value };
        bazaar.signals.note(audience.clone(), Body::Referral(opening)).await.expect("durable");
    }
    world.deliver("bazaar/all", "aurelle").await;
    let aurelle = world.node("aurelle");
    let (lead, created) = aurelle.leads.open(first, Reach::default(), None).await.expect("opened");
    assert!(created && lead.overlaps.len() == 8, "the newest of a member: {:?}", lead.overlaps);
    let (mut listed, mut pages, mut after) = (0, 0, None);
    loop {
        let page = aurelle.leads.list(LeadFilter::default(), after, 1_000).await.expect("read");
        (listed, pages) = (listed + page.leads.len(), pages + 1);
        assert!(page.leads.len() < 120);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((listed, pages), (201, 2));
}
