//! What pseudonyms under a shared key cost: a node's and a holder's work, in processor time of one thread, beside the sum of the group
//! operations that they cannot do without; and checks through three of five holders that share the machine with who asks.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;
use rustix::time::{ClockId, clock_gettime};

use super::Scale;
use super::load::{dealt, streams};
use super::report::{Figure, Goal, Spread};
use super::rig::{Rig, Server};
use super::stage::answered;
use crate::alliance::folder::{Access, replace};
use crate::cli::Environment;
use crate::cli::demo::key::adopt;
use crate::cli::failure::Failure;
use crate::cli::output::Printer;
use crate::daemon::SystemEntropy;
use crate::domain::{
    Entropy as _, HolderIndex, Identifier, IdentifierKind, KeyClass, MemberBudget, MemberId, Roster, Scheme, SharedClass,
};
use crate::pseudonym::toprf::{Blinding, Evaluation, KeyShare, MAX_BATCH, PublicShares, Quorum, Verified};
use crate::pseudonym::{CanonicalIdentifier, Canonicaliser, deal};
use crate::rpc::proto::screening_service_client::ScreeningServiceClient;
use crate::rpc::proto::{self, CheckSellersRequest};

const HOLDERS: usize = 5;
const THRESHOLD: u16 = 3;
/// Streams at once.
const STREAMS: usize = 16;
/// Pieces into which a batch is cut, each measured with its limit in turn.
const BATCHES: usize = 4;

fn failed(error: &impl std::fmt::Display) -> Failure {
    Failure::new("BENCH_THRESHOLD", error.to_string())
}

