//! From the founding of an alliance to nodes and clients that hold good certificates.

use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::folder::{AllianceFolder, MemberFolder};
use super::{
    Admission, AllianceCa, AllianceError, Applicant, ClientCa, JoinRequest, MemberSecrets, PseudonymSecret, RosterHandover,
};
use crate::domain::{AllianceName, Entropy, EntropyError, FeedKey, MemberId, MemberKind, Timestamp};
use crate::rpc::identity::Identity;
use crate::rpc::tls::{Credentials, TrustAnchors, client_config, server_config, verify_node};

/// 2026-11-22T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_ms(1_795_305_600_000);
const DAY_MS: i64 = 86_400_000;

/// Bytes that count up, so that no two draws are alike.
struct Counter(AtomicU8);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.iter_mut().for_each(|b| *b = self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

fn entropy() -> Counter {
    Counter(AtomicU8::new(0))
}

fn alliance() -> AllianceName {
    "alliance.example".parse().expect("valid")
}

fn member(id: &str) -> MemberId {
    id.parse().expect("valid")
}

fn applicant(id: &str) -> Applicant {
    Applicant {
        alliance: alliance(),
        member: member(id),
        kind: MemberKind::Brand,
        name: "Acme & Söhne".into(),
        address: "node.acme.example:7101".into(),
    }
}

fn founded() -> AllianceCa {
    AllianceCa::create(alliance(), NOW, &entropy()).expect("founded")
}

fn asked(id: &str) -> (JoinRequest, MemberSecrets) {
    JoinRequest::create(applicant(id), NOW, &entropy()).expect("asked")
}

fn roster() -> RosterHandover {
    RosterHandover { note: "format = 1\n\n— alliance.example/roster AAAA\n".into(), key: FeedKey([5; 32]) }
}

fn pseudonym_key() -> PseudonymSecret {
    PseudonymSecret { id: "k1".parse().expect("valid"), text: Zeroizing::new("c2VjcmV0IHNlY3JldA==\n".into()) }
}

fn admitted(request: &JoinRequest, ca: &AllianceCa) -> Admission {
    Admission::issue(request, ca, roster(), &[pseudonym_key()], NOW, &entropy()).expect("admitted")
}

fn later(days: i64) -> Timestamp {
    Timestamp::from_unix_ms(NOW.unix_ms() + days * DAY_MS)
}

#[test]
fn a_member_asks_is_admitted_and_accepts() {
    let ca = founded();
    let (request, secrets) = asked("acme");
    let received = JoinRequest::from_json(&request.to_json().expect("written")).expect("verified");
    assert_eq!(received, request);
    assert_eq!(received.fingerprint(), request.fingerprint());

    let admission = admitted(&received, &ca);
    let received = Admission::from_json(&admission.to_json().expect("written")).expect("read");
    assert_eq!(received, admission);
    let accepted = received.accept(&request, &secrets, NOW).expect("accepted");
    let certificate = accepted.node.certificate().expect("readable");
    assert_eq!(certificate.identity, Identity::Node { alliance: alliance(), member: member("acme") });
    assert_eq!(certificate.not_after, later(397));
    assert_eq!(accepted.roster, roster());
    assert_eq!(accepted.keys.len(), 1);
    assert_eq!(accepted.keys[0].text, pseudonym_key().text);
}

#[test]
fn no_secret_is_in_the_request_or_readable_in_the_admission() {
    let (request, secrets) = asked("acme");
    let texts = [request.to_json().expect("written"), admitted(&request, &founded()).to_json().expect("written")];
    let secret_lines = [&secrets.node_key, &secrets.feed_key, &secrets.envelope_key, &secrets.local_secret]
        .into_iter()
        .chain([secrets.client_ca.key(), &pseudonym_key().text])
        .flat_map(|text| text.lines().filter(|l| !l.starts_with('-')).map(str::to_owned).collect::<Vec<_>>())
        .collect::<Vec<_>>();
    for text in &texts {
        assert!(!text.contains("PRIVATE"));
        assert!(secret_lines.iter().all(|line| !text.contains(line.as_str())));
    }
    assert_eq!(format!("{secrets:?}{:?}", pseudonym_key()), "MemberSecrets(redacted)PseudonymSecret(k1, redacted)");
}

#[test]
fn a_request_that_was_changed_on_the_way_is_refused() {
    let (request, _) = asked("acme");
    let (other, _) = JoinRequest::create(applicant("acme"), NOW, &Counter(AtomicU8::new(77))).expect("asked");
    let (text, other) = (request.to_json().expect("written"), other.to_json().expect("written"));
    let other: Value = serde_json::from_str(&other).expect("JSON");
    let with = |field: &str, value: &Value| {
        let mut changed: Value = serde_json::from_str(&text).expect("JSON");
        changed[field] = value.clone();
        JoinRequest::from_json(&changed.to_string()).expect_err(field).code()
    };
    for field in ["feed_key", "envelope_key", "signing_request", "proof"] {
        assert_eq!(with(field, &other[field]), "JOIN_REQUEST_PROOF", "{field}");
    }
    for (field, value) in [
        ("alliance", "other.example"),
        ("member", "other"),
        ("kind", "authority"),
        ("name", "Other"),
        ("address", "node.other.example:7101"),
        ("proof", ""),
    ] {
        assert_eq!(with(field, &json!(value)), "JOIN_REQUEST_PROOF", "{field}");
    }
    assert_eq!(with("format", &json!(2)), "FILE_FORMAT");
    assert_eq!(with("more", &json!(1)), "FILE_MALFORMED");
    assert_eq!(with("name", &json!("x".repeat(20_000))), "FILE_TOO_LONG");
}

#[test]
fn a_request_that_cannot_be_served_is_refused_before_it_is_sent() {
    let refused = |change: &dyn Fn(&mut Applicant)| {
        let mut applicant = applicant("acme");
        change(&mut applicant);
        JoinRequest::create(applicant, NOW, &entropy()).expect_err("refused").code()
    };
    assert_eq!(refused(&|a| a.member = member("-acme")), "MEMBER_INVALID");
    assert_eq!(refused(&|a| a.member = member("acme-")), "MEMBER_INVALID");
    assert_eq!(refused(&|a| a.name = "line\nbreak".into()), "NAME_INVALID");
    assert_eq!(refused(&|a| a.name = String::new()), "NAME_INVALID");
    assert_eq!(refused(&|a| a.address = "node".into()), "ADDRESS_INVALID");
}

#[test]
fn an_admission_opens_for_its_member_only() {
    let ca = founded();
    let (request, secrets) = asked("acme");
    let (neighbour, neighbours) = asked("beta");
    let admission = admitted(&request, &ca);
    let code = |admission: &Admission, request: &JoinRequest, secrets: &MemberSecrets| {
        admission.clone().accept(request, secrets, NOW).expect_err("refused").code()
    };
    assert_eq!(code(&admission, &neighbour, &neighbours), "ADMISSION_OTHER_MEMBER");
    assert_eq!(code(&admission, &request, &neighbours), "TLS_KEY_MISMATCH");

    // The neighbour's envelope key, with everything else right.
    let mut mixed = MemberSecrets { node_key: secrets.node_key.clone(), ..asked("acme").1 };
    assert_eq!(code(&admission, &request, &mixed), "ADMISSION_SEALED_KEY");
    mixed.envelope_key = secrets.envelope_key.clone();
    admission.clone().accept(&request, &mixed, NOW).expect("the envelope key is what it takes");

    // A sealed key under another name, and for another member.
    let mut renamed = admission.clone();
    renamed.keys[0].id = "k2".parse().expect("valid");
    assert_eq!(code(&renamed, &request, &secrets), "ADMISSION_SEALED_KEY");
    let mut swapped = admission.clone();
    swapped.keys = admitted(&neighbour, &ca).keys;
    assert_eq!(code(&swapped, &request, &secrets), "ADMISSION_SEALED_KEY");
}

#[test]
fn an_admission_with_another_ca_is_refused_or_has_another_fingerprint() {
    let (ca, impostor) = (founded(), founded());
    let (request, secrets) = asked("acme");
    let (good, forged) = (admitted(&request, &ca), admitted(&request, &impostor));
    assert_ne!(good.fingerprint(), forged.fingerprint());
    assert_eq!(good.fingerprint(), admitted(&asked("beta").0, &ca).fingerprint(), "one for all members");
    let mut mixed = good.clone();
    mixed.alliance_ca = forged.alliance_ca;
    assert_eq!(mixed.accept(&request, &secrets, NOW).expect_err("refused").code(), "TLS_NOT_TRUSTED");
    let late = good.accept(&request, &secrets, later(398)).expect_err("expired");
    assert_eq!(late.code(), "TLS_NOT_TRUSTED");
}

#[test]
fn a_request_for_another_alliance_is_not_admitted() {
    let other = AllianceCa::create("other.example".parse().expect("valid"), NOW, &entropy()).expect("founded");
    let refused = Admission::issue(&asked("acme").0, &other, roster(), &[], NOW, &entropy());
    assert!(matches!(refused, Err(AllianceError::OtherMember)));
}

#[test]
fn the_ca_sets_the_names_whatever_the_request_says() {
    let key = rcgen::KeyPair::generate().expect("key");
    let mut params = rcgen::CertificateParams::new(vec!["b.alliance.example".into()]).expect("params");
    let posing = "spiffe://alliance.example/member/b/node".try_into().expect("ASCII");
    params.subject_alt_names.push(rcgen::SanType::URI(posing));
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let request = params.serialize_request(&key).expect("request").pem().expect("PEM");
    let chain = founded().issue_node(&member("a"), &request, NOW, &entropy()).expect("issued");
    let node = Credentials { chain: chain.clone(), key: Zeroizing::new(key.serialize_pem()) };
    let identity = node.certificate().expect("readable").identity;
    assert_eq!(identity.to_string(), "spiffe://alliance.example/member/a/node");
    let (_, pem) = x509_parser::pem::parse_x509_pem(chain.as_bytes()).expect("PEM");
    let certificate = pem.parse_x509().expect("X.509");
    assert!(!certificate.is_ca());
    let names = certificate.subject_alternative_name().expect("readable").expect("there");
    assert_eq!(names.value.general_names.len(), 2);
}

#[test]
fn signing_requests_of_other_keys_or_without_proof_are_refused() {
    let ca = founded();
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key");
    let request = rcgen::CertificateParams::default().serialize_request(&ed25519).expect("request").pem().expect("PEM");
    let code = |request: &str| ca.issue_node(&member("a"), request, NOW, &entropy()).expect_err("refused").code();
    assert_eq!(code(&request), "JOIN_REQUEST_CSR");
    assert_eq!(code("not PEM"), "JOIN_REQUEST_CSR");
    let good = asked("acme").0.signing_request;
    let (_, pem) = x509_parser::pem::parse_x509_pem(good.as_bytes()).expect("PEM");
    let mut der = pem.contents;
    let last = der.len() - 1;
    der[last] ^= 1;
    use base64::Engine as _;
    let broken = base64::engine::general_purpose::STANDARD.encode(der);
    let broken = format!("-----BEGIN CERTIFICATE REQUEST-----\n{broken}\n-----END CERTIFICATE REQUEST-----\n");
    assert_eq!(code(&broken), "JOIN_REQUEST_CSR");
}

#[test]
fn nodes_and_clients_hold_what_the_listeners_want() {
    let ca = founded();
    let (request, secrets) = asked("acme");
    let accepted = admitted(&request, &ca).accept(&request, &secrets, NOW).expect("accepted");
    let crawler = "crawler".parse().expect("valid");
    let client = secrets.client_ca.issue_client(&crawler, NOW, &entropy()).expect("issued");
    let clients = TrustAnchors { ca: secrets.client_ca.certificate().to_owned(), crls: vec![] };
    server_config(&accepted.node, &accepted.anchors).expect("peer listener");
    server_config(&accepted.node, &clients).expect("client listener");
    client_config(&accepted.node, &accepted.anchors).expect("node as dialler");
    client_config(&client, &accepted.anchors).expect("client as dialler");
    let identity = client.certificate().expect("readable").identity;
    assert_eq!(identity, Identity::Client { alliance: alliance(), member: member("acme"), name: crawler });
    // A client cannot serve, and the alliance's CA does not stand behind it.
    assert_eq!(verify_node(&client, &clients, NOW).expect_err("no server").code(), "TLS_NOT_TRUSTED");
    assert_eq!(verify_node(&client, &accepted.anchors, NOW).expect_err("not its CA").code(), "TLS_NOT_TRUSTED");
}

#[test]
fn a_revocation_list_grows_and_takes_effect() {
    let ca = founded();
    let (request, secrets) = asked("acme");
    let mut accepted = admitted(&request, &ca).accept(&request, &secrets, NOW).expect("accepted");
    let serial = accepted.node.certificate().expect("readable").serial;
    let (request, neighbours) = asked("beta");
    let other = Admission::issue(&request, &ca, roster(), &[], NOW, &Counter(AtomicU8::new(77))).expect("admitted");
    let other = other.accept(&request, &neighbours, NOW).expect("accepted");

    let empty = ca.revoke(&[], &[], NOW).expect("made");
    accepted.anchors.crls = vec![empty.clone()];
    verify_node(&accepted.node, &accepted.anchors, NOW).expect("not revoked");
    let first = ca.revoke(&[&empty], std::slice::from_ref(&serial), NOW).expect("made");
    let again = ca.revoke(&[&first], std::slice::from_ref(&serial), later(30)).expect("made");
    accepted.anchors.crls = vec![again.clone()];
    let error = verify_node(&accepted.node, &accepted.anchors, NOW).expect_err("revoked");
    assert_eq!(error.code(), "TLS_NOT_TRUSTED");
    verify_node(&other.node, &accepted.anchors, later(390)).expect("another is not, though the list is old by then");
    let revocations = accepted.anchors.revocations().expect("readable");
    assert_eq!((revocations.serials, revocations.next_update), ([serial].into(), Some(later(65))));

    let error = secrets.client_ca.revoke(&[&again], &[], NOW).expect_err("of another CA");
    assert_eq!(error.code(), "CA_REVOCATION_LIST");
    let namesake = founded().revoke(&[], &[], NOW).expect("made");
    let error = ca.revoke(&[&namesake], &[], NOW).expect_err("of a CA with the same name and another key");
    assert_eq!(error.code(), "CA_REVOCATION_LIST");
    let (_, pem) = x509_parser::pem::parse_x509_pem(again.as_bytes()).expect("PEM");
    let (_, list) = x509_parser::parse_x509_crl(&pem.contents).expect("a list");
    assert_eq!(list.crl_number().and_then(|n| u64::try_from(n).ok()), Some(3));
}

#[test]
fn an_authority_is_loaded_with_its_own_key_only() {
    let (ca, other) = (founded(), founded());
    let load = |certificate: &str, key: &str| {
        AllianceCa::load(alliance(), certificate.into(), Zeroizing::new(key.into())).map(|_| ()).map_err(|e| e.code())
    };
    assert_eq!(load(ca.certificate(), ca.key()), Ok(()));
    assert_eq!(load(ca.certificate(), other.key()), Err("CA_KEY_MISMATCH"));
    assert_eq!(load("", ca.key()), Err("CA_INVALID"));
    assert_eq!(load(ca.certificate(), ""), Err("CA_INVALID"));
    let (request, secrets) = asked("acme");
    let accepted = admitted(&request, &ca).accept(&request, &secrets, NOW).expect("accepted");
    assert_eq!(load(&accepted.node.chain, &accepted.node.key), Err("CA_KEY_MISMATCH"), "a node is no authority");
    let out_of_range = ClientCa::create(alliance(), member("a"), Timestamp::from_unix_ms(i64::MAX), &entropy());
    assert_eq!(out_of_range.expect_err("refused").code(), "CLOCK_OUT_OF_RANGE");
}

#[test]
fn the_folders_keep_all_that_is_needed_and_renewal_keeps_the_feed_key() {
    let temporary = tempfile::tempdir().expect("folder");
    let (secretariat, home) =
        (AllianceFolder::at(temporary.path().join("alliance")), MemberFolder::at(temporary.path().join("acme")));
    let ca = founded();
    secretariat.save_ca(&ca).expect("saved");
    assert_eq!(secretariat.save_ca(&ca).expect_err("founded once").code(), "FILE_EXISTS");

    let (request, secrets) = asked("acme");
    home.save_request(&request.to_json().expect("written"), &secrets).expect("saved");
    let mut loaded = home.load_secrets(&request).expect("loaded");
    let accepted = admitted(&request, &ca).accept(&request, &loaded, NOW).expect("accepted");
    home.save_admission(&accepted).expect("saved");
    home.save_admission(&accepted).expect("and once more");
    for id in &accepted.keys {
        let text = super::folder::read_secret(&home.pseudonym_key(&id.id)).expect("readable");
        assert_eq!(text, id.text);
    }

    loaded.renew_node_key().expect("a new key");
    let renewal = JoinRequest::with(applicant("acme"), &loaded).expect("asked");
    renewal.verify().expect("good");
    assert_eq!(renewal.feed_key, request.feed_key);
    assert_ne!(renewal.signing_request, request.signing_request);
    home.save_renewal(&renewal.to_json().expect("written"), &loaded).expect("saved");
    let in_use = super::folder::read_secret(&home.node_key()).expect("readable");
    assert_eq!(in_use, accepted.node.key, "until the certificate is there, the old key is in use");

    let reloaded = home.load_secrets(&renewal).expect("loaded");
    let renewed = admitted(&renewal, &ca).accept(&renewal, &reloaded, later(300)).expect("accepted");
    home.save_admission(&renewed).expect("saved");
    let in_use = super::folder::read_secret(&home.node_key()).expect("readable");
    assert_eq!((&in_use, in_use != accepted.node.key), (&renewed.node.key, true));
    assert!(!home.next_node_key().exists());
}
