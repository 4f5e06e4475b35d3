//! What was logged, kept in memory.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tracing::{Dispatch, Level};

/// What was logged, as the JSON lines that a node would write to standard error. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Where to have it written from.
    pub(crate) fn dispatch(&self) -> Dispatch {
        let writer = self.clone();
        let lines = tracing_subscriber::fmt().json().with_max_level(Level::INFO).with_writer(move || writer.clone());
        Dispatch::new(lines.finish())
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().clone()).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}
