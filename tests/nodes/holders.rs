//! A key that is shared among members, over real nodes: what one flags another finds, holders come and go, and a thief of a node's
//! whole disk finds nobody.

use std::path::Path;

use countermark::daemon::{EvidenceFolder, SystemClock, SystemEntropy};
use countermark::domain::{Clock as _, FeedKey, HolderIndex, KeyClass, KeyId, KeyState, MemberKind, RosterKey, Scheme};
use countermark::feed::{EvaluationReceipt, SigningKey};
use countermark::pseudonym::toprf::{Quorum, ToprfError};
use countermark::pseudonym::{SharedKey, deal};
use countermark::rpc::proto::{self, IdentifierKind as Kind, Verdict};
use countermark::service::{EvaluationAnswer, EvaluationRequest, EvidenceError, EvidenceShelf as _, HolderEvidence};
use tonic::Code;

use crate::cluster;
use crate::cluster::program::program;
use crate::cluster::{Alliance, identifier, submission, until_found};

const FOUR: [(&str, MemberKind); 4] = [
    ("bazaar", MemberKind::Platform),
    ("aurelle", MemberKind::Brand),
    ("chips", MemberKind::Brand),
    ("drinks", MemberKind::Brand),
];

#[tokio::test(flavor = "multi_thread")]
async fn members_share_signals_under_a_key_that_none_of_them_has() {
    let (mut alliance, sockets) = Alliance::new(&FOUR).await;
    alliance.share_key(2, &["aurelle", "chips", "drinks"]);
    let mut nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    let mut bazaar = alliance.client("bazaar").await;
    let chips = alliance.client("chips").await;
    let seller = || vec![identifier(Kind::Domain, "outlet-17.test"), identifier(Kind::Phone, "+8613800138000")];
    aurelle.submit(submission("all", seller())).await.expect("taken");
    until_found(&bazaar, identifier(Kind::Phone, "+86 138 0013 8000")).await;
    assert_eq!(
        bazaar.check(vec![identifier(Kind::Phone, "+8613800138001")]).await.expect("answered").verdict(),
        Verdict::NoneKnown
    );

    // Many who ask at once, before there is a connection, share one: holders close the oldest of too many.
    let asked = (0..64).map(|number| {
        let mut chips = chips.clone();
        async move { chips.check(vec![identifier(Kind::Phone, &format!("+86138{number:08}"))]).await }
    });
    for answer in futures_util::future::join_all(asked).await {
        answer.expect("answered");
    }

    // One holder of three may be away; of two it is said that they are too few, and which.
    nodes.remove(&cluster::member("drinks")).expect("started").stop().await;
    bazaar.check(seller()).await.expect("two are left");
    nodes.remove(&cluster::member("chips")).expect("started").stop().await;
    let refused = bazaar.check(seller()).await.expect_err("one is too few");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("chips: ") && refused.message().contains("drinks: "), "{refused:?}");
    let holders = bazaar.status().await.key_holders;
    let well = |holder: &proto::KeyHolderStatus| holder.failed_at_ms == 0 && holder.answered_at_ms != 0;
    let shown: Vec<_> = holders.iter().map(|holder| (holder.member.as_str(), well(holder))).collect();
    assert_eq!(shown, [("aurelle", true), ("chips", false), ("drinks", false)], "the node's state says which: {holders:?}");
    assert!(holders.iter().all(|holder| well(holder) || !holder.last_error.is_empty()), "{holders:?}");
    for node in nodes.into_values() {
        node.stop().await;
    }
}

/// A machine that adds up wrong, and signs it: what the node that it answered keeps.
fn wrong_answer(alliance: &mut Alliance) -> HolderEvidence {
    let [asker, holder] = ["bazaar", "chips"].map(cluster::member);
    let members = ["aurelle", "chips", "drinks"].map(cluster::member);
    let (sharing, held) = deal(2, &members, &SystemEntropy).expect("dealt");
    let (key, scheme, state): (KeyId, _, _) = ("s1".parse().expect("valid"), Scheme::ToprfRistretto255, KeyState::Active);
    let listed = RosterKey { id: key.clone(), scheme, state, check: String::new(), sharing: Some(sharing) };
    alliance.amend(|roster| roster.keys = vec![listed]);

    let places: Vec<HolderIndex> = [1, 2].into_iter().filter_map(HolderIndex::new).collect();
    let share = held[1].share(KeyClass::Business).expect("dealt");
    // Multiples of the generator: what is asked is any element.
    let blinded: Vec<[u8; 32]> = held.iter().map(|held| held.share(KeyClass::Name).expect("dealt").verifying_share()).collect();
    let quorum = Quorum::new(places.clone(), 2).expect("two of three");
    let mut evaluation = share.evaluate(&quorum, &blinded, &SystemEntropy).expect("evaluated");
    evaluation.elements.swap(0, 1);
    let request =
        EvaluationRequest { request: [7; 16], key, class: KeyClass::Business, generation: 0, quorum: places, blinded };
    let signing = SigningKey::from_seed_text(&alliance.membership("chips").secrets.feed_key).expect("a key");
    let receipt =
        EvaluationReceipt { day: 20_779, spent: 8, ..request.receipt(&holder, &asker, share.verifying_share(), &evaluation) };
    let receipt = receipt.sign(&alliance.roster.alliance, &signing);
    HolderEvidence {
        holder,
        member: asker,
        request,
        answer: EvaluationAnswer { evaluation, receipt },
        sharing: None,
        roster: alliance.signed_roster(),
        at: SystemClock.now(),
    }
}

