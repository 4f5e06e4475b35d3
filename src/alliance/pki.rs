//! The two authorities and what they sign: the alliance's CA signs nodes, a member's own CA signs its clients, neither signs
//! what is the other's.
//!
//! Names, purposes and dates are the authority's to set; of a signing request only the key is taken. All keys are ECDSA P-256,
//! which foreign tools know.

use std::collections::BTreeMap;
use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use zeroize::Zeroizing;

use super::AllianceError;
use crate::domain::{AllianceName, ClientName, Entropy, FieldError, MemberId, Timestamp};
use crate::rpc::identity::{CertificateSerial, Identity};
use crate::rpc::tls::{Credentials, TlsError};

/// Before now, so that a clock that is somewhat behind does not refuse a new certificate.
const BACKDATED_HOURS: i64 = 1;
/// Of an authority: ten years, as it is replaced with all that hangs on it.
const AUTHORITY_DAYS: i64 = 3_653;
/// Of a node or client: the limit that browsers set for servers until 2026, thirteen months with room to renew.
const CERTIFICATE_DAYS: i64 = 397;
/// Until a revocation list wants to be replaced. An older one still counts.
const REVOCATION_LIST_DAYS: i64 = 35;
/// RFC 5280, 4.1.2.2 allows 20; 16 random ones do not repeat.
const SERIAL_BYTES: usize = 16;
/// RFC 5280, appendix A.1: upper bound of organisation and common name. They are for people; identity is in the SAN.
const MAX_NAME_PART: usize = 64;

/// The CA of the alliance: signs the certificates of nodes.
#[derive(Debug)]
pub struct AllianceCa {
    alliance: AllianceName,
    authority: Authority,
}

impl AllianceCa {
    /// Founds the CA.
    ///
    /// # Errors
    /// [`AllianceError::Clock`], [`AllianceError::Entropy`], [`AllianceError::Certificate`].
    pub fn create(alliance: AllianceName, now: Timestamp, entropy: &dyn Entropy) -> Result<Self, AllianceError> {
        let mut params = authority_params(&alliance, "Countermark alliance CA", now, entropy)?;
        // A verifier that heeds it refuses this CA's signature under any name outside the alliance.
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(alliance.to_string())],
            excluded_subtrees: vec![],
        });
        Ok(Self { alliance, authority: Authority::create(&params)? })
    }

    /// The CA that was founded earlier.
    ///
    /// # Errors
    /// [`AllianceError::Authority`], [`AllianceError::AuthorityMismatch`].
    pub fn load(alliance: AllianceName, certificate: String, key: Zeroizing<String>) -> Result<Self, AllianceError> {
        Ok(Self { alliance, authority: Authority::load(certificate, key)? })
    }

    /// Whose CA it is.
    #[must_use]
    pub fn alliance(&self) -> &AllianceName {
        &self.alliance
    }

    /// The certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.authority.certificate
    }

    /// The private key, PEM of PKCS #8.
    #[must_use]
    pub fn key(&self) -> &Zeroizing<String> {
        &self.authority.key
    }

    /// The certificate of `member`'s node, PEM, for the key in `signing_request` (PEM of PKCS #10). Whatever else the request
    /// says is not looked at.
    ///
    /// # Errors
    /// [`AllianceError::SigningRequest`], and those of [`AllianceCa::create`].
    pub fn issue_node(
        &self,
        member: &MemberId,
        signing_request: &str,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<String, AllianceError> {
        let key = public_key_of(signing_request)?;
        let identity = Identity::Node { alliance: self.alliance.clone(), member: member.clone() };
        let dns = dns_name(&self.alliance, member)?;
        let mut params = leaf_params(&identity, "node", now, entropy)?;
        params.subject_alt_names.push(SanType::DnsName(dns.try_into().map_err(AllianceError::Certificate)?));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.authority.sign(&params, &key)
    }

    /// Revokes certificates; see [`ClientCa::revoke`].
    ///
    /// # Errors
    /// As there.
    pub fn revoke(&self, previous: &[&str], serials: &[CertificateSerial], now: Timestamp) -> Result<String, AllianceError> {
        self.authority.revoke(previous, serials, now)
    }
}

/// A member's own CA: signs the certificates of its clients.
#[derive(Debug)]
pub struct ClientCa {
    alliance: AllianceName,
    member: MemberId,
    authority: Authority,
}

impl ClientCa {
    /// Founds the CA.
    ///
    /// # Errors
    /// [`AllianceError::Clock`], [`AllianceError::Entropy`], [`AllianceError::Certificate`].
    pub fn create(
        alliance: AllianceName,
        member: MemberId,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, AllianceError> {
        let params = authority_params(&alliance, &format!("{member} client CA"), now, entropy)?;
        Ok(Self { alliance, member, authority: Authority::create(&params)? })
    }

    /// The CA that was founded earlier.
    ///
    /// # Errors
    /// [`AllianceError::Authority`], [`AllianceError::AuthorityMismatch`].
    pub fn load(
        alliance: AllianceName,
        member: MemberId,
        certificate: String,
        key: Zeroizing<String>,
    ) -> Result<Self, AllianceError> {
        Ok(Self { alliance, member, authority: Authority::load(certificate, key)? })
    }

    /// The certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.authority.certificate
    }

