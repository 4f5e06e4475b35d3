//! The folders of a member and of the secretariat: the one place of the ceremonies that touches files.
//!
//! A file appears whole or not at all, and none is overwritten unless that is asked for. Secrets can be read by their owner
//! only; one that others can read is refused, because it may be known to them already. Ceremonies are held one at a time: two
//! of them at once in one folder are not kept apart.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Accepted, AllianceCa, JoinRequest, MemberSecrets, PseudonymSecret};
use crate::domain::KeyId;

/// Bytes of the longest secret file: a PEM of a private key is a tenth of it.
const MAX_SECRET_BYTES: u64 = 16 * 1_024;
const PRIVATE_FOLDER: u32 = 0o700;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its owner.
    Private,
    /// Everybody on the machine.
    Public,
}

impl Access {
    const fn mode(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o644,
        }
    }
}

/// Where a member keeps what. All names are fixed, so that configuration needs to name the folder only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberFolder(PathBuf);

impl MemberFolder {
    /// The folder at `path`, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Private key of the node's certificate.
    #[must_use]
    pub fn node_key(&self) -> PathBuf {
        self.0.join("node.key")
    }

    /// Private key of the certificate that was asked for and is not there yet.
    #[must_use]
    pub fn next_node_key(&self) -> PathBuf {
        self.0.join("node-next.key")
    }

    /// The node's certificate.
    #[must_use]
    pub fn node_chain(&self) -> PathBuf {
        self.0.join("node.pem")
    }

    /// The alliance's CA.
    #[must_use]
    pub fn alliance_ca(&self) -> PathBuf {
        self.0.join("alliance-ca.pem")
    }

    /// Seed of the feed key.
    #[must_use]
    pub fn feed_key(&self) -> PathBuf {
        self.0.join("feed.key")
    }

    /// Private key that opens sealed secrets.
    #[must_use]
    pub fn envelope_key(&self) -> PathBuf {
        self.0.join("envelope.key")
    }

    /// The secret of the node's own.
    #[must_use]
    pub fn local_secret(&self) -> PathBuf {
        self.0.join("local.secret")
    }

    /// CA of the member's clients.
    #[must_use]
    pub fn client_ca(&self) -> PathBuf {
        self.0.join("client-ca.pem")
    }

    /// Its key, which the node does not need and which may be kept elsewhere.
    #[must_use]
    pub fn client_ca_key(&self) -> PathBuf {
        self.0.join("client-ca.key")
    }

    /// Revocation list of the member's clients, where there is one.
    #[must_use]
    pub fn client_crl(&self) -> PathBuf {
        self.0.join("client-crl.pem")
    }

    /// The node's configuration.
    #[must_use]
    pub fn node_toml(&self) -> PathBuf {
        self.0.join("node.toml")
    }

    /// The request as it was sent.
    #[must_use]
    pub fn join_request(&self) -> PathBuf {
        self.0.join("join-request.json")
    }

    /// The newest roster as signed note.
    #[must_use]
    pub fn roster_note(&self) -> PathBuf {
        self.0.join("roster.note")
    }

    /// The secretariat's key, base64.
    #[must_use]
    pub fn roster_key(&self) -> PathBuf {
        self.0.join("roster.pub")
    }

    /// Secret of a pseudonym key.
    #[must_use]
    pub fn pseudonym_key(&self, id: &KeyId) -> PathBuf {
        self.0.join("keys").join(format!("{id}.key"))
    }

    /// Writes what [`JoinRequest::create`] made.
    ///
    /// # Errors
    /// [`FolderError`]; files that were written before the error stay.
    pub fn save_request(&self, request_json: &str, secrets: &MemberSecrets) -> Result<(), FolderError> {
        create_private_folder(&self.0)?;
        write_new(&self.node_key(), &secrets.node_key, Access::Private)?;
        write_new(&self.feed_key(), &secrets.feed_key, Access::Private)?;
        write_new(&self.envelope_key(), &secrets.envelope_key, Access::Private)?;
        write_new(&self.local_secret(), &secrets.local_secret, Access::Private)?;
        write_new(&self.client_ca_key(), secrets.client_ca.key(), Access::Private)?;
        write_new(&self.client_ca(), secrets.client_ca.certificate(), Access::Public)?;
        // Last, so that a request that exists has its secrets.
        write_new(&self.join_request(), request_json, Access::Public)
    }

