//! A made-up population of sellers, with the skew that real ones have: for benchmarks, demonstrations and tests.
//!
//! A *controller* opens one store after another and uses again some of what the last one had: that is what members share signals
//! for. How many stores a controller has, what it reuses, where it is, whose brand it copies and who finds it follow the
//! distributions below. The same seed gives the same population; a controller is a function of seed and number alone, so that any
//! of them can be made again without keeping it.
//!
//! Nothing here is about anybody: see [`values`]. Nothing here reads a file or a clock.

pub mod values;

use std::collections::VecDeque;

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Zeta, Zipf};

use crate::domain::{Identifier, IdentifierKind};

/// Exponent of the stores per controller, a zeta distribution.
pub const STORES_EXPONENT: f64 = 2.2;
/// Most stores of one controller. The mean of the truncated distribution is 2.9.
pub const MAX_STORES: usize = 1_000;
/// Chance that the next store of a controller has the same again.
pub const REUSE: [(IdentifierKind, f64); 5] = [
    (IdentifierKind::BankAccount, 0.6),
    (IdentifierKind::Phone, 0.45),
    (IdentifierKind::BusinessLicence, 0.35),
    (IdentifierKind::Email, 0.3),
    (IdentifierKind::PostalAddress, 0.5),
];
/// The chance that [`REUSE`] gives a kind; none where it names it not.
#[must_use]
pub fn reuse(kind: IdentifierKind) -> f64 {
    REUSE.iter().find(|(of, _)| *of == kind).map_or(0.0, |(_, chance)| *chance)
}

/// Share of controllers that use nothing again.
pub const UNLINKED: f64 = 0.15;
/// Shares of the tiers of regions.
pub const TIERS: [f64; 3] = [0.63, 0.27, 0.10];
/// Regions of each tier (ISO 3166-2).
pub const REGIONS: [&[&str]; 3] = [
    &["CN-GD", "CN-ZJ", "CN-FJ"],
    &["CN-JS", "CN-SD", "CN-HE", "CN-BJ", "CN-SH"],
    &["CN-SC", "CN-HN", "CN-HB", "CN-AH", "CN-JX", "CN-LN", "CN-SN", "CN-GX"],
];
/// Brands, found with a frequency by Zipf's law with exponent 1.
pub const BRANDS: u32 = 1_137;
/// Share of submissions that were handed in before.
pub const DUPLICATES: f64 = 0.10;
/// Share of stores with the phone number or address of an agent that serves unrelated sellers: the innocent hubs.
pub const AT_AN_AGENT: f64 = 0.02;
/// Agents, chosen by Zipf's law with exponent 1.
const AGENTS: f64 = 200.0;
/// Stores at hand at once, from which the next one found is drawn: a controller's stores are not found one after the other.
const SHUFFLED: usize = 1_024;
/// Recent signals of which one is handed in again.
const RECENT: usize = 1_024;
/// Numbers of controllers that are never in a feed, for questions about sellers whom nobody knows.
const UNKNOWN_FROM: u64 = 1 << 40;

/// One store of a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Number of its controller.
    pub controller: u64,
    /// Its place among the controller's stores.
    pub place: u32,
    /// Tier of its region, 0 to 2.
    pub tier: usize,
    /// Where it sells from (ISO 3166-2).
    pub region: &'static str,
    /// All that could be known of it, the marketplace account first, then in the order of [`REUSE`].
    pub identifiers: Vec<Identifier>,
    /// How many of them its finder knows, and the first of those.
    known: (usize, usize),
    /// Its account or phone number is an agent's.
    pub at_an_agent: bool,
}

/// Kinds that flag, at the head of [`Store::identifiers`].
const STRONG: usize = 5;
/// Identifiers in a question.
pub const ASKED: usize = 3;

impl Store {
    /// What the finder of the store knows: 1 to 3 identifiers, the first of them strong.
    pub fn known(&self) -> impl Iterator<Item = &Identifier> {
        let (count, first) = self.known;
        (0..count).filter_map(move |i| self.identifiers.get((first + i) % self.identifiers.len()))
    }

