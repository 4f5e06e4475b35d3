//! A small realistic population for a demonstration: controllers that open one store after another, and what they reuse.
//!
//! Everything is made up from ranges that belong to nobody: phone numbers of the 555-01xx block that is kept for fiction,
//! domains below `.test` (RFC 6761), licences of an administrative division that does not exist, a bank code of zeros. The
//! same seed gives the same population.

use crate::domain::{EvidenceKind, IdentifierKind, Infringement};

/// Letters and digits of a USCC (GB 32100-2015), in the order of their values.
const USCC_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const USCC_WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
/// Area codes whose 555-0100 to 555-0199 numbers are kept for fiction.
const AREA_CODES: [u32; 12] = [202, 206, 212, 303, 305, 312, 404, 415, 512, 617, 702, 808];
/// Chance, in percent, that a controller uses the same thing again for its next store.
const REUSES_BANK: u64 = 60;
const REUSES_PHONE: u64 = 45;
const REUSES_LICENCE: u64 = 35;

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

/// A small generator of numbers (splitmix64): a demonstration needs repeatability, not secrecy.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
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
    fn fresh(numbers: &mut Numbers) -> Self {
        Self { phone: phone(numbers), bank: bank(numbers), licence: licence(numbers) }
    }

    /// Keeps what is reused, and gets the rest anew.
    fn renew(&mut self, numbers: &mut Numbers) {
        if !numbers.percent(REUSES_PHONE) {
            self.phone = phone(numbers);
        }
        if !numbers.percent(REUSES_BANK) {
            self.bank = bank(numbers);
        }
        if !numbers.percent(REUSES_LICENCE) {
            self.licence = licence(numbers);
        }
    }
}

/// The stores of `controllers` controllers: one to five each, most have one or two.
pub(super) fn stores(seed: u64, controllers: usize) -> Vec<Store> {
    let mut numbers = Numbers::new(seed);
    let mut stores = Vec::new();
    for controller in 0..controllers {
        let mut means = Means::fresh(&mut numbers);
        let count = 1 + [0, 0, 0, 1, 1, 1, 2, 2, 3, 4][usize::try_from(numbers.below(10)).unwrap_or(0)];
        for _ in 0..count {
            let number = stores.len();
            stores.push(store(controller, number, &means, &mut numbers));
            means.renew(&mut numbers);
        }
    }
    stores
}

fn store(controller: usize, number: usize, means: &Means, numbers: &mut Numbers) -> Store {
    const PLATFORMS: [&str; 3] = ["taobao", "aliexpress", "amazon"];
    const BRANDS: [&str; 4] = ["Aurelle", "Maison Vey", "Kestrel Chips", "Northfield Foods"];
    let pick = |n: u64, len: usize| usize::try_from(n).unwrap_or(0) % len;
    let platform = PLATFORMS[pick(numbers.next(), PLATFORMS.len())];
    let mut identifiers = vec![
        (IdentifierKind::MarketplaceAccount, format!("{platform}:store-{number:04}")),
        (IdentifierKind::Phone, means.phone.clone()),
        (IdentifierKind::BankAccount, means.bank.clone()),
    ];
    if numbers.percent(60) {
        identifiers.push((IdentifierKind::BusinessLicence, means.licence.clone()));
    }
    if numbers.percent(30) {
        identifiers.push((IdentifierKind::Domain, format!("outlet-{number:04}.test")));
    }
    let evidence =
        [EvidenceKind::TestPurchase, EvidenceKind::CustomsSeizure, EvidenceKind::CourtJudgment, EvidenceKind::ImageRecognition];
    Store {
        controller,
        identifiers,
        infringement: Infringement::TrademarkCounterfeit,
        evidence: evidence[pick(numbers.next(), evidence.len())],
        brand: BRANDS[pick(numbers.next(), BRANDS.len())],
    }
}

fn phone(numbers: &mut Numbers) -> String {
    let area = AREA_CODES[usize::try_from(numbers.below(AREA_CODES.len() as u64)).unwrap_or(0)];
    format!("+1 {area} 555 01{:02}", numbers.below(100))
}

fn bank(numbers: &mut Numbers) -> String {
    format!("CN:000000000000:{:016}", numbers.below(10_000_000_000_000_000))
}

fn licence(numbers: &mut Numbers) -> String {
    let body: Vec<usize> = "91000000".bytes().map(|b| usize::from(b - b'0')).collect();
    let own = (0..9).map(|_| usize::try_from(numbers.below(31)).unwrap_or(0));
    let values: Vec<usize> = body.into_iter().chain(own).collect();
    let sum: usize = values.iter().zip(USCC_WEIGHTS).map(|(v, w)| v * w).sum();
    let check = (31 - sum % 31) % 31;
    values.into_iter().chain([check]).map(|v| char::from(USCC_ALPHABET[v])).collect()
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
