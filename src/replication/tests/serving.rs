//! What a node that serves peers keeps of them, and what it keeps for them.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::log::Log;
use super::world::*;
use crate::domain::limits::MAX_LOGGED_REFUSALS;
use crate::replication::{Held, Reader, ServeContext};

#[tokio::test]
async fn what_a_peer_is_refused_is_logged_once_for_each_thing_and_no_more_than_so_much_of_one_peer() {
    let world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    let a = world.node("a");
    let context = ServeContext::new(Reader::new(a.store.clone(), TaskTracker::new()), a.directory.clone(), PACE, key("a"));
    let log = Log::default();
    let logging = tracing::dispatcher::set_default(&log.dispatch());
    let mut seen = 0;
    let mut logged = || {
        let lines = log.lines();
        let new: Vec<_> = lines[seen..].iter().map(|line| line["fields"]["feed"].as_str().map(str::to_owned)).collect();
        seen = lines.len();
        new
    };
    let refuse = |peer: &str, n: usize| context.note_refusal(&id(peer), &format!("c/g{n}"), "NOT_SHARED");
    let named = |n: usize| Some(format!("c/g{n}"));
    (0..MAX_LOGGED_REFUSALS).for_each(|n| refuse("b", n));
    assert_eq!(logged(), (0..MAX_LOGGED_REFUSALS).map(named).collect::<Vec<_>>());
    refuse("b", 0);
    assert_eq!(logged(), [], "it is known");
    refuse("b", MAX_LOGGED_REFUSALS);
    assert_eq!(logged(), [None], "that it asks for more, once");
    (0..200).for_each(|n| refuse("b", n));
    assert_eq!(logged(), []);
    refuse("c", 0);
    assert_eq!(logged(), [named(0)], "another peer has lines of its own");
    context.note_refusal(&id("c"), "c/g0", "NOT_HELD");
    assert_eq!(logged(), [named(0)], "and so has another reason");
    drop(logging);
}

#[tokio::test]
async fn heads_are_gathered_once_for_all_peers_until_something_changes() {
    let world = World::of(roster(1, &["a", "b"], &[], &[])).await;
    world.node("a").append("all", 0..3).await;
    world.converge(3).await;
    let store = &world.node("a").store;
    let reader = Reader::new(store.clone(), TaskTracker::new());
    let first = reader.held().await.expect("read");
    assert!(Arc::ptr_eq(&first, &reader.clone().held().await.expect("read")));
    world.node("a").append("all", 3..4).await;
    let second = reader.held().await.expect("read");
    assert_eq!((first.size(&feed("a/all")).get(), second.size(&feed("a/all")).get()), (3, 4));
    assert_eq!(Held::of(store).hollow(), [], "of what is whole nothing is asked");
}