    /// The private key, PEM of PKCS #8.
    #[must_use]
    pub fn key(&self) -> &Zeroizing<String> {
        &self.authority.key
    }

    /// A new key for the client `name`, with its certificate.
    ///
    /// # Errors
    /// As [`ClientCa::create`].
    pub fn issue_client(&self, name: &ClientName, now: Timestamp, entropy: &dyn Entropy) -> Result<Credentials, AllianceError> {
        let key = new_key()?;
        let identity = Identity::Client { alliance: self.alliance.clone(), member: self.member.clone(), name: name.clone() };
        let mut params = leaf_params(&identity, name.as_str(), now, entropy)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let chain = self.authority.sign(&params, &*key)?;
        Ok(Credentials { chain, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// A revocation list, PEM, that revokes `serials` and all that the lists `previous` revoked, numbered after the last of them. The first
    /// list has no previous one; a list without serials renews the one before.
    ///
    /// # Errors
    /// [`AllianceError::RevocationList`] where `previous` is none of this CA, [`AllianceError::Clock`],
    /// [`AllianceError::Certificate`].
    pub fn revoke(&self, previous: &[&str], serials: &[CertificateSerial], now: Timestamp) -> Result<String, AllianceError> {
        self.authority.revoke(previous, serials, now)
    }
}

/// A certificate that signs others, and its key.
struct Authority {
    certificate: String,
    key: Zeroizing<String>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(redacted)")
    }
}

impl Authority {
    fn create(params: &CertificateParams) -> Result<Self, AllianceError> {
        let key = new_key()?;
        let certificate = params.self_signed(&*key).map_err(AllianceError::Certificate)?.pem();
        Ok(Self { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }

    fn load(certificate: String, key: Zeroizing<String>) -> Result<Self, AllianceError> {
        let authority = Self { certificate, key };
        let key = authority.key_pair()?;
        let spki = key.subject_public_key_info();
        let invalid = |_| AllianceError::Authority(rcgen::Error::CouldNotParseCertificate);
        let (_, pem) = parse_x509_pem(authority.certificate.as_bytes()).map_err(invalid)?;
        let parsed = pem.parse_x509().map_err(|_| AllianceError::Authority(rcgen::Error::CouldNotParseCertificate))?;
        if !parsed.is_ca() || parsed.public_key().raw != spki {
            return Err(AllianceError::AuthorityMismatch);
        }
        Ok(authority)
    }

    fn key_pair(&self) -> Result<Zeroizing<KeyPair>, AllianceError> {
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&self.key, &PKCS_ECDSA_P256_SHA256);
        key.map(Zeroizing::new).map_err(AllianceError::Authority)
    }

    fn sign(&self, params: &CertificateParams, subject: &impl PublicKeyData) -> Result<String, AllianceError> {
        let key = self.key_pair()?;
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, &*key).map_err(AllianceError::Authority)?;
        Ok(params.signed_by(subject, &issuer).map_err(AllianceError::Certificate)?.pem())
    }

    fn revoke(&self, previous: &[&str], serials: &[CertificateSerial], now: Timestamp) -> Result<String, AllianceError> {
        let (mut number, mut revoked) = (0, BTreeMap::new());
        for list in previous {
            let (numbered, entries) = self.read_list(list)?;
            number = number.max(numbered);
            for (serial, at) in entries {
                let first = revoked.entry(serial).or_insert(at);
                *first = at.min(*first);
            }
        }
        for serial in serials {
            revoked.entry(serial.clone()).or_insert(instant(now)?);
        }
        let revoked = revoked.iter().map(|(serial, at)| entry(serial, *at)).collect();
        let list = CertificateRevocationListParams {
            this_update: instant(now)?,
            next_update: instant(days_after(now, REVOCATION_LIST_DAYS))?,
            crl_number: SerialNumber::from(number.checked_add(1).ok_or(AllianceError::RevocationList)?),
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let key = self.key_pair()?;
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, &*key).map_err(AllianceError::Authority)?;
        let list = list.signed_by(&issuer).map_err(AllianceError::Certificate)?;
        list.pem().map_err(AllianceError::Certificate)
    }

    /// Number and entries of a list that this authority made.
    fn read_list(&self, pem: &str) -> Result<(u64, Vec<(CertificateSerial, OffsetDateTime)>), AllianceError> {
        let invalid = || AllianceError::RevocationList;
        let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|_| invalid())?;
        let (_, list) = CertificateRevocationList::from_der(&pem.contents).map_err(|_| invalid())?;
        let (_, own) = parse_x509_pem(self.certificate.as_bytes()).map_err(|_| invalid())?;
        let own = own.parse_x509().map_err(|_| invalid())?;
        if list.issuer().as_raw() != own.subject().as_raw() || list.verify_signature(own.public_key()).is_err() {
            return Err(invalid());
        }
        let number = list.crl_number().and_then(|n| u64::try_from(n).ok()).ok_or_else(invalid)?;
        let entries = list
            .iter_revoked_certificates()
            .map(|r| (CertificateSerial::from_der_integer(r.raw_serial()), r.revocation_date.to_datetime()));
        Ok((number, entries.collect()))
    }
}

fn entry(serial: &CertificateSerial, at: OffsetDateTime) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial.as_bytes()),
        revocation_time: at,
        reason_code: None,
        invalidity_date: None,
    }
}

