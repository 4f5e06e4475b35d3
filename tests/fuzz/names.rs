//! Decoders of short texts: what people and programs name things by, and the keys that stand in files.

use std::str::FromStr;

use countermark::alliance::EnvelopeKey;
use countermark::archive::Recipient;
use countermark::config::{Address, NodeName};
use countermark::domain::{
    AlertId, AllianceName, Audience, ClientName, Currency, FeedId, FeedKey, GroupElement, Gtin, Judgment, KeyId, MemberId,
    Region, Sha256Digest, SignalRef, SignalStatus, SubmissionId, Timestamp, Verdict, WatchId,
};
use countermark::feed::SigningKey;
use countermark::pseudonym::HmacKey;
use countermark::rpc::identity::Identity;
use countermark::service::{CaseReference, LocalSecret, Reference};
use countermark::store::{BackupId, BriefCheck, CheckReference, MatchRecord, OverrideId, PictureId};

use super::{Decoder, NOW, is_text};

pub(super) const DECODERS: &[Decoder] = &[
    ("the name of a signal", parses::<SignalRef>, || b"acme/all/17".to_vec()),
    ("the name of a feed", parses::<FeedId>, || b"acme/all".to_vec()),
    ("the name of a member", parses::<MemberId>, || b"acme".to_vec()),
    ("the name of an alliance", parses::<AllianceName>, || b"alliance.example".to_vec()),
    ("the name of a client", parses::<ClientName>, || b"shop-1".to_vec()),
    ("the name of a node", parses::<NodeName>, || b"node.acme.example".to_vec()),
    ("the address of a node", parses::<Address>, || b"[::1]:7101".to_vec()),
    ("the name of a key", parses::<KeyId>, || b"k1".to_vec()),
    ("an audience", parses::<Audience>, || b"luxury".to_vec()),
    ("the id of a submission", parses::<SubmissionId>, || b"case-17".to_vec()),
    ("a digest", parses::<Sha256Digest>, || "0f".repeat(32).into_bytes()),
    ("a region", parses::<Region>, || b"CN-GD".to_vec()),
    ("a currency", parses::<Currency>, || b"CNY".to_vec()),
    ("a trade item", parses::<Gtin>, || b"4006381333931".to_vec()),
    ("the name of a backup", parses::<BackupId>, || b"00112233445566778899aabbccddeeff".to_vec()),
    ("the reference of a case", parses::<CaseReference>, || b"CM-00000-11111-22222-33333".to_vec()),
    ("the reference of a check that is kept", parses::<CheckReference>, || [&b"chk_"[..], &[b'A'; 24]].concat()),
    ("the reference of a check", parses::<Reference>, || [&b"chk_"[..], &[b'A'; 80]].concat()),
    ("a check in its reference", |data| BriefCheck::from_bytes(data).is_some(), || check().to_bytes()),
    ("the name of a watch", parses::<WatchId>, || b"wat_17".to_vec()),
    ("the name of an alert", parses::<AlertId>, || b"alr_17".to_vec()),
    ("the name of an override", parses::<OverrideId>, || b"own_17".to_vec()),
    ("an identity", parses::<Identity>, || b"spiffe://alliance.example/member/acme/client/shop-1".to_vec()),
    ("a recipient of backups", parses::<Recipient>, || {
        include_str!("alliance/age.key").split_ascii_whitespace().nth(3).expect("its public half").into()
    }),
    ("a secret that all members hold", |data| is_text(data, |text| HmacKey::from_text(text).is_ok()), secret),
    ("a node's own secret", |data| is_text(data, |text| LocalSecret::from_text(text).is_ok()), secret),
    ("a seed of a feed key", |data| is_text(data, |text| SigningKey::from_seed_text(text).is_ok()), secret),
    ("a feed key", converts::<FeedKey>, public),
    ("an element", converts::<GroupElement>, public),
    ("an envelope key", converts::<EnvelopeKey>, public),
];

fn parses<T: FromStr>(data: &[u8]) -> bool {
    is_text(data, |text| text.parse::<T>().is_ok())
}

fn converts<T: TryFrom<String>>(data: &[u8]) -> bool {
    is_text(data, |text| T::try_from(text.to_owned()).is_ok())
}

/// 32 bytes as they stand in a file.
fn secret() -> Vec<u8> {
    HmacKey::from_bytes([7; 32].into()).to_text().as_bytes().to_vec()
}

/// The same within a text.
fn public() -> Vec<u8> {
    secret().trim_ascii_end().to_vec()
}

fn check() -> BriefCheck {
    use countermark::domain::IdentifierKind;
    let matched = MatchRecord {
        signal: "acme/all/17".parse().expect("valid"),
        status: SignalStatus::Confirmed,
        strong: vec![0],
        weak: vec![1],
        void: vec![],
        quarantined: false,
        counts: true,
    };
    BriefCheck {
        checked_at: NOW,
        as_of: Timestamp::from_unix_ms(NOW.unix_ms() - 1_000),
        picture: PictureId::from_bytes([0, 1, 2, 3, 4]),
        kinds: vec![IdentifierKind::Phone, IdentifierKind::Domain],
        pseudonyms: [5; 16],
        judgment: Judgment { verdict: Verdict::Confirmed, reasons: [].into(), score: 90 },
        members_elsewhere: 1,
        matches: vec![matched],
        number: 7,
    }
}
