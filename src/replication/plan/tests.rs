use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::{FeedKey, Group, Member, MemberKind, MemberState};

const ME: &str = "m0";

fn id(text: &str) -> MemberId {
    text.parse().expect("valid")
}

fn feed(text: &str) -> FeedId {
    text.parse().expect("valid")
}

fn roster(members: usize, expelled: &BTreeSet<usize>, groups: &[BTreeSet<usize>]) -> Roster {
    let member = |n: usize| Member {
        id: id(&format!("m{n}")),
        kind: MemberKind::Brand,
        name: String::new(),
        state: if n != 0 && expelled.contains(&n) { MemberState::Expelled } else { MemberState::Active },
        address: String::new(),
        feed_key: FeedKey([0; 32]),
    };
    let group = |(n, members): (usize, &BTreeSet<usize>)| Group {
        name: format!("g{n}").parse().expect("valid"),
        members: members.iter().map(|m| id(&format!("m{m}"))).collect(),
    };
    Roster {
        members: (0..members).map(member).collect(),
        groups: groups.iter().enumerate().map(group).collect(),
        ..Roster::first("alliance.example".parse().expect("valid"), String::new())
    }
}

/// Everything that a plan is made from, owned.
#[derive(Debug)]
struct Case {
    roster: Roster,
    peers: BTreeMap<MemberId, Prospect>,
    quarantined: BTreeSet<FeedId>,
}

impl Case {
    fn plan_after(&self, previous: &Plan) -> Plan {
        let held = |_: &FeedId| Seq::new(5);
        let (me, roster, peers, quarantined) = (&id(ME), &self.roster, &self.peers, &self.quarantined);
        Situation { me, roster, peers, quarantined, held: &held, previous, recovering: false }.plan()
    }

    fn plan(&self) -> Plan {
        self.plan_after(&Plan::default())
    }

    fn presence(&self, member: &MemberId) -> Presence {
        let active = self.roster.is_active(member);
        self.peers.get(member).filter(|_| active).map_or(Presence::Away, |peer| peer.presence)
    }

    fn may_serve(&self, feed: &FeedId) -> bool {
        self.peers.iter().any(|(id, peer)| {
            peer.presence == Presence::Connected && self.roster.may_read_feed(id, feed) && !peer.refused.contains(feed)
        })
    }
}

