//! What members use of shared keys: charged before it is computed, once, and never given anew.

use super::*;
use crate::domain::{Charge, Charged, KeyClass, Usage};

const TODAY: u32 = 20_000;

fn charge(request: u8, count: u32) -> Charge {
    Charge {
        member: "bazaar".parse().expect("valid"),
        key: "k1".parse().expect("valid"),
        class: KeyClass::LowEntropy,
        day: TODAY,
        count,
        budget: 100,
        request: [request; 16],
        digest: [request; 32],
    }
}

async fn charged(store: &Store, charge: Charge) -> Charged {
    store.charge(charge).await.expect("durable")
}

const fn granted(spent: u64) -> Charged {
    Charged::Granted { spent }
}

#[tokio::test]
async fn a_request_is_charged_once_and_outlives_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    assert_eq!(charged(&store, charge(1, 60)).await, granted(60));
    assert_eq!(charged(&store, charge(1, 60)).await, granted(60), "asked again");
    assert_eq!(charged(&store, Charge { digest: [9; 32], ..charge(1, 8) }).await, Charged::Reused);
    // Of two that arrive together and do not both fit one is granted.
    let (first, second) = tokio::join!(store.charge(charge(2, 32)), store.charge(charge(3, 32)));
    assert_eq!((first, second), (Ok(granted(92)), Ok(Charged::Over { spent: 92 })));
    let (same, again) = tokio::join!(store.charge(charge(4, 8)), store.charge(charge(4, 8)));
    assert_eq!((same, again), (Ok(granted(100)), Ok(granted(100))));
    store.close();
    drop(store);
    let store = Store::open(options(folder.path(), "acme")).expect("opens again");
    assert_eq!(charged(&store, charge(5, 8)).await, Charged::Over { spent: 100 });
    assert_eq!(charged(&store, charge(2, 32)).await, granted(92), "what was granted may be asked for again");
    // Budgets are each their own.
    assert_eq!(charged(&store, Charge { class: KeyClass::Name, ..charge(6, 8) }).await, granted(8));
    assert_eq!(charged(&store, Charge { key: "k2".parse().expect("valid"), ..charge(7, 8) }).await, granted(8));
    assert_eq!(charged(&store, Charge { member: "brand".parse().expect("valid"), ..charge(5, 8) }).await, granted(8));
}

#[tokio::test]
async fn a_clock_that_steps_gives_no_budget_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    let on = |day: u32, request: u8| Charge { day, ..charge(request, 100) };
    assert_eq!(charged(&store, on(TODAY, 1)).await, granted(100));
    assert_eq!(charged(&store, on(TODAY + 1, 1)).await, granted(100), "the same request just after midnight");
    assert_eq!(charged(&store, on(TODAY + 1, 2)).await, granted(100), "and a new day");
    assert_eq!(charged(&store, on(TODAY + 900, 3)).await, granted(100));
    assert_eq!(charged(&store, on(TODAY, 4)).await, Charged::Over { spent: 100 }, "back again");
    while store.prune_ledger(TODAY + 900).await.expect("pruned") > 0 {}
    assert_eq!(charged(&store, on(TODAY, 4)).await, Charged::Over { spent: 100 }, "days are forgotten by their number");
    assert_eq!(charged(&store, on(TODAY + 900, 4)).await, Charged::Over { spent: 100 });
}

#[tokio::test]
async fn days_are_told_of_whole_and_four_hundred_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    let members = ["acme", "bazaar", "chips"];
    for day in 0..402 {
        for member in members {
            let member = member.parse().expect("valid");
            let mut of_day = Charge { member, day: TODAY + day, ..charge(1, 8) };
            of_day.request[..4].copy_from_slice(&day.to_be_bytes());
            assert_eq!(charged(&store, of_day).await, granted(8));
        }
    }
    let mut pruned = 0;
    loop {
        match store.prune_ledger(TODAY + 401).await.expect("pruned") {
            0 => break,
            some => pruned += some,
        }
    }
    assert_eq!(pruned, 2 * 3 + 400 * 3, "two days, and the names of requests of all but two");
    let (first, next) = store.usage(0, 4).expect("readable");
    assert_eq!((first.len(), next), (6, Some(TODAY + 4)));
    let whose: Vec<String> = first[..3].iter().map(|usage| usage.member.to_string()).collect();
    assert_eq!(whose, members);
    let expected = Usage {
        day: TODAY + 2,
        key: "k1".parse().expect("valid"),
        class: KeyClass::LowEntropy,
        member: "acme".parse().expect("valid"),
        evaluations: 8,
        requests: 1,
    };
    assert_eq!(first[0], expected);
    let (last, next) = store.usage(TODAY + 401, 1_000).expect("readable");
    assert_eq!((last.len(), next), (3, None));
}
