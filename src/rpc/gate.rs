//! What every call of a listener passes on its way in and out, whatever its service.
//!
//! In: what is more than the node takes on at once, or faster than the caller may ask, is refused before any of it is read; a request
//! of one message is there in time or given up; once the node stops, nothing more is read of a request, so that a stream ends after the
//! answers to what was read. Out: what gRPC's own machinery says about a message that is too large or cannot be decoded becomes an error
//! with a code of ours, and who was refused is logged here, once, and nowhere else. Whoever takes nothing of a stream for long loses its
//! connection. What a call does in between is done on behalf of the client that its certificate names, for the audit log. Nothing of a
//! message's content is looked at or logged.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::{Request, Response};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer, Service};

use super::acceptor::PeerInfo;
use super::access::AccessList;
use super::admission::{self, Admission, Busy, Place, RowPace};
use super::fault::Fault;
use super::identity::Identity;
use super::meters::{CallMeter, CallMeters, Listener};
use super::methods::{Kind, Method, Methods};
use super::readers::{Reader, Readers};
use super::repeats::Repeats;
use super::spans::CallSpan;
use crate::domain::limits::{MAX_ANSWER_PIECE_BYTES, MAX_CLIENT_MESSAGE_BYTES, MAX_PEER_REQUEST_BYTES, REQUEST_TIMEOUT};
use crate::domain::{Actor, Allowance, Clock};
use crate::store::{acting_for, on_behalf_of};

/// Who was refused at which method, with which code.
type Refusals = Repeats<(Option<Identity>, Arc<str>, String)>;

/// The layer around all services of a listener.
#[derive(Clone)]
pub struct Gate {
    listener: Listener,
    stopping: CancellationToken,
    meters: CallMeters,
    methods: Methods,
    admission: Admission,
    /// Who may ask how fast; on the peer listener all the same.
    access: Option<Arc<ArcSwap<AccessList>>>,
    refusals: Arc<Refusals>,
    readers: Readers,
}

impl Gate {
    /// Of the peer listener. Ends the input of every call when `stopping` is called, and has `meters` count the calls.
    #[must_use]
    pub fn of_peers(stopping: CancellationToken, meters: CallMeters, clock: Arc<dyn Clock>) -> Self {
        Self {
            listener: Listener::Peers,
            stopping,
            meters,
            methods: Methods::of_descriptors(),
            admission: Admission::new(clock),
            access: None,
            refusals: Arc::new(Repeats::new()),
            readers: Readers::default(),
        }
    }

    /// The same of the client listener, where `access` says who may ask how fast. `used` is what clients have handed in today
    /// already.
    #[must_use]
    pub fn of_clients(
        stopping: CancellationToken,
        meters: CallMeters,
        clock: Arc<dyn Clock>,
        access: Arc<ArcSwap<AccessList>>,
        used: impl IntoIterator<Item = (Identity, u64)>,
    ) -> Self {
        let gate = Self { listener: Listener::Clients, access: Some(access), ..Self::of_peers(stopping, meters, clock) };
        used.into_iter().for_each(|(client, rows)| gate.admission.recount(client, rows));
        gate
    }

    fn allowance(&self, identity: &Identity) -> Allowance {
        match (&self.access, identity) {
            (Some(access), Identity::Client { name, .. }) => access.load().allowance(name),
            _ => admission::of_peers(),
        }
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.clone() }
    }
}

/// Services behind a [`Gate`].
#[derive(Clone)]
pub struct Gated<S> {
    inner: S,
    gate: Gate,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Response<Body>, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<PeerInfo>();
        let (identity, close) = peer.map(|peer| (peer.identity.clone(), peer.close.clone())).unzip();
        let actor = peer.and_then(actor_of).map(Arc::new);
        let mut call = Call::begin(self.gate.clone(), identity, actor.clone(), &request);
        match call.take_on() {
            Ok(rows) => drop(request.extensions_mut().insert(rows)),
            Err(busy) => {
                let refused = call.shed(busy).into_http();
                return Box::pin(async move { Ok(refused) });
            }
        }
        let stopping = Box::pin(self.gate.stopping.clone().cancelled_owned());
        let waits = !call.method.is_streamed;
        let input = |body| Body::new(Input { body, stopping, waits, until: None });
        let readers = self.gate.readers.clone();
        let answered = call.span.around(self.inner.call(request.map(input)));
        Box::pin(async move {
            let answered = match actor {
                Some(actor) => on_behalf_of(actor, answered).await,
                None => answered.await,
            };
            let answered = answered?;
            let reader = close.map(|close| readers.reader(close, call.place.take()));
            Ok(call.answer(answered, reader))
        })
    }
}

