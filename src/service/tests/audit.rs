//! What is noted of those who only ask, and for how long.

use super::world::World;
use crate::domain::{Actor, AuditKind, Seq};
use crate::feed::decode_audit;
use crate::service::AuditTrail;
use crate::store::{acting_for, on_behalf_of};

fn actor(name: &str) -> Actor {
    Actor { client: name.parse().expect("valid"), certificate: "0a".into() }
}

#[tokio::test]
async fn checks_of_one_client_are_one_record_and_are_kept_as_long_as_policy_says() {
    let mut world = World::new(&["acme"]).await;
    world.amend(|roster| roster.policy.audit_days = 30).await;
    let node = world.node("acme");
    let trail = AuditTrail::new(node.store.clone(), node.directory.clone(), node.clock.clone());
    let references: Vec<String> = (0..40).map(|n| format!("chk_{n}")).collect();
    trail.answered(AuditKind::Check, ["nobody is known to have asked for it"]);
    acting_for(actor("screening"), || trail.answered(AuditKind::Check, references.iter().map(String::as_str)));
    acting_for(actor("desk"), || trail.answered(AuditKind::Check, ["", "chk_1"]));
    on_behalf_of(actor("desk"), trail.exported("acme/all/3".into())).await.expect("durable");
    trail.flush().await;
    trail.flush().await;
    let page = trail.list(Seq::ZERO, 10).await.expect("read");
    let said: Vec<_> = page.records.iter().map(|bytes| decode_audit(bytes).expect("of this version")).collect();
    let said: Vec<_> =
        said.iter().map(|r| (r.actor.client.as_str(), r.kind, r.count, r.reference.split(',').count())).collect();
    let expected =
        [("desk", AuditKind::Export, 1, 1), ("desk", AuditKind::Check, 2, 1), ("screening", AuditKind::Check, 40, 16)];
    assert_eq!(said, expected, "an answer without a reference counts, and has none to tell of");
    assert_eq!(trail.sweep().await, Ok(0));
    node.clock.advance_ms(30 * 86_400_000 + 1);
    assert_eq!(trail.sweep().await, Ok(3));
    assert!(trail.list(Seq::ZERO, 10).await.expect("read").records.is_empty());
}

#[tokio::test]
async fn what_cannot_be_noted_yet_is_counted_on() {
    let world = World::new(&["acme"]).await;
    let node = world.node("acme");
    let trail = AuditTrail::new(node.store.clone(), node.directory.clone(), node.clock.clone());
    acting_for(actor("desk"), || trail.answered(AuditKind::Check, ["chk_1"]));
    node.store.close();
    trail.flush().await;
    acting_for(actor("desk"), || trail.answered(AuditKind::Check, ["chk_2"]));
    assert_eq!(trail.waiting(), 2);
}
