//! What happens in a run: drawn from its seed, and nothing else.

use std::fmt;

use super::dice::Dice;
use super::lies::{LIES, Lie};

/// What is done to the alliance. Members are numbers; who does not run, or may not, leaves it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// A member adds so many signals; to the whole alliance, or to the so many-th group.
    Append { member: usize, group: Option<usize>, count: u64 },
    /// A member withdraws a signal of its own.
    Retract { member: usize, pick: u64 },
    /// A member erases signals of its own, with what belongs to them.
    Erase { member: usize, pick: u64, count: u64 },
    /// A member adds evidence to a signal of its own.
    Amend { member: usize, pick: u64 },
    /// A member gives a signal of its own a pseudonym under another key.
    Rekey { member: usize, pick: u64 },
    /// A member has an opinion on another's signal.
    Opine { member: usize, about: usize, pick: u64 },
    /// A node's files are written anew.
    Purge { member: usize },
    /// A node builds what is derived anew.
    Rebuild { member: usize },
    /// Nothing passes from one to the other; what is sent there is refused or swallowed. Both ways or one.
    Cut { from: usize, to: usize, both: bool, silent: bool },
    /// A part of the alliance, by the bits of `side`, is cut off from the rest.
    Split { side: u64, silent: bool },
    /// All passes between two again.
    Join { a: usize, b: usize },
    /// Every way is as it should be.
    Heal,
    /// Messages between two take long, and connections break now and then.
    Strain { a: usize, b: usize, delay_ms: u64, breaks: u64 },
    /// Connections between two break.
    Break { a: usize, b: usize },
    /// A node's clock jumps.
    Skew { member: usize, ms: i64 },
    /// A machine loses its power, and what was not forced to its disk.
    Crash { member: usize },
    /// A node is stopped as it should be.
    Stop { member: usize },
    /// A node is started.
    Start { member: usize },
    /// A disk is full, or has room again.
    Full { member: usize, is_full: bool },
    /// A disk fails at a step to come: it refuses, or the power goes. Of what it was to write is left what `remains` says.
    DiskFails { member: usize, after: u64, power: bool, remains: u8 },
    /// A disk is lost; the node gets its feeds back from the others.
    LoseDisk { member: usize },
    /// A disk is lost, and a backup from before the last signals is put back.
    Restore { member: usize, count: u64 },
    /// A member adds to its feed, puts an older copy of its disk back and goes on from there.
    Fork { member: usize, before: u64, after: u64 },
    /// A member runs a second node beside the first, from a copy of its disk; those with a bit in `side` get to that one.
    Twin { member: usize, side: u64, count: u64 },
    /// A member lies to another, or to all of them.
    Lie { member: usize, to: Option<usize>, lies: Vec<Lie> },
    /// Nobody lies any more.
    Honest,
    /// The secretariat expels a member, or admits one that it expelled.
    Expel { member: usize },
    /// A member joins a group, or leaves it.
    Regroup { member: usize, group: usize },
    /// What answers would rest on is looked at.
    Look { member: usize },
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) members: usize,
    /// Members of each group.
    pub(crate) groups: Vec<Vec<usize>>,
    /// A member that lies to everybody until the end.
    pub(crate) liar: Option<usize>,
    /// Milliseconds before each, and what is done.
    pub(crate) ops: Vec<(u64, Op)>,
}

