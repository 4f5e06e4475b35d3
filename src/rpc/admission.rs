//! What of all that callers ask for at once is taken on, and how fast each may ask.
//!
//! A call that cannot be taken on is refused at once, with a hint when to try again, before anything of its message is read: to
//! queue it would cost memory that a flood could fill. Rows on a stream are never refused for their number; their stream is read
//! more slowly. Every caller has a share of its own, and none has more places than are left. The last quarter of them is kept for callers
//! that have none: whoever comes later finds room unless as many callers as that have come before.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::{DefaultDirectRateLimiter, NotUntil, Quota, RateLimiter};
use parking_lot::Mutex;

use tonic::Code;

use super::fault::Fault;
use super::identity::Identity;
use super::methods::{Kind, Method};
use crate::domain::limits::{
    MAX_CALLS, MAX_CALLS_EACH, MAX_LARGE, MAX_LARGE_EACH, MAX_ROW_STREAMS, MAX_ROW_STREAMS_EACH, MAX_STANDING,
    MAX_STANDING_EACH, PEER_CALLS_PER_SECOND, RETRY_BUSY,
};
use crate::domain::{Allowance, Clock, Timestamp};

/// Seconds of calls that may come at once.
const BURST_SECONDS: NonZeroU32 = NonZeroU32::new(2).expect("two is not zero");
const DAY_MS: i64 = 86_400_000;

/// Why a call is not taken on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    /// All callers together have as many calls at hand as the node takes on.
    Node,
    /// This caller has as many as one may.
    Caller,
    /// This caller asks faster than it may; how long it has to wait.
    Rate(Duration),
    /// This caller has had its rows of the day; how long the day still is.
    Quota(Duration),
}

impl Busy {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Node => "NODE_BUSY",
            Self::Caller => "TOO_MANY_CALLS",
            Self::Rate(_) => "RATE_LIMITED",
            Self::Quota(_) => "QUOTA_SPENT",
        }
    }

    /// Whether a node that answers with this code would take the call on later.
    pub(super) fn is_code(code: &str) -> bool {
        [Self::Node, Self::Caller, Self::Rate(Duration::ZERO), Self::Quota(Duration::ZERO)]
            .iter()
            .any(|busy| busy.code() == code)
    }

    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Node => "this node has as much at hand as it takes on; try again later",
            Self::Caller => "this caller has as many calls of this kind at hand as one may; wait for some of them to end",
            Self::Rate(_) => "this caller asks faster than the operator allows; ask more slowly, or in streams of rows",
            Self::Quota(_) => {
                "this caller has handed in as many rows today as the operator allows; go on after midnight UTC, or ask the operator for more"
            }
        }
    }

    /// After how long it is worth to try again.
    pub(super) const fn retry_after(self) -> Duration {
        match self {
            Self::Node | Self::Caller => RETRY_BUSY,
            Self::Rate(wait) | Self::Quota(wait) => wait,
        }
    }

    /// What a caller is told.
    pub(super) fn fault(self) -> Fault {
        Fault::new(Code::ResourceExhausted, self.code(), self.message()).retry_after(self.retry_after())
    }
}

/// How many of each kind of call.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    unary: usize,
    rows: usize,
    large: usize,
    standing: usize,
}

impl Counts {
    /// What all callers together may have at hand, and one of them.
    const ALL: Self = Self { unary: MAX_CALLS, rows: MAX_ROW_STREAMS, large: MAX_LARGE, standing: MAX_STANDING };
    const EACH: Self =
        Self { unary: MAX_CALLS_EACH, rows: MAX_ROW_STREAMS_EACH, large: MAX_LARGE_EACH, standing: MAX_STANDING_EACH };

    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Unary => &mut self.unary,
            Kind::Rows => &mut self.rows,
            Kind::Large => &mut self.large,
            Kind::Standing => &mut self.standing,
        }
    }

    fn is_full(mut self, kind: Kind, mut most: Self) -> bool {
        *self.of(kind) >= *most.of(kind)
    }

    /// What is left of `ALL`.
    const fn left(self) -> Self {
        Self {
            unary: Self::ALL.unary - self.unary,
            rows: Self::ALL.rows - self.rows,
            large: Self::ALL.large - self.large,
            standing: Self::ALL.standing - self.standing,
        }
    }

    /// Whether what is kept for callers without a call of this kind is all that is left.
    fn is_nearly_full(mut self, kind: Kind) -> bool {
        let mut all = Self::ALL;
        let most = *all.of(kind);
        *self.of(kind) >= most - most / 4
    }

    const fn is_empty(self) -> bool {
        self.unary + self.rows + self.large + self.standing == 0
    }
}

