//! Who belongs to the alliance now, and when each was last heard.
//!
//! The directory holds the newest roster and never goes back to an older one; liveness holds what is known only while the
//! node runs. Neither opens a connection.

mod directory;
mod liveness;

pub use directory::{Directory, DirectoryError};
pub use liveness::Liveness;
