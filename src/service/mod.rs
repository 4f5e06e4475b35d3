//! Who belongs to the alliance now, and when each was last heard. Stands in for the layer of that name until it is joined.

mod directory;
mod liveness;

pub use directory::{Directory, DirectoryError};
pub use liveness::Liveness;