    /// What somebody asks who vets the store: three identifiers, those of [`Self::known`] first.
    pub fn asked(&self) -> impl Iterator<Item = &Identifier> {
        let (_, first) = self.known;
        (0..ASKED).filter_map(move |i| self.identifiers.get((first + i) % self.identifiers.len()))
    }
}

/// A store that a member found to infringe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// Number of the find; the same where it is handed in again.
    pub number: u64,
    /// The store.
    pub store: Store,
    /// Who found it: 0 is the most frequent.
    pub member: usize,
    /// Whose brand: 0 is the most frequent.
    pub brand: u32,
    /// A number below 100 for whatever else varies.
    pub percentile: u32,
}

/// The controllers of a seed.
#[derive(Debug, Clone, Copy)]
pub struct Population {
    seed: u64,
}

impl Population {
    /// That of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The stores of one controller, in the order in which it opened them.
    #[must_use]
    pub fn controller(&self, number: u64) -> Vec<Store> {
        let mut random = self.random(number);
        let linked = !random.random_bool(UNLINKED);
        let stores = stores(&mut random);
        let tier = tier(&mut random);
        let region = REGIONS[tier][random.random_range(0..REGIONS[tier].len())];
        let mut means: Vec<Identifier> = REUSE.iter().map(|(kind, _)| fresh(*kind, &mut random)).collect();
        let mut opened = Vec::with_capacity(stores);
        for place in 0..stores {
            if place > 0 {
                renew(&mut means, linked, &mut random);
            }
            let mut store = store(number, place, &means, &mut random);
            (store.tier, store.region) = (tier, region);
            opened.push(store);
        }
        opened
    }

    /// Randomness of a controller's own.
    fn random(&self, number: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(number);
        random
    }

    /// The signals that `members` members hand in about the stores of this population, without end.
    #[must_use]
    pub fn finds(self, members: usize) -> Finds {
        Finds {
            population: self,
            members: zipf(members),
            brands: zipf(BRANDS as usize),
            random: self.random(u64::MAX),
            controllers: 0,
            found: 0,
            open: Vec::with_capacity(SHUFFLED),
            recent: VecDeque::with_capacity(RECENT),
        }
    }

    /// Questions, of which the share `hits` is about stores of the first `controllers` controllers, chosen by Zipf's law with
    /// exponent 1, and the rest about stores that are in no signal.
    #[must_use]
    pub fn questions(self, hits: f64, controllers: u64) -> Questions {
        Questions { population: self, hits, known: zipf_of(controllers), random: self.random(u64::MAX - 1), asked: 0 }
    }
}

/// See [`Population::finds`].
#[derive(Debug, Clone)]
pub struct Finds {
    population: Population,
    members: Zipf<f64>,
    brands: Zipf<f64>,
    random: ChaCha8Rng,
    controllers: u64,
    found: u64,
    open: Vec<Store>,
    recent: VecDeque<Find>,
}

impl Finds {
    /// Controllers whose stores have begun to be found.
    #[must_use]
    pub const fn controllers(&self) -> u64 {
        self.controllers
    }

    fn open_more(&mut self) {
        while self.open.len() < SHUFFLED {
            self.open.extend(self.population.controller(self.controllers));
            self.controllers += 1;
        }
    }
}

impl Iterator for Finds {
    type Item = Find;

    fn next(&mut self) -> Option<Find> {
        if !self.recent.is_empty() && self.random.random_bool(DUPLICATES) {
            return self.recent.get(self.random.random_range(0..self.recent.len())).cloned();
        }
        self.open_more();
        let store = self.open.swap_remove(self.random.random_range(0..self.open.len()));
        let member = rank(&self.members, &mut self.random);
        let brand = u32::try_from(rank(&self.brands, &mut self.random)).unwrap_or(BRANDS);
        let find = Find { number: self.found, store, member, brand, percentile: self.random.random_range(0..100) };
        self.found += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(find.clone());
        Some(find)
    }
}

/// See [`Population::questions`].
#[derive(Debug, Clone)]
pub struct Questions {
    population: Population,
    hits: f64,
    known: Zipf<f64>,
    random: ChaCha8Rng,
    asked: u64,
}

/// A store that somebody asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The store.
    pub store: Store,
    /// Whether it is one that was found.
    pub is_known: bool,
}

