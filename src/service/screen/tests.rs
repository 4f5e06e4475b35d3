use super::*;
use crate::service::tests::world::World;

#[tokio::test]
async fn nobody_looks_up_what_nobody_waits_for() {
    let world = World::new(&["aurelle"]).await;
    let screener = &world.node("aurelle").screener;
    let question = |row| Question { row, kinds: vec![], asked: vec![], pseudonyms: vec![] };
    let nothing = || Chosen { own: candidates::Choice::default(), elsewhere: candidates::Choice::default() };
    let abandoned = CancellationToken::new();
    let freshness = FreshnessRecord { as_of: Timestamp::from_unix_ms(0), feeds: vec![] };
    let looked_up =
        || screener.read_all(vec![(question(0), nothing()), (question(1), nothing())], &freshness, &abandoned).len();
    assert_eq!(looked_up(), 2);
    abandoned.cancel();
    assert_eq!(looked_up(), 0);
}
