//! Pseudonyms under a shared key, with holders that fail, lie and count.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::hall::Manner;
use super::world::{World, allegation, feed, identifier, member, submission};
use crate::domain::limits::HOLDER_TIMEOUT;
use crate::domain::{
    Entropy, EntropyError, EvidenceKind, IdentifierKind, KeyClass, MemberBudget, MemberState, Submission, Verdict,
};
use crate::pseudonym::PseudonymError;
use crate::pseudonym::toprf::PublicShares;
use crate::service::{EvaluationRequest, HolderRefusal, KeyHolder, KeyHolders as _, ShareBook, SubmitError, processors};

const FIVE: [&str; 5] = ["aurelle", "bazaar", "chips", "drinks", "estate"];
const HOLDERS: [&str; 3] = ["chips", "drinks", "estate"];

async fn world() -> World {
    let mut world = World::new(&FIVE).await;
    world.share_key(2, &HOLDERS).await;
    world
}

/// A seller with an identifier of each class.
fn seller(n: usize) -> Submission {
    let mut stated = submission("all", &format!("outlet-{n}.test"), EvidenceKind::CourtJudgment, n);
    stated.identifiers.push(identifier(IdentifierKind::Phone, "+8613800138000"));
    stated.identifiers.push(identifier(IdentifierKind::Email, "seller@outlet.test"));
    stated
}

async fn flagged(world: &World) -> Result<(), SubmitError> {
    world.node("aurelle").submit(seller(1)).await?;
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(world.node("bazaar").ask("outlet-1.test").await.judgment.verdict, Verdict::Confirmed);
    Ok(())
}

/// What `aurelle` asks `chips`, the first holder in order, for a signal.
async fn asked_of_chips(world: &World) -> EvaluationRequest {
    world.node("aurelle").submit(allegation("outlet.test", 1)).await.expect("taken");
    let asked = world.hall.asked().into_iter().find(|(holder, _)| *holder == member("chips"));
    asked.expect("it is asked").1
}

#[tokio::test]
async fn what_one_member_flags_another_finds_through_other_holders() {
    let world = world().await;
    flagged(&world).await.expect("two of three are there");
    let asked = world.hall.asked();
    let classes: std::collections::BTreeSet<KeyClass> = asked.iter().map(|(_, request)| request.class).collect();
    assert_eq!(classes.len(), 3, "each class has its own key: {classes:?}");
    assert!(asked.iter().all(|(_, request)| request.blinded.len() == 8), "and a holder hardly sees how many there are");
    for gone in HOLDERS {
        world.hall.behave(gone, Some(Manner::Down));
        assert_eq!(world.node("bazaar").ask("outlet-1.test").await.judgment.verdict, Verdict::Confirmed, "without {gone}");
        world.hall.behave(gone, None);
    }
}

#[tokio::test]
async fn a_holder_that_answers_wrongly_is_named_and_replaced() {
    for manner in [Manner::Lying, Manner::Replaying, Manner::Unsigned] {
        let world = world().await;
        flagged(&world).await.expect("all are honest");
        world.hall.behave("chips", Some(manner));
        for _ in 0..3 {
            assert_eq!(world.node("bazaar").ask("outlet-1.test").await.judgment.verdict, Verdict::Confirmed, "{manner:?}");
        }
        let evidence = world.hall.evidence();
        let roster = world.node("bazaar").directory.roster();
        let verified =
            |piece: &crate::service::HolderEvidence| piece.verify(roster.roster()).expect("it shows something").1.code();
        let named: std::collections::BTreeSet<_> =
            evidence.iter().map(|piece| (piece.holder.clone(), verified(piece))).collect();
        // An answer that it has not signed shows nothing.
        let expected = (manner == Manner::Lying).then(|| (member("chips"), "PROOF_WRONG"));
        assert_eq!(named, expected.into_iter().collect(), "{manner:?}");
        world.hall.behave("drinks", Some(Manner::Down));
        let refused = world.node("aurelle").submit(seller(2)).await.expect_err("one is too few");
        let SubmitError::Pseudonym(error) = refused else { panic!("{refused:?}") };
        assert_eq!(error.code(), "KEY_HOLDERS_UNREACHABLE");
        let expected = if manner == Manner::Lying { "chips: PROOF_WRONG" } else { "chips: RECEIPT_WRONG" };
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains("drinks: PEER_UNREACHABLE"), "{text}");
    }
}