fn prospect(feeds: Vec<FeedId>) -> impl Strategy<Value = Prospect> {
    let some = || btree_set(select(feeds.clone()), 0..3);
    let presence = select(vec![Presence::Connected, Presence::Connected, Presence::Lost, Presence::Away]);
    (presence, some(), some(), some(), some(), vec((select(feeds.clone()), 6_u64..9), 0..4)).prop_map(
        |(presence, refused, distrusted, stale, stalled, known)| {
            let known = known.into_iter().map(|(feed, size)| (feed, Seq::new(size))).collect();
            Prospect { presence, known, refused, distrusted, stale, stalled }
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let groups = vec(btree_set(0_usize..6, 1..5), 0..3);
    (btree_set(1_usize..6, 0..2), groups).prop_flat_map(|(expelled, groups)| {
        let roster = roster(6, &expelled, &groups);
        let feeds: Vec<FeedId> = roster.readable_feeds(&id(ME)).into_iter().collect();
        let peers = vec(proptest::option::weighted(0.9, prospect(feeds.clone())), 5);
        (Just(roster), peers, btree_set(select(feeds), 0..3)).prop_map(|(roster, peers, quarantined)| {
            let peers = peers.into_iter().enumerate();
            let peers = peers.filter_map(|(n, peer)| Some((id(&format!("m{}", n + 1)), peer?))).collect();
            Case { roster, peers, quarantined }
        })
    })
}

proptest! {
    /// A plan maps each feed to one peer, so that no feed is followed twice stands in its type.
    #[test]
    fn every_feed_is_followed_where_it_may_be(case in case()) {
        let plan = case.plan();
        for (feed, at) in &plan.0 {
            prop_assert!(case.roster.may_read_feed(&id(ME), feed) && feed.member != id(ME), "{feed} is not mine to follow");
            prop_assert!(!case.quarantined.contains(feed));
            prop_assert_eq!(case.presence(at), Presence::Connected);
            prop_assert!(case.roster.may_read_feed(at, feed));
            prop_assert!(!case.peers[at].refused.contains(feed));
        }
        for feed in case.roster.readable_feeds(&id(ME)) {
            if feed.member == id(ME) || case.quarantined.contains(&feed) {
                continue;
            }
            let (owner, at) = (case.presence(&feed.member), plan.0.get(&feed));
            match owner {
                Presence::Connected if !case.peers[&feed.member].has_fault(&feed) => prop_assert_eq!(at, Some(&feed.member)),
                Presence::Lost => prop_assert_eq!(at, None),
                Presence::Connected | Presence::Away => prop_assert_eq!(at.is_some(), case.may_serve(&feed)),
            }
        }
    }

    #[test]
    fn a_plan_stays_while_nothing_changes(case in case()) {
        let plan = case.plan();
        prop_assert_eq!(&case.plan_after(&plan), &plan);
    }

    /// Catching up makes peers equal: then a feed stays where it is.
    #[test]
    fn a_relayed_feed_does_not_wander_when_its_news_has_arrived(mut case in case()) {
        let plan = case.plan();
        case.peers.values_mut().for_each(|peer| peer.known.clear());
        for (feed, at) in &case.plan_after(&plan).0 {
            prop_assert!(plan.0[feed] == *at || case.peers[&plan.0[feed]].distrusted.contains(feed));
        }
    }
}

fn connected(names: &[&str]) -> Case {
    let peers = names.iter().map(|name| (id(name), Prospect::new(Presence::Connected))).collect();
    Case { roster: roster(4, &BTreeSet::new(), &[]), peers, quarantined: BTreeSet::new() }
}

#[test]
fn the_relay_is_the_one_that_is_known_to_hold_most() {
    let mut case = connected(&["m2", "m3"]);
    for (name, size) in [("m2", 9), ("m3", 8)] {
        case.peers.get_mut(&id(name)).expect("there").known.insert(feed("m1/all"), Seq::new(size));
        assert!(case.plan().is_at(&feed("m1/all"), &id(name)));
        case.peers.get_mut(&id(name)).expect("there").known.clear();
    }
}

#[test]
fn who_tampered_is_asked_last_of_all() {
    let mut case = connected(&["m2", "m3"]);
    let m2 = case.peers.get_mut(&id("m2")).expect("there");
    m2.known.insert(feed("m1/all"), Seq::new(9));
    m2.distrusted.insert(feed("m1/all"));
    assert!(case.plan().is_at(&feed("m1/all"), &id("m3")));
    case.peers.remove(&id("m3"));
    assert!(case.plan().is_at(&feed("m1/all"), &id("m2")), "but it is asked");
}

#[test]
fn who_sent_too_slowly_is_passed_over_for_news_and_for_nothing_else() {
    let mut case = connected(&["m1", "m2"]);
    let m1 = case.peers.get_mut(&id("m1")).expect("there");
    m1.known.insert(feed("m1/all"), Seq::new(9));
    m1.stalled.insert(feed("m1/all"));
    assert!(case.plan().is_at(&feed("m1/all"), &id("m1")), "nobody else has anything");
    case.peers.get_mut(&id("m2")).expect("there").known.insert(feed("m1/all"), Seq::new(8));
    assert!(case.plan().is_at(&feed("m1/all"), &id("m2")));
}

#[test]
fn many_feeds_spread_over_relays_and_fill_no_stream_beyond_its_bound() {
    let mut case = connected(&["m1", "m2"]);
    case.roster = roster(MAX_FOLLOWED_FEEDS + 600, &BTreeSet::new(), &[]);
    let plan = case.plan();
    let loads = ["m1", "m2"].map(|name| plan.at(&id(name)).len());
    assert_eq!(loads[0] + loads[1], MAX_FOLLOWED_FEEDS + 599);
    assert!(loads.iter().all(|load| (1_500..=MAX_FOLLOWED_FEEDS).contains(load)), "{loads:?}");
    case.peers.remove(&id("m2"));
    assert_eq!(case.plan().at(&id("m1")).len(), MAX_FOLLOWED_FEEDS);
}

#[test]
fn where_not_all_feeds_fit_those_with_news_come_first() {
    let mut case = connected(&["m1"]);
    case.roster = roster(MAX_FOLLOWED_FEEDS + 600, &BTreeSet::new(), &[]);
    let last = case.roster.readable_feeds(&id(ME)).into_iter().max().expect("one");
    assert!(!case.plan().is_at(&last, &id("m1")), "there is no room");
    case.peers.get_mut(&id("m1")).expect("there").known.insert(last.clone(), Seq::new(9));
    assert!(case.plan().is_at(&last, &id("m1")));
}

#[test]
fn own_feeds_are_followed_only_to_recover_what_others_hold_more_of() {
    let mut case = connected(&["m1"]);
    let (me, own) = (id(ME), feed("m0/all"));
    let follows = |case: &Case, recovering| {
        let Case { roster, peers, quarantined } = case;
        let (held, previous) = (|_: &FeedId| Seq::new(5), Plan::default());
        let situation = Situation { me: &me, roster, peers, quarantined, held: &held, previous: &previous, recovering };
        situation.plan().is_at(&own, &id("m1"))
    };
    assert!(!follows(&case, true), "nobody holds more");
    case.peers.get_mut(&id("m1")).expect("there").known.insert(own.clone(), Seq::new(9));
    assert!(follows(&case, true) && !follows(&case, false));
}

#[test]
fn who_is_connected_is_asked_for_its_own_feed_whatever_others_show() {
    let mut case = connected(&["m1", "m2"]);
    case.peers.get_mut(&id("m2")).expect("there").known.insert(feed("m1/all"), Seq::new(9));
    assert!(case.plan().is_at(&feed("m1/all"), &id("m1")));
}
