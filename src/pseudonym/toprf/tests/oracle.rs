//! Against an independent implementation of RFC 9497, which knows of no threshold: one holder, and each share of several as a server
//! of its own.

use rand_core::OsRng;
use voprf::{BlindedElement, EvaluationElement, Proof, Ristretto255, VoprfClient, VoprfServer};

use super::*;

type Server = VoprfServer<Ristretto255>;

fn blinded(encoded: &[[u8; 32]]) -> Vec<BlindedElement<Ristretto255>> {
    encoded.iter().map(|bytes| BlindedElement::deserialize(bytes).expect("an element")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn its_server_and_this_node_understand_each_other(
        inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 1..40),
        seed in any::<u32>(),
    ) {
        let key = shared(1, 1, seed);
        let server = Server::new_with_key(&key.shares[0].to_bytes()[..]).expect("a key");
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let blinding = blind(&inputs, seed ^ 1);
        let asked = blinded(blinding.encoded());
        let prepared: Vec<_> = server.batch_blind_evaluate_prepare(asked.iter()).collect();
        let evaluated = server
            .batch_blind_evaluate_finish(&mut OsRng, asked.iter(), &prepared)
            .expect("evaluated");
        let elements = evaluated.messages.map(|element| element.serialize()[..].try_into().expect("32 bytes")).collect();
        let proof = evaluated.proof.serialize()[..].try_into().expect("64 bytes");
        let quorum = key.quorum(&[1]);
        let verified = blinding.verify(&Evaluation { elements, proof }, &key.public, &quorum, place(1)).expect("as the RFC says");
        let pseudonyms = blinding.finish(&quorum, &[verified]).expect("one holder");
        for (input, pseudonym) in inputs.iter().zip(pseudonyms) {
            prop_assert_eq!(finalize(input, &pseudonym.0).to_vec(), server.evaluate(input).expect("an output").to_vec());
        }
    }

    #[test]
    fn its_client_believes_this_holder(input in prop::collection::vec(any::<u8>(), 0..64), seed in any::<u32>()) {
        let key = shared(1, 1, seed);
        let mut rng = OsRng;
        let asked = VoprfClient::<Ristretto255>::blind(&input, &mut rng).expect("blinded");
        let encoded: [u8; 32] = asked.message.serialize()[..].try_into().expect("32 bytes");
        let answer = key.shares[0].evaluate(&key.quorum(&[1]), &[encoded], &entropy(seed)).expect("evaluated");
        let element = EvaluationElement::deserialize(&answer.elements[0]).expect("an element");
        let proof = Proof::deserialize(&answer.proof).expect("a proof");
        let public_key = RistrettoPoint::mul_base(&key.secret).compress().0;
        let server = Server::new_with_key(&key.shares[0].to_bytes()[..]).expect("a key");
        prop_assert_eq!(server.get_public_key(), Server::new_with_key(&key.secret.to_bytes()).expect("a key").get_public_key());
        let output = asked.state.finalize(&input, &element, &proof, server.get_public_key()).expect("believed");
        prop_assert_eq!(output.to_vec(), finalize(&input, &key.directly(&input).0).to_vec());
        prop_assert_eq!(public_key, key.shares[0].verifying_share());
    }
}
