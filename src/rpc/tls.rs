//! TLS configurations: TLS 1.3, HTTP/2, both sides with a certificate, and revocation lists.
//!
//! There is no way here to serve or dial without all of these. Sessions are never resumed and no early data is taken, so that
//! every connection presents its certificate anew and a revoked one does not come back by a ticket.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;
use zeroize::Zeroizing;

use super::identity::{Certificate, CertificateSerial, IdentityError};
use crate::domain::Timestamp;

/// The one protocol that is spoken inside TLS (RFC 7540, 11.1).
const ALPN: &[u8] = b"h2";
/// What a receiver of alerts is spoken to in (RFC 7301).
const WEBHOOK_ALPN: &[u8] = b"http/1.1";

/// A certificate and its private key.
#[derive(Clone)]
pub struct Credentials {
    /// PEM: the end-entity certificate, then any that lead to the CA.
    pub chain: String,
    /// PEM: PKCS #8, SEC 1 or PKCS #1. Wiped when dropped.
    pub key: Zeroizing<String>,
}

impl Credentials {
    /// What the end-entity certificate says.
    ///
    /// # Errors
    /// [`TlsError::Certificate`] and [`TlsError::Identity`].
    pub fn certificate(&self) -> Result<Certificate, TlsError> {
        let chain = self.parse_chain()?;
        let first = chain.first().ok_or(TlsError::Certificate)?;
        Ok(Certificate::read(first)?)
    }

    fn parse_chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        certificates(&self.chain).ok_or(TlsError::Certificate)
    }

    fn parse_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|_| TlsError::Key)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// Whose certificates are trusted, and which of them no longer.
#[derive(Debug, Clone)]
pub struct TrustAnchors {
    /// PEM: the CA certificate; two while one CA replaces another.
    pub ca: String,
    /// PEM: revocation lists. Either none, or one of every CA: a certificate whose status is unknown is refused.
    pub crls: Vec<String>,
}

/// What the revocation lists say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revocations {
    /// Certificates that are no longer good, to close the connections that they opened.
    pub serials: BTreeSet<CertificateSerial>,
    /// When the first of the lists wants to be replaced. An old list still counts: what it revokes stays revoked, and a list
    /// that came late locks nobody out. `None` where no list says.
    pub next_update: Option<Timestamp>,
}

impl TrustAnchors {
    /// What the revocation lists say.
    ///
    /// # Errors
    /// [`TlsError::Crl`].
    pub fn revocations(&self) -> Result<Revocations, TlsError> {
        let mut revocations = Revocations::default();
        for der in self.parse_crls()? {
            let crl = parse_crl(&der)?;
            let serials = crl.iter_revoked_certificates().map(|r| CertificateSerial::from_der_integer(r.raw_serial()));
            revocations.serials.extend(serials);
            let next = crl.next_update().map(|t| Timestamp::from_unix_ms(t.timestamp().saturating_mul(1_000)));
            revocations.next_update = revocations.next_update.into_iter().chain(next).min();
        }
        Ok(revocations)
    }

