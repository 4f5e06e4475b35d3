//! Anything may happen in any order; once it stops, all nodes hold the same.

use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use super::world::*;
use crate::domain::Entropy as _;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const STEPS: usize = 60;

struct Dice(Counter);

impl Dice {
    /// SplitMix64, so that neighbouring seeds differ.
    fn roll(&self, sides: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).expect("counts");
        let mut z = u64::from_be_bytes(bytes);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("small")
    }

    fn name(&self) -> &'static str {
        NAMES[self.roll(NAMES.len())]
    }
}

/// Set `COUNTERMARK_SEED` to the printed number to see a failure again; the threads' own timing stays free.
fn seed() -> u64 {
    let given = std::env::var("COUNTERMARK_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happened_all_nodes_come_to_hold_the_same() {
    let seed = seed();
    #[expect(clippy::print_stderr, reason = "shown with a failure")]
    {
        eprintln!("seed {seed}");
    }
    let dice = Dice(Counter(AtomicU64::new(seed)));
    let mut world = World::of(roster(1, &NAMES, &[], &[])).await;
    let (mut next, mut written) = (0_u64, 0_u64);
    let mut down: Option<&str> = None;
    for _ in 0..STEPS {
        let name = dice.name();
        match dice.roll(10) {
            0..=3 if down != Some(name) => {
                let count = [1, 7, 300][dice.roll(3)];
                // A node that was started among cut links has heard of nobody, and nobody will mend them while it is waited for.
                let numbers: Vec<u64> = (next..next + count).collect();
                next += count;
                written += world.node(name).try_append("all", &numbers).await as u64;
            }
            4 | 5 => world.cut(name, dice.name()),
            6 | 7 => world.heal(name, dice.name()),
            8 if down.is_none() => {
                world.stop(name).await;
                down = Some(name);
            }
            _ => {
                if let Some(name) = down.take() {
                    world.start(name).await;
                }
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(dice.roll(20) as u64)).await;
    }
    if let Some(name) = down {
        world.start(name).await;
    }
    world.heal_all();
    world.converge(written).await;
    for name in NAMES {
        assert!(world.node(name).store.forks().is_empty(), "no fork came of it, seed {seed}");
    }
}
