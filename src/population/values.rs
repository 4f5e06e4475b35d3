//! Identifiers that belong to nobody, in the forms that members' records have.
//!
//! Licences are of an administrative division that does not exist, bank codes are zeros, domains lie below `.test` (RFC 6761).
//! Phone numbers must be valid to be taken, and no numbering plan keeps ten million numbers for fiction: they are drawn from the
//! mobile numbers of a whole country at random, and leave the process as pseudonyms only.

use rand::{Rng, RngExt as _};

/// Letters and digits of a USCC (GB 32100-2015), in the order of their values.
const USCC_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const USCC_WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];

/// A USCC with its check character; the division code is 000000.
pub fn licence(random: &mut impl Rng) -> String {
    let own = std::array::from_fn::<usize, 9, _>(|_| random.random_range(0..USCC_ALPHABET.len()));
    let values = [9, 1, 0, 0, 0, 0, 0, 0].into_iter().chain(own);
    let (mut text, mut sum) = (String::with_capacity(18), 0);
    for (value, weight) in values.zip(USCC_WEIGHTS) {
        sum += value * weight;
        text.push(char::from(USCC_ALPHABET[value]));
    }
    text.push(char::from(USCC_ALPHABET[(31 - sum % 31) % 31]));
    text
}

/// An account of a bank whose code is zeros: `CN:000000000000:` and 16 digits.
pub fn bank_account(random: &mut impl Rng) -> String {
    format!("CN:000000000000:{:016}", random.random_range(0..10_000_000_000_000_000_u64))
}

/// A number kept for fiction, of 1,200 there are: +1 and an area code, 555-0100 to 555-0199.
pub fn fictional_phone(random: &mut impl Rng) -> String {
    const AREAS: [u32; 12] = [202, 206, 212, 303, 305, 312, 404, 415, 512, 617, 702, 808];
    format!("+1 {} 555 01{:02}", AREAS[random.random_range(0..AREAS.len())], random.random_range(0..100_u32))
}

/// One of a thousand million mobile numbers of China.
pub(super) fn mobile(random: &mut impl Rng) -> String {
    format!("+86 13{} {:08}", random.random_range(0..10_u32), random.random_range(0..100_000_000_u32))
}

pub(super) fn email(random: &mut impl Rng) -> String {
    format!("{:012x}@mail-{}.test", random.random_range(0..1_u64 << 48), random.random_range(0..5_u32))
}

pub(super) fn address(random: &mut impl Rng) -> String {
    let (house, road, city) =
        (random.random_range(1..2_000_u32), random.random_range(1..10_000_u32), random.random_range(1..2_000_u32));
    format!("No. {house}, Road {road}, District {city}")
}
