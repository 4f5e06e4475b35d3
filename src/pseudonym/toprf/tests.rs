use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use parking_lot::Mutex;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::group::{Mode, VOPRF, element, encode_doubled, hash_to_group, scalar};
use super::*;
use crate::domain::{Entropy, EntropyError, HolderIndex, Pseudonym};

mod oracle;

/// Gives what it was made with, byte for byte, and then fails.
struct Given(Mutex<Vec<u8>>);

impl Entropy for Given {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let mut left = self.0.lock();
        if left.len() < out.len() {
            return Err(EntropyError);
        }
        out.copy_from_slice(&left.drain(..out.len()).collect::<Vec<_>>());
        Ok(())
    }
}

/// Entropy from which `random_scalar` makes these scalars.
fn giving(scalars: &[[u8; 32]]) -> Given {
    Given(Mutex::new(scalars.iter().flat_map(|scalar| scalar.iter().copied().chain([0; 32])).collect()))
}

/// As many bytes as wanted, each time others.
struct Counting(Mutex<u64>);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(32) {
            let mut count = self.0.lock();
            *count += 1;
            chunk.copy_from_slice(
                &aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &count.to_be_bytes()).as_ref()[..chunk.len()],
            );
        }
        Ok(())
    }
}

fn entropy(seed: u32) -> Counting {
    Counting(Mutex::new(u64::from(seed) << 32))
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("a byte");
    digits.chunks(2).map(byte).collect::<Vec<_>>().try_into().expect("as long as that")
}

fn place(index: u16) -> HolderIndex {
    HolderIndex::new(index).expect("not zero")
}

/// A key that is shared among `holders`, of which `threshold` are needed.
struct Shared {
    secret: Scalar,
    shares: Vec<KeyShare>,
    public: PublicShares,
}

fn shared(threshold: u16, holders: u16, seed: u32) -> Shared {
    let entropy = entropy(seed);
    let coefficients: Vec<Scalar> = (0..threshold).map(|_| super::group::random_scalar(&entropy).expect("random")).collect();
    let at = |x: u16| coefficients.iter().rev().fold(Scalar::ZERO, |sum, coefficient| sum * Scalar::from(x) + coefficient);
    let share = |x| KeyShare::new(place(x), &Zeroizing::new(at(x).to_bytes())).expect("a share");
    let shares: Vec<KeyShare> = (1..=holders).map(share).collect();
    let secret = coefficients[0];
    let committed: Vec<_> = coefficients.iter().map(|of| RistrettoPoint::mul_base(of).compress().0).collect();
    Shared { secret, shares, public: PublicShares::new(&committed).expect("elements") }
}

impl Shared {
    /// What the key makes of an input, without the protocol.
    fn directly(&self, input: &[u8]) -> Pseudonym {
        Pseudonym((self.secret * hash_to_group(&VOPRF, &[input])).compress().0)
    }

    fn quorum(&self, holders: &[u16]) -> Quorum {
        let threshold = u16::try_from(self.public.threshold()).expect("small");
        Quorum::new(holders.iter().map(|index| place(*index)).collect(), threshold).expect("a quorum")
    }

    fn evaluate(&self, quorum: &Quorum, holder: HolderIndex, blinding: &Blinding) -> Evaluation {
        let share = &self.shares[usize::from(holder.get()) - 1];
        share.evaluate(quorum, blinding.encoded(), &entropy(holder.get().into())).expect("evaluated")
    }

    fn through(&self, holders: &[u16], inputs: &[&[u8]]) -> Vec<Pseudonym> {
        let quorum = self.quorum(holders);
        let blinding = blind(inputs, 7);
        let verified: Vec<Verified> = quorum
            .holders()
            .iter()
            .map(|holder| {
                let evaluation = self.evaluate(&quorum, *holder, &blinding);
                blinding.verify(&evaluation, &self.public, &quorum, *holder).expect("honest")
            })
            .collect();
        let pseudonyms = blinding.finish(&quorum, &verified).expect("a whole quorum");
        let turned: Vec<Verified> = verified.into_iter().rev().collect();
        assert_eq!(blinding.finish(&quorum, &turned).as_ref(), Ok(&pseudonyms), "in whatever order they answer");
        pseudonyms
    }
}

