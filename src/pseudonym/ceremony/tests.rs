use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use super::repair::Piece;
use super::*;
use crate::domain::{GroupElement, SharedClass};
use crate::pseudonym::HeldShares;
use crate::pseudonym::toprf::{KeyShare, PublicShares};

type Parts = BTreeMap<HolderIndex, Zeroizing<Vec<u8>>>;
type Dealt = BTreeMap<HolderIndex, Parts>;

fn place(index: u16) -> HolderIndex {
    HolderIndex::new(index).expect("not zero")
}

fn places(of: &[u16]) -> BTreeSet<HolderIndex> {
    of.iter().map(|index| place(*index)).collect()
}

fn without<T: Clone>(all: &BTreeMap<HolderIndex, T>, own: HolderIndex) -> BTreeMap<HolderIndex, T> {
    all.iter().filter(|(holder, _)| **holder != own).map(|(holder, of)| (*holder, of.clone())).collect()
}

/// A ceremony with all its participants at hand.
struct Table(BTreeMap<HolderIndex, Making>);

impl Table {
    fn generate(threshold: u16, of: &[u16]) -> Self {
        let making = |own: &HolderIndex| Making {
            purpose: Purpose::Generate,
            threshold,
            participants: places(of),
            own: *own,
            seed: Seed::from_bytes(&[u8::try_from(own.get()).expect("small"); 32]),
        };
        Self(places(of).iter().map(|own| (*own, making(own))).collect())
    }

    fn refresh(threshold: u16, made: &BTreeMap<HolderIndex, Made>) -> Self {
        let making = |(own, made): (&HolderIndex, &Made)| {
            let held = HeldShares::new(0, made.shares.clone()).expect("whole");
            let making = Making {
                purpose: Purpose::Refresh { held, classes: made.classes.clone() },
                threshold,
                participants: BTreeSet::new(),
                own: *own,
                seed: Seed::from_bytes(&[100 + u8::try_from(own.get()).expect("small"); 32]),
            };
            (*own, making)
        };
        let mut table: BTreeMap<_, _> = made.iter().map(making).collect();
        let all: BTreeSet<_> = table.keys().copied().collect();
        table.values_mut().for_each(|making| making.participants.clone_from(&all));
        Self(table)
    }

    fn commitments(&self) -> BTreeMap<HolderIndex, Vec<u8>> {
        self.0.iter().map(|(own, making)| (*own, making.commitments().expect("committed"))).collect()
    }

    /// What each deals: by who gets it, and from whom.
    fn shares(&self, commitments: &BTreeMap<HolderIndex, Vec<u8>>) -> Result<Dealt, CeremonyError> {
        let mut dealt: Dealt = self.0.keys().map(|own| (*own, BTreeMap::new())).collect();
        for (from, making) in &self.0 {
            for (to, part) in making.shares(&without(commitments, *from))? {
                dealt.entry(to).or_default().insert(*from, part);
            }
        }
        Ok(dealt)
    }

    fn finish(
        &self,
        commitments: &BTreeMap<HolderIndex, Vec<u8>>,
        dealt: &Dealt,
    ) -> Result<BTreeMap<HolderIndex, Made>, CeremonyError> {
        let finish = |(own, making): (&HolderIndex, &Making)| {
            making.finish(&without(commitments, *own), &dealt[own]).map(|made| (*own, made))
        };
        self.0.iter().map(finish).collect()
    }

    fn hold(&self) -> BTreeMap<HolderIndex, Made> {
        let commitments = self.commitments();
        let dealt = self.shares(&commitments).expect("dealt");
        self.finish(&commitments, &dealt).expect("made")
    }
}

fn public(class: &SharedClass) -> PublicShares {
    PublicShares::new(&class.polynomial.iter().map(|element| element.0).collect::<Vec<_>>()).expect("elements")
}

fn agree(made: &BTreeMap<HolderIndex, Made>) -> Vec<SharedClass> {
    let classes = made.values().next().expect("one").classes.clone();
    for (own, made) in made {
        assert_eq!(made.classes, classes, "all know the same");
        for class in &classes {
            assert_eq!(made.shares[&class.class].verifying_share(), public(class).verifying_share(*own));
        }
    }
    classes
}

