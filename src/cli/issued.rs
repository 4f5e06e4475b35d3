//! Certificates that a CA has issued: its folder keeps each by its serial number, so that it can be revoked; and the list of those that were.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;

use super::failure::Failure;
use super::output::facts;
use crate::alliance::AllianceError;
use crate::alliance::folder::{Access, FolderError, create_private_folder, read_public, replace, write_new};
use crate::rpc::identity::{Certificate, CertificateSerial, Identity, IdentityError};
use crate::rpc::tls::TrustAnchors;

/// Bytes of a certificate or revocation list of a folder: a list of a hundred thousand certificates.
pub(super) const MAX_PEM_BYTES: u64 = 8 * 1_024 * 1_024;

/// The certificates of one CA, in `issued` of the folder that holds its key.
pub(super) struct IssuedCertificates(PathBuf);

impl IssuedCertificates {
    /// Those of the CA in `home`.
    pub(super) fn of(home: &Path) -> Self {
        Self(home.join("issued"))
    }

    /// Keeps one, PEM, unless it is kept already. To be called before it is handed out.
    ///
    /// # Errors
    /// Where it cannot be read, or not be written.
    pub(super) fn keep(&self, chain: &str) -> Result<(), Failure> {
        create_private_folder(&self.0)?;
        let path = self.0.join(format!("{}.pem", certificate_of(chain)?.serial));
        if path.exists() { Ok(()) } else { Ok(write_new(&path, chain, Access::Public)?) }
    }

    /// Where a copy of the newest list of `ca`, PEM, is kept.
    fn list(&self, ca: &str) -> Result<PathBuf, Failure> {
        let der = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(|_| AllianceError::RevocationList)?;
        Ok(self.0.join(format!("{}.crl", hex::encode(&digest(&SHA256, &der).as_ref()[..8]))))
    }

    /// The serial numbers of all whose holder is `wanted`. None where nothing was issued yet.
    ///
    /// # Errors
    /// Where the folder, or a certificate in it, cannot be read.
    pub(super) fn serials(&self, wanted: impl Fn(&Identity) -> bool) -> Result<Vec<CertificateSerial>, Failure> {
        let failed = |source| Failure::from(FolderError::Io { path: self.0.clone(), source });
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut serials = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "pem") {
                let certificate = certificate_of(&read_public(&path, MAX_PEM_BYTES)?)?;
                if wanted(&certificate.identity) {
                    serials.push(certificate.serial);
                }
            }
        }
        Ok(serials)
    }
}

/// The first certificate of a chain, PEM.
fn certificate_of(chain: &str) -> Result<Certificate, Failure> {
    let der = CertificateDer::from_pem_slice(chain.as_bytes()).map_err(|_| IdentityError::Malformed)?;
    Ok(Certificate::read(&der)?)
}

/// A revocation list that was signed. Its JSON fields are part of the interface.
#[derive(Serialize)]
pub(super) struct RevocationList {
    /// Certificates that this time was asked for.
    pub(super) revoked: usize,
    pub(super) list: PathBuf,
    /// When it wants to be signed anew, RFC 3339.
    renew_before: Option<String>,
}

impl RevocationList {
    /// Signs the list at `path` anew, with `serials` beside what it revoked before; `sign` takes the lists before, PEM, and the numbers.
    /// `issued` keeps a copy for the CA, PEM, which counts as well: a list that is lost, or put back from an older copy, gives nobody back
    /// what was taken.
    ///
    /// # Errors
    /// Where a list before cannot be read or is not of this CA, or the new one cannot be written.
    pub(super) fn extend(
        path: PathBuf,
        (issued, ca): (&IssuedCertificates, &str),
        serials: &[CertificateSerial],
        sign: impl FnOnce(&[&str], &[CertificateSerial]) -> Result<String, AllianceError>,
    ) -> Result<Self, Failure> {
        let copy = issued.list(ca)?;
        let read = |path| match read_public(path, MAX_PEM_BYTES) {
            Err(FolderError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        };
        let before = [read(&path)?, read(&copy)?];
        let list = sign(&before.iter().flatten().map(String::as_str).collect::<Vec<_>>(), serials)
            .map_err(|error| Failure::from(error).advise(format!("look at {} and {}", path.display(), copy.display())))?;
        create_private_folder(&issued.0)?;
        replace(&copy, &list, Access::Public)?;
        replace(&path, &list, Access::Public)?;
        let next = TrustAnchors { ca: String::new(), crls: vec![list] }.revocations()?.next_update;
        Ok(Self { revoked: serials.len(), list: path, renew_before: next.map(|time| time.to_string()) })
    }

    /// Its rows for people, after one that says whose certificates were revoked, where it was anybody's.
    pub(super) fn rows(&self, whose: Option<(&'static str, String)>) -> String {
        let revoked = whose.map(|whose| [whose, ("revoked", self.revoked.to_string())]);
        facts(revoked.into_iter().flatten().chain([
            ("list", self.list.display().to_string()),
            ("renew before", self.renew_before.clone().unwrap_or_default()),
        ]))
    }
}
