use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::error::ConfigError;

/// What a variable that overrides a setting begins with.
const PREFIX: &str = "COUNTERMARK__";
/// Where the configuration of a node lies that the system runs.
pub const SYSTEM_FOLDER: &str = "/etc/countermark";
/// Where its store lies.
pub const SYSTEM_DATA_DIR: &str = "/var/lib/countermark";

/// What a configuration is for; each has a file name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `node.toml`.
    Node,
    /// `client.toml`.
    Client,
}

impl Purpose {
    /// The file's name where only its folder is known.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Node => "node.toml",
            Self::Client => "client.toml",
        }
    }

    /// The variable that names the file, or its folder.
    pub(super) const fn variable(self) -> &'static str {
        match self {
            Self::Node => "COUNTERMARK_CONFIG",
            Self::Client => "COUNTERMARK_CLIENT",
        }
    }
}

/// The part of the environment that configuration depends on. Read once, at the top: `Environment::of(std::env::vars_os())`.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    settings: BTreeMap<String, OsString>,
    node: Option<PathBuf>,
    client: Option<PathBuf>,
    xdg_config_home: Option<PathBuf>,
    home: Option<PathBuf>,
    notify_socket: Option<OsString>,
}

impl Environment {
    /// Of these variables, by name and value. An empty variable is one that is not set.
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            if value.is_empty() {
                continue;
            }
            let name = name.to_string_lossy();
            match name.as_ref() {
                name if name == Purpose::Node.variable() => environment.node = Some(value.into()),
                name if name == Purpose::Client.variable() => environment.client = Some(value.into()),
                "XDG_CONFIG_HOME" => environment.xdg_config_home = Some(value.into()),
                "HOME" => environment.home = Some(value.into()),
                "NOTIFY_SOCKET" => environment.notify_socket = Some(value),
                name if name.starts_with(PREFIX) => drop(environment.settings.insert(name.to_owned(), value)),
                _ => {}
            }
        }
        environment
    }

    /// Which file to load: `flag`, else `COUNTERMARK_CONFIG` for a node and `COUNTERMARK_CLIENT` for a client, else the one of the XDG
    /// folder (`~/.config/countermark`), else the one of `/etc/countermark`. The first two may name a folder that holds the file. Never
    /// one of the working directory that nobody named.
    ///
    /// # Errors
    /// [`ConfigError::NotFound`] where none was named and none of the others exists. One that was named need not exist:
    /// loading it says so.
    pub fn find(&self, purpose: Purpose, flag: Option<&Path>) -> Result<PathBuf, ConfigError> {
        let variable = match purpose {
            Purpose::Node => &self.node,
            Purpose::Client => &self.client,
        };
        if let Some(named) = flag.or(variable.as_deref()) {
            return Ok(if named.is_dir() { named.join(purpose.file_name()) } else { named.to_owned() });
        }
        // The XDG specification has a relative path ignored.
        let xdg = self.xdg_config_home.clone().filter(|path| path.is_absolute());
        let user = xdg.or_else(|| self.home.as_ref().map(|home| home.join(".config")));
        let user = user.map(|folder| folder.join("countermark").join(purpose.file_name()));
        let looked_at: Vec<PathBuf> = user.into_iter().chain([Path::new(SYSTEM_FOLDER).join(purpose.file_name())]).collect();
        match looked_at.iter().find(|path| path.exists()) {
            Some(path) => Ok(path.clone()),
            None => Err(ConfigError::NotFound { purpose, looked_at }),
        }
    }

    /// Where what runs the daemon is told its state, as sd_notify(3) has it; `None` where nobody wants to know.
    #[must_use]
    pub fn notify_socket(&self) -> Option<&OsStr> {
        self.notify_socket.as_deref()
    }

    /// Name and value of the variable that overrides `section.key`.
    pub(super) fn setting(&self, section: &str, key: &str) -> Option<(&str, &OsStr)> {
        let name = variable(section, key);
        self.settings.get_key_value(&name).map(|(name, value)| (name.as_str(), value.as_os_str()))
    }

    /// Refuses a variable with our prefix that `known` does not name.
    pub(super) fn refuse_unknown(
        &self,
        known: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Result<(), ConfigError> {
        let mut left: Vec<&String> = self.settings.keys().collect();
        for (section, key) in known {
            let name = variable(section, key);
            left.retain(|left| **left != name);
        }
        left.first().map_or(Ok(()), |name| Err(ConfigError::UnknownVariable { name: (*name).clone() }))
    }
}

fn variable(section: &str, key: &str) -> String {
    format!("{PREFIX}{}__{}", section.to_uppercase(), key.to_uppercase())
}