/// One caller, as long as it has calls at hand or is measured.
#[derive(Default)]
struct Caller {
    at_hand: Counts,
    allowance: Allowance,
    calls: Option<Arc<DefaultDirectRateLimiter>>,
    rows: Option<Arc<DefaultDirectRateLimiter>>,
    day: Option<Arc<Mutex<Day>>>,
}

/// Rows that were handed in on a day.
#[derive(Default)]
struct Day {
    unix_day: i64,
    rows: u64,
}

impl Day {
    /// Counts as many of `wanted` rows as may still be handed in: how many, and why not all of them.
    fn take(&mut self, now: Timestamp, most: NonZeroU32, wanted: u64) -> (u64, Option<Busy>) {
        if self.unix_day != now.unix_day() {
            *self = Self { unix_day: now.unix_day(), rows: 0 };
        }
        let left = u64::from(most.get()).saturating_sub(self.rows);
        let taken = wanted.min(left);
        self.rows += taken;
        (taken, (taken < wanted).then(|| Busy::Quota(until_midnight(now))))
    }
}

fn until_midnight(now: Timestamp) -> Duration {
    let passed = now.unix_ms().rem_euclid(DAY_MS);
    Duration::from_millis(u64::try_from(DAY_MS - passed).unwrap_or(0))
}

impl Caller {
    /// Measures by `allowance` from now on. One that has not changed goes on with what was measured.
    fn allow(&mut self, allowance: Allowance) {
        if self.allowance != allowance {
            self.allowance = allowance;
            self.calls = allowance.calls_per_second.map(limiter);
            self.rows = allowance.rows_per_second.map(limiter);
            if allowance.rows_per_day.is_some() {
                self.day.get_or_insert_default();
            }
        }
    }
}

fn limiter(per_second: NonZeroU32) -> Arc<DefaultDirectRateLimiter> {
    let burst = per_second.saturating_mul(BURST_SECONDS);
    Arc::new(RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst)))
}

#[derive(Default)]
struct Table {
    all: Counts,
    /// As many as the roster has members or the configuration has clients.
    callers: HashMap<Identity, Caller>,
}

/// Takes calls of one listener on, or not. Clones count together.
#[derive(Clone)]
pub(super) struct Admission {
    table: Arc<Mutex<Table>>,
    clock: Arc<dyn Clock>,
}

impl Admission {
    /// Days are those of `clock`.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { table: Arc::default(), clock }
    }

    /// `caller` has handed in so many rows today before the node was started.
    pub(super) fn recount(&self, caller: Identity, rows: u64) {
        let day = Day { unix_day: self.clock.now().unix_day(), rows };
        self.table.lock().callers.entry(caller).or_default().day = Some(Arc::new(Mutex::new(day)));
    }

    /// A place for a call of `method` by `caller`, who may ask as fast as `allowance` says.
    pub(super) fn take_on(&self, caller: &Identity, allowance: Allowance, method: &Method) -> Result<Place, Busy> {
        let mut table = self.table.lock();
        let Table { all, callers } = &mut *table;
        if all.is_full(method.kind, Counts::ALL) {
            return Err(Busy::Node);
        }
        let known = callers.entry(caller.clone()).or_default();
        known.allow(allowance);
        let has_its_share = known.at_hand.is_full(method.kind, Counts::EACH) || known.at_hand.is_full(method.kind, all.left());
        if has_its_share || (all.is_nearly_full(method.kind) && *known.at_hand.of(method.kind) > 0) {
            return Err(Busy::Caller);
        }
        if let Some(calls) = &known.calls {
            within(calls, method.cost).map_err(Busy::Rate)?;
        }
        let quota = known.day.clone().zip(allowance.rows_per_day);
        let quota = quota.map(|(day, most)| DayQuota { day, most, clock: self.clock.clone() });
        let rows = RowPace { limiter: known.rows.clone(), quota };
        if method.is_row
            && let (_, Some(spent)) = rows.take(1)
        {
            return Err(spent);
        }
        *all.of(method.kind) += 1;
        *known.at_hand.of(method.kind) += 1;
        drop(table);
        Ok(Place { admission: self.clone(), caller: caller.clone(), kind: method.kind, rows })
    }
}

/// What a node of another member may ask, whoever it is.
pub(super) fn of_peers() -> Allowance {
    Allowance { calls_per_second: NonZeroU32::new(PEER_CALLS_PER_SECOND), ..Allowance::default() }
}

