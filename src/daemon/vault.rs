use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::alliance::folder::{Access, FolderError, create_private_folder, destroy, replace, wipe};
use crate::domain::KeyId;
use crate::domain::limits::MAX_SHARE_RECORD_BYTES;
use crate::service::ShareVault;

/// A folder with a file `KEY.json` for each key, which its owner alone may read. What is replaced or removed is overwritten with zeros
/// first; whether the disk underneath does the same with its blocks is beyond a program.
pub struct FolderVault {
    folder: PathBuf,
}

impl FolderVault {
    /// In this folder, which is made when something is kept.
    #[must_use]
    pub const fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, key: &KeyId) -> PathBuf {
        self.folder.join(format!("{key}.json"))
    }
}

fn folder_error(error: FolderError) -> io::Error {
    match error {
        FolderError::Io { source, .. } => source,
        other => io::Error::other(other),
    }
}

fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl ShareVault for FolderVault {
    fn load(&self, key: &KeyId) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(file) = if_there(File::open(self.path(key)))? else { return Ok(None) };
        let length = file.metadata()?.len();
        if length > MAX_SHARE_RECORD_BYTES as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
        io::Read::read_to_end(&mut io::Read::take(file, MAX_SHARE_RECORD_BYTES as u64), &mut bytes)?;
        Ok(Some(bytes))
    }

    fn save(&self, key: &KeyId, record: &[u8]) -> io::Result<()> {
        if record.len() > MAX_SHARE_RECORD_BYTES {
            // It could not be read again.
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        create_private_folder(&self.folder).map_err(folder_error)?;
        let path = self.path(key);
        // What a crash left half written holds secrets, too.
        destroy(&path.with_extension("json.new")).map_err(folder_error)?;
        let before = if_there(OpenOptions::new().write(true).open(&path))?;
        let text = std::str::from_utf8(record).map_err(io::Error::other)?;
        replace(&path, text, Access::Private).map_err(folder_error)?;
        // Only now: until then it was the one that counts. And what is kept is kept, though the old bytes were not wiped.
        if let Some(error) = before.and_then(|before| wipe(&before).err()) {
            tracing::warn!(%key, %error, "old shares are removed, but could not be overwritten");
        }
        Ok(())
    }

    fn keys(&self) -> io::Result<Vec<KeyId>> {
        let Some(entries) = if_there(fs::read_dir(&self.folder))? else { return Ok(Vec::new()) };
        let names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        let key = |name: &std::ffi::OsString| name.to_str()?.strip_suffix(".json")?.parse().ok();
        Ok(names.iter().filter_map(key).collect())
    }

    fn remove(&self, key: &KeyId) -> io::Result<()> {
        let path = self.path(key);
        for path in [path.with_extension("json.new"), path] {
            destroy(&path).map_err(folder_error)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_record_is_replaced_whole_and_what_was_there_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let vault = FolderVault::at(folder.path().join("shares"));
        let key: KeyId = "k1".parse().expect("valid");
        assert_eq!((vault.load(&key).expect("read"), vault.keys().expect("read")), (None, vec![]));
        vault.save(&key, b"the first").expect("kept");
        let path = folder.path().join("shares/k1.json");
        // A second name for the same file, as a backup by hard links would have it.
        fs::hard_link(&path, folder.path().join("seen")).expect("linked");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        // What a crash left behind does not matter.
        fs::write(folder.path().join("shares/k1.json.new"), b"half").expect("written");
        vault.save(&key, b"the second").expect("kept");
        assert_eq!(vault.load(&key).expect("read").as_deref().map(Vec::as_slice), Some(&b"the second"[..]));
        assert_eq!(fs::read(folder.path().join("seen")).expect("there"), [0; 9]);
        assert_eq!(vault.keys().expect("read"), std::slice::from_ref(&key));
        fs::write(folder.path().join("shares/k1.json.new"), b"half").expect("written");
        fs::hard_link(&path, folder.path().join("last")).expect("linked");
        vault.remove(&key).expect("removed");
        assert_eq!(fs::read(folder.path().join("last")).expect("there"), [0; 10]);
        vault.remove(&key).expect("nothing there");
        assert_eq!(vault.load(&key).expect("read"), None);
        assert_eq!(fs::read_dir(folder.path().join("shares")).expect("there").count(), 0);
    }
}
