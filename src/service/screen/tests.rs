use super::*;
use crate::service::tests::world::World;

#[tokio::test]
async fn nobody_looks_up_what_nobody_waits_for() {
    let world = World::new(&["aurelle"]).await;
    let (screener, freshness) = (&world.node("aurelle").screener, world.node("aurelle").freshness.now());
    let question = |row| Question { row, kinds: vec![], asked: vec![], pseudonyms: vec![] };
    let abandoned = CancellationToken::new();
    let looked_up = || screener.find_all(vec![question(0), question(1)], &freshness, &abandoned).len();
    assert_eq!(looked_up(), 2);
    abandoned.cancel();
    assert_eq!(looked_up(), 0);
}
