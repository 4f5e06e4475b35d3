//! A small realistic population for a demonstration: controllers that open one store after another, and what they reuse.
//!
//! Everything is made up from ranges that belong to nobody: phone numbers of the 555-01xx block that is kept for fiction,
//! domains below `.test` (RFC 6761), licences of an administrative division that does not exist, a bank code of zeros. The
//! same seed gives the same population.

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::domain::{EvidenceKind, IdentifierKind, Infringement};
use crate::population::reuse;
use crate::population::values::{bank_account, fictional_phone, licence};

/// One store as a member would know it.
pub(super) struct Store {
    /// Number of the controller behind it; nobody in the demonstration is told.
    pub(super) controller: usize,
    /// Identifiers as they would stand in the member's records.
    pub(super) identifiers: Vec<(IdentifierKind, String)>,
    /// What was found.
    pub(super) infringement: Infringement,
    /// What it rests on.
    pub(super) evidence: EvidenceKind,
    /// Whose brand.
    pub(super) brand: &'static str,
}

/// Which of `members` found this store: the platform (member 0) half of all, the brands the rest.
pub(super) fn finder(store: &Store, number: usize, members: usize) -> usize {
    let brands = members.saturating_sub(1).max(1);
    if number.is_multiple_of(2) { 0 } else { (1 + (store.controller + number / 2) % brands).min(members.saturating_sub(1)) }
}

/// What one controller has at hand for its next store.
struct Means {
    phone: String,
    bank: String,
    licence: String,
}

impl Means {
    fn fresh(random: &mut impl Rng) -> Self {
        Self { phone: fictional_phone(random), bank: bank_account(random), licence: licence(random) }
    }

    /// Keeps what is reused, and gets the rest anew.
    fn renew(&mut self, random: &mut impl Rng) {
        if !random.random_bool(reuse(IdentifierKind::Phone)) {
            self.phone = fictional_phone(random);
        }
        if !random.random_bool(reuse(IdentifierKind::BankAccount)) {
            self.bank = bank_account(random);
        }
        if !random.random_bool(reuse(IdentifierKind::BusinessLicence)) {
            self.licence = licence(random);
        }
    }
}

/// The stores of `controllers` controllers: one to five each, most have one or two.
pub(super) fn stores(seed: u64, controllers: usize) -> Vec<Store> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut stores = Vec::new();
    for controller in 0..controllers {
        let mut means = Means::fresh(&mut random);
        let count = 1 + pick([0, 0, 0, 1, 1, 1, 2, 2, 3, 4], &mut random);
        for _ in 0..count {
            let number = stores.len();
            stores.push(store(controller, number, &means, &mut random));
            means.renew(&mut random);
        }
    }
    stores
}

fn store(controller: usize, number: usize, means: &Means, random: &mut impl Rng) -> Store {
    const PLATFORMS: [&str; 3] = ["taobao", "aliexpress", "amazon"];
    const BRANDS: [&str; 4] = ["Aurelle", "Maison Vey", "Kestrel Chips", "Northfield Foods"];
    let platform = pick(PLATFORMS, random);
    let mut identifiers = vec![
        (IdentifierKind::MarketplaceAccount, format!("{platform}:store-{number:04}")),
        (IdentifierKind::Phone, means.phone.clone()),
        (IdentifierKind::BankAccount, means.bank.clone()),
    ];
    if random.random_bool(0.6) {
        identifiers.push((IdentifierKind::BusinessLicence, means.licence.clone()));
    }
    if random.random_bool(0.3) {
        identifiers.push((IdentifierKind::Domain, format!("outlet-{number:04}.test")));
    }
    let evidence =
        [EvidenceKind::TestPurchase, EvidenceKind::CustomsSeizure, EvidenceKind::CourtJudgment, EvidenceKind::ImageRecognition];
    Store {
        controller,
        identifiers,
        infringement: Infringement::TrademarkCounterfeit,
        evidence: pick(evidence, random),
        brand: pick(BRANDS, random),
    }
}

/// One of them.
fn pick<T, const N: usize>(of: [T; N], random: &mut impl Rng) -> T {
    let place = random.random_range(0..N);
    of.into_iter().nth(place).expect("there are so many")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stores_and_controllers_reuse_means() {
        let (a, b) = (stores(7, 40), stores(7, 40));
        assert!(a.iter().zip(&b).all(|(a, b)| a.identifiers == b.identifiers && a.controller == b.controller));
        let banks: std::collections::BTreeSet<_> = a.iter().map(|s| &s.identifiers[2].1).collect();
        assert!(banks.len() < a.len(), "some stores share an account");
    }

    #[test]
    fn nothing_made_up_belongs_to_anybody() {
        let stores: Vec<Store> = (0..50).flat_map(|seed| stores(seed, 40)).collect();
        let of_kind = |kind| {
            let all = stores.iter().flat_map(|store| &store.identifiers);
            all.filter(move |(other, _)| *other == kind).map(|(_, value)| value.as_str())
        };
        let (mut phones, mut domains) = (0, 0);
        for phone in of_kind(IdentifierKind::Phone) {
            let [country, area, exchange, line] = phone.split(' ').collect::<Vec<_>>()[..] else { panic!("{phone}") };
            assert!(country == "+1" && area.len() == 3 && exchange == "555", "{phone}");
            assert!(line.len() == 4 && line.starts_with("01"), "{phone} is kept for fiction");
            phones += 1;
        }
        for domain in of_kind(IdentifierKind::Domain) {
            assert!(domain.ends_with(".test"), "{domain} is kept for tests");
            domains += 1;
        }
        assert!(phones > 1_000 && domains > 100);
    }
}
