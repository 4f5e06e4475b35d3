//! What runs have found, each by its name. A case is as short as the run could be made; it failed before it was mended.

use super::lies::Lie;
use super::plan::{Op, Plan};
use super::runs::run;

fn holds(members: usize, groups: &[&[usize]], ops: &[(u64, Op)]) {
    let groups = groups.iter().map(|group| group.to_vec()).collect();
    is_kept(&Plan { seed: 1, members, groups, liar: None, ops: ops.to_vec() });
}

fn is_kept(plan: &Plan) {
    if let Err((broken, tail)) = run(plan) {
        panic!("{broken}\n{plan}\n{tail}");
    }
}

/// Freshness told of members that they were heard at a time to come, for as long as the clock had been wrong.
#[test]
fn a_clock_that_was_set_back_leaves_nobody_heard_in_the_future() {
    holds(3, &[&[0, 1]], &[(90_000, Op::Skew { member: 2, ms: -4 * 86_400_000 }), (10, Op::Look { member: 2 })]);
}

/// Whoever had swallowed a batch was waited for, for as long as the connection held, where nobody else had it.
#[test]
fn what_was_withheld_for_a_while_is_asked_for_again() {
    let lie = Op::Lie { member: 2, to: None, lies: vec![Lie::Withheld] };
    let ops = [(20_000, lie), (5_000, Op::Append { member: 2, group: None, count: 40 }), (60_000, Op::Honest)];
    holds(3, &[&[0, 1]], &ops);
}

/// A member counted as heard, and as having said nothing, before its heads were looked at for the first time after a start.
#[test]
fn nobody_is_heard_before_what_it_has_said_is_known() {
    let mut ops = vec![
        (20_000, Op::Crash { member: 0 }),
        (10, Op::Append { member: 1, group: None, count: 5 }),
        (400_000, Op::Start { member: 0 }),
    ];
    ops.extend(std::iter::repeat_n((3, Op::Look { member: 0 }), 150));
    holds(3, &[&[0, 1]], &ops);
}

/// The feeds of a group that a member had just joined counted as heard of, and as empty, before anybody was asked for them.
#[test]
fn nothing_is_heard_of_a_group_before_it_was_asked_about() {
    let mut ops =
        vec![(30_000, Op::Append { member: 1, group: Some(0), count: 5 }), (400_000, Op::Regroup { member: 2, group: 0 })];
    ops.extend(std::iter::repeat_n((150, Op::Look { member: 2 }), 300));
    holds(3, &[&[0, 1]], &ops);
}

/// A member that was let in again and did not know it yet showed nothing of what it held, and that nothing agreed with a node that had lost
/// its disk: such a node would have gone on from there, and signed a second history.
#[test]
fn whoever_has_another_roster_confirms_nothing() {
    let ops = [
        (22_181, Op::Expel { member: 2 }),
        (19_371, Op::Append { member: 1, group: None, count: 17 }),
        (10, Op::Append { member: 2, group: None, count: 40 }),
        (29, Op::LoseDisk { member: 1 }),
        (1_301, Op::Expel { member: 2 }),
        (457, Op::Retract { member: 1, pick: 2_689_913_762 }),
    ];
    let plan = Plan { seed: 4_034, members: 3, groups: vec![vec![0, 2], vec![1]], liar: None, ops: ops.to_vec() };
    is_kept(&plan);
}