impl Plan {
    /// The run of a seed. Mostly a handful of members; a few in a thousand runs have fifty.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, 1);
        let members = match dice.roll(1_000) {
            0..=4 => 30 + dice.index(21),
            5..=49 => 8 + dice.index(5),
            _ => 3 + dice.index(5),
        };
        let groups = (0..1 + dice.roll(3)).map(|_| (0..members).filter(|_| dice.chance(60)).collect()).collect::<Vec<Vec<_>>>();
        let liar = (members > 3 && dice.chance(10)).then(|| dice.index(members));
        let length = if members > 12 { 10 + dice.roll(10) } else { 10 + dice.roll(50) };
        let ops = (0..length).map(|_| (pause(&mut dice), op(&mut dice, members, groups.len()))).collect();
        Self { seed, members, groups, liar, ops }
    }

    /// The same run with some of its operations only.
    pub(crate) fn only(&self, kept: &[usize]) -> Self {
        Self { ops: kept.iter().filter_map(|i| self.ops.get(*i).cloned()).collect(), ..self.clone() }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {} members, groups {:?}, liar {:?}", self.seed, self.members, self.groups, self.liar)?;
        self.ops.iter().enumerate().try_for_each(|(i, (pause, op))| writeln!(f, "{i:>3}: after {pause} ms {op:?}"))
    }
}

/// Mostly a moment, so that one thing happens amid another; sometimes long enough for everything to settle.
fn pause(dice: &mut Dice) -> u64 {
    match dice.roll(10) {
        0..=3 => dice.roll(50),
        4..=6 => dice.roll(2_000),
        7 | 8 => dice.roll(20_000),
        _ => dice.roll(120_000),
    }
}

fn op(dice: &mut Dice, members: usize, groups: usize) -> Op {
    let member = dice.index(members);
    let other = (member + 1 + dice.index(members - 1)) % members;
    let pick = dice.roll(1 << 32);
    match dice.roll(100) {
        0..=29 => {
            let group = dice.chance(40).then(|| dice.index(groups));
            Op::Append { member, group, count: [1, 3, 17, 40][dice.index(4)] }
        }
        30..=33 => Op::Retract { member, pick },
        34..=38 => Op::Erase { member, pick, count: 1 + dice.roll(3) },
        39 | 40 => Op::Amend { member, pick },
        41 | 42 => Op::Rekey { member, pick },
        43 | 44 => Op::Opine { member, about: other, pick },
        45 | 46 => Op::Purge { member },
        47 => Op::Rebuild { member },
        48..=53 => Op::Cut { from: member, to: other, both: dice.chance(70), silent: dice.chance(50) },
        54 | 55 => Op::Split { side: pick, silent: dice.chance(50) },
        56..=59 => Op::Join { a: member, b: other },
        60 | 61 => Op::Heal,
        62..=64 => {
            let delay_ms = [300, 2_000, 12_000, 40_000][dice.index(4)];
            Op::Strain { a: member, b: other, delay_ms, breaks: dice.roll(200) }
        }
        65 | 66 => Op::Break { a: member, b: other },
        67 | 68 => {
            let ms = [2_000, 90_000, 86_400_000, 4 * 86_400_000][dice.index(4)];
            Op::Skew { member, ms: if dice.chance(50) { ms } else { -ms } }
        }
        69..=72 => Op::Crash { member },
        73 => Op::Stop { member },
        74..=80 => Op::Start { member },
        81 | 82 => Op::Full { member, is_full: true },
        83 | 84 => Op::Full { member, is_full: false },
        85..=88 => {
            let after = dice.roll(6);
            Op::DiskFails { member, after, power: dice.chance(60), remains: u8::try_from(dice.roll(3)).expect("small") }
        }
        89 if dice.chance(50) => Op::LoseDisk { member },
        89 => Op::Restore { member, count: dice.roll(30) },
        90 if dice.chance(50) => Op::Twin { member, side: pick, count: 1 + dice.roll(20) },
        90 => Op::Fork { member, before: 1 + dice.roll(20), after: 1 + dice.roll(20) },
        91..=93 => {
            let lies = (0..1 + dice.roll(2)).map(|_| LIES[dice.index(LIES.len())]).collect();
            Op::Lie { member, to: dice.chance(60).then_some(other), lies }
        }
        94 => Op::Honest,
        95 => Op::Expel { member },
        96 | 97 => Op::Regroup { member, group: dice.index(groups) },
        _ => Op::Look { member },
    }
}