    /// Writes the request for a new certificate, with the key that it is for beside the one in use.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn save_renewal(&self, request_json: &str, secrets: &MemberSecrets) -> Result<(), FolderError> {
        replace(&self.next_node_key(), &secrets.node_key, Access::Private)?;
        replace(&self.join_request(), request_json, Access::Public)
    }

    /// Reads back the secrets that belong to `request`, the newest.
    ///
    /// # Errors
    /// [`FolderError`], [`FolderError::Content`] included where a file is not what it was.
    pub fn load_secrets(&self, request: &JoinRequest) -> Result<MemberSecrets, FolderError> {
        let (certificate, key) = (read_public(&self.client_ca(), MAX_SECRET_BYTES)?, read_secret(&self.client_ca_key())?);
        let client_ca = super::ClientCa::load(request.alliance.clone(), request.member.clone(), certificate, key);
        let next = self.next_node_key();
        let node_key = if next.exists() { next } else { self.node_key() };
        Ok(MemberSecrets {
            node_key: read_secret(&node_key)?,
            feed_key: read_secret(&self.feed_key())?,
            envelope_key: read_secret(&self.envelope_key())?,
            envelope_public: request.envelope_key,
            local_secret: read_secret(&self.local_secret())?,
            client_ca: client_ca.map_err(|source| FolderError::Content { path: self.client_ca(), source: Box::new(source) })?,
        })
    }

    /// Writes what came with an admission, in place of what an earlier one brought.
    ///
    /// # Errors
    /// [`FolderError`]; files that were written before the error stay, and the same call can be made again.
    pub fn save_admission(&self, accepted: &Accepted) -> Result<(), FolderError> {
        create_private_folder(&self.0.join("keys"))?;
        for PseudonymSecret { id, text } in &accepted.keys {
            replace(&self.pseudonym_key(id), text, Access::Private)?;
        }
        replace(&self.alliance_ca(), &accepted.anchors.ca, Access::Public)?;
        replace(&self.roster_key(), &(String::from(accepted.roster.key) + "\n"), Access::Public)?;
        replace(&self.roster_note(), &accepted.roster.note, Access::Public)?;
        replace(&self.node_key(), &accepted.node.key, Access::Private)?;
        replace(&self.node_chain(), &accepted.node.chain, Access::Public)?;
        // Last: after a crash between key and certificate, which then do not belong together, accepting again mends it.
        match fs::remove_file(self.next_node_key()) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FolderError::io(&self.next_node_key(), source)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Where the secretariat keeps what. Belongs on a machine that is not a node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllianceFolder(PathBuf);

impl AllianceFolder {
    /// The folder at `path`, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The alliance's CA.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// Its key.
    #[must_use]
    pub fn ca_key(&self) -> PathBuf {
        self.0.join("ca.key")
    }

    /// Revocation list, where there is one.
    #[must_use]
    pub fn crl(&self) -> PathBuf {
        self.0.join("crl.pem")
    }

    /// Seed of the key that signs rosters.
    #[must_use]
    pub fn roster_key(&self) -> PathBuf {
        self.0.join("roster.key")
    }

    /// The newest roster as signed note.
    #[must_use]
    pub fn roster_note(&self) -> PathBuf {
        self.0.join("roster.note")
    }

    /// Secret of a pseudonym key.
    #[must_use]
    pub fn pseudonym_key(&self, id: &KeyId) -> PathBuf {
        self.0.join("keys").join(format!("{id}.key"))
    }

    /// Creates the folder with its parts, and writes the CA.
    ///
    /// # Errors
    /// [`FolderError`]; [`FolderError::Exists`] where there is an alliance already.
    pub fn save_ca(&self, ca: &AllianceCa) -> Result<(), FolderError> {
        for folder in [self.0.clone(), self.0.join("keys")] {
            create_private_folder(&folder)?;
        }
        write_new(&self.ca_key(), ca.key(), Access::Private)?;
        write_new(&self.ca(), ca.certificate(), Access::Public)
    }
}

/// Creates `path` for its owner only, with its parents. One that exists stays as it is.
///
/// # Errors
/// [`FolderError::Io`].
pub fn create_private_folder(path: &Path) -> Result<(), FolderError> {
    let created = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(path);
    created.map_err(|source| FolderError::io(path, source))
}

/// Writes a file that does not exist yet. A crash leaves the whole file, or none under this name.
///
/// # Errors
/// [`FolderError::Exists`] where it does exist; [`FolderError::Io`].
pub fn write_new(path: &Path, text: &str, access: Access) -> Result<(), FolderError> {
    // A hard link, unlike a rename, never replaces what is there.
    write_beside(path, text, access, |temporary| {
        let linked = fs::hard_link(temporary, path);
        fs::remove_file(temporary).and(linked)
    })
    .map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => FolderError::Exists { path: path.to_owned() },
        _ => FolderError::io(path, source),
    })
}

/// Writes a file in place of the one that may be there. A crash leaves the old one or the new one.
///
/// # Errors
/// [`FolderError::Io`].
pub fn replace(path: &Path, text: &str, access: Access) -> Result<(), FolderError> {
    write_beside(path, text, access, |temporary| fs::rename(temporary, path)).map_err(|source| FolderError::io(path, source))
}

/// Writes `text` durably under a temporary name in the same folder, and lets `publish` give it its own.
fn write_beside(path: &Path, text: &str, access: Access, publish: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    // What a crash left half written under the temporary name belongs to nobody.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(access.mode()).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    publish(&temporary)?;
    sync_folder_of(path)
}

/// Makes durable that a file appeared or is gone.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Overwrites all of a file with zeros; whether the disk underneath does the same with its blocks is beyond a program.
///
/// # Errors
/// What the operating system says.
pub fn wipe(mut file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.rewind()?;
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()
}