/// Takes `count` from what is left, or says how long to wait until it is there. More than there ever is at once is taken as all that
/// there is.
fn within(limiter: &DefaultDirectRateLimiter, count: u32) -> Result<(), Duration> {
    let Some(count) = NonZeroU32::new(count) else { return Ok(()) };
    match limiter.check_n(count) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(not_until)) => Err(from_now(&not_until)),
        Err(beyond) => match NonZeroU32::new(beyond.0).map(|all| limiter.check_n(all)) {
            Some(Ok(Err(not_until))) => Err(from_now(&not_until)),
            Some(Ok(Ok(())) | Err(_)) | None => Ok(()),
        },
    }
}

fn from_now(not_until: &NotUntil<<MonotonicClock as governor::clock::Clock>::Instant>) -> Duration {
    not_until.wait_time_from(MonotonicClock.now())
}

/// A call's place among those at hand; gives it up when dropped.
pub(super) struct Place {
    admission: Admission,
    caller: Identity,
    kind: Kind,
    /// How fast rows of this call are read.
    pub(super) rows: RowPace,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.admission.table.lock();
        *table.all.of(self.kind) -= 1;
        if let Some(known) = table.callers.get_mut(&self.caller) {
            *known.at_hand.of(self.kind) -= 1;
            // Whoever is measured is remembered, or a new connection would begin anew.
            if known.at_hand.is_empty() && known.calls.is_none() && known.rows.is_none() && known.day.is_none() {
                table.callers.remove(&self.caller);
            }
        }
    }
}

/// How fast rows are read, and how many. Goes with a request to its service.
#[derive(Clone, Default)]
pub(super) struct RowPace {
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
    quota: Option<DayQuota>,
}

/// Rows of a day, and how many there may be.
#[derive(Clone)]
struct DayQuota {
    day: Arc<Mutex<Day>>,
    most: NonZeroU32,
    clock: Arc<dyn Clock>,
}

impl RowPace {
    /// Of the call that `request` belongs to.
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Ready when `count` rows may be worked on.
    pub(super) async fn wait_for(&self, count: usize) {
        let Some(limiter) = &self.limiter else { return };
        let (mut left, mut most) = (u32::try_from(count).unwrap_or(u32::MAX), u32::MAX);
        while let Some(part) = NonZeroU32::new(left.min(most)) {
            match limiter.check_n(part) {
                Ok(Ok(())) => left -= part.get(),
                Ok(Err(not_until)) => tokio::time::sleep(from_now(&not_until)).await,
                // A piece of rows may be more than there ever is at once.
                Err(beyond) => most = beyond.0,
            }
        }
    }