#[tokio::test]
async fn a_slow_holder_is_not_waited_for() {
    let world = world().await;
    for slow in HOLDERS {
        world.hall.behave(slow, Some(Manner::Slow));
        let submitted = world.node("aurelle").submit(allegation(&format!("by-{slow}.test"), 1));
        let submitted = tokio::time::timeout(HOLDER_TIMEOUT / 2, submitted).await;
        submitted.expect("before its time is over").expect("two are fast");
        world.hall.behave(slow, None);
    }
}

#[tokio::test]
async fn beyond_its_budget_a_member_gets_nothing_until_the_next_day() {
    let mut world = world().await;
    let budget = MemberBudget { member: member("aurelle"), low_entropy: Some(16), business: None, name: None };
    world.amend(|roster| roster.policy.evaluations.members = vec![budget]).await;
    let phone = |n: usize| {
        let mut stated = allegation("outlet.test", n);
        stated.identifiers.push(identifier(IdentifierKind::Phone, &format!("+861380013{n:04}")));
        stated
    };
    let (mut granted, mut refusal) = (0, None);
    for n in 0..9 {
        match world.node("aurelle").submit(phone(n)).await {
            Ok(_) => granted += 1,
            Err(SubmitError::Pseudonym(error)) => refusal = Some(error),
            Err(other) => panic!("{other:?}"),
        }
    }
    // Three holders with room for two batches each, two for a quorum: three at most.
    assert!((2..=3).contains(&granted), "{granted}");
    let Some(PseudonymError::BudgetSpent { class, renews_at, .. }) = refusal else { panic!("{refusal:?}") };
    let day = 86_400_000;
    let now = crate::domain::Clock::now(&*world.node("chips").clock).unix_ms();
    assert_eq!((class, renews_at.unix_ms()), (KeyClass::LowEntropy, (now / day + 1) * day));
    world.node("bazaar").submit(phone(20)).await.expect("others have theirs");
    world.node("aurelle").submit(allegation("other.test", 30)).await.expect("and businesses another one");
    for holder in HOLDERS {
        world.node(holder).clock.advance_days(1);
    }
    world.node("aurelle").submit(phone(40)).await.expect("a new day");
}

#[tokio::test]
async fn a_holder_refuses_what_it_may_not_compute() {
    let mut world = world().await;
    let request = asked_of_chips(&world).await;
    let chips = world.open_holder("chips").holder;
    let code = async |by: &str, change: &dyn Fn(&mut EvaluationRequest)| {
        let mut changed = request.clone();
        changed.request = [7; 16];
        change(&mut changed);
        chips.evaluate(&member(by), changed).await.map(drop).map_err(|refusal| refusal.code())
    };
    assert_eq!(code("bazaar", &|_| ()).await, Ok(()));
    assert_eq!(code("stranger", &|_| ()).await, Err("NOT_A_MEMBER"));
    assert_eq!(code("bazaar", &|r| r.key = "k9".parse().expect("valid")).await, Err("KEY_UNKNOWN"));
    assert_eq!(code("bazaar", &|r| r.generation = 1).await, Err("SHARE_GENERATION_OTHER"));
    assert_eq!(code("bazaar", &|r| r.quorum.truncate(1)).await, Err("QUORUM_INVALID"));
    assert_eq!(code("bazaar", &|r| r.quorum.reverse()).await, Ok(()), "whose order says nothing");
    assert_eq!(code("bazaar", &|r| r.blinded.truncate(7)).await, Err("ELEMENT_COUNT"));
    assert_eq!(code("bazaar", &|r| r.class = KeyClass::Name).await, Err("REQUEST_REUSED"));
    assert_eq!(code("bazaar", &|r| (r.request, r.blinded[2]) = ([8; 16], [0; 32])).await, Err("ELEMENT_INVALID"));
    let aurelle = world.open_holder("aurelle").holder.evaluate(&member("bazaar"), request.clone()).await;
    assert_eq!(aurelle.map(drop), Err(HolderRefusal::NotAHolder(request.key.clone())));
    world.node("chips").chest.take(&request.key);
    let lost = world.open_holder("chips").holder.evaluate(&member("bazaar"), request.clone()).await;
    assert_eq!(lost.map(drop), Err(HolderRefusal::ShareMissing(request.key.clone())));
    world.amend(|roster| roster.members[1].state = MemberState::Expelled).await;
    assert_eq!(code("bazaar", &|_| ()).await, Err("NOT_A_MEMBER"));
}

