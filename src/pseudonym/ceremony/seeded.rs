use std::fmt;

use aws_lc_rs::digest::{Context, SHA512};
use frost_ristretto255::rand_core::{CryptoRng, Error, RngCore};
use zeroize::Zeroizing;

use crate::domain::{Entropy, EntropyError};

/// Bytes of a seed: 256 bits cannot be guessed.
pub const SEED_BYTES: usize = 32;

/// What all that a participant draws in one ceremony follows from. Wiped when dropped; `Debug` does not show it.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; SEED_BYTES]>);

impl Seed {
    /// A new one.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn new(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = Zeroizing::new([0; SEED_BYTES]);
        entropy.fill(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    /// One that was kept.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; SEED_BYTES]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// To be kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SEED_BYTES] {
        &self.0
    }

    /// Random numbers for one purpose: those of another say nothing about them.
    pub(super) fn numbers(&self, purpose: &str) -> SeededNumbers {
        let mut context = Context::new(&SHA512);
        context.update(b"countermark ceremony numbers v1\0");
        context.update(self.0.as_slice());
        context.update(purpose.as_bytes());
        let mut key = Zeroizing::new([0; 64]);
        key.copy_from_slice(context.finish().as_ref());
        SeededNumbers { key, block: Zeroizing::new([0; 64]), used: 64, counter: 0 }
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(redacted)")
    }
}

/// SHA-512 over a key and a counter, block by block: a pseudorandom function of the counter as long as the key is unknown.
pub(super) struct SeededNumbers {
    key: Zeroizing<[u8; 64]>,
    block: Zeroizing<[u8; 64]>,
    used: usize,
    counter: u64,
}

impl RngCore for SeededNumbers {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.block.len() {
                let mut context = Context::new(&SHA512);
                context.update(self.key.as_slice());
                context.update(&self.counter.to_be_bytes());
                self.block.copy_from_slice(context.finish().as_ref());
                self.counter += 1;
                self.used = 0;
            }
            *byte = std::mem::take(&mut self.block[self.used]);
            self.used += 1;
        }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for SeededNumbers {}