pub(super) async fn measure(
    folder: &Path,
    scale: Scale,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Vec<Figure>, Failure> {
    printer.progress(|| "pseudonyms under a shared key: the arithmetic".to_owned());
    let bench = tokio::task::spawn_blocking(Bench::new).await.map_err(|error| failed(&error))??;
    let (figures, node_seconds) =
        tokio::task::spawn_blocking(move || bench.figures(scale.alternations)).await.map_err(|error| failed(&error))??;
    printer.progress(|| format!("checking {} identifiers through three of five holders", scale.shared));
    let checked = checked(folder, scale, environment, node_seconds).await?;
    Ok(figures.into_iter().chain([checked]).map(|figure| Figure { feeds: 1, ..figure }).collect())
}

fn phones(numbers: std::ops::Range<usize>) -> impl Iterator<Item = Identifier> {
    numbers.map(|number| Identifier {
        kind: IdentifierKind::Phone,
        value: format!("+86138{:08}", number % 100_000_000),
        region: String::new(),
    })
}

/// Processor time of this thread that `work` takes.
fn processor(mut work: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let began = now();
    work()?;
    Ok(now() - began)
}

/// One batch of the largest size, and a key three of five.
struct Bench {
    identifiers: Vec<CanonicalIdentifier>,
    public: PublicShares,
    shares: Vec<KeyShare>,
    quorum: Quorum,
    /// Random scalars and elements for the operations alone.
    scalars: Vec<Scalar>,
    elements: Vec<RistrettoPoint>,
    encoded: Vec<[u8; 32]>,
    uniform: Vec<[u8; 64]>,
}

impl Bench {
    fn new() -> Result<Self, Failure> {
        let entropy = SystemEntropy;
        let members: Vec<MemberId> = (0..HOLDERS).map(|number| format!("m{number}").parse()).collect::<Result<_, _>>()?;
        let (sharing, held) = deal(THRESHOLD, &members, &entropy).map_err(|error| failed(&error))?;
        let class: &SharedClass = sharing.class(KeyClass::LowEntropy).ok_or_else(|| failed(&"no such class"))?;
        let shares: Vec<KeyShare> = held.iter().filter_map(|held| held.share(KeyClass::LowEntropy).cloned()).collect();
        let canonicaliser = Canonicaliser::new(&Roster::first("bench.test".parse()?, String::new()))?;
        let identifiers = phones(0..MAX_BATCH).map(|phone| canonicaliser.canonical(&phone)).collect::<Result<_, _>>()?;
        let mut uniform = vec![[0; 64]; MAX_BATCH];
        entropy.fill(uniform.as_flattened_mut()).map_err(|error| failed(&error))?;
        let elements: Vec<RistrettoPoint> = uniform.iter().map(RistrettoPoint::from_uniform_bytes).collect();
        Ok(Self {
            identifiers,
            public: PublicShares::of(class).map_err(|error| failed(&error))?,
            quorum: Quorum::new(shares.iter().take(THRESHOLD.into()).map(KeyShare::holder).collect(), THRESHOLD)
                .map_err(|error| failed(&error))?,
            shares,
            scalars: uniform.iter().map(Scalar::from_bytes_mod_order_wide).collect(),
            encoded: elements.iter().map(|element| element.compress().0).collect(),
            elements,
            uniform,
        })
    }

    /// The two figures, and a node's seconds for one identifier.
    fn figures(&self, alternations: usize) -> Result<(Vec<Figure>, f64), Failure> {
        let (mut node, mut holder) = (Vec::new(), Vec::new());
        for _ in 0..alternations * BATCHES {
            node.push((self.node()?, self.node_operations()?));
            holder.push((self.holder()?, self.holder_operations()?));
        }
        let rate = |seconds: &f64| MAX_BATCH as f64 / seconds;
        let rates = |pairs: &[(f64, f64)]| pairs.iter().map(|(ours, limit)| (rate(ours), rate(limit))).collect::<Vec<_>>();
        let seconds = Spread::of(node.iter().map(|(ours, _)| ours / MAX_BATCH as f64)).median;
        let of = "the group operations alone";
        let figures = vec![
            Figure::beside("pseudonyms of a node, 3 of 5", "/s a core", of, &rates(&node)).goal(Goal::AtLeast(0.85)),
            Figure::beside("evaluations of a holder", "/s a core", of, &rates(&holder)).goal(Goal::AtLeast(0.85)),
        ];
        Ok((figures, seconds))
    }

    /// Blinds, verifies what three holders answered, combines and unblinds.
    fn node(&self) -> Result<f64, Failure> {
        let mut blinding = None;
        let blinded = processor(|| {
            blinding = Some(Blinding::of(&self.identifiers, &SystemEntropy).map_err(|error| failed(&error))?);
            Ok(())
        })?;
        let blinding = blinding.ok_or_else(|| failed(&"nothing was blinded"))?;
        let evaluate = |share: &KeyShare| {
            let evaluation = share.evaluate(&self.quorum, blinding.encoded(), &SystemEntropy);
            evaluation.map(|evaluation| (share.holder(), evaluation)).map_err(|error| failed(&error))
        };
        let answers: Vec<(HolderIndex, Evaluation)> =
            self.shares.iter().take(THRESHOLD.into()).map(evaluate).collect::<Result<_, _>>()?;
        let finished = processor(|| {
            let verify = |(holder, answer): &(HolderIndex, Evaluation)| {
                blinding.verify(answer, &self.public, &self.quorum, *holder).map_err(|error| failed(&error))
            };
            let verified: Vec<Verified> = answers.iter().map(verify).collect::<Result<_, _>>()?;
            black_box(blinding.finish(&self.quorum, &verified).map_err(|error| failed(&error))?);
            Ok(())
        })?;
        Ok(blinded + finished)
    }

    fn holder(&self) -> Result<f64, Failure> {
        let share = self.shares.first().ok_or_else(|| failed(&"no share"))?;
        processor(|| {
            black_box(share.evaluate(&self.quorum, &self.encoded, &SystemEntropy).map_err(|error| failed(&error))?);
            Ok(())
        })
    }

    /// For each identifier an element that is hashed to, two multiplications and two encodings; for each holder an element that is
    /// decoded, and two that go into the sums that its proof is about.
    fn node_operations(&self) -> Result<f64, Failure> {
        processor(|| {
            black_box(self.uniform.iter().map(RistrettoPoint::from_uniform_bytes).collect::<Vec<_>>());
            for _ in 0..2 {
                self.multiply();
                self.encode();
            }
            for _ in 0..THRESHOLD {
                self.decode();
                self.sum();
                self.sum();
            }
            Ok(())
        })
    }

    /// For each element its decoding, a multiplication, an encoding, and its part in the one sum that the proof is about: the other is
    /// that one times the share.
    fn holder_operations(&self) -> Result<f64, Failure> {
        processor(|| {
            self.decode();
            self.multiply();
            self.encode();
            self.sum();
            Ok(())
        })
    }

    fn multiply(&self) {
        black_box(self.elements.iter().zip(&self.scalars).map(|(element, scalar)| scalar * element).collect::<Vec<_>>());
    }

    fn encode(&self) {
        black_box(RistrettoPoint::double_and_compress_batch(&self.elements));
    }

    fn decode(&self) {
        black_box(self.encoded.iter().map(|bytes| CompressedRistretto(*bytes).decompress()).collect::<Vec<_>>());
    }

    fn sum(&self) {
        black_box(RistrettoPoint::vartime_multiscalar_mul(&self.scalars, &self.elements));
    }
}

/// Checks phones at a node that is one of five holders, all of which run on this machine, beside the time that its own part of the work
/// takes one core.
async fn checked(folder: &Path, scale: Scale, environment: &Environment, node_seconds: f64) -> Result<Figure, Failure> {
    let rig = Rig::found_with(folder, HOLDERS, HOLDERS, Scheme::ToprfRistretto255, environment).await?;
    let servers = start(&rig).await?;
    let budgets = |roster: &mut Roster| {
        let member = roster.members[0].id.clone();
        let low_entropy = Some(u64::MAX);
        roster.policy.evaluations.members.push(MemberBudget { member, low_entropy, business: None, name: None });
    };
    let signed = adopt(&rig.secretariat(), rig.home(0), rig.environment(), budgets).await?;
    drop(servers);
    for member in 0..HOLDERS {
        replace(&rig.home(member).roster_note(), &signed, Access::Public)?;
    }
    let servers = start(&rig).await?;
    let row = |phone: Identifier| CheckSellersRequest {
        identifiers: vec![proto::Identifier { kind: phone.kind.number(), value: phone.value, region: String::new() }],
        watch: None,
    };
    let rows: Vec<CheckSellersRequest> = phones(0..scale.shared).map(row).collect();
    let open = |place: usize, rows| {
        let mut client = ScreeningServiceClient::new(servers[0].channel(place));
        async move { client.check_sellers(rows).await }
    };
    let began = Instant::now();
    streams(dealt(rows, STREAMS), open, answered).await?;
    let took = began.elapsed();
    let alone = Duration::from_secs_f64(node_seconds * scale.shared as f64);
    let pair = (took.as_secs_f64(), alone.as_secs_f64());
    let figure = Figure::beside("checks through 3 of 5 holders", "s", "the node's own arithmetic on one core", &[pair]);
    Ok(figure.goal(Goal::AtMost(2.2)))
}

async fn start(rig: &Rig) -> Result<Vec<Server>, Failure> {
    let mut servers = Vec::new();
    for member in 0..HOLDERS {
        servers.push(rig.node(member).await?);
    }
    Ok(servers)
}