/// A new key, and the request (PEM of PKCS #10) to have it certified. The request names nobody: the CA does.
pub(super) fn signing_request() -> Result<(String, Zeroizing<String>), AllianceError> {
    let key = new_key()?;
    let pem = Zeroizing::new(key.serialize_pem());
    Ok((signing_request_for(&pem)?, pem))
}

/// The request to have `key` (PEM of PKCS #8) certified.
pub(super) fn signing_request_for(key: &str) -> Result<String, AllianceError> {
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(key, &PKCS_ECDSA_P256_SHA256);
    let key = Zeroizing::new(key.map_err(|_| AllianceError::Tls(TlsError::Key))?);
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let request = params.serialize_request(&*key).map_err(AllianceError::Certificate)?;
    request.pem().map_err(AllianceError::Certificate)
}

/// The key that a signing request asks to certify, once its signature holds.
pub(super) fn public_key_of(signing_request: &str) -> Result<rcgen::PublicKey, AllianceError> {
    let request = CertificateSigningRequestParams::from_pem(signing_request)
        .map_err(|error| AllianceError::SigningRequest(Some(error)))?;
    let algorithm = PublicKeyData::algorithm(&request.public_key);
    if *algorithm != PKCS_ECDSA_P256_SHA256 {
        return Err(AllianceError::SigningRequest(None));
    }
    Ok(request.public_key)
}

/// The name that TLS verifies for `member`'s node, where it can be one: a DNS label neither begins nor ends with a hyphen.
pub(super) fn dns_name(alliance: &AllianceName, member: &MemberId) -> Result<String, AllianceError> {
    let name = alliance.node_dns_name(member);
    match rustls::pki_types::DnsName::try_from(name.as_str()) {
        Ok(_) if !member.as_str().starts_with('-') && !member.as_str().ends_with('-') => Ok(name),
        Ok(_) | Err(_) => Err(AllianceError::Field(FieldError::new(
            "MEMBER_INVALID",
            "member",
            "give an id that does not begin or end with a hyphen: it becomes part of a DNS name",
        ))),
    }
}

fn new_key() -> Result<Zeroizing<KeyPair>, AllianceError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(AllianceError::Certificate)?;
    Ok(Zeroizing::new(key))
}

fn authority_params(
    alliance: &AllianceName,
    name: &str,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<CertificateParams, AllianceError> {
    // One that takes the place of another has a name of its own (RFC 5280, 5.1.2.3): lists are found by their issuer's name.
    let mut number = [0; 4];
    entropy.fill(&mut number)?;
    let number = format!(" {:08x}", u32::from_be_bytes(number));
    let name = name.chars().take(MAX_NAME_PART - number.len()).chain(number.chars()).collect::<String>();
    let mut params = base_params(alliance, &name, now, AUTHORITY_DAYS, entropy)?;
    // No authority below it: what it signs is an end entity.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf_params(
    identity: &Identity,
    name: &str,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<CertificateParams, AllianceError> {
    let name = format!("{} {name}", identity.member());
    let mut params = base_params(identity.alliance(), &name, now, CERTIFICATE_DAYS, entropy)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let uri = identity.to_string().try_into().map_err(AllianceError::Certificate)?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    Ok(params)
}

fn base_params(
    alliance: &AllianceName,
    name: &str,
    now: Timestamp,
    days: i64,
    entropy: &dyn Entropy,
) -> Result<CertificateParams, AllianceError> {
    let part = |text: &str| text.chars().take(MAX_NAME_PART).collect::<String>();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, part(alliance.as_str()));
    params.distinguished_name.push(DnType::CommonName, part(name));
    params.serial_number = Some(new_serial(entropy)?);
    params.not_before = instant(Timestamp::from_unix_ms(now.unix_ms().saturating_sub(BACKDATED_HOURS * 3_600_000)))?;
    params.not_after = instant(days_after(now, days))?;
    Ok(params)
}

fn new_serial(entropy: &dyn Entropy) -> Result<SerialNumber, AllianceError> {
    let mut bytes = [0; SERIAL_BYTES];
    entropy.fill(&mut bytes)?;
    // Positive and of full length, whatever was drawn.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn days_after(now: Timestamp, days: i64) -> Timestamp {
    Timestamp::from_unix_ms(now.unix_ms().saturating_add(days * 86_400_000))
}

fn instant(time: Timestamp) -> Result<OffsetDateTime, AllianceError> {
    let seconds = time.unix_ms().div_euclid(1_000);
    let instant = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| AllianceError::Clock)?;
    if (1970..=9999).contains(&instant.year()) { Ok(instant) } else { Err(AllianceError::Clock) }
}