/// What a holder signed convicts it before anybody who has the secretariat's key, and before nobody once a word is changed.
#[tokio::test]
async fn a_wrong_answer_is_shown_to_whoever_has_the_secretariats_key() {
    let (mut alliance, _sockets) = Alliance::new(&FOUR).await;
    let evidence = wrong_answer(&mut alliance);
    let folder = tempfile::tempdir().expect("a folder");
    let [kept, key_file] = ["evidence", "roster.pub"].map(|name| folder.path().join(name));
    EvidenceFolder::at(kept.clone()).keep(&evidence, ToprfError::ProofWrong);
    let written = std::fs::read_dir(&kept).expect("kept").next().expect("a file").expect("readable").path();
    let verify = |file: &Path, key: FeedKey| {
        std::fs::write(&key_file, String::from(key)).expect("written");
        let [file, key] = [file, &key_file].map(|path| path.display().to_string());
        program(&["key", "evidence", &file, "--secretariat-key", &key, "--output", "json"])
    };
    let secretariat = alliance.secretariat.public();
    let shown = verify(&written, secretariat);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    for (field, expected) in [("holder", "chips"), ("asked_by", "bazaar"), ("code", "PROOF_WRONG"), ("day", "2026-11-22")] {
        assert_eq!(json[field], expected, "{json}");
    }

    let text = std::fs::read_to_string(&written).expect("text");
    let piece: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let honest = {
        let mut piece = piece.clone();
        piece["evaluated"].as_array_mut().expect("elements").swap(0, 1);
        piece
    };
    let with = |field: &str, value: &str| {
        let mut piece = piece.clone();
        piece[field] = value.into();
        piece
    };
    let stranger = SigningKey::generate(&SystemEntropy).expect("a key").public();
    let changed = folder.path().join("changed.json");
    for (what, piece, key, code) in [
        ("another answer than was signed", honest, secretariat, "RECEIPT_WRONG"),
        ("another holder", with("holder", "drinks"), secretariat, "RECEIPT_WRONG"),
        ("somebody who is no holder", with("holder", "bazaar"), secretariat, "KEY_UNKNOWN"),
        ("another asker", with("member", "aurelle"), secretariat, "RECEIPT_WRONG"),
        ("another class", with("class", "name"), secretariat, "RECEIPT_WRONG"),
        ("another key", with("key", "s2"), secretariat, "KEY_UNKNOWN"),
        ("another layout", with("format", "countermark-evidence/2"), secretariat, "EVIDENCE_FORMAT"),
        ("a proof cut short", with("proof", "AAAA"), secretariat, "EVIDENCE_MALFORMED"),
        ("another alliance", piece.clone(), stranger, "NOTE_NOT_SIGNED"),
    ] {
        std::fs::write(&changed, piece.to_string()).expect("written");
        let refused = verify(&changed, key);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(code), "{what}: {said}");
    }
}

/// An honest holder's receipt under its honest answer is no evidence, whatever its accuser writes around it.
#[tokio::test]
async fn a_right_answer_blames_nobody() {
    let (mut alliance, _sockets) = Alliance::new(&FOUR).await;
    let mut evidence = wrong_answer(&mut alliance);
    evidence.answer.evaluation.elements.swap(0, 1);
    let signing = SigningKey::from_seed_text(&alliance.membership("chips").secrets.feed_key).expect("a key");
    let shares = SharedKey::of(&alliance.roster.keys[0], None).expect("sound");
    let share = shares.shares(KeyClass::Business).expect("made").verifying_share(HolderIndex::new(2).expect("a place"));
    let receipt = evidence.request.receipt(&evidence.holder, &evidence.member, share, &evidence.answer.evaluation);
    evidence.answer.receipt = receipt.sign(&alliance.roster.alliance, &signing);
    assert_eq!(evidence.verify(&alliance.roster), Err(EvidenceError::AnswerRight));
    // Other shares of the same generation, however they came to be signed, are none that it answered with.
    let members = ["aurelle", "chips", "drinks"].map(cluster::member);
    let honest = alliance.roster.clone();
    alliance.amend(|roster| roster.keys[0].sharing = Some(deal(2, &members, &SystemEntropy).expect("dealt").0));
    let shown = evidence.verify(&alliance.roster).map(drop);
    assert!(matches!(shown, Err(EvidenceError::Receipt(_))), "{shown:?}");
    alliance.roster = honest;
    evidence.request.generation = 1;
    let expected = EvidenceError::GenerationUnknown { listed: 0, asked: 1 };
    assert_eq!(evidence.verify(&alliance.roster), Err(expected), "nothing says what its shares of that generation are");
}
