use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::environment::Environment;
use super::error::{ConfigError, Finding, Place, Setting};
use crate::alliance::folder::{FolderError, read_public};
use crate::domain::Sha256Digest;

/// Bytes of a configuration file: one with ten thousand clients is a third of it.
const MAX_CONFIG_BYTES: u64 = 4 * 1_024 * 1_024;
/// Bytes of a secret in a file of base64.
const SECRET_BYTES: usize = 32;

/// A setting that the environment can override.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// How a setting is written. In the environment its kind decides how a value is read; nothing is guessed from the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string; in the environment as it stands, without quotes.
    Text,
    /// A TOML integer.
    Integer,
    /// A TOML float or integer.
    Number,
    /// A string that is a path, relative to the configuration file's folder.
    Path,
    /// An array of such; in the environment divided by `:`, as in `PATH`.
    Paths,
}

/// A configuration with what is known of its origin.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// What holds. Every path in it is absolute.
    pub config: T,
    /// The file that it was read from.
    pub path: PathBuf,
    /// The SHA-256 of that file, by which two nodes or two days are compared.
    pub sha256: Sha256Digest,
    /// Names of the environment variables that hold in place of the file's values.
    pub overrides: Vec<String>,
    places: BTreeMap<String, Place>,
}

impl<T> Loaded<T> {
    /// `section.key` with its place, for errors.
    pub(super) fn setting(&self, key: &str) -> Box<Setting> {
        let start = || Place::File { path: self.path.clone(), line: 1, column: 1 };
        Box::new(Setting { place: self.places.get(key).cloned().unwrap_or_else(start), key: key.to_owned() })
    }

    /// An error of the value of `section.key`.
    pub(super) fn refused(&self, key: &str, message: &str) -> ConfigError {
        let Setting { place, key } = *self.setting(key);
        ConfigError::Value(Finding { place, message: format!("{key}: {message}") })
    }
}

/// Reads the file at `path`, puts the values of the environment over its own, makes paths absolute and deserialises.
pub(super) fn load<T: DeserializeOwned>(
    path: &Path,
    environment: &Environment,
    keys: &[Key],
) -> Result<Loaded<T>, ConfigError> {
    let unusable = |source| ConfigError::Unreadable(FolderError::Io { path: path.to_owned(), source });
    let path = std::path::absolute(path).map_err(unusable)?;
    let text = read_public(&path, MAX_CONFIG_BYTES).map_err(ConfigError::Unreadable)?;
    let mut document = Document { path: &path, text: &text, variables: Vec::new() };
    let mut table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax(document.finding(&error, None)))?;
    for key in keys {
        document.overlay(table.get_mut(), key, environment)?;
    }
    let mut places = BTreeMap::new();
    for Key { section, name, .. } in keys {
        if let Some(value) = entry(table.get_mut(), section, name) {
            document.resolve(value, &format!("{section}.{name}"), keys)?;
            places.insert(format!("{section}.{name}"), document.place(&value.span()));
        }
    }
    let root = table.clone();
    let config = T::deserialize(Deserializer::from(table)).map_err(|error| document.refusal(&error, root.get_ref()))?;
    let hash = digest(&SHA256, text.as_bytes());
    let mut sha256 = Sha256Digest([0; 32]);
    sha256.0.copy_from_slice(hash.as_ref());
    let overrides = document.variables.iter().map(|name| (*name).to_owned()).collect();
    Ok(Loaded { config, sha256, overrides, places, path: path.clone() })
}

fn entry<'t, 'd>(table: &'t mut DeTable<'d>, section: &str, name: &str) -> Option<&'t mut Spanned<DeValue<'d>>> {
    match table.get_mut(section)?.get_mut() {
        DeValue::Table(section) => section.get_mut(name),
        _ => None,
    }
}

/// The text of a file, continued by the variables of the environment: a span behind the text's end means the variable of that
/// number, so that a value of either origin has its place in errors.
struct Document<'d> {
    path: &'d Path,
    text: &'d str,
    variables: Vec<&'d str>,
}

