//! Certificates that a CA has issued: its folder keeps each by its serial number, so that it can be revoked.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::failure::Failure;
use crate::alliance::folder::{Access, FolderError, create_private_folder, read_public, write_new};
use crate::rpc::identity::{Certificate, CertificateSerial, Identity, IdentityError};

/// Bytes of a certificate or revocation list of a folder: a list of a hundred thousand certificates.
pub(super) const MAX_PEM_BYTES: u64 = 8 * 1_024 * 1_024;

/// The certificates of one CA, in `issued` of the folder that holds its key.
pub(super) struct IssuedCertificates(PathBuf);

impl IssuedCertificates {
    /// Those of the CA in `home`.
    pub(super) fn of(home: &Path) -> Self {
        Self(home.join("issued"))
    }

    /// Keeps one, PEM. To be called before it is handed out.
    ///
    /// # Errors
    /// Where it cannot be read, or not be written.
    pub(super) fn keep(&self, chain: &str) -> Result<(), Failure> {
        create_private_folder(&self.0)?;
        let serial = certificate_of(chain)?.serial;
        Ok(write_new(&self.0.join(format!("{serial}.pem")), chain, Access::Public)?)
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
///
/// # Errors
/// Where it is none that the alliance knows.
pub(super) fn certificate_of(chain: &str) -> Result<Certificate, Failure> {
    let der = CertificateDer::from_pem_slice(chain.as_bytes()).map_err(|_| IdentityError::Malformed)?;
    Ok(Certificate::read(&der)?)
}

/// A revocation list that was written before, PEM.
///
/// # Errors
/// Where it is there and cannot be read.
pub(super) fn list_before(path: &Path) -> Result<Option<String>, Failure> {
    match read_public(path, MAX_PEM_BYTES) {
        Err(FolderError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(read?)),
    }
}
