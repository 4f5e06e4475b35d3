//! At the end of every test on nodes: nothing that it told them stands in what they stored or logged.
//!
//! Values are registered where tests make identifiers. Files are searched as they are and with their zstd frames unpacked,
//! whatever the case, in one pass for all values.

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

/// Shorter values occur by chance.
const SHORTEST: usize = 10;
/// Bytes of a value by which it is looked up.
const PREFIX: usize = 8;
/// Written whole with one byte; nothing can stand in it.
const BALLAST: &str = "ballast";

static TOLD: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);

/// Notes that nodes are told `value`.
pub fn told(value: &str) {
    let plain = value.to_ascii_lowercase();
    let digits: String = plain.chars().filter(char::is_ascii_digit).collect();
    let mut told = TOLD.lock().expect("not poisoned");
    told.extend([plain, digits].into_iter().filter(|form| form.len() >= SHORTEST));
}

/// What the zstd frames in `bytes` hold.
pub fn unpacked(bytes: &[u8]) -> Vec<u8> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let mut out = Vec::new();
    for at in (0..bytes.len().saturating_sub(MAGIC.len())).filter(|at| bytes[*at..].starts_with(&MAGIC)) {
        if let Ok(decoder) = zstd::stream::read::Decoder::with_buffer(&bytes[at..]) {
            // A frame that is damaged or cut off gives what it gives.
            drop(decoder.single_frame().take(1 << 24).read_to_end(&mut out));
        }
    }
    out
}

/// All values, by their first bytes.
struct Search {
    /// Whether any value begins with these three bytes.
    begins: Vec<bool>,
    by_prefix: HashMap<[u8; PREFIX], Vec<Vec<u8>>>,
}

impl Search {
    fn new<'v>(values: impl Iterator<Item = &'v str>) -> Self {
        let mut search = Self { begins: vec![false; 1 << 24], by_prefix: HashMap::new() };
        for value in values {
            let prefix = *value.as_bytes().first_chunk().expect("long enough");
            search.begins[begin(&prefix)] = true;
            search.by_prefix.entry(prefix).or_default().push(value.as_bytes().to_vec());
        }
        search
    }

    fn found(&self, mut bytes: Vec<u8>) -> Option<String> {
        bytes.make_ascii_lowercase();
        let places = bytes.windows(PREFIX).enumerate().filter(|(_, window)| self.begins[begin(window)]);
        for (at, window) in places {
            let values = self.by_prefix.get(window).into_iter().flatten();
            if let Some(value) = values.into_iter().find(|value| bytes[at..].starts_with(value)) {
                return Some(String::from_utf8_lossy(value).into_owned());
            }
        }
        None
    }

    fn assert_absent(&self, path: &Path) {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).expect("a folder").flatten() {
                self.assert_absent(&entry.path());
            }
        } else if path.file_name().is_none_or(|name| name != BALLAST) {
            // A node that still runs may remove a file.
            let Ok(bytes) = std::fs::read(path) else { return };
            assert_eq!(self.found(unpacked(&bytes)), None, "packed in {}", path.display());
            assert_eq!(self.found(bytes), None, "in {}", path.display());
        }
    }
}

fn begin(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2])
}

/// Fails where anything that a node was told in this process stands in one of `places`, folders or files. To be called when a
/// test has passed so far. What `roster` says is no secret: it names the domains of platforms, which every node keeps, and which
/// real lists have among their sellers.
pub fn assert_silent<P: AsRef<Path>>(places: impl IntoIterator<Item = P>, roster: &[u8]) {
    let public = String::from_utf8_lossy(roster).to_ascii_lowercase();
    let mut told = TOLD.lock().expect("not poisoned").clone();
    told.retain(|value| !public.contains(value));
    let search = Search::new(told.iter().map(String::as_str));
    // The search finds what is there.
    if let Some(any) = told.first() {
        let packed = zstd::bulk::compress(format!("it says {}.", any.to_uppercase()).as_bytes(), 3).expect("compressed");
        assert!(search.found(unpacked(&packed)).is_some());
    }
    places.into_iter().filter(|place| place.as_ref().exists()).for_each(|place| search.assert_absent(place.as_ref()));
}