impl Iterator for Questions {
    type Item = Question;

    fn next(&mut self) -> Option<Question> {
        let is_known = self.random.random_bool(self.hits);
        let number = if is_known { rank(&self.known, &mut self.random) as u64 } else { UNKNOWN_FROM + self.asked };
        self.asked += 1;
        let mut stores = self.population.controller(number);
        if !is_known {
            // Whom an agent serves is somebody's acquaintance.
            stores.retain(|store| !store.at_an_agent);
            if stores.is_empty() {
                return self.next();
            }
        }
        let store = stores.swap_remove(self.random.random_range(0..stores.len()));
        Some(Question { store, is_known })
    }
}

fn zipf(ranks: usize) -> Zipf<f64> {
    zipf_of(u64::try_from(ranks).unwrap_or(u64::MAX))
}

/// Ranks 1 to `ranks`, at least one, with exponent 1.
fn zipf_of(ranks: u64) -> Zipf<f64> {
    Zipf::new(ranks.max(1) as f64, 1.0).expect("at least one rank, and an exponent above zero")
}

/// A rank from 0.
fn rank(zipf: &Zipf<f64>, random: &mut impl Rng) -> usize {
    zipf.sample(random) as usize - 1
}

/// How many stores, by the truncated distribution.
fn stores(random: &mut impl Rng) -> usize {
    let zeta = Zeta::new(STORES_EXPONENT).expect("the exponent is above one");
    loop {
        let drawn = zeta.sample(random);
        if drawn <= MAX_STORES as f64 {
            return drawn as usize;
        }
    }
}

fn tier(random: &mut impl Rng) -> usize {
    let drawn: f64 = random.random();
    usize::from(drawn >= TIERS[0]) + usize::from(drawn >= TIERS[0] + TIERS[1])
}

fn fresh(kind: IdentifierKind, random: &mut impl Rng) -> Identifier {
    let value = match kind {
        IdentifierKind::BankAccount => values::bank_account(random),
        IdentifierKind::Phone => values::mobile(random),
        IdentifierKind::BusinessLicence => values::licence(random),
        IdentifierKind::Email => values::email(random),
        _ => values::address(random),
    };
    Identifier { kind, value, region: String::new() }
}

/// Keeps what is used again, and gets the rest anew.
fn renew(means: &mut [Identifier], linked: bool, random: &mut impl Rng) {
    for (identifier, (kind, chance)) in means.iter_mut().zip(REUSE) {
        if !linked || !random.random_bool(chance) {
            *identifier = fresh(kind, random);
        }
    }
}

fn store(controller: u64, place: usize, means: &[Identifier], random: &mut impl Rng) -> Store {
    const PLATFORMS: [&str; 3] = ["taobao", "aliexpress", "amazon"];
    let platform = PLATFORMS[random.random_range(0..PLATFORMS.len())];
    let account = Identifier {
        kind: IdentifierKind::MarketplaceAccount,
        value: format!("{platform}:s{controller:x}-{place}"),
        region: String::new(),
    };
    let mut identifiers: Vec<Identifier> = std::iter::once(account).chain(means.iter().cloned()).collect();
    let at_an_agent = random.random_bool(AT_AN_AGENT);
    if at_an_agent {
        visit_agent(&mut identifiers, random);
    }
    Store {
        controller,
        place: u32::try_from(place).unwrap_or(u32::MAX),
        tier: 0,
        region: "",
        known: (random.random_range(1..=ASKED), random.random_range(0..STRONG)),
        identifiers,
        at_an_agent,
    }
}

/// Gives the phone number or the address of an agent in place of the seller's own.
fn visit_agent(identifiers: &mut [Identifier], random: &mut impl Rng) {
    let agent = rank(&zipf_of(AGENTS as u64), random) as u64;
    let kind = if random.random_bool(0.5) { IdentifierKind::Phone } else { IdentifierKind::PostalAddress };
    let mut own = ChaCha8Rng::seed_from_u64(agent);
    for identifier in identifiers.iter_mut().filter(|identifier| identifier.kind == kind) {
        *identifier = fresh(kind, &mut own);
    }
}

#[cfg(test)]
mod tests;
