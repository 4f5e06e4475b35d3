use zeroize::Zeroizing;

use crate::domain::{
    Entropy, EntropyError, IdentifierKind, KeyClass, KeyId, KeyState, Pseudonym, RosterKey, Scheme, SharedGeneration,
};
use crate::pseudonym::{
    CanonicalIdentifier, HeldShares, HmacKey, KeyRing, MAX_IDENTIFIERS_PER_BATCH, NoHolders, PseudonymError, Purpose,
    SharedKey, deal,
};

use super::canonical;

fn key(byte: u8) -> HmacKey {
    HmacKey::from_bytes(Zeroizing::new([byte; 32]))
}

fn id(text: &str) -> KeyId {
    text.parse().expect("a slug")
}

fn listed(name: &str, state: KeyState, secret: &HmacKey) -> RosterKey {
    RosterKey { id: id(name), scheme: Scheme::HmacSha256, state, check: secret.check_value(), sharing: None }
}

fn phone() -> CanonicalIdentifier {
    canonical(IdentifierKind::Phone, "+8613800138000", "").expect("valid")
}

fn hex(pseudonym: &Pseudonym) -> String {
    hex::encode(pseudonym.0)
}

/// Every state once, under keys whose bytes are 1 to 4.
fn ring() -> KeyRing {
    let states = [KeyState::Retiring, KeyState::Pending, KeyState::Active, KeyState::Destroyed];
    let names = ["old", "next", "now", "gone"];
    let roster: Vec<RosterKey> =
        (1..).zip(names).zip(states).map(|((byte, name), state)| listed(name, state, &key(byte))).collect();
    let secrets = (1..).zip(names).map(|(byte, name)| (id(name), key(byte)));
    KeyRing::new(&roster, secrets, &NoHolders).expect("all secrets are there")
}

async fn keys_used(ring: &KeyRing, purpose: Purpose) -> Vec<String> {
    let sets = ring.pseudonyms(purpose, &[phone(), phone()]).await.expect("made");
    assert!(sets.iter().all(|set| set.pseudonyms.len() == 2));
    sets.iter().map(|set| set.key.to_string()).collect()
}

#[tokio::test]
async fn pseudonyms_are_pinned() {
    let cases = [
        (IdentifierKind::Phone, "+8613800138000", "f04bdc8a36951d2113983e937d1eb666528d4a9f4a34885ae46cddacc0d7751e"),
        (
            IdentifierKind::BusinessLicence,
            "91110000600037341L",
            "5a11b9e6c35216382ff76ce208d83e836b3650d4a7a411d0f3dff6e868e665cf",
        ),
        (IdentifierKind::Domain, "x.myshopify.com", "3896e6a74b6a0ccdbdec119750dc9baaac26b8ca9befd9e2ddd3c1d22318ee56"),
        (IdentifierKind::LegalName, "Nike Inc.", "749f278051a60f99d185e93654cf789be4306abf0dbb4e55c02356e5186f2049"),
    ];
    let forms: Vec<CanonicalIdentifier> =
        cases.iter().map(|(kind, value, _)| canonical(*kind, value, "").expect("valid")).collect();
    let sets = ring().pseudonyms(Purpose::Submit, &forms).await.expect("made");
    let found: Vec<String> = sets[0].pseudonyms.iter().map(hex).collect();
    assert_eq!(found, cases.map(|(_, _, pinned)| pinned));
    assert_eq!(key(3).check_value(), "7b915f9bef6e26ed");
}

#[tokio::test]
async fn the_purpose_decides_the_keys() {
    assert_eq!(keys_used(&ring(), Purpose::Submit).await, ["now"]);
    assert_eq!(keys_used(&ring(), Purpose::Check).await, ["old", "now"]);
    let states: Vec<KeyState> = ring().keys().iter().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Retiring, KeyState::Pending, KeyState::Active, KeyState::Destroyed]);
}

#[tokio::test]
async fn kind_and_key_part_pseudonyms() {
    let same_text = canonical(IdentifierKind::LegalName, "8613800138000", "").expect("valid");
    let sets = ring().pseudonyms(Purpose::Check, &[phone(), same_text]).await.expect("made");
    let all: std::collections::BTreeSet<Pseudonym> = sets.into_iter().flat_map(|set| set.pseudonyms).collect();
    assert_eq!(all.len(), 4);
}

#[tokio::test]
async fn no_key_is_an_error_and_not_an_empty_answer() {
    let retiring =
        KeyRing::new(&[listed("old", KeyState::Retiring, &key(1))], [(id("old"), key(1))], &NoHolders).expect("sound");
    assert_eq!(retiring.pseudonyms(Purpose::Submit, &[phone()]).await, Err(PseudonymError::NoActiveKey));
    assert_eq!(keys_used(&retiring, Purpose::Check).await, ["old"]);
    let pending =
        KeyRing::new(&[listed("next", KeyState::Pending, &key(1))], [(id("next"), key(1))], &NoHolders).expect("sound");
    assert_eq!(pending.pseudonyms(Purpose::Check, &[phone()]).await, Err(PseudonymError::NoActiveKey));
    assert_eq!(PseudonymError::NoActiveKey.code(), "NO_ACTIVE_KEY");
}

#[tokio::test]
async fn a_batch_is_bounded() {
    let batch = vec![phone(); MAX_IDENTIFIERS_PER_BATCH + 1];
    let refusal = ring().pseudonyms(Purpose::Submit, &batch).await.expect_err("too large");
    assert_eq!(refusal.code(), "BATCH_TOO_LARGE");
    assert!(ring().pseudonyms(Purpose::Submit, &batch[1..]).await.is_ok());
}

