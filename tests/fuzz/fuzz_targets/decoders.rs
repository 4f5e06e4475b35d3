//! The decoders under libFuzzer.

#![no_main]

#[path = "../decoders.rs"]
mod decoders;

libfuzzer_sys::fuzz_target!(init: sow(), |data: &[u8]| decoders::run(data));

/// Puts what is valid into the corpus that the fuzzer was given: from there it gets further than from noise.
fn sow() {
    let folder = std::env::args().skip(1).map(std::path::PathBuf::from).find(|path| path.is_dir());
    let Some(folder) = folder else { return };
    for (name, _, valid) in decoders::decoders() {
        let selector = decoders::selector(name);
        let input = [&selector[..], &valid()].concat();
        let [first, second] = selector;
        std::fs::write(folder.join(format!("{first:02x}{second:02x}-valid")), input).expect("the corpus can be written to");
    }
}