    /// The last instant at which any of the CAs is good.
    ///
    /// # Errors
    /// [`TlsError::Ca`].
    pub fn not_after(&self) -> Result<Timestamp, TlsError> {
        let ends = |der: &CertificateDer<'_>| {
            let (_, ca) = X509Certificate::from_der(der).map_err(|_| TlsError::Ca)?;
            Ok(Timestamp::from_unix_ms(ca.validity().not_after.timestamp().saturating_mul(1_000)))
        };
        let cas = certificates(&self.ca).ok_or(TlsError::Ca)?;
        let ends = cas.iter().map(ends).collect::<Result<Vec<_>, TlsError>>()?;
        ends.into_iter().max().ok_or(TlsError::Ca)
    }

    /// Whether the lists can be used with the CAs.
    ///
    /// # Errors
    /// [`TlsError`] of a CA or a list.
    pub fn check(&self) -> Result<(), TlsError> {
        self.checked_crls().map(drop)
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        for der in certificates(&self.ca).ok_or(TlsError::Ca)? {
            roots.add(der).map_err(|_| TlsError::Ca)?;
        }
        Ok(Arc::new(roots))
    }

    fn parse_crls(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let mut crls = Vec::new();
        for pem in &self.crls {
            let before = crls.len();
            for crl in CertificateRevocationListDer::pem_slice_iter(pem.as_bytes()) {
                crls.push(crl.map_err(|_| TlsError::Crl)?);
            }
            if crls.len() == before {
                return Err(TlsError::Crl);
            }
        }
        Ok(crls)
    }

    /// The lists, once it is sure that they are of the CAs, and that each will be asked: a list that is of another CA, or
    /// that another key signed, would otherwise refuse everyone; and of two with one issuer's name, a verifier asks the first alone.
    fn checked_crls(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let mut crls = self.parse_crls()?;
        if crls.is_empty() {
            return Ok(crls);
        }
        let mut seen = BTreeSet::new();
        crls.retain(|der| seen.insert(der.to_vec()));
        let cas = certificates(&self.ca).ok_or(TlsError::Ca)?;
        let mut without_list: BTreeSet<usize> = (0..cas.len()).collect();
        let mut parts = BTreeMap::<_, BTreeSet<_>>::new();
        for der in &crls {
            let crl = parse_crl(der)?;
            let signers = signers(&crl, &cas)?;
            without_list.retain(|ca| !signers.contains(ca));
            // A list may be for a part of a CA's certificates alone (RFC 5280, 5.2.5); one that is for all leaves nothing to another.
            let part = crl.extensions().iter().find(|extension| extension.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT);
            let known = parts.entry(crl.issuer().as_raw().to_vec()).or_default();
            if !known.insert(part.map(|extension| extension.value.to_vec())) || (known.len() > 1 && known.contains(&None)) {
                return Err(TlsError::CrlTwice);
            }
        }
        if without_list.is_empty() { Ok(crls) } else { Err(TlsError::CrlIssuer) }
    }
}

/// Which of `cas` signed `crl`: one, or the two certificates of one CA whose key stayed when its certificate was renewed.
fn signers(crl: &CertificateRevocationList<'_>, cas: &[CertificateDer<'_>]) -> Result<BTreeSet<usize>, TlsError> {
    let (mut named, mut signed) = (false, BTreeSet::new());
    for (number, der) in cas.iter().enumerate() {
        let (_, ca) = X509Certificate::from_der(der).map_err(|_| TlsError::Ca)?;
        if crl.issuer().as_raw() == ca.subject().as_raw() {
            named = true;
            if crl.verify_signature(ca.public_key()).is_ok() {
                signed.insert(number);
            }
        }
    }
    match (named, signed.is_empty()) {
        (_, false) => Ok(signed),
        (true, true) => Err(TlsError::CrlSignature),
        (false, true) => Err(TlsError::CrlIssuer),
    }
}

fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
    (!chain.is_empty()).then_some(chain)
}

fn parse_crl<'a>(der: &'a CertificateRevocationListDer<'_>) -> Result<CertificateRevocationList<'a>, TlsError> {
    let (_, crl) = CertificateRevocationList::from_der(der).map_err(|_| TlsError::Crl)?;
    Ok(crl)
}

/// The provider, named wherever a configuration is built: never that of the process, which another library may set.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// For a listener: `own` is the node's alliance certificate; `callers` is the alliance's CA on the peer listener and the
/// member's own CA on the client listener.
///
/// # Errors
/// What is wrong with which of the inputs.
pub fn server_config(own: &Credentials, callers: &TrustAnchors) -> Result<ServerConfig, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(callers.roots()?, provider())
        .with_crls(callers.checked_crls()?)
        .build()
        .map_err(TlsError::Verifier)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::from_rustls)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(own.parse_chain()?, own.parse_key()?)
        .map_err(TlsError::from_rustls)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// For a dialler, node or client: `own` is presented; `servers` is the alliance's CA, since every listener has its node's
/// alliance certificate.
///
/// # Errors
/// What is wrong with which of the inputs.
pub fn client_config(own: &Credentials, servers: &TrustAnchors) -> Result<ClientConfig, TlsError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(servers.roots()?, provider())
        .with_crls(servers.checked_crls()?)
        .build()
        .map_err(TlsError::Verifier)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::from_rustls)?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(own.parse_chain()?, own.parse_key()?)
        .map_err(TlsError::from_rustls)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

