//! Decoders of certificates, of the lists that revoke them, of keys, and of the files by which a member is admitted.
//!
//! What is valid was made once, by the keys in `alliance`, which no alliance uses: signatures of this kind are not the same twice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countermark::alliance::{Admission, AllianceCa, ClientCa, EnvelopeKey, JoinRequest, MemberSecrets};
use countermark::pseudonym::HmacKey;
use countermark::rpc::identity::Certificate;
use countermark::rpc::tls::{Credentials, TrustAnchors, client_config, webhook_config};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use zeroize::Zeroizing;

use super::{Decoder, Fixed, NOW, alliance, is_text, member};

const CA: &str = include_str!("alliance/ca.pem");
const CA_KEY: &str = include_str!("alliance/ca.key");
const NODE: &str = include_str!("alliance/node.pem");
const NODE_KEY: &str = include_str!("alliance/node.key");
const LIST: &str = include_str!("alliance/crl.pem");
const REQUEST: &str = include_str!("alliance/request.json");
/// AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758, 3.2).
const ECDSA: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

pub(super) const DECODERS: &[Decoder] = &[
    ("a certificate", |data| Certificate::read(&data.to_vec().into()).is_ok(), || der(NODE)),
    ("a certificate chain", |data| is_text(data, |text| works(text, NODE_KEY)), || NODE.into()),
    ("a private key", |data| is_text(data, |text| works(NODE, text)), || NODE_KEY.into()),
    ("a CA that is trusted", |data| is_text(data, is_trusted), || CA.into()),
    ("a CA that signs", |data| is_text(data, |text| ca(text, CA_KEY).is_some()), || CA.into()),
    ("the key of a CA", |data| is_text(data, |text| ca(CA, text).is_some()), || CA_KEY.into()),
    ("a revocation list", |data| is_text(data, revokes), || LIST.into()),
    ("a signed revocation list", |data| revokes(&signed(data)), || to_be_signed(&der(LIST)).to_vec()),
    ("a revocation list of our own", |data| is_text(data, is_gone_on_from), || LIST.into()),
    ("a signing request", |data| is_text(data, is_certified), || include_bytes!("alliance/csr.pem").to_vec()),
    ("a join request", |data| is_text(data, |text| JoinRequest::from_json(text).is_ok()), || REQUEST.into()),
    ("an admission", |data| is_text(data, is_accepted), || include_bytes!("alliance/admission.json").to_vec()),
];

fn own(chain: &str, key: &str) -> Credentials {
    Credentials { chain: chain.to_owned(), key: Zeroizing::new(key.to_owned()) }
}

fn anchors(crls: Vec<String>) -> TrustAnchors {
    TrustAnchors { ca: CA.to_owned(), crls }
}

/// Whether a node can begin with these.
fn works(chain: &str, key: &str) -> bool {
    let own = own(chain, key);
    own.certificate().is_ok() & client_config(&own, &anchors(vec![])).is_ok()
}

fn is_trusted(ca: &str) -> bool {
    TrustAnchors { ca: ca.to_owned(), crls: vec![] }.not_after().is_ok() & webhook_config(ca).is_ok()
}

fn ca(certificate: &str, key: &str) -> Option<AllianceCa> {
    AllianceCa::load(alliance(), certificate.to_owned(), Zeroizing::new(key.to_owned())).ok()
}

fn revokes(list: &str) -> bool {
    let anchors = anchors(vec![list.to_owned()]);
    anchors.revocations().is_ok() & client_config(&own(NODE, NODE_KEY), &anchors).is_ok()
}

fn is_gone_on_from(list: &str) -> bool {
    ca(CA, CA_KEY).expect("ours").revoke(&[list], &[], NOW).is_ok()
}

fn is_certified(request: &str) -> bool {
    ca(CA, CA_KEY).expect("ours").issue_node(&member("acme"), request, NOW, &Fixed).is_ok()
}

fn is_accepted(admission: &str) -> bool {
    let text = |text: &str| Zeroizing::new(text.to_owned());
    let request: serde_json::Value = serde_json::from_str(REQUEST).expect("JSON");
    let public = request["envelope_key"].as_str().expect("text").to_owned();
    let secrets = MemberSecrets {
        node_key: text(NODE_KEY),
        feed_key: HmacKey::generate(&Fixed).expect("32 bytes").to_text(),
        envelope_key: text(include_str!("alliance/envelope.key")),
        envelope_public: EnvelopeKey::try_from(public).expect("a key"),
        local_secret: HmacKey::generate(&Fixed).expect("32 bytes").to_text(),
        client_ca: ClientCa::load(alliance(), member("acme"), CA.to_owned(), text(CA_KEY)).expect("a CA"),
    };
    let request = JoinRequest::from_json(REQUEST).expect("ours");
    Admission::from_json(admission).is_ok_and(|admission| admission.accept(&request, &secrets, NOW).is_ok())
}

/// What is in the armour.
fn der(pem: &str) -> Vec<u8> {
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64.decode(lines).expect("base64")
}

/// The first part of what is signed in the way of X.509.
fn to_be_signed(signed: &[u8]) -> &[u8] {
    let (_, content) = header(signed);
    let (length, _) = header(content);
    &content[..length]
}

/// Bytes of a value with its header, of a length of one to three bytes, and what is in it.
fn header(value: &[u8]) -> (usize, &[u8]) {
    match value[1] {
        0x81 => (3 + usize::from(value[2]), &value[3..]),
        0x82 => (4 + usize::from(u16::from_be_bytes([value[2], value[3]])), &value[4..]),
        short => (2 + usize::from(short), &value[2..]),
    }
}

/// A DER value of this tag.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let header = match length {
        [0, short @ ..0x80] => vec![tag, short],
        [0, longer] => vec![tag, 0x81, longer],
        [first, second] => vec![tag, 0x82, first, second],
    };
    [&header, content].concat()
}

/// The list of which this is to be signed, signed by the CA.
fn signed(list: &[u8]) -> String {
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(CA_KEY, &PKCS_ECDSA_P256_SHA256).expect("a key");
    let signature = key.sign(list).expect("signed");
    let list = value(0x30, &[list, &ECDSA, &value(0x03, &[&[0], &signature[..]].concat())].concat());
    format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", BASE64.encode(list))
}