/// Removes a secret and overwrites it; false where there is none.
///
/// # Errors
/// [`FolderError::Io`].
pub fn destroy(path: &Path) -> Result<bool, FolderError> {
    let file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(|source| FolderError::io(path, source))?,
    };
    // Removed first: half wiped, it would be a damaged one.
    let removed = fs::remove_file(path).and_then(|()| sync_folder_of(path));
    removed.and_then(|()| wipe(&file)).map_err(|source| FolderError::io(path, source))?;
    Ok(true)
}

/// Reads a secret, at most 16 KiB.
///
/// # Errors
/// [`FolderError::NotPrivate`], [`FolderError::TooLong`], [`FolderError::NotText`], [`FolderError::Io`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, FolderError> {
    let file = File::open(path).map_err(|source| FolderError::io(path, source))?;
    // Asked of the open file, so that no other can take its place in between.
    private(path, &file)?;
    // Of the full capacity from the start, so that no part of it is left behind where it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_SECRET_BYTES).unwrap_or(usize::MAX) + 1));
    read_bounded(path, file, MAX_SECRET_BYTES, &mut bytes)?;
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(FolderError::NotText { path: path.to_owned() })
        }
    }
}

/// Reads a file that is no secret, at most `max` bytes.
///
/// # Errors
/// [`FolderError::TooLong`], [`FolderError::NotText`], [`FolderError::Io`].
pub fn read_public(path: &Path, max: u64) -> Result<String, FolderError> {
    let file = File::open(path).map_err(|source| FolderError::io(path, source))?;
    let mut bytes = Vec::new();
    read_bounded(path, file, max, &mut bytes)?;
    String::from_utf8(bytes).map_err(|_| FolderError::NotText { path: path.to_owned() })
}

/// Refuses a secret that its group or others can read, with the command that mends it.
///
/// # Errors
/// [`FolderError::NotPrivate`], [`FolderError::Io`].
pub fn check_private(path: &Path) -> Result<(), FolderError> {
    private(path, &File::open(path).map_err(|source| FolderError::io(path, source))?)
}

fn private(path: &Path, file: &File) -> Result<(), FolderError> {
    let mode = file.metadata().map_err(|source| FolderError::io(path, source))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(FolderError::NotPrivate { path: path.to_owned(), mode }) }
}

fn read_bounded(path: &Path, file: File, max: u64, bytes: &mut Vec<u8>) -> Result<(), FolderError> {
    let read = file.take(max + 1).read_to_end(bytes).map_err(|source| FolderError::io(path, source))?;
    if read as u64 > max { Err(FolderError::TooLong { path: path.to_owned() }) } else { Ok(()) }
}

/// What is wrong with a file or folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It exists, and would have been overwritten.
    #[error("`{}` exists already; it is never overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A secret that others can read.
    #[error(
        "`{}` is a secret that others can read (mode {mode:03o}); run `chmod 600 '{}'`, and replace the secret if others \
         use this machine",
        path.display(),
        path.display()
    )]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is longer than any good one.
    #[error("`{}` is too long for what it should be", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It is not UTF-8.
    #[error("`{}` is not text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// It does not contain what it should.
    #[error("`{}` does not contain what it should", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<super::AllianceError>,
    },
    /// The operating system refuses.
    #[error("`{}` cannot be read or written", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FolderError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// Stable; part of the interface.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "FILE_EXISTS",
            Self::NotPrivate { .. } => "FILE_NOT_PRIVATE",
            Self::TooLong { .. } => "FILE_TOO_LONG",
            Self::NotText { .. } => "FILE_NOT_TEXT",
            Self::Content { .. } => "FILE_CONTENT",
            Self::Io { .. } => "FILE_IO",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn a_secret_is_its_owners_and_is_never_overwritten() {
        let folder = tempfile::tempdir().expect("folder");
        let inner = folder.path().join("a/b");
        create_private_folder(&inner).expect("created");
        assert_eq!((mode(&inner), mode(&folder.path().join("a"))), (0o700, 0o700));
        let path = inner.join("feed.key");
        write_new(&path, "secret", Access::Private).expect("written");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(write_new(&path, "other", Access::Private).expect_err("there").code(), "FILE_EXISTS");
        assert_eq!(read_secret(&path).expect("readable").as_str(), "secret");
        assert_eq!(fs::read_dir(&inner).expect("there").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_a_crash_left_is_no_obstacle() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("crl.pem");
        fs::write(folder.path().join("crl.pem.new"), "ha").expect("written");
        write_new(&path, "half", Access::Public).expect("written");
        replace(&path, "whole", Access::Public).expect("replaced");
        assert_eq!(read_public(&path, 5).expect("readable"), "whole");
        assert_eq!(mode(&path), 0o644);
        assert_eq!(read_public(&path, 4).expect_err("longer").code(), "FILE_TOO_LONG");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("node.key");
        write_new(&path, "secret", Access::Private).expect("written");
        check_private(&path).expect("private");
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            let error = read_secret(&path).expect_err("refused");
            assert_eq!(error.code(), "FILE_NOT_PRIVATE");
            assert!(error.to_string().contains(&format!("chmod 600 '{}'", path.display())), "{error}");
            assert!(check_private(&path).is_err());
        }
    }
}