/// For a receiver of alerts outside the alliance, whose certificate leads to `ca` (PEM): TLS 1.3, HTTP/1.1, no certificate of ours.
///
/// # Errors
/// [`TlsError::Ca`], [`TlsError::Verifier`].
pub fn webhook_config(ca: &str) -> Result<ClientConfig, TlsError> {
    let anchors = TrustAnchors { ca: ca.to_owned(), crls: Vec::new() };
    let verifier = WebPkiServerVerifier::builder_with_provider(anchors.roots()?, provider()).build();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::from_rustls)?
        .with_webpki_verifier(verifier.map_err(TlsError::Verifier)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![WEBHOOK_ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

/// Whether a node with `own` would be accepted at `now` by those who trust `anchors`: looked at before a certificate is put to
/// use, since afterwards only the others would see what is wrong.
///
/// # Errors
/// [`TlsError::NotTrusted`] where they would refuse it; the others where the inputs cannot be read or do not belong together.
pub fn verify_node(own: &Credentials, anchors: &TrustAnchors, now: Timestamp) -> Result<Certificate, TlsError> {
    client_config(own, anchors)?;
    let certificate = own.certificate()?;
    let chain = own.parse_chain()?;
    let (first, rest) = chain.split_first().ok_or(TlsError::Certificate)?;
    let name = certificate.identity.alliance().node_dns_name(certificate.identity.member());
    let name = ServerName::try_from(name).map_err(|_| TlsError::Identity(IdentityError::DnsName))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(anchors.roots()?, provider())
        .with_crls(anchors.checked_crls()?)
        .build()
        .map_err(TlsError::Verifier)?;
    let now = UnixTime::since_unix_epoch(now.since(Timestamp::from_unix_ms(0)));
    verifier.verify_server_cert(first, rest, &name, &[], now).map_err(TlsError::NotTrusted)?;
    Ok(certificate)
}

/// What is wrong with a certificate, key, CA or revocation list of our own. Says nothing of their contents.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TlsError {
    /// The certificate chain cannot be read.
    #[error("the certificate chain is empty or not PEM of X.509 certificates")]
    Certificate,
    /// The certificate names nobody.
    #[error("the certificate names no member of the alliance")]
    Identity(#[from] IdentityError),
    /// The private key cannot be read or is of a kind that TLS 1.3 does not use.
    #[error("the private key is not PEM of a PKCS #8, SEC 1 or PKCS #1 key")]
    Key,
    /// The private key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The CA certificate cannot be read.
    #[error("the CA is empty or not PEM of X.509 certificates")]
    Ca,
    /// A revocation list cannot be read.
    #[error("a revocation list is empty or not PEM of an X.509 CRL")]
    Crl,
    /// The revocation lists are not those of the CAs.
    #[error("give one revocation list of every CA in use, and none of another CA")]
    CrlIssuer,
    /// Two revocation lists bear the name of one CA and are for the same certificates.
    #[error(
        "two revocation lists bear the name of one CA, and only one of them would count: name the newest alone, which revokes all that \
         the others do; a CA that takes the place of another needs a name of its own"
    )]
    CrlTwice,
    /// A revocation list bears the name of a CA that did not sign it.
    #[error(
        "a revocation list names one of the CAs as its issuer, and the CA's key did not sign it; fetch it again from its issuer"
    )]
    CrlSignature,
    /// The verifier cannot be built from the CA and the lists.
    #[error("the CA and its revocation lists cannot be used")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
    /// The CA does not vouch for the certificate, or not any more.
    #[error("the certificate is not accepted by those who trust the CA")]
    NotTrusted(#[source] rustls::Error),
    /// The library refuses the configuration.
    #[error("the TLS configuration cannot be used")]
    Configuration(#[source] rustls::Error),
}

impl TlsError {
    fn from_rustls(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InconsistentKeys(_) => Self::KeyMismatch,
            rustls::Error::InvalidCertificate(_) => Self::Certificate,
            // Only a private key that the provider cannot load is reported this way.
            rustls::Error::General(_) => Self::Key,
            other => Self::Configuration(other),
        }
    }

    /// Stable; part of the interface.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Certificate => "TLS_CERTIFICATE",
            Self::Identity(error) => error.code(),
            Self::Key => "TLS_KEY",
            Self::KeyMismatch => "TLS_KEY_MISMATCH",
            Self::Ca => "TLS_CA",
            Self::Crl => "TLS_CRL",
            Self::CrlIssuer => "TLS_CRL_ISSUER",
            Self::CrlTwice => "TLS_CRL_TWICE",
            Self::CrlSignature => "TLS_CRL_SIGNATURE",
            Self::Verifier(_) => "TLS_VERIFIER",
            Self::NotTrusted(_) => "TLS_NOT_TRUSTED",
            Self::Configuration(_) => "TLS_CONFIGURATION",
        }
    }
}