#[tokio::test]
async fn the_same_request_costs_once_and_every_answer_is_signed() {
    let world = world().await;
    let request = asked_of_chips(&world).await;
    let usage = || world.node("chips").store.usage(0, 10).expect("readable").0;
    let before = usage();
    let door = super::hall::Door { hall: world.hall.clone(), member: member("aurelle") };
    let answer = door.evaluate(&member("chips"), &request).await.expect("again");
    assert_eq!((usage(), before[0].evaluations, before[0].requests), (before.clone(), 8, 1));
    let sharing = world.roster.keys.iter().find_map(|key| key.sharing.as_ref()).expect("shared");
    let (place, class) = (sharing.index_of(&member("chips")), sharing.class(request.class));
    let share = PublicShares::of(class.expect("made")).expect("sound").verifying_share(place.expect("a holder"));
    let receipt = request.receipt(&member("chips"), &member("aurelle"), share, &answer.evaluation);
    let key = world.node("chips").feed_key().public();
    let receipt = receipt.open(&answer.receipt, &world.roster.alliance, &key).expect("signed");
    assert_eq!((receipt.spent, receipt.day), (8, before[0].day));
    assert_eq!(world.node("bazaar").store.size(&feed("aurelle/all")).get(), 0);
}

/// Entropy that an evaluation waits for, so that it goes on for as long as the test likes.
struct Lasting {
    begun: UnboundedSender<()>,
    end: Mutex<Receiver<()>>,
}

impl Entropy for Lasting {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        self.begun.send(()).expect("the test waits");
        self.end.lock().recv().expect("the test lets it end");
        out.fill(7);
        Ok(())
    }
}

#[tokio::test]
async fn whoever_asks_and_leaves_has_a_holder_compute_no_more_at_once_than_it_has_cores() {
    let world = world().await;
    let request = asked_of_chips(&world).await;
    let (node, (begun, mut begins), (ends, end)) = (world.node("chips"), unbounded_channel(), channel());
    let (lasting, book) = (Lasting { begun, end: Mutex::new(end) }, ShareBook::new(node.chest.clone()));
    let (store, directory, clock) = (node.store.clone(), node.directory.clone(), node.clock.clone());
    let chips = Arc::new(KeyHolder::new(store, directory, Arc::new(book), node.feed_key().clone(), clock, Arc::new(lasting)));
    let ask = || {
        let (chips, request) = (chips.clone(), request.clone());
        tokio::spawn(async move { chips.evaluate(&member("aurelle"), request).await.map(|_| ()) })
    };
    for _ in 0..processors() {
        let leaves = ask();
        begins.recv().await.expect("it computes");
        leaves.abort();
        assert!(leaves.await.expect_err("it left").is_cancelled());
    }
    let stays = ask();
    let early = tokio::time::timeout(Duration::from_millis(200), begins.recv()).await;
    assert!(early.is_err(), "all cores compute for those that left");
    for _ in 0..=processors() {
        ends.send(()).expect("one goes on");
    }
    assert_eq!(stays.await.expect("no panic"), Ok(()), "its turn comes");
}

/// Six large batches for each core are waited for, and one small one that comes last: whoever is at the desk asks for that.
#[tokio::test]
async fn a_check_does_not_wait_for_a_nights_submissions() {
    let world = world().await;
    let request = asked_of_chips(&world).await;
    let chips = world.open_holder("chips").holder;
    let cores = processors();
    let batch = |number: usize, elements: usize| {
        let blinded = request.blinded.iter().copied().cycle().take(elements).collect();
        let name = u128::try_from(number).unwrap_or(0).to_be_bytes();
        EvaluationRequest { request: name, blinded, ..request.clone() }
    };
    let large = (0..6 * cores).map(|number| (false, batch(number, 1_024)));
    let asked = large.chain([(true, batch(6 * cores, 8))]).map(|(small, request)| {
        let chips = chips.clone();
        async move { chips.evaluate(&member("bazaar"), request).await.map(|_| small) }
    });
    let mut answers = asked.collect::<futures_util::stream::FuturesUnordered<_>>();
    let mut before = 0;
    while !answers.next().await.expect("the small one is among them").expect("evaluated") {
        before += 1;
    }
    assert!(before <= 3 * cores, "{before} of {} large batches came first", 6 * cores);
}
