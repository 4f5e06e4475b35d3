//! A flood about one seller changes neither the verdict nor who is heard.

use super::world::{World, allegation, member, submission};
use crate::domain::limits::{MAX_MATCHES, MAX_OWN_MATCHES};
use crate::domain::{EvidenceKind, RetractionReason, SignalStatus, Verdict};
use crate::service::Target;

const SELLER: &str = "flooded.test";

#[tokio::test]
async fn three_hundred_signals_of_one_member_hide_nobody_else() {
    let world = World::new(&["aurelle", "bazaar", "kestrel"]).await;
    let (aurelle, flooder, kestrel) = (world.node("aurelle"), world.node("bazaar"), world.node("kestrel"));
    aurelle.submit_all((0..3).map(|case| allegation(SELLER, case))).await;
    kestrel.submit(allegation(SELLER, 0)).await.expect("taken");
    // It also says that it recorded them half a day from now: what is dated further ahead says nothing yet.
    flooder.clock.advance_ms(43_200_000);
    flooder.submit_all((0..300).map(|case| allegation(SELLER, case))).await;
    world.deliver("bazaar/all", "aurelle").await;
    world.deliver("kestrel/all", "aurelle").await;
    let answer = aurelle.ask(SELLER).await;
    assert_eq!((answer.judgment.verdict, answer.members_elsewhere), (Verdict::Alleged, 2));
    let of = |name: &str| answer.matches.iter().filter(|m| m.record.signal.feed.member == member(name)).count();
    assert_eq!((of("aurelle"), of("kestrel"), of("bazaar")), (3, 1, MAX_MATCHES - 1));
    assert_eq!((answer.omitted, answer.own_omitted), (45, 0), "each signal once");
}

#[tokio::test]
async fn five_thousand_allegations_do_not_bury_one_confirmation_nor_own_signals() {
    let world = World::new(&["aurelle", "bazaar"]).await;
    let (aurelle, flooder) = (world.node("aurelle"), world.node("bazaar"));
    let own = aurelle.submit(allegation(SELLER, 0)).await.expect("taken").signal;
    flooder.submit(submission("all", SELLER, EvidenceKind::CourtJudgment, 0)).await.expect("taken");
    flooder.submit_all((0..5_000).map(|case| allegation(SELLER, case))).await;
    world.deliver("bazaar/all", "aurelle").await;
    let answer = aurelle.ask(SELLER).await;
    assert_eq!((answer.judgment.verdict, answer.members_elsewhere), (Verdict::Confirmed, 1));
    let (mine, others): (Vec<_>, Vec<_>) = answer.matches.iter().partition(|m| m.own);
    assert_eq!((mine.len(), others.len(), others[0].record.status), (1, MAX_MATCHES, SignalStatus::Confirmed));
    assert_eq!(others[1].record.signal.seq.get(), 5_000, "and of the rest the newest");
    assert_eq!(answer.omitted, 5_001 - 256);
    // Who withdraws by identifiers finds the own signal in the answer.
    assert_eq!(mine[0].record.signal, own);
    aurelle.signals.retract(Target::Signal(own), RetractionReason::Settled).await.expect("withdrawn");
    assert!(aurelle.ask(SELLER).await.matches.iter().all(|m| !m.own));
}

#[tokio::test]
async fn own_signals_beyond_what_is_listed_are_counted_apart() {
    let world = World::new(&["aurelle"]).await;
    world.node("aurelle").submit_all((0..150).map(|case| allegation(SELLER, case))).await;
    let answer = world.node("aurelle").ask(SELLER).await;
    assert_eq!((answer.matches.len(), answer.omitted, answer.own_omitted), (MAX_OWN_MATCHES, 22, 22));
}