#[test]
fn a_key_is_made_that_nobody_holds_and_its_shares_are_made_anew() {
    let table = Table::generate(3, &[1, 2, 3, 4, 7]);
    let made = table.hold();
    let classes = agree(&made);
    let keys: BTreeSet<_> = classes.iter().map(|class| class.polynomial[0].0).collect();
    assert_eq!(keys.len(), 3, "each class has its own key");
    assert_eq!(table.commitments(), table.commitments(), "the seed gives the same again");

    let refreshed = Table::refresh(3, &made).hold();
    let anew = agree(&refreshed);
    for (before, after) in classes.iter().zip(&anew) {
        assert_eq!(before.polynomial[0], after.polynomial[0], "the key stays");
        assert!(before.polynomial[1..].iter().zip(&after.polynomial[1..]).all(|(before, after)| before != after));
    }
    for (own, before) in &made {
        for (class, share) in &before.shares {
            assert_ne!(share.to_bytes(), refreshed[own].shares[class].to_bytes(), "no share stays");
        }
    }
    // Those that are left make shares without one that is to have none.
    let left = BTreeMap::from_iter(refreshed.into_iter().filter(|(own, _)| own.get() != 7));
    let dropped = agree(&Table::refresh(3, &left).hold());
    assert_eq!(dropped[0].polynomial[0], classes[0].polynomial[0]);
}

#[test]
fn a_participant_that_lies_is_named_at_each_step() {
    let generate = Table::generate(2, &[1, 2, 3]);
    let refresh = Table::refresh(2, &generate.hold());
    for table in [&generate, &refresh] {
        let honest = table.commitments();
        let liar = place(2);
        let blamed = |error: CeremonyError| assert_eq!(error.culprit(), Some(liar), "{error}");

        let commitments = |part: Vec<u8>| {
            let mut all = honest.clone();
            all.insert(liar, part);
            all
        };
        for part in [Vec::new(), vec![0; 40], honest[&liar][..100].to_vec(), [&honest[&liar][..], &[0]].concat()] {
            let first = &table.0[&place(1)];
            blamed(first.shares(&without(&commitments(part), place(1))).expect_err("not read"));
        }
        let dealt = table.shares(&honest).expect("dealt");
        let with = |change: &dyn Fn(&mut Parts)| {
            let mut dealt = dealt.clone();
            change(dealt.entry(place(3)).or_default());
            let third = &table.0[&place(3)];
            third.finish(&without(&honest, place(3)), &dealt[&place(3)]).map(drop).expect_err("found out")
        };
        // What was for another, what is of another class, what is cut, and one bit that is another.
        let for_another = dealt[&place(1)][&liar].clone();
        blamed(with(&|of| drop(of.insert(liar, for_another.clone()))));
        blamed(with(&|of| {
            let part = of.get_mut(&liar).expect("there");
            let (first, rest) = part.split_at(part.len() / 3);
            *part = Zeroizing::new([rest, first].concat());
        }));
        blamed(with(&|of| of.get_mut(&liar).expect("there").truncate(20)));
        blamed(with(&|of| of.get_mut(&liar).expect("there")[20] ^= 1));
        assert_eq!(with(&|of| drop(of.remove(&liar))), CeremonyError::Incomplete);
    }
    // A commitment that another made does not prove that this one knows what it commits to.
    let mut stolen = generate.commitments();
    let other = stolen[&place(3)].clone();
    stolen.insert(place(2), other);
    let error = generate.0[&place(1)].shares(&without(&stolen, place(1))).expect_err("found out");
    assert_eq!((error.culprit(), error.code()), (Some(place(2)), "CEREMONY_PART_WRONG"));
}

#[test]
fn a_share_that_is_not_what_the_others_know_is_not_made_anew() {
    let made = Table::generate(2, &[1, 2, 3]).hold();
    let mut table = Table::refresh(2, &made);
    let other = Table::refresh(2, &Table::refresh(2, &made).hold());
    table.0.get_mut(&place(1)).expect("there").purpose = other.0[&place(1)].purpose.clone();
    let Purpose::Refresh { classes, .. } = &mut table.0.get_mut(&place(1)).expect("there").purpose else { unreachable!() };
    classes.clone_from(&made[&place(1)].classes);
    let commitments = table.commitments();
    let dealt = table.shares(&commitments).expect("dealt");
    let own = place(1);
    let finished = table.0[&own].finish(&without(&commitments, own), &dealt[&own]).map(drop);
    assert_eq!(finished, Err(CeremonyError::OwnShareWrong));
}

/// A repair of class `name` with all its helpers at hand.
struct Helpers {
    public: PublicShares,
    shares: BTreeMap<HolderIndex, KeyShare>,
    helpers: BTreeSet<HolderIndex>,
    splits: BTreeMap<HolderIndex, Split>,
}