fn blind(inputs: &[&[u8]], seed: u32) -> Blinding {
    let parts: Vec<[&[u8]; 1]> = inputs.iter().map(|input| [*input]).collect();
    let inputs: Vec<&[&[u8]]> = parts.iter().map(<[&[u8]; 1]>::as_slice).collect();
    Blinding::new(&inputs, &entropy(seed)).expect("blinded")
}

/// `Finalize` of RFC 9497, which the program never computes: with it beside the element, identifiers could be tried offline.
fn finalize(input: &[u8], element: &[u8; 32]) -> [u8; 64] {
    let length = |of: &[u8]| u16::try_from(of.len()).expect("short").to_be_bytes();
    let hashed = [&length(input), input, &length(element), element, b"Finalize"].concat();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &hashed);
    digest.as_ref().try_into().expect("64 bytes")
}

const INPUTS: [&[u8]; 2] = [&[0], &[0x5a; 17]];
/// Of RFC 9497, appendix A.1, in the order of [`INPUTS`].
const BLINDS: [&str; 2] = [
    "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706",
    "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e",
];

/// RFC 9497, appendix A.1.2: mode VOPRF. Key, public key; then inputs, blinds, blinded and evaluated elements, proof, its nonce, outputs.
#[test]
fn the_vectors_of_the_rfc_with_proofs_come_out_byte_for_byte() {
    let secret = Zeroizing::new(bytes("e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909"));
    let public_key = bytes("c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e");
    let share = KeyShare::new(place(1), &secret).expect("a share");
    assert_eq!(share.verifying_share(), public_key);
    let public = PublicShares::new(&[public_key]).expect("one holder");
    let quorum = Quorum::new(vec![place(1)], 1).expect("one holder");
    let outputs: [[u8; 64]; 2] = [
        bytes(
            "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7da4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c",
        ),
        bytes(
            "8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60356f4610bf816f27afdd84f47719e480906d27ecd994985890e5f539e7ea74b6",
        ),
    ];
    let evaluated = [
        "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e",
        "60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468",
        "cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a",
    ];
    let blinded = [
        "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945",
        "cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c",
        "90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654",
    ];
    let nonces = [BLINDS[1], BLINDS[1], "419c4f4f5052c53c45f3da494d2b67b220d02118e0857cdbcf037f9ea84bbe0c"];
    let proofs = [
        "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd066d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
        "401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02",
        "cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a5ab5337c8eb4ceae0494c2cf89529dcf94572ed267473d567aeed6ab873dee08",
    ];
    // Which inputs, blinds, elements.
    let cases: [(&[usize], &[usize], &[usize]); 3] = [(&[0], &[0], &[0]), (&[1], &[0], &[1]), (&[0, 1], &[0, 1], &[0, 2])];
    for (case, (inputs, blinds, elements)) in cases.into_iter().enumerate() {
        let parts: Vec<[&[u8]; 1]> = inputs.iter().map(|input| [INPUTS[*input]]).collect();
        let given: Vec<&[&[u8]]> = parts.iter().map(<[&[u8]; 1]>::as_slice).collect();
        let scalars = blinds.iter().map(|blind| scalar(&bytes(BLINDS[*blind])).expect("a scalar")).collect();
        let blinding = Blinding::with(&given, Zeroizing::new(scalars), Vec::new());
        let expected: Vec<[u8; 32]> = elements.iter().map(|element| bytes(blinded[*element])).collect();
        assert_eq!(blinding.encoded(), expected, "case {case}");
        let evaluation = share.evaluate_with(&quorum, blinding.encoded(), &scalar(&bytes(nonces[case])).expect("a scalar"));
        let evaluation = evaluation.expect("evaluated");
        let expected: Vec<[u8; 32]> = elements.iter().map(|element| bytes(evaluated[*element])).collect();
        assert_eq!((&evaluation.elements, evaluation.proof), (&expected, bytes(proofs[case])), "case {case}");
        let verified = blinding.verify(&evaluation, &public, &quorum, place(1)).expect("proven");
        let pseudonyms = blinding.finish(&quorum, &[verified]).expect("all of one");
        for (input, pseudonym) in inputs.iter().zip(pseudonyms) {
            assert_eq!(finalize(INPUTS[*input], &pseudonym.0), outputs[*input], "case {case}");
        }
    }
}