impl<'d> Document<'d> {
    fn overlay(&mut self, table: &mut DeTable<'d>, key: &Key, environment: &'d Environment) -> Result<(), ConfigError> {
        let Some((variable, value)) = environment.setting(key.section, key.name) else { return Ok(()) };
        self.variables.push(variable);
        let at = self.text.len() + self.variables.len();
        let refused = |message: &str| {
            ConfigError::Value(Finding { place: Place::Variable(variable.to_owned()), message: message.to_owned() })
        };
        let value = value.to_str().ok_or_else(|| refused("the value must be UTF-8"))?;
        let text = |value: &'d str| Spanned::new(at..at, DeValue::String(Cow::Borrowed(value)));
        let value = match key.kind {
            Kind::Text | Kind::Path => text(value),
            Kind::Paths => Spanned::new(at..at, DeValue::Array(value.split(':').map(text).collect())),
            Kind::Integer | Kind::Number => {
                let number = DeValue::parse(value).ok().map(Spanned::into_inner);
                let number = number.filter(|n| n.is_integer() || (n.is_float() && key.kind == Kind::Number));
                Spanned::new(at..at, number.ok_or_else(|| refused("give a number, without quotes or unit"))?)
            }
        };
        let empty = || Spanned::new(0..0, DeValue::Table(DeTable::new()));
        let section = table.entry(Spanned::new(0..0, Cow::Borrowed(key.section))).or_insert_with(empty);
        if let DeValue::Table(section) = section.get_mut() {
            section.insert(Spanned::new(at..at, Cow::Borrowed(key.name)), value);
        }
        Ok(())
    }

    /// Makes the paths among the values absolute. A value of another type is left for deserialisation to refuse.
    fn resolve(&self, value: &mut Spanned<DeValue<'d>>, name: &str, keys: &[Key]) -> Result<(), ConfigError> {
        let is_path = |key: &&Key| matches!(key.kind, Kind::Path | Kind::Paths);
        if !keys.iter().filter(is_path).any(|key| name == format!("{}.{}", key.section, key.name)) {
            return Ok(());
        }
        let span = value.span();
        match value.get_mut() {
            DeValue::String(path) => {
                let refused = |message: &str| {
                    ConfigError::Value(Finding { place: self.place(&span), message: format!("{name}: {message}") })
                };
                *path = Cow::Owned(self.absolute(path).map_err(refused)?);
                Ok(())
            }
            DeValue::Array(paths) => paths.iter_mut().try_for_each(|path| self.resolve(path, name, keys)),
            _ => Ok(()),
        }
    }

    fn absolute(&self, path: &str) -> Result<String, &'static str> {
        if path.is_empty() {
            return Err("give the path of a file or folder");
        }
        if is_content(path) {
            return Err("give the path of a file, and not what is in it; if it is a secret, replace it");
        }
        let path = self.path.parent().unwrap_or(Path::new("/")).join(path);
        path.into_os_string().into_string().map_err(|_| "the path of the configuration's folder must be UTF-8")
    }

    fn place(&self, span: &Range<usize>) -> Place {
        match span.start.checked_sub(self.text.len() + 1).and_then(|i| self.variables.get(i)) {
            Some(variable) => Place::Variable((*variable).to_owned()),
            None => {
                let before = self.text.get(..span.start).unwrap_or(self.text);
                let line = before.rsplit('\n').next().unwrap_or_default();
                let (line, column) = (before.matches('\n').count() + 1, line.chars().count() + 1);
                Place::File { path: self.path.to_owned(), line, column }
            }
        }
    }

    /// The parser's own sentence, without the line of the file that its `Display` would show.
    fn finding(&self, error: &toml::de::Error, root: Option<&DeTable<'_>>) -> Finding {
        let span = error.span().unwrap_or_default();
        let key = root.and_then(|root| key_at(root, &span)).map(|key| key + ": ").unwrap_or_default();
        // What is a field to serde is a key to people.
        let message = error.message().replace("field `", "key `");
        Finding { place: self.place(&span), message: key + message.trim_end() }
    }

    fn refusal(&self, error: &toml::de::Error, root: &DeTable<'_>) -> ConfigError {
        let finding = self.finding(error, Some(root));
        if error.message().starts_with("unknown field") {
            ConfigError::UnknownKey(finding)
        } else if error.message().starts_with("missing field") {
            ConfigError::MissingKey(finding)
        } else {
            ConfigError::Value(finding)
        }
    }
}

/// The path of the value at `span`, the innermost of them.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref().as_ref();
        let inner = match value.get_ref() {
            DeValue::Table(table) => key_at(table, span),
            _ => None,
        };
        let here = value.span().start <= span.start && span.end <= value.span().end && !span.is_empty()
            || value.span() == *span && span.start > 0;
        inner.map(|inner| format!("{name}.{inner}")).or_else(|| here.then(|| name.to_owned()))
    })
}

/// Whether what stands where a path belongs is the content of a key file: PEM, or 32 bytes in base64. An error must not repeat
/// it as if it were a path.
fn is_content(path: &str) -> bool {
    path.contains('\n') || path.contains("-----BEGIN") || BASE64.decode(path).is_ok_and(|bytes| bytes.len() == SECRET_BYTES)
}
