use super::*;
use crate::service::tests::world::World;

#[tokio::test]
async fn nobody_looks_up_what_nobody_waits_for() {
    let world = World::new(&["aurelle"]).await;
    let screener = &world.node("aurelle").screener;
    let question = |row| Question { row, kinds: vec![], asked: vec![], pseudonyms: vec![] };
    let nothing = || Chosen { own: candidates::Choice::default(), elsewhere: candidates::Choice::default() };
    let abandoned = CancellationToken::new();
    let looked_up = || screener.read_all(vec![(question(0), nothing()), (question(1), nothing())], &abandoned).len();
    assert_eq!(looked_up(), 2);
    abandoned.cancel();
    assert_eq!(looked_up(), 0);
}