/// RFC 9497, appendix A.1.1: mode OPRF, which differs in what separates its hashes.
#[test]
fn the_vectors_of_the_rfc_without_proofs_come_out_as_well() {
    let mode = Mode { to_group: b"HashToGroup-OPRFV1-\x00-ristretto255-SHA512", to_scalar: b"", seed: b"" };
    let secret = scalar(&bytes("5ebcea5ee37023ccb9fc2d2019f9d7737be85591ae8652ffa9ef0f4d37063b0e")).expect("a scalar");
    let blind = scalar(&bytes(BLINDS[0])).expect("a scalar");
    let vectors = [
        (
            "609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c",
            "7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e",
            "527759c3d9366f277d8c6020418d96bb393ba2afb20ff90df23fb7708264e2f3ab9135e3bd69955851de4b1f9fe8a0973396719b7912ba9ee8aa7d0b5e24bcf6",
        ),
        (
            "da27ef466870f5f15296299850aa088629945a17d1f5b7f5ff043f76b3c06418",
            "b4cbf5a4f1eeda5a63ce7b77c7d23f461db3fcab0dd28e4e17cecb5c90d02c25",
            "f4a74c9c592497375e796aa837e907b1a045d34306a749db9f34221f7e750cb4f2a6413a6bf6fa5e19ba6348eb673934a722a7ede2e7621306d18951e7cf2c73",
        ),
    ];
    for (input, (blinded, evaluated, output)) in INPUTS.into_iter().zip(vectors) {
        let hashed = hash_to_group(&mode, &[input]);
        assert_eq!((blind * hashed).compress().0, bytes(blinded));
        let multiplied = secret * element(&bytes(blinded), 0).expect("an element");
        assert_eq!(multiplied.compress().0, bytes(evaluated));
        let unblinded = blind.invert() * multiplied;
        assert_eq!(encode_doubled(&[secret.div_by_2() * hashed]), [unblinded.compress().0]);
        assert_eq!(finalize(input, &unblinded.compress().0), bytes(output));
    }
}

#[test]
fn every_quorum_gives_the_same_pseudonyms_and_no_smaller_one_gives_any() {
    let key = shared(3, 5, 1);
    let inputs: [&[u8]; 3] = [b"one", b"another", b"the third"];
    let expected: Vec<Pseudonym> = inputs.iter().map(|input| key.directly(input)).collect();
    for (a, b, c) in (1..=5).flat_map(|a| (a + 1..=5).flat_map(move |b| (b + 1..=5).map(move |c| (a, b, c)))) {
        assert_eq!(key.through(&[a, b, c], &inputs), expected, "{a} {b} {c}");
    }
    assert_eq!(key.through(&[5, 1, 3], &inputs), expected, "in whatever order");
    assert_ne!(shared(3, 5, 2).through(&[1, 2, 3], &inputs), expected);
    for holders in [&[1, 2][..], &[1, 2, 3, 4], &[1, 1, 2], &[]] {
        let holders = holders.iter().map(|index| place(*index)).collect();
        assert_eq!(Quorum::new(holders, 3), Err(ToprfError::QuorumInvalid));
    }
    // Two holders that pass themselves off as a quorum of two come to something else, and nobody takes it.
    let two = Quorum::new(vec![place(1), place(2)], 2).expect("two");
    let blinding = blind(&inputs, 7);
    let evaluation = key.evaluate(&two, place(1), &blinding);
    assert_eq!(blinding.verify(&evaluation, &key.public, &two, place(1)).map(drop), Err(ToprfError::QuorumInvalid));
    let secret = key.shares.iter().take(2).map(|share| {
        let bytes = *share.to_bytes();
        let share_of = Scalar::from_canonical_bytes(bytes).expect("a scalar");
        share_of * two.coefficient(share.holder()).expect("of the quorum")
    });
    assert_ne!(secret.sum::<Scalar>(), key.secret);
}

