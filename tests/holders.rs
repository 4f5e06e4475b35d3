//! A key that is shared among members, over real nodes: what one flags another finds, holders come and go, and a thief of a node's
//! whole disk finds nobody.

mod cluster;

use cluster::{Alliance, identifier, submission, until_found};
use countermark::domain::MemberKind;
use countermark::rpc::proto::{IdentifierKind as Kind, Verdict};
use tonic::Code;

const FOUR: [(&str, MemberKind); 4] = [
    ("bazaar", MemberKind::Platform),
    ("aurelle", MemberKind::Brand),
    ("chips", MemberKind::Brand),
    ("drinks", MemberKind::Brand),
];

#[tokio::test(flavor = "multi_thread")]
async fn members_share_signals_under_a_key_that_none_of_them_has() {
    let (mut alliance, sockets) = Alliance::new(&FOUR).await;
    alliance.share_key(2, &["aurelle", "chips", "drinks"]);
    let mut nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    let mut bazaar = alliance.client("bazaar").await;
    let chips = alliance.client("chips").await;
    let seller = || vec![identifier(Kind::Domain, "outlet-17.test"), identifier(Kind::Phone, "+8613800138000")];
    aurelle.submit(submission("all", seller())).await.expect("taken");
    until_found(&bazaar, identifier(Kind::Phone, "+86 138 0013 8000")).await;
    assert_eq!(
        bazaar.check(vec![identifier(Kind::Phone, "+8613800138001")]).await.expect("answered").verdict(),
        Verdict::NoneKnown
    );

    // Many who ask at once, before there is a connection, share one: holders close the oldest of too many.
    let asked = (0..64).map(|number| {
        let mut chips = chips.clone();
        async move { chips.check(vec![identifier(Kind::Phone, &format!("+86138{number:08}"))]).await }
    });
    for answer in futures_util::future::join_all(asked).await {
        answer.expect("answered");
    }

    // One holder of three may be away; of two it is said that they are too few, and which.
    nodes.remove(&cluster::member("drinks")).expect("started").stop().await;
    bazaar.check(seller()).await.expect("two are left");
    nodes.remove(&cluster::member("chips")).expect("started").stop().await;
    let refused = bazaar.check(seller()).await.expect_err("one is too few");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("chips: ") && refused.message().contains("drinks: "), "{refused:?}");
    for node in nodes.into_values() {
        node.stop().await;
    }
}