impl Helpers {
    fn of(made: &BTreeMap<HolderIndex, Made>, helpers: &[u16], lost: u16) -> Self {
        let public = public(&agree(made)[2]);
        let shares = made.iter().map(|(own, made)| (*own, made.shares[&KeyClass::Name].clone())).collect();
        let mut of = Self { public, shares, helpers: places(helpers), splits: BTreeMap::new() };
        let split = |helper: &HolderIndex| {
            let seed = Seed::from_bytes(&[u8::try_from(helper.get()).expect("small"); 32]);
            (*helper, of.repair(lost).split(&of.shares[helper], &seed).expect("split"))
        };
        of.splits = of.helpers.iter().map(split).collect();
        of
    }

    fn repair(&self, lost: u16) -> Repair<'_> {
        Repair { class: KeyClass::Name, public: &self.public, helpers: &self.helpers, place: place(lost) }
    }

    fn commitments(&self) -> BTreeMap<HolderIndex, Vec<GroupElement>> {
        self.splits.iter().map(|(helper, split)| (*helper, split.commitments.clone())).collect()
    }

    fn pieces(&self, own: HolderIndex) -> BTreeMap<HolderIndex, Piece> {
        self.splits.iter().map(|(helper, split)| (*helper, split.pieces[&own].clone())).collect()
    }

    fn sums(&self, repair: &Repair<'_>) -> BTreeMap<HolderIndex, Piece> {
        let sum = |own: &HolderIndex| (*own, repair.sum(*own, &self.pieces(*own), &self.commitments()).expect("summed"));
        self.helpers.iter().map(sum).collect()
    }
}

#[test]
fn a_lost_share_comes_back_and_a_new_place_gets_one() {
    let made = Table::generate(3, &[1, 2, 3, 4]).hold();
    for (helpers, lost) in [([1, 2, 3], 4), ([2, 3, 4], 1), ([1, 2, 4], 9)] {
        let of = Helpers::of(&made, &helpers, lost);
        let repair = of.repair(lost);
        for (helper, commitments) in of.commitments() {
            assert_eq!(repair.check_split(helper, &commitments), Ok(()));
        }
        let share = repair.finish(&of.sums(&repair), &of.commitments()).expect("repaired");
        assert_eq!(share.holder(), place(lost));
        if let Some(before) = made.get(&place(lost)) {
            assert_eq!(share.to_bytes(), before.shares[&KeyClass::Name].to_bytes());
        }
    }
}

#[test]
fn a_helper_that_lies_is_named() {
    let made = Table::generate(2, &[1, 2, 3]).hold();
    let of = Helpers::of(&made, &[1, 2], 3);
    let repair = of.repair(3);
    let liar = Some(place(2));
    let culprit = |error: CeremonyError| error.culprit();

    // Of another share than its own; of another length; no element at all.
    let other = of.splits[&place(1)].commitments.clone();
    assert_eq!(repair.check_split(place(2), &other).map_err(culprit), Err(liar));
    assert_eq!(repair.check_split(place(2), &other[..1]).map_err(culprit), Err(liar));
    assert_eq!(repair.check_split(place(2), &[GroupElement([0xff; 32]); 2]).map_err(culprit), Err(liar));
    // Another piece than it committed to.
    let mut pieces = of.pieces(place(1));
    let honest = pieces.insert(place(2), of.splits[&place(2)].pieces[&place(2)].clone());
    assert_eq!(repair.sum(place(1), &pieces, &of.commitments()).map_err(culprit), Err(liar));
    assert!(honest.is_some());
    // Another sum.
    let mut sums = of.sums(&repair);
    let first = sums[&place(1)].clone();
    sums.insert(place(2), first);
    assert_eq!(repair.finish(&sums, &of.commitments()).map(drop).map_err(culprit), Err(liar));
    sums.insert(place(2), Zeroizing::new([0xff; 32]));
    assert_eq!(repair.finish(&sums, &of.commitments()).map(drop).map_err(culprit), Err(liar));
    // Helpers that are no quorum.
    let share = &of.shares[&place(3)];
    let seed = Seed::from_bytes(&[3; 32]);
    assert_eq!(of.repair(3).split(share, &seed).map(drop), Err(CeremonyError::Incomplete));
}

#[test]
fn nothing_secret_is_shown() {
    assert_eq!(format!("{:?}", Seed::from_bytes(&[7; 32])), "Seed(redacted)");
    let made = Table::generate(2, &[1, 2]).hold();
    assert!(format!("{:?}", made[&place(1)].shares).matches("redacted").count() == 3);
}

/// Gives the same byte over and over.
struct Same(u8);

impl crate::domain::Entropy for Same {
    fn fill(&self, out: &mut [u8]) -> Result<(), crate::domain::EntropyError> {
        out.fill(self.0);
        Ok(())
    }
}