#[test]
fn a_ring_needs_the_right_secrets() {
    let refusal =
        |state, secrets: Vec<(KeyId, HmacKey)>| KeyRing::new(&[listed("k", state, &key(1))], secrets, &NoHolders).err();
    for state in [KeyState::Active, KeyState::Retiring] {
        assert_eq!(refusal(state, vec![]), Some(PseudonymError::KeyMissing(id("k"))));
        assert_eq!(refusal(state, vec![(id("other"), key(1))]), Some(PseudonymError::KeyMissing(id("k"))));
        assert_eq!(refusal(state, vec![(id("k"), key(2))]), Some(PseudonymError::KeyMismatch(id("k"))));
    }
    for state in [KeyState::Pending, KeyState::Destroyed] {
        assert_eq!(refusal(state, vec![]), None);
    }
    let active = [listed("k", KeyState::Active, &key(1))];
    assert_eq!(KeyRing::check(&active, [(id("k"), key(1))]), Ok(()));
    assert_eq!(KeyRing::check(&active, []), Err(PseudonymError::KeyMissing(id("k"))));
    assert!(key(1).matches(&key(1).check_value().to_uppercase()));
    assert!(!key(1).matches("") && !key(1).matches(&key(1).check_value()[..15]));
}

#[test]
fn a_key_file_reads_back_and_tells_nothing() {
    let text = key(0xA7).to_text();
    assert!(text.ends_with("=\n"), "one line");
    let read = HmacKey::from_text(&text).expect("our own text");
    assert_eq!(read.check_value(), key(0xA7).check_value());
    assert_eq!(format!("{read:?}"), "HmacKey(redacted)");
    for wrong in ["", "p6en", &text.repeat(2), &text.replace('p', "!"), &text.trim()[..43]] {
        let refusal = HmacKey::from_text(wrong).expect_err("no key");
        assert_eq!(refusal.code(), "KEY_TEXT_INVALID");
        assert!(!format!("{refusal} {refusal:?}").contains("p6e"));
    }
    assert!(!format!("{:?}", ring()).contains("p6e"));
}

struct Source(bool);

impl Entropy for Source {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.fill(9);
        if self.0 { Ok(()) } else { Err(EntropyError) }
    }
}

#[test]
fn a_key_is_made_of_entropy() {
    assert_eq!(HmacKey::generate(&Source(true)).expect("made").check_value(), key(9).check_value());
    assert_eq!(HmacKey::generate(&Source(false)).expect_err("none").code(), "NO_ENTROPY");
}

/// Numbers that follow from one, another one each time.
struct Counted(std::sync::atomic::AtomicU8);

impl Entropy for Counted {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        Ok(())
    }
}

/// A key that was dealt to three members, of whom two are needed, and what each got.
fn dealt(first: u8) -> (RosterKey, Vec<HeldShares>) {
    let members = ["acme", "brand", "chips"].map(|member| member.parse().expect("valid"));
    let (sharing, held) = deal(2, &members, &Counted(first.into())).expect("dealt");
    let (scheme, state) = (Scheme::ToprfRistretto255, KeyState::Active);
    (RosterKey { id: id("shared"), scheme, state, check: String::new(), sharing: Some(sharing) }, held)
}

#[test]
fn what_is_dealt_is_what_the_roster_says_of_it() {
    let (key, held) = dealt(1);
    let shared = SharedKey::of(&key, None).expect("consistent");
    assert_eq!((shared.threshold, shared.generation, held.len()), (2, 0, 3));
    let seats = shared.holders.iter().map(|(place, member)| (place.get(), member.as_str()));
    assert!(seats.eq([(1, "acme"), (2, "brand"), (3, "chips")]));
    for (place, held) in (1_u16..).zip(&held) {
        assert_eq!(held.generation(), 0);
        for class in KeyClass::ALL {
            let (share, public) = (held.share(*class).expect("one of each"), shared.shares(*class).expect("dealt"));
            assert_eq!(share.holder().get(), place);
            assert_eq!((share.verifying_share(), public.threshold()), (public.verifying_share(share.holder()), 2));
        }
    }
    let failed = deal(2, &["acme".parse().expect("valid")], &Source(false)).map(drop);
    assert_eq!(failed.map_err(|error| error.code()), Err("NO_ENTROPY"));
}

#[test]
fn newer_shares_are_of_the_same_key() {
    let (key, _) = dealt(1);
    let listed = SharedGeneration::of(&key).expect("shared");
    let newer = SharedGeneration { generation: 5, ..listed };
    assert_eq!(SharedKey::of(&key, Some(&newer)).map(|shared| shared.generation), Ok(5));
    let other = SharedGeneration::of(&dealt(100).0).expect("shared");
    assert_eq!(SharedKey::of(&key, Some(&other)).map(drop).map_err(|error| error.code()), Err("KEY_SHARES_INCONSISTENT"));
}

#[tokio::test]
async fn where_nobody_can_be_asked_a_shared_key_gives_nothing() {
    let ring = KeyRing::new(&[dealt(1).0], [], &NoHolders).expect("consistent");
    let refusal = ring.pseudonyms(Purpose::Submit, &[phone()]).await.expect_err("unasked");
    assert!(matches!(refusal, PseudonymError::HoldersUnreachable { needed: 2, .. }), "{refusal}");
}
