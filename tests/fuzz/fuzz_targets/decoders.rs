//! The decoders under libFuzzer.

#![no_main]

#[path = "../decoders.rs"]
mod decoders;

libfuzzer_sys::fuzz_target!(init: sow(), |data: &[u8]| decoders::run(data));

/// Puts what is valid into the corpus that the fuzzer was given: from there it gets further than from noise.
fn sow() {
    let folder = std::env::args().skip(1).map(std::path::PathBuf::from).find(|path| path.is_dir());
    let Some(folder) = folder else { return };
    for (place, (_, _, valid)) in (0_u8..).zip(decoders::decoders()) {
        let input = [&[place][..], &valid()].concat();
        std::fs::write(folder.join(format!("valid-{place:02}")), input).expect("the corpus can be written to");
    }
}