#[test]
fn what_a_holder_answers_wrongly_is_found_out() {
    let key = shared(2, 3, 1);
    let (quorum, inputs) = (key.quorum(&[1, 2]), [&b"one"[..], b"another"]);
    let blinding = blind(&inputs, 7);
    let honest = key.evaluate(&quorum, place(1), &blinding);
    let refused = |evaluation: &Evaluation| blinding.verify(evaluation, &key.public, &quorum, place(1)).map(drop);
    assert_eq!(refused(&honest), Ok(()));

    let changed = |change: &dyn Fn(&mut Evaluation)| {
        let mut evaluation = honest.clone();
        change(&mut evaluation);
        refused(&evaluation)
    };
    assert_eq!(changed(&|e| e.elements.swap(0, 1)), Err(ToprfError::ProofWrong));
    assert_eq!(changed(&|e| e.elements[7] = e.elements[6]), Err(ToprfError::ProofWrong), "not even what only fills up");
    assert_eq!(changed(&|e| e.elements.truncate(7)), Err(ToprfError::CountWrong { given: 7, wanted: 8 }));
    assert_eq!(changed(&|e| e.elements.push([1; 32])), Err(ToprfError::CountWrong { given: 9, wanted: 8 }));
    assert_eq!(changed(&|e| e.elements[3] = [0; 32]), Err(ToprfError::ElementInvalid { place: 3 }), "the identity");
    assert_eq!(changed(&|e| e.elements[3] = [0xff; 32]), Err(ToprfError::ElementInvalid { place: 3 }), "not canonical");
    for bit in 0..512 {
        assert_eq!(changed(&|e| e.proof[bit / 8] ^= 1 << (bit % 8)), Err(ToprfError::ProofWrong), "bit {bit}");
    }
    // Of another holder, of another quorum, of another batch, of another key.
    assert_eq!(refused(&key.evaluate(&quorum, place(2), &blinding)), Err(ToprfError::ProofWrong));
    assert_eq!(refused(&key.evaluate(&key.quorum(&[1, 3]), place(1), &blinding)), Err(ToprfError::ProofWrong));
    assert_eq!(refused(&key.evaluate(&quorum, place(1), &blind(&inputs, 8))), Err(ToprfError::ProofWrong));
    assert_eq!(refused(&shared(2, 3, 2).evaluate(&quorum, place(1), &blinding)), Err(ToprfError::ProofWrong));
    assert_eq!(blinding.verify(&honest, &key.public, &quorum, place(3)).map(drop), Err(ToprfError::QuorumInvalid));

    let verified = blinding.verify(&honest, &key.public, &quorum, place(1)).expect("honest");
    let twice = [verified.clone(), verified];
    assert_eq!(blinding.finish(&quorum, &twice), Err(ToprfError::QuorumInvalid), "one holder is no quorum");
}

#[test]
fn a_holder_takes_no_element_that_is_none() {
    let key = shared(2, 3, 1);
    let (share, quorum) = (&key.shares[0], key.quorum(&[1, 2]));
    let evaluate = |blinded: &[[u8; 32]]| share.evaluate(&quorum, blinded, &entropy(5)).map(drop);
    let good = blind(&[b"one"], 7).encoded()[0];
    // Not less than the prime; negative; the identity; and, of RFC 9496 appendix A.3, not square.
    let mut large = [0xff; 32];
    (large[0], large[31]) = (0xed, 0x7f);
    let mut negative = good;
    negative[0] |= 1;
    let odd = bytes("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371");
    for bad in [large, negative, [0; 32], odd] {
        assert_eq!(evaluate(&[good, bad]), Err(ToprfError::ElementInvalid { place: 1 }));
    }
    assert_eq!(evaluate(&[]), Err(ToprfError::CountWrong { given: 0, wanted: 65_535 }));
    let many = |count| evaluate(&vec![large; count]);
    assert_eq!(many(65_535), Err(ToprfError::ElementInvalid { place: 0 }), "so many are looked at");
    assert_eq!(many(65_536), Err(ToprfError::CountWrong { given: 65_536, wanted: 65_535 }));
    assert_eq!(many(65_537), Err(ToprfError::CountWrong { given: 65_537, wanted: 65_535 }));
    assert_eq!(ToprfError::QuorumInvalid.code(), "QUORUM_INVALID");
    assert_eq!(share.evaluate(&key.quorum(&[2, 3]), &[good], &entropy(5)).map(drop), Err(ToprfError::QuorumInvalid));
    for bad in [[0; 32], [0xff; 32]] {
        assert_eq!(KeyShare::new(place(1), &Zeroizing::new(bad)).map(drop), Err(ToprfError::ScalarInvalid));
    }
    let none = share.evaluate(&quorum, &[good], &giving(&[]));
    assert_eq!(none, Err(ToprfError::Entropy(EntropyError)), "without a nonce nothing is proven");
}