    /// How many of `wanted` rows may be worked on today, and why not all of them.
    pub(super) fn take(&self, wanted: usize) -> (usize, Option<Busy>) {
        let Some(DayQuota { day, most, clock }) = &self.quota else { return (wanted, None) };
        let (taken, spent) = day.lock().take(clock.now(), *most, wanted as u64);
        (usize::try_from(taken).unwrap_or(wanted), spent)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn caller(name: &str) -> Identity {
        format!("spiffe://alliance.example/member/acme/client/{name}").parse().expect("an identity")
    }

    fn method(kind: Kind, cost: u32) -> Method {
        Method { name: "Some/Method".into(), kind, cost, is_row: false, is_streamed: false }
    }

    fn per_second(calls: u32) -> Allowance {
        Allowance { calls_per_second: NonZeroU32::new(calls), ..Allowance::default() }
    }

    struct HandClock(AtomicI64);

    impl Clock for HandClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_ms(self.0.load(Ordering::Relaxed))
        }
    }

    fn empty() -> Admission {
        Admission::new(Arc::new(HandClock(AtomicI64::new(0))))
    }

    #[test]
    fn rows_of_a_day_are_counted_over_calls_and_connections_and_begin_anew_at_midnight() {
        let clock = Arc::new(HandClock(AtomicI64::new(DAY_MS / 2)));
        let admission = Admission::new(clock.clone());
        let allowance = Allowance { rows_per_day: NonZeroU32::new(10), ..Allowance::default() };
        let stream =
            |name: &str| admission.take_on(&caller(name), allowance, &method(Kind::Rows, 1)).expect("room").rows.clone();
        let single = || {
            let method = Method { is_row: true, ..method(Kind::Unary, 1) };
            admission.take_on(&caller("c"), allowance, &method).map(drop)
        };
        assert_eq!(stream("c").take(6), (6, None));
        assert!(single().is_ok());
        let spent = Busy::Quota(Duration::from_secs(43_200));
        assert_eq!(stream("c").take(6), (3, Some(spent)), "what is left of ten");
        assert_eq!((stream("c").take(1), single()), ((0, Some(spent)), Err(spent)));
        assert_eq!(stream("other").take(6), (6, None), "others have their own");
        clock.0.store(DAY_MS, Ordering::Relaxed);
        assert_eq!(stream("c").take(10), (10, None));
        admission.recount(caller("again"), 8);
        assert_eq!(stream("again").take(5).0, 2, "what came before a restart counts");
    }

    #[test]
    fn one_caller_cannot_take_the_places_of_the_others() {
        let (admission, rows) = (empty(), method(Kind::Rows, 1));
        let take = |name: &str| admission.take_on(&caller(name), Allowance::default(), &rows);
        let held: Vec<Place> = (0..MAX_ROW_STREAMS_EACH).map(|_| take("greedy").expect("room")).collect();
        assert_eq!(take("greedy").err(), Some(Busy::Caller));
        drop(take("modest").expect("room for another"));
        let others = (0..MAX_ROW_STREAMS - MAX_ROW_STREAMS_EACH).map(|number| take(&format!("c{number}")).expect("room"));
        let others: Vec<Place> = others.collect();
        assert_eq!(take("late").err(), Some(Busy::Node));
        let unary = admission.take_on(&caller("late"), Allowance::default(), &method(Kind::Unary, 1));
        assert!(unary.is_ok(), "checks go on while all streams are taken");
        let list = || admission.take_on(&caller("greedy"), Allowance::default(), &method(Kind::Large, 1));
        let lists: Vec<Place> = (0..MAX_LARGE_EACH).map(|_| list().expect("room for some")).collect();
        assert_eq!(list().err(), Some(Busy::Caller));
        drop((held, others, unary, lists));
        assert!(admission.table.lock().callers.is_empty(), "nobody is remembered who has nothing at hand");
        assert_eq!(admission.table.lock().all.rows, 0);
    }

    #[test]
    fn callers_that_hold_all_that_they_may_leave_room_for_one_more() {
        for (kind, most) in [(Kind::Unary, MAX_CALLS), (Kind::Rows, MAX_ROW_STREAMS)] {
            let (admission, method) = (empty(), method(kind, 1));
            let take = |name: &str| admission.take_on(&caller(name), Allowance::default(), &method);
            let mut held: Vec<Place> = Vec::new();
            for number in 0..most / 5 {
                let name = format!("c{number}");
                held.extend(std::iter::from_fn(|| take(&name).ok()));
                assert_eq!(take(&name).err(), Some(Busy::Caller));
            }
            assert!(held.len() < most, "{kind:?}: {} of {most}", held.len());
            let late: Vec<Place> = std::iter::from_fn(|| take("late").ok()).collect();
            assert!(!late.is_empty(), "{kind:?}");
        }
    }

    #[test]
    fn who_asks_too_fast_is_told_when_to_come_again() {
        let (admission, cheap) = (empty(), method(Kind::Unary, 1));
        let ask = || admission.take_on(&caller("hasty"), per_second(10), &cheap);
        let asked: Vec<_> = (0..10 * BURST_SECONDS.get()).map(|_| ask().map(drop)).collect();
        assert!(asked.iter().all(Result::is_ok));
        let Err(Busy::Rate(wait)) = ask() else { panic!("nothing is left of a burst") };
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(100), "{wait:?}");
        let other = admission.take_on(&caller("other"), per_second(10), &cheap);
        assert!(other.is_ok(), "measured by itself");
    }

    #[test]
    fn dear_calls_use_up_more_of_what_a_caller_may() {
        let (admission, dear) = (empty(), method(Kind::Unary, 15));
        let ask = || admission.take_on(&caller("c"), per_second(10), &dear).map(drop);
        assert!(ask().is_ok());
        assert!(matches!(ask(), Err(Busy::Rate(_))));
        // Dearer than all that there is at once: it takes all of that.
        let (admission, dearer) = (empty(), method(Kind::Unary, 1_000));
        let ask = || admission.take_on(&caller("c"), per_second(10), &dearer).map(drop);
        assert!(ask().is_ok());
        assert!(matches!(ask(), Err(Busy::Rate(_))));
    }

    #[test]
    fn another_allowance_holds_at_once() {
        let (admission, cheap) = (empty(), method(Kind::Unary, 1));
        let ask = |allowance| admission.take_on(&caller("c"), allowance, &cheap).map(drop);
        for _ in 0..BURST_SECONDS.get() {
            ask(per_second(1)).expect("within the burst");
        }
        assert!(ask(per_second(1)).is_err());
        assert!(ask(per_second(100)).is_ok());
        assert!(ask(Allowance::default()).is_ok());
    }
}