/// Who is noted in the audit log for what a caller does; other members' nodes change nothing of this member's.
fn actor_of(peer: &PeerInfo) -> Option<Actor> {
    match &peer.identity {
        Identity::Client { name, .. } => Some(Actor { client: name.clone(), certificate: peer.certificate_serial.to_string() }),
        Identity::Node { .. } => None,
    }
}

/// A request's body, up to the moment when the node stops.
struct Input {
    body: Body,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whether all of it must be there in time; a stream of messages may stand for long.
    waits: bool,
    /// Set once it has to be waited for, which nearly every body of one message is there without.
    until: Option<Pin<Box<Sleep>>>,
}

impl Input {
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let until = || Box::pin(tokio::time::sleep(REQUEST_TIMEOUT));
        self.waits && self.until.get_or_insert_with(until).as_mut().poll(cx).is_ready()
    }
}

impl http_body::Body for Input {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.stopping.as_mut().poll(cx).is_ready() {
            let message =
                "this node is stopping, and what has no answer yet was not read; send it again to the node once it is back";
            return Poll::Ready(Some(Err(Fault::new(Code::Unavailable, "NODE_STOPPING", message).unlogged())));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending() && self.is_late(cx) {
            let message = "this request was not there in time, and its place is given to others; send it again as a whole";
            return Poll::Ready(Some(Err(Fault::new(Code::Unavailable, "REQUEST_TOO_SLOW", message).unlogged())));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Who calls what.
struct Call {
    gate: Gate,
    identity: Option<Identity>,
    actor: Option<Arc<Actor>>,
    method: Method,
    meter: CallMeter,
    span: CallSpan,
    /// Among the calls at hand, once it was taken on and until there is an answer.
    place: Option<Place>,
}

impl Call {
    fn begin(gate: Gate, identity: Option<Identity>, actor: Option<Arc<Actor>>, request: &Request<Body>) -> Self {
        let method = gate.methods.at(request.uri().path()).clone();
        let meter = gate.meters.begin(gate.listener, method.clone(), identity.as_ref());
        let span = CallSpan::begin(gate.listener, &method, identity.as_ref(), request.headers());
        Self { gate, identity, actor, method, meter, span, place: None }
    }

    /// It has its answer, see [`CallMeter::ended`].
    fn ended(&mut self, code: Code, reason: Option<&str>) {
        self.meter.ended(code, reason);
        self.span.ended(code, reason);
    }

    /// Gives the pace of its rows. Who has no identity is refused by the services.
    fn take_on(&mut self) -> Result<RowPace, Busy> {
        let Some(identity) = &self.identity else { return Ok(RowPace::default()) };
        let place = self.gate.admission.take_on(identity, self.gate.allowance(identity), &self.method)?;
        let rows = place.rows.clone();
        self.place = Some(place);
        Ok(rows)
    }

    /// What a caller is told whose call is not taken on.
    fn shed(&mut self, busy: Busy) -> Status {
        self.log(busy.code(), "a call was not taken on");
        self.ended(Code::ResourceExhausted, Some(busy.code()));
        busy.fault().unlogged()
    }

    fn answer(mut self, response: Response<Body>, reader: Option<Reader>) -> Response<Body> {
        // Without a body the status stands in the head, else behind the last message.
        match Status::from_header_map(response.headers()) {
            Some(status) => self.judge(&status).map_or(response, Status::into_http),
            None => response.map(|body| Body::new(Output { body, call: self, reader, rest: Bytes::new() })),
        }
    }

    /// Takes note of how a call ended, and gives the status that takes the place of `status`. All that our services say has
    /// details; what has none is tonic's own.
    fn judge(&mut self, status: &Status) -> Option<Status> {
        let reason = (status.code() != Code::Ok).then(|| status.get_details_error_info()).flatten().map(|info| info.reason);
        let fault = match (status.code(), &reason) {
            (Code::OutOfRange, None) => self.too_large(),
            (Code::Internal, None) => self.malformed(),
            (code, _) => {
                if code == Code::PermissionDenied {
                    self.log(reason.as_deref().unwrap_or_default(), "a call was refused");
                }
                self.ended(code, reason.as_deref());
                return None;
            }
        };
        self.log(fault.code(), "a message could not be taken");
        let code = fault.code();
        let status = fault.unlogged();
        self.ended(status.code(), Some(code));
        Some(status)
    }

    fn is_of_rows(&self) -> bool {
        self.method.kind == Kind::Rows
    }

    fn too_large(&self) -> Fault {
        let most = match self.identity {
            Some(Identity::Node { .. }) => MAX_PEER_REQUEST_BYTES,
            Some(Identity::Client { .. }) | None => MAX_CLIENT_MESSAGE_BYTES,
        } / 1_024;
        let (code, message) = if self.is_of_rows() {
            (
                "ROW_TOO_LARGE",
                format!("the next row has more than {most} KiB; leave it out, and send the rows after it on a new stream"),
            )
        } else {
            ("MESSAGE_TOO_LARGE", format!("a request has at most {most} KiB; ask for less in one"))
        };
        Fault::new(Code::ResourceExhausted, code, message)
    }

    fn malformed(&self) -> Fault {
        let what = if self.is_of_rows() { "the next row" } else { "the request" };
        let message = format!("{what} is not a message of this method; compare the versions of the proto files");
        Fault::new(Code::InvalidArgument, "MESSAGE_MALFORMED", message)
    }

    fn log(&self, code: &str, what: &'static str) {
        let event = (self.identity.clone(), self.method.name.clone(), code.to_owned());
        let Some(held_back) = self.gate.refusals.pass(event, Instant::now()) else { return };
        let caller = self.identity.as_ref().map(ToString::to_string).unwrap_or_default();
        let client = self.identity.as_ref().map_or("", Identity::own_name);
        tracing::warn!(code, client, caller, method = &*self.method.name, held_back, "{what}");
    }
}

/// A response's body, whose end is looked at. It is given piece by piece, see [`Reader::piece`]: HTTP/2 asks for more than
/// the caller has room for and keeps it for as long as the caller likes, and a call holds its place until the last piece has left this process.
struct Output {
    body: Body,
    call: Call,
    reader: Option<Reader>,
    /// What is left of a message.
    rest: Bytes,
}

impl Output {
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.rest.is_empty() {
            // What a stream works on, it works on when more of its answer is asked for.
            let actor = self.call.actor.clone();
            let mut poll = || Pin::new(&mut self.body).poll_frame(cx);
            let polled = match actor {
                Some(actor) => acting_for(actor, poll),
                None => poll(),
            };
            let Poll::Ready(Some(Ok(frame))) = polled else { return polled };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(frame) => return Poll::Ready(Some(Ok(self.call.last_word(frame)))),
            }
        }
        let length = self.rest.len().min(MAX_ANSWER_PIECE_BYTES);
        let piece = self.rest.split_to(length);
        let piece = match &self.reader {
            Some(reader) => reader.piece(piece),
            None => piece,
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl http_body::Body for Output {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(reader) = &self.reader {
            reader.asks();
        }
        self.next(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}

impl Call {
    fn last_word(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let replacement = frame.trailers_ref().and_then(Status::from_header_map).and_then(|status| self.judge(&status));
        match replacement {
            Some(status) => {
                let (head, ()) = status.into_http().into_parts();
                Frame::trailers(head.headers)
            }
            None => frame,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;

    use parking_lot::Mutex;
    use tower::ServiceExt as _;

    use super::super::identity::CertificateSerial;
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::limits::{MAX_LARGE_EACH, PEER_CALLS_PER_SECOND, UNTAKEN_TIMEOUT};

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_ms(0)
        }
    }

    fn caller() -> PeerInfo {
        PeerInfo {
            identity: "spiffe://alliance.example/member/acme/client/desk".parse().expect("an identity"),
            remote: "127.0.0.1:1".parse().expect("an address"),
            certificate_serial: CertificateSerial::from_der_integer(&[10]),
            certificate_not_after: Timestamp::from_unix_ms(1),
            close: CancellationToken::new(),
        }
    }

    fn gate() -> Gate {
        let access = Arc::new(ArcSwap::from_pointee(AccessList::default()));
        Gate::of_clients(CancellationToken::new(), CallMeters::default(), Arc::new(Noon), access, [])
    }

    fn request(method: &str, peer: &PeerInfo, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.uri_mut() = format!("/countermark.v1.{method}").parse().expect("a path");
        request.extensions_mut().insert(peer.clone());
        request
    }

    /// The answer to a stream that always has something to say, through the gate.
    async fn stream_of(peer: &PeerInfo) -> Body {
        let answer = tower::service_fn(|_: Request<Body>| async {
            let frames = futures_util::stream::repeat_with(|| Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"news"))));
            Ok::<_, Infallible>(Response::new(Body::new(http_body_util::StreamBody::new(frames))))
        });
        let request = request("WatchService/FollowAlerts", peer, Body::empty());
        gate().layer(answer).oneshot(request).await.expect("infallible").into_body()
    }

    /// What a service reads of a request whose body begins and does not go on.
    async fn read_of(method: &str) -> Option<Result<(), Status>> {
        let begun = futures_util::stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"begun")))]);
        let body =
            Body::new(http_body_util::StreamBody::new(futures_util::StreamExt::chain(begun, futures_util::stream::pending())));
        let (tell, told) = tokio::sync::oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let service = tower::service_fn(move |request: Request<Body>| {
            let tell = tell.lock().take();
            async move {
                let mut body = request.into_body();
                let mut read = async || poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.map(|frame| frame.map(drop));
                assert!(read().await.is_some_and(|begun| begun.is_ok()));
                let read = tokio::time::timeout(100 * REQUEST_TIMEOUT, read()).await.ok().flatten();
                tell.expect("called once").send(read).ok();
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }
        });
        gate().layer(service).oneshot(request(method, &caller(), body)).await.expect("infallible");
        told.await.expect("read")
    }

    #[tokio::test]
    async fn another_member_s_node_asks_no_faster_than_a_listener_answers() {
        let gate = Gate::of_peers(CancellationToken::new(), CallMeters::default(), Arc::new(Noon));
        let answer = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        let node = PeerInfo { identity: "spiffe://alliance.example/member/b/node".parse().expect("an identity"), ..caller() };
        let mut refused = 0;
        // A node has what two seconds bring at once.
        for _ in 0..4 * PEER_CALLS_PER_SECOND {
            let request = request("PeerService/GetErasureReceipt", &node, Body::empty());
            let answered = gate.layer(answer).oneshot(request).await.expect("infallible");
            refused +=
                u32::from(Status::from_header_map(answered.headers()).is_some_and(|s| s.code() == Code::ResourceExhausted));
        }
        assert!(refused > PEER_CALLS_PER_SECOND, "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_go_on_is_given_up_and_a_stream_is_waited_for() {
        for method in ["ScreeningService/CheckSeller", "SignalService/ListSignals", "WatchService/FollowAlerts"] {
            let began = Instant::now();
            let status = read_of(method).await.expect("it ends").expect_err("it was never there");
            let reason = status.get_details_error_info().map(|info| info.reason);
            assert_eq!((status.code(), reason.as_deref()), (Code::Unavailable, Some("REQUEST_TOO_SLOW")), "{method}");
            assert!(began.elapsed() < 2 * REQUEST_TIMEOUT, "{method}: {:?}", began.elapsed());
        }
        assert!(read_of("ScreeningService/CheckSellers").await.is_none(), "rows may come later");
    }

    #[tokio::test]
    async fn an_answer_is_given_in_pieces_and_its_place_is_held_until_the_last() {
        let whole = Bytes::from((0..=u8::MAX).cycle().take(5 * MAX_ANSWER_PIECE_BYTES / 2).collect::<Vec<u8>>());
        let answer = tower::service_fn(|_: Request<Body>| {
            let body = http_body_util::Full::new(whole.clone());
            async move { Ok::<_, Infallible>(Response::new(Body::new(body))) }
        });
        let (gate, peer) = (gate(), caller());
        let list = || gate.layer(answer).oneshot(request("SignalService/ListSignals", &peer, Body::empty()));
        let mut taken = Vec::new();
        let mut body = list().await.expect("infallible").into_body();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let piece = frame.expect("no error").into_data().expect("data");
            assert!(piece.len() <= MAX_ANSWER_PIECE_BYTES && !piece.is_empty());
            taken.extend_from_slice(&piece);
            // Others may ask for as many beside it as are left.
            let mut others = Vec::new();
            for _ in 0..MAX_LARGE_EACH {
                others.push(list().await.expect("infallible"));
            }
            let refused = others.iter().filter(|answer| Status::from_header_map(answer.headers()).is_some()).count();
            assert_eq!(refused, 1, "after {} bytes", taken.len());
        }
        assert_eq!(taken, whole);
    }

    #[tokio::test(start_paused = true)]
    async fn what_http2_has_taken_over_holds_its_place_and_is_waited_for_no_longer_than_the_rest() {
        let answer = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(b"a page")))))
        });
        let (gate, peer) = (gate(), caller());
        let list = || gate.layer(answer).oneshot(request("SignalService/ListSignals", &peer, Body::empty()));
        let mut given = Vec::new();
        for _ in 0..MAX_LARGE_EACH {
            let mut body = list().await.expect("infallible").into_body();
            let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.expect("a frame").expect("no error");
            assert!(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.is_none());
            given.push(frame.into_data().expect("data"));
        }
        let is_refused = async || Status::from_header_map(list().await.expect("infallible").headers()).is_some();
        assert!(is_refused().await, "the bodies are gone, and what they gave is still there");
        // A part of a piece is a piece.
        let part = given.pop().expect("given").slice(1..2);
        assert!(is_refused().await);
        drop(part);
        assert!(!is_refused().await);
        tokio::time::sleep(UNTAKEN_TIMEOUT / 2).await;
        assert!(!peer.close.is_cancelled());
        // One that goes on keeps none of the others waiting.
        drop(given.pop());
        tokio::time::sleep(UNTAKEN_TIMEOUT).await;
        assert!(peer.close.is_cancelled());
        // Where all of it is gone, nothing is waited for.
        let other = caller();
        let asked = request("SignalService/ListSignals", &other, Body::empty());
        let mut body = gate.layer(answer).oneshot(asked).await.expect("infallible").into_body();
        drop(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await);
        drop(body);
        tokio::time::sleep(2 * UNTAKEN_TIMEOUT).await;
        assert!(!other.close.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_a_stream_loses_the_connection_and_who_is_slow_does_not() {
        let (slow, gone) = (caller(), caller());
        let (mut to_slow, mut to_gone) = (stream_of(&slow).await, stream_of(&gone).await);
        let take = async |body: &mut Body| {
            let taken = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
            assert!(taken.is_some_and(|frame| frame.is_ok()));
        };
        take(&mut to_gone).await;
        for _ in 0..5 {
            take(&mut to_slow).await;
            tokio::time::sleep(UNTAKEN_TIMEOUT / 2).await;
        }
        assert_eq!((slow.close.is_cancelled(), gone.close.is_cancelled()), (false, true));
        // An answer of one message, of which not even the first byte is asked for.
        let silent = caller();
        let answer = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(b"answer")))))
        });
        let asked = request("ScreeningService/CheckSeller", &silent, Body::empty());
        let untaken = gate().layer(answer).oneshot(asked).await.expect("infallible");
        tokio::time::sleep(2 * UNTAKEN_TIMEOUT).await;
        assert!(silent.close.is_cancelled());
        drop(untaken);
        // One that has ended closes nothing.
        let ended = caller();
        drop(stream_of(&ended).await);
        tokio::time::sleep(2 * UNTAKEN_TIMEOUT).await;
        assert!(!ended.close.is_cancelled());
    }
}