#[test]
fn the_verifying_share_of_every_place_follows_from_the_polynomial() {
    let key = shared(3, 7, 1);
    for share in &key.shares {
        assert_eq!(key.public.verifying_share(share.holder()), share.verifying_share());
    }
    let decoded = |elements: &[[u8; 32]]| PublicShares::new(elements).map(drop);
    let good = key.shares[0].verifying_share();
    assert_eq!(decoded(&[good, [0; 32]]), Err(ToprfError::ElementInvalid { place: 1 }), "not the identity");
    assert_eq!(decoded(&[]), Err(ToprfError::QuorumInvalid));
}

#[test]
fn batches_are_filled_up_to_a_few_sizes() {
    let filled = |count| padded(count);
    assert_eq!([1, 8, 9, 129, 1_024].map(filled), [Some(8), Some(8), Some(32), Some(512), Some(1_024)]);
    assert_eq!(filled(1_025), None);
    assert_eq!(blind(&[&b"one"[..]; 9], 1).encoded().len(), 32);
    assert_eq!(Blinding::new(&[], &entropy(1)).map(drop), Err(ToprfError::CountWrong { given: 0, wanted: 1_024 }));
}

#[test]
fn nothing_secret_is_shown() {
    let share = &shared(2, 3, 1).shares[0];
    assert_eq!(format!("{share:?}"), "KeyShare(1, redacted)");
    assert_eq!(format!("{:?}", blind(&[b"one"], 1)), "Blinding(1 of 8, redacted)");
}

#[test]
fn blinded_twice_an_identifier_looks_different() {
    let (first, second) = (blind(&[b"one", b"one"], 1), blind(&[b"one", b"one"], 2));
    let seen: std::collections::BTreeSet<_> = first.encoded().iter().chain(second.encoded()).collect();
    assert_eq!(seen.len(), 16);
}

/// A machine that was copied while it ran draws the same random bytes twice.
#[test]
fn randomness_that_comes_twice_tells_no_share() {
    let key = shared(2, 3, 1);
    let share = &key.shares[0];
    let quorums = [key.quorum(&[1, 2]), key.quorum(&[1, 3])];
    let batches = [blind(&[b"one"], 7), blind(&[b"two"], 8)];
    let mut answers = Vec::new();
    for quorum in &quorums {
        for batch in &batches {
            let evaluation = share.evaluate(quorum, batch.encoded(), &entropy(5)).expect("evaluated");
            let part = |at: usize| scalar(&evaluation.proof[at..at + 32].try_into().expect("32 bytes")).expect("a scalar");
            answers.push((quorum.coefficient(share.holder()).expect("of it"), part(0), part(32)));
        }
    }
    for (place, (first, challenge, response)) in answers.iter().enumerate() {
        for (second, other_challenge, other_response) in &answers[..place] {
            // With one nonce for both, `response + challenge * coefficient * share` would be the same.
            let guess = (other_response - response) * (challenge * first - other_challenge * second).invert();
            assert_ne!(guess, scalar(&share.to_bytes()).expect("a scalar"));
        }
    }
}