#[test]
fn the_numbers_of_a_seed_never_change_and_those_of_another_purpose_are_others() {
    use aws_lc_rs::digest::{SHA512, digest};
    use frost_ristretto255::rand_core::RngCore as _;
    let seed = Seed::new(&Same(7)).expect("random");
    assert_eq!(seed.as_bytes(), &[7; 32]);
    let drawn = |seed: &Seed, purpose: &str| {
        let mut numbers = [0; 160];
        seed.numbers(purpose).fill_bytes(&mut numbers);
        numbers
    };
    let numbers = drawn(&seed, "name");
    // Computed in another way: blocks of SHA-512 over the key of the purpose and a counter.
    let key = digest(&SHA512, &[&b"countermark ceremony numbers v1\0"[..], &[7; 32], b"name"].concat());
    let block = |counter: u64| digest(&SHA512, &[key.as_ref(), &counter.to_be_bytes()].concat()).as_ref().to_vec();
    assert_eq!(numbers[..], (0..3).flat_map(block).take(160).collect::<Vec<_>>());
    assert_eq!(drawn(&Seed::from_bytes(seed.as_bytes()), "name"), numbers, "a seed that was kept");
    assert_ne!(drawn(&seed, "business"), numbers);
    assert_ne!(drawn(&Seed::from_bytes(&[8; 32]), "name"), numbers);
    // However they are drawn.
    let mut rest = [0; 148];
    let mut others = seed.numbers("name");
    assert_eq!(others.next_u32().to_le_bytes()[..], numbers[..4]);
    assert_eq!(others.next_u64().to_le_bytes()[..], numbers[4..12]);
    others.try_fill_bytes(&mut rest).expect("never fails");
    assert_eq!(rest[..], numbers[12..]);
}

#[test]
fn the_parts_are_those_of_all_the_others_and_of_nobody_else() {
    let table = Table::generate(2, &[1, 2, 3]);
    let (honest, own) = (table.commitments(), place(1));
    let first = &table.0[&own];
    let dealt = table.shares(&honest).expect("dealt");
    let (others, to_first) = (without(&honest, own), &dealt[&own]);
    for stranger in [own, place(9)] {
        let mut more = others.clone();
        more.insert(stranger, honest[&place(2)].clone());
        assert_eq!(first.shares(&more).map(drop), Err(CeremonyError::Incomplete));
        let mut more = to_first.clone();
        more.insert(stranger, to_first[&place(2)].clone());
        assert_eq!(first.finish(&others, &more).map(drop), Err(CeremonyError::Incomplete));
    }
    let one = without(&others, place(2));
    assert_eq!(first.shares(&one).map(drop), Err(CeremonyError::Incomplete));
    assert_eq!(first.finish(&others, &without(to_first, place(2))).map(drop), Err(CeremonyError::Incomplete));
    // Of another threshold.
    let mut other = honest.clone();
    other.insert(place(2), Table::generate(3, &[1, 2, 3]).commitments()[&place(2)].clone());
    let error = first.shares(&without(&other, own)).map(drop).expect_err("another polynomial");
    assert_eq!((error.code(), error.culprit()), ("CEREMONY_PART_MALFORMED", Some(place(2))));
}

#[test]
fn a_repair_needs_the_parts_of_all_its_helpers_and_makes_no_other_share() {
    let made = Table::generate(2, &[1, 2, 3]).hold();
    let of = Helpers::of(&made, &[1, 2], 3);
    let repair = of.repair(3);
    let (sums, commitments) = (of.sums(&repair), of.commitments());
    let fewer = without(&commitments, place(2));
    let pieces = of.pieces(place(1));
    assert_eq!(repair.sum(place(1), &pieces, &fewer).map(drop), Err(CeremonyError::Incomplete));
    assert_eq!(repair.sum(place(1), &without(&pieces, place(2)), &commitments).map(drop), Err(CeremonyError::Incomplete));
    assert_eq!(repair.finish(&sums, &fewer).map(drop), Err(CeremonyError::Incomplete));
    assert_eq!(repair.finish(&without(&sums, place(2)), &commitments).map(drop), Err(CeremonyError::Incomplete));
    // One more that changes no sum.
    let more = [&commitments[&place(2)][..], &[GroupElement([0; 32])]].concat();
    let error = repair.check_split(place(2), &more).expect_err("too many");
    assert_eq!((error.code(), error.culprit()), ("CEREMONY_PART_MALFORMED", Some(place(2))));
    // Where all helpers agree on the share of another place.
    let of_another = Helpers::of(&made, &[1, 2], 9);
    let sums = of_another.sums(&of_another.repair(9));
    assert_eq!(repair.finish(&sums, &of_another.commitments()).map(drop), Err(CeremonyError::Unsound));
}
