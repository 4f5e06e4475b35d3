"""A judge of a listener's HTTP/2 that shares no code with the node. It does word for word what a client must not do, and what
it may, and holds what comes back against RFC 9113 and, for HPACK, RFC 7541. After every case a new connection must still be
served. Frames are made by hand, since libraries refuse to make broken ones. `tls_judge.py` does the same one layer below.

Usage: protocol_judge.py ADDRESS SERVER_NAME CA CERTIFICATE KEY METHOD

METHOD is the path of a method that answers an empty message with one of more than three bytes. Prints a line for every case
that fails, then how many were tried. Exit code 1 where one failed or was left out.
"""

import os
import socket
import ssl
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from hpack import Decoder, Encoder

PATIENCE = 5  # Seconds until silence is a result.
BUSY = "grpc-status 8"  # RESOURCE_EXHAUSTED


class Ended(Exception):
    """What a case came to."""


class Target:
    """A listener, and who is let in there."""

    def __init__(self, address, name, ca, certificate, key, method):
        host, port = address.rsplit(":", 1)
        self.address, self.name, self.method = (host, int(port)), name, method
        self.certificate, self.key = certificate, key
        self.context = ssl.create_default_context(cafile=ca)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.set_alpn_protocols(["h2"])
        self.context.load_cert_chain(certificate, key)
        self.serving = threading.Lock()

    def tcp(self):
        line = socket.create_connection(self.address, PATIENCE)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line

    def serves(self):
        """How a call on a new connection ends: of one node the listener keeps few at once. What a case left behind may hold places
        for calls until the listener has seen the end of its connection."""
        until = time.monotonic() + PATIENCE
        while True:
            with self.serving, Http2(self) as connection:
                outcome = connection.call(1)
            if outcome != BUSY or time.monotonic() > until:
                return outcome
            time.sleep(0.01)


class Line:
    """Bytes to and from the listener, with a deadline for all that is read."""

    def __init__(self, line, patience=PATIENCE):
        self.line, self.until, self.unread = line, time.monotonic() + patience, b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.line.close()

    def send(self, data):
        try:
            self.line.sendall(data)
        except OSError:
            pass  # It has closed already; what it said before can still be read.

    def take(self, count):
        while len(self.unread) < count:
            self.line.settimeout(max(self.until - time.monotonic(), 0.001))
            try:
                more = self.line.recv(65_536)
            except TimeoutError:
                raise Ended("silence") from None
            except OSError:
                more = b""
            if not more:
                raise Ended("closed")
            self.unread += more
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def last(self, outcome):
        """`outcome`, once the listener has closed as it has to."""
        try:
            while True:
                self.take(1)
        except Ended as end:
            return Ended(outcome if str(end) == "closed" else f"{outcome}, and stays open")


DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WEIGHED = 1, 1, 4, 8, 32
TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, WINDOW_SIZE, FRAME_SIZE = range(1, 6)
CODES = [
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED"),
    *("FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"),
]
MOST = 2**31 - 1
METHOD = "METHOD"  # Stands for the one that is given.
FIELDS = [
    *((":method", "POST"), (":scheme", "https"), (":path", METHOD), (":authority", "judge")),
    *(("content-type", "application/grpc"), ("te", "trailers")),
]
MESSAGE = bytes(5)  # An empty one, with gRPC's prefix.


def number(value):
    return struct.pack("!I", value)


def frame(kind, flags, stream, payload=b""):
    return number(len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack("!HI", *pair) for pair in pairs))


def window(stream, more):
    return frame(WINDOW_UPDATE, 0, stream, number(more))


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings()


class Http2(Line):
    """A connection that begins with `first`."""

    def __init__(self, target, first=PREFACE):
        super().__init__(target.context.wrap_socket(target.tcp(), server_hostname=target.name))
        self.method, self.encoder, self.decoder = target.method, Encoder(), Decoder()
        self.limits, self.acknowledged, self.fields, self.ended, self.received = None, 0, {}, {}, {}
        self.watched = 1
        self.send(first)

    def block(self, fields=FIELDS):
        return self.encoder.encode([(name, self.method if value == METHOD else value) for name, value in fields])

    def headers(self, stream=1, flags=END_HEADERS, fields=FIELDS):
        return frame(HEADERS, flags, stream, self.block(fields))

    def request(self, stream=1, fields=FIELDS, body=MESSAGE):
        return self.headers(stream, fields=fields) + frame(DATA, END_STREAM, stream, body)

    def next(self):
        head = self.take(9)
        kind, flags, stream = struct.unpack("!BBI", head[3:])
        payload = self.take(int.from_bytes(head[:3], "big"))
        if self.limits is None and (kind != SETTINGS or flags & ACK):
            raise Ended(f"a frame of type {kind} before SETTINGS")
        if kind == SETTINGS and flags & ACK:
            self.acknowledged += 1
        elif kind == SETTINGS:
            self.limits = dict(struct.iter_unpack("!HI", payload))
            self.send(frame(SETTINGS, ACK, 0))
        elif kind == GOAWAY and any(payload[4:8]):
            raise self.last(f"GOAWAY {CODES[payload[7]]}")
        elif kind == RST_STREAM:
            self.ended.setdefault(stream, f"RST_STREAM {CODES[payload[3]]}")
        elif kind in (HEADERS, DATA):
            if kind == HEADERS:
                self.fields.setdefault(stream, {}).update(self.decoder.decode(payload))
            self.received[stream] = self.received.get(stream, 0) + len(payload) * (kind == DATA)
            if flags & END_STREAM:
                self.ended.setdefault(stream, self.answer(stream))
        return kind, flags, payload

    def answer(self, stream):
        status, grpc = (self.fields[stream].get(name) for name in (":status", "grpc-status"))
        return f"HTTP {status}" if status != "200" else "answered" if grpc == "0" else f"grpc-status {grpc}"

    def soon(self, sent=b""):
        """How the watched stream ended before two PINGs were answered; the first answer may overtake what came before it. The
        first PING goes out with what is `sent`, since a second write to what was closed would lose what it had said."""
        for _ in range(2):
            data = os.urandom(8)
            self.send(sent + frame(PING, 0, 0, data))
            while self.next() != (PING, ACK, data):
                sent = b""
        return self.ended.get(self.watched, "nothing")

    def settle(self):
        while not (self.limits is not None and self.acknowledged):
            self.next()

    def call(self, stream, sent=None):
        self.send(self.request(stream) if sent is None else sent)
        while stream not in self.ended:
            self.next()
        return self.ended[stream]


class Case:
    """What is sent, and which outcomes are allowed. Without `send`, all is in `first`."""

    patience = PATIENCE

    def __init__(self, section, what, allowed, send=None, goes_on=True, first=PREFACE):
        self.section, self.what, self.allowed = section, what, allowed
        self.send, self.goes_on, self.first = send, goes_on, first

    def outcome(self, target, waits):
        with Http2(target, self.first) as connection:
            try:
                if self.send:
                    connection.settle()
                sent = self.send(connection) if self.send else b""
                outcome = connection.call(connection.watched, sent) if waits else connection.soon(sent)
                if self.goes_on and (after := connection.call(99_999)) != "answered":
                    outcome += f", then {after}"
                return outcome
            except Ended as end:
                return str(end)


def bare(section, what, allowed, *frames, **how):
    """Frames on a connection on which there is nothing else."""
    return Case(section, what, allowed, lambda _: b"".join(frames), **how)


def opened(section, what, allowed, *frames, **how):
    """The same where stream 1 is open."""
    return Case(section, what, allowed, lambda c: c.headers() + b"".join(frames), **how)


def asked(section, what, allowed, *frames):
    """The same where stream 1 is half-closed, in one breath with what closed it."""
    return Case(section, what, allowed, lambda c: c.request() + b"".join(frames))


def fields(section, what, allowed, given):
    """A request with these header fields."""
    return Case(section, what, allowed, lambda c: c.request(fields=given))


def beside(section, what, allowed, *more):
    """A request with these header fields beside the usual."""
    return fields(section, what, allowed, [*FIELDS, *more])


def without(name):
    return [field for field in FIELDS if field[0] != name]


def instead(name, value):
    return [(field, value if field == name else given) for field, given in FIELDS]


def coded(section, what, allowed, tail, head=b""):
    """A request with these bytes at the ends of its field block."""
    return Case(section, what, allowed, lambda c: split(head + c.block() + tail))


def split(block, *at):
    """A request whose field block is cut at these places."""
    first, *rest = (block[i:j] for i, j in zip((0, *at), (*at, None)))
    rest = [frame(CONTINUATION, END_HEADERS * (i == len(at)), 1, part) for i, part in enumerate(rest, 1)]
    return frame(HEADERS, END_HEADERS * (not at), 1, first) + b"".join(rest) + frame(DATA, END_STREAM, 1, MESSAGE)


def large(block):
    """The same, cut wherever it must."""
    return split(block, *range(16_384, len(block), 16_384))


def closed(connection):
    connection.call(1)
    del connection.ended[1]
    return b""


def too_many(connection):
    most = connection.limits[MAX_STREAMS]
    connection.watched = 2 * most + 1
    return b"".join(connection.headers(2 * i + 1) for i in range(most + 1))


def backwards(connection):
    connection.call(5)
    return connection.request(3)


def narrow(connection):
    """An answer through a window of three bytes, which then grows."""
    connection.send(settings((WINDOW_SIZE, 3)) + connection.request())
    while 1 not in connection.fields:
        connection.next()
    connection.soon()
    if connection.received[1] > 3:
        raise Ended(f"{connection.received[1]} bytes through a window of three")
    return window(1, 1 << 20) + settings((WINDOW_SIZE, 65_535))


def acknowledged(connection):
    connection.send(settings() + settings((99, 1)) + settings((MAX_STREAMS, 1), (MAX_STREAMS, 9)))
    connection.soon()
    if connection.acknowledged != 4:
        raise Ended(f"{connection.acknowledged} of 4 SETTINGS acknowledged")
    return b""


def rapid_resets(connection):
    return b"".join(connection.headers(i) + frame(RST_STREAM, 0, i, number(8)) for i in range(1, 4_000, 2))


def stream_error(*codes):
    """It may be taken for an error of the connection (5.4.1)."""
    return {f"{kind} {code}" for code in codes for kind in ("RST_STREAM", "GOAWAY")}


ANSWERED, IGNORED = {"answered"}, {"nothing"}
BROKEN, FLOW, SIZE, PACKED = ({f"GOAWAY {CODES[code]}"} for code in (1, 3, 6, 9))
NO_PREFACE = BROKEN | {"closed"}  # The one error whose GOAWAY may be left out (3.4).
CLOSED = stream_error("STREAM_CLOSED")
GONE = CLOSED | BROKEN | IGNORED  # What is allowed on a closed stream (5.1).
CALM = {"GOAWAY ENHANCE_YOUR_CALM", "closed"}  # What of a flood was not read takes a GOAWAY along (5.4.1).
MALFORMED = stream_error("PROTOCOL_ERROR") | {"HTTP 400"}  # 8.1.1
LARGEST = b"\0" + number(16_379) + b"\x7a\xf8\x7f" + bytes(16_376)  # A frame's worth of an unknown field.
EIGHT, CANCEL, PRIORITIES = bytes(8), number(8), frame(PRIORITY, 0, 1, bytes(5))

HTTP2 = [
    Case("9113 3.4", "HTTP/1.1 in place of the preface", NO_PREFACE, first=b"GET / HTTP/1.1\r\nHost: judge\r\n\r\n"),
    Case("9113 3.4", "one wrong byte in the preface", NO_PREFACE, first=PREFACE[:23] + b"\r" + settings()),
    Case("9113 3.4", "PING in place of the first SETTINGS", NO_PREFACE, first=PREFACE[:24] + frame(PING, 0, 0, EIGHT)),
    Case("9113 3.4", "an acknowledgement in place of the first SETTINGS", NO_PREFACE, first=PREFACE[:24] + frame(4, ACK, 0)),
    bare("9113 4.1", "an unknown frame of the connection", IGNORED, frame(250, 255, 0, EIGHT)),
    bare("9113 4.1", "an unknown frame on an idle stream", IGNORED, frame(250, 255, 1, EIGHT)),
    opened("9113 4.1", "an unknown frame on an open stream", IGNORED, frame(250, 255, 1, EIGHT)),
    bare("9113 4.1", "PING with undefined flags and the reserved bit", IGNORED, frame(PING, 0xFE, 1 << 31, EIGHT)),
    Case("9113 4.2", "DATA of the largest size", ANSWERED, lambda c: c.request(body=LARGEST)),
    opened("9113 4.2", "DATA over the largest size", stream_error("FRAME_SIZE_ERROR"), frame(DATA, 0, 1, bytes(16_385))),
    bare("9113 4.2", "HEADERS over the largest size", SIZE, frame(HEADERS, END_HEADERS, 1, bytes(16_385))),
    bare("9113 4.2", "SETTINGS over the largest size", SIZE, settings(*[(99, 0)] * 2_731)),
    bare("9113 4.2", "an unknown frame over the largest size", SIZE, frame(250, 0, 0, bytes(16_385))),
    bare("9113 5.1", "DATA on an idle stream", BROKEN, frame(DATA, END_STREAM, 1, MESSAGE)),
    bare("9113 5.1", "WINDOW_UPDATE on an idle stream", BROKEN, window(1, 1)),
    bare("9113 5.1", "WINDOW_UPDATE on a stream of the server's", BROKEN, window(2, 1)),
    bare("9113 5.1", "PRIORITY on an idle stream", IGNORED, PRIORITIES),
    asked("9113 5.1", "DATA on a half-closed stream", CLOSED, frame(DATA, END_STREAM, 1, MESSAGE)),
    Case("9113 5.1", "HEADERS on a half-closed stream", CLOSED, lambda c: c.request() + c.headers(1, END_HEADERS | END_STREAM)),
    asked("9113 5.1", "PRIORITY, WINDOW_UPDATE on a half-closed stream", ANSWERED, PRIORITIES, window(1, 1)),
    asked("9113 5.1", "RST_STREAM on a half-closed stream", IGNORED, frame(RST_STREAM, 0, 1, CANCEL)),
    Case("9113 5.1", "DATA on a closed stream", GONE, lambda c: closed(c) + frame(DATA, 0, 1, MESSAGE)),
    Case("9113 5.1", "HEADERS on a closed stream", GONE, lambda c: closed(c) + c.headers()),
    Case("9113 5.1", "PRIORITY on a closed stream", IGNORED, lambda c: closed(c) + PRIORITIES),
    Case("9113 5.1", "WINDOW_UPDATE, RST_STREAM on a closed stream", IGNORED,
         lambda c: closed(c) + window(1, 1) + frame(RST_STREAM, 0, 1, CANCEL)),
    opened("9113 5.1", "DATA on a stream that was reset", GONE, frame(RST_STREAM, 0, 1, CANCEL), frame(DATA, 0, 1, MESSAGE)),
    Case("9113 5.1", "HEADERS on a stream that was reset", GONE,
         lambda c: c.headers() + frame(RST_STREAM, 0, 1, CANCEL) + c.headers()),
    Case("9113 5.1.1", "HEADERS on an even stream", BROKEN, lambda c: c.request(2)),
    Case("9113 5.1.1", "a stream's number that goes back", BROKEN | CLOSED, backwards),
    Case("9113 5.1.2", "one stream too many", stream_error("PROTOCOL_ERROR", "REFUSED_STREAM"), too_many, goes_on=False),
    bare("9113 6.1", "DATA on stream 0", BROKEN, frame(DATA, 0, 0, MESSAGE)),
    Case("9113 6.1", "DATA with padding", ANSWERED, lambda c: c.headers() + frame(DATA, 9, 1, b"\x03" + MESSAGE + bytes(3))),
    opened("9113 6.1", "DATA with more padding than frame", BROKEN, frame(DATA, PADDED, 1, b"\x06" + MESSAGE)),
    opened("9113 6.1", "DATA without the length of its padding", SIZE | BROKEN, frame(DATA, PADDED, 1)),
    Case("9113 6.2", "HEADERS on stream 0", BROKEN, lambda c: c.headers(0)),
    Case("9113 6.2", "HEADERS with padding and priority", ANSWERED,
         lambda c: frame(HEADERS, 44, 1, b"\x02" + bytes(5) + c.block() + bytes(2)) + frame(DATA, END_STREAM, 1, MESSAGE)),
    Case("9113 6.2", "HEADERS with more padding than frame", BROKEN, lambda c: frame(HEADERS, 12, 1, b"\xff" + c.block())),
    bare("9113 6.2", "HEADERS too short for their priority", SIZE, frame(HEADERS, END_HEADERS | WEIGHED, 1, bytes(3))),
    bare("9113 6.3", "PRIORITY on stream 0", BROKEN, frame(PRIORITY, 0, 0, bytes(5))),
    opened("9113 6.3", "PRIORITY of four bytes", stream_error("FRAME_SIZE_ERROR"), frame(PRIORITY, 0, 1, bytes(4))),
    opened("7540 5.3.1", "a stream that depends on itself", IGNORED | stream_error("PROTOCOL_ERROR"),
           frame(PRIORITY, 0, 1, number(1) + b"\0")),
    bare("9113 6.4", "RST_STREAM on stream 0", BROKEN, frame(RST_STREAM, 0, 0, CANCEL)),
    bare("9113 6.4", "RST_STREAM on an idle stream", BROKEN, frame(RST_STREAM, 0, 1, CANCEL)),
    opened("9113 6.4", "RST_STREAM of three bytes", SIZE, frame(RST_STREAM, 0, 1, bytes(3))),
    opened("9113 7", "RST_STREAM with an unknown code", IGNORED, frame(RST_STREAM, 0, 1, number(MOST))),
    Case("9113 6.5", "SETTINGS that are to be acknowledged", IGNORED, acknowledged),
    bare("9113 6.5", "an acknowledgement with a payload", SIZE, frame(SETTINGS, ACK, 0, bytes(6))),
    bare("9113 6.5", "SETTINGS of five bytes", SIZE, frame(SETTINGS, 0, 0, bytes(5))),
    bare("9113 6.5", "SETTINGS on a stream", BROKEN, frame(SETTINGS, 0, 1)),
    bare("9113 6.5.2", "an unknown setting", IGNORED, settings((0, 7), (0xFFFF, 7))),
    bare("9113 6.5.2", "ENABLE_PUSH of 2", BROKEN, settings((ENABLE_PUSH, 2))),
    bare("9113 6.5.2", "a window of 2^31", FLOW, settings((WINDOW_SIZE, MOST + 1))),
    bare("9113 6.5.2", "frames of less than 2^14", BROKEN, settings((FRAME_SIZE, 16_383))),
    bare("9113 6.5.2", "frames of 2^24", BROKEN, settings((FRAME_SIZE, 1 << 24))),
    bare("9113 6.5.2", "a table of no size", IGNORED, settings((TABLE_SIZE, 0))),
    bare("9113 6.7", "PING", IGNORED, frame(PING, 0, 0, EIGHT)),
    bare("9113 6.7", "an answer to no PING", IGNORED, frame(PING, ACK, 0, EIGHT)),
    bare("9113 6.7", "PING of seven bytes", SIZE, frame(PING, 0, 0, bytes(7))),
    bare("9113 6.7", "PING on a stream", BROKEN, frame(PING, 0, 1, EIGHT)),
    bare("9113 6.8", "GOAWAY on a stream", BROKEN, frame(GOAWAY, 0, 1, EIGHT)),
    bare("9113 6.8", "GOAWAY of seven bytes", SIZE, frame(GOAWAY, 0, 0, bytes(7))),
    opened("9113 6.8", "GOAWAY while a request is on its way", ANSWERED,
           frame(GOAWAY, 0, 0, EIGHT), frame(DATA, END_STREAM, 1, MESSAGE), goes_on=False),
    bare("9113 6.9", "a window of the connection that grows by 0", BROKEN, window(0, 0)),
    opened("9113 6.9", "a window of a stream that grows by 0", stream_error("PROTOCOL_ERROR"), window(1, 0)),
    bare("9113 6.9", "WINDOW_UPDATE of three bytes", SIZE, frame(WINDOW_UPDATE, 0, 0, bytes(3))),
    Case("9113 6.9.1", "a window of three bytes", ANSWERED, narrow),
    bare("9113 6.9.1", "a window of the connection over 2^31-1", FLOW, window(0, MOST)),
    opened("9113 6.9.1", "a window of a stream over 2^31-1", stream_error("FLOW_CONTROL_ERROR"), window(1, MOST)),
    opened("9113 6.9.2", "a setting that takes one over it", FLOW, window(1, MOST - 65_535), settings((WINDOW_SIZE, 65_536))),
    bare("9113 6.10", "CONTINUATION on an idle stream", BROKEN, frame(CONTINUATION, END_HEADERS, 1)),
    opened("9113 6.10", "CONTINUATION after the end of the block", BROKEN, frame(CONTINUATION, END_HEADERS, 1)),
    Case("9113 6.10", "a block in four frames", ANSWERED, lambda c: split(c.block(), 1, 9, 9)),
    Case("9113 6.10", "PING within a block", BROKEN, lambda c: c.headers(flags=0) + frame(PING, 0, 0, EIGHT)),
    Case("9113 6.10", "DATA within a block", BROKEN, lambda c: c.headers(flags=0) + frame(DATA, END_STREAM, 1, MESSAGE)),
    Case("9113 6.10", "CONTINUATION of another stream", BROKEN, lambda c: c.headers(flags=0) + frame(CONTINUATION, 4, 3)),
    Case("9113 5.5", "an unknown frame within a block", BROKEN, lambda c: c.headers(flags=0) + frame(250, 0, 1)),
    coded("7541 2.3.3", "index 0", PACKED, b"\x80"),
    coded("7541 2.3.3", "an index beyond the tables", PACKED, b"\xff\x80\x01"),
    coded("7541 4.2", "a table size after the first field", PACKED, b"\x20"),
    coded("7541 5.1", "an index that never ends", PACKED, b"\xff" * 12 + b"\x01"),
    coded("7541 5.2", "a string longer than its block", PACKED, b"\0\x01a\x7f"),
    coded("7541 5.2", "the end of Huffman's strings within one", PACKED, b"\0\x01a\x84\xff\xff\xff\xff"),
    coded("7541 5.2", "a Huffman string padded with zeros", PACKED, b"\0\x01a\x81\x18"),
    coded("7541 5.2", "a Huffman string padded with a byte", PACKED, b"\0\x01a\x82\x1f\xff"),
    coded("7541 6.3", "a table that is too large", PACKED, b"", head=b"\x3f\xe2\x1f"),
    coded("7541 6.3", "a table of the largest size", ANSWERED, b"", head=b"\x3f\xe1\x1f"),
    Case("9113 8.1", "trailers", ANSWERED, lambda c: c.headers() + frame(DATA, 0, 1, MESSAGE) + c.headers(1, 5, [("a", "b")])),
    Case("9113 8.1", "HEADERS in mid-stream", MALFORMED, lambda c: c.headers() + c.headers(1, 4, [("a", "b")])),
    Case("9113 8.1", "pseudo-header fields in trailers", MALFORMED,
         lambda c: c.headers() + frame(DATA, 0, 1, MESSAGE) + c.headers(1, 5)),
    beside("9113 8.1.1", "content-length as it is", ANSWERED, ("content-length", "5")),
    beside("9113 8.1.1", "content-length of less", MALFORMED, ("content-length", "4")),
    beside("9113 8.1.1", "content-length of more", MALFORMED, ("content-length", "6")),
    beside("9113 8.1.1", "two values of content-length", MALFORMED, ("content-length", "5"), ("content-length", "6")),
    Case("9113 8.1.1", "content-length without content", MALFORMED,
         lambda c: c.headers(1, 5, [*FIELDS, ("content-length", "5")])),
    beside("9113 8.2.1", "an upper-case name", MALFORMED, (b"Judge", "x")),
    beside("9113 8.2.1", "a name with a space", MALFORMED, ("a judge", "x")),
    beside("9113 8.2.1", "a name with a colon", MALFORMED, ("a:judge", "x")),
    beside("9113 8.2.1", "a name beyond ASCII", MALFORMED, (b"judg\xe9", "x")),
    beside("9113 8.2.1", "an empty name", MALFORMED, ("", "x")),
    *(beside("9113 8.2.1", f"a value with {value[1:]!r}", MALFORMED, ("judge", value)) for value in (b"x\0", b"x\r", b"x\n")),
    beside("9113 8.2.1", "a value that begins with a space", MALFORMED, ("judge", " x")),
    beside("9113 8.2.1", "a value that ends with a tab", MALFORMED, ("judge", "x\t")),
    *(beside("9113 8.2.2", name, MALFORMED, (name, "close")) for name in ("connection", "keep-alive", "proxy-connection")),
    *(beside("9113 8.2.2", name, MALFORMED, (name, "chunked")) for name in ("transfer-encoding", "upgrade")),
    fields("9113 8.2.2", "te: gzip", MALFORMED, instead("te", "gzip")),
    beside("9113 8.3", "a pseudo-header field after a regular one", MALFORMED, (":authority", "judge")),
    fields("9113 8.3", "an unknown pseudo-header field", MALFORMED, [(":judge", "x"), *FIELDS]),
    fields("9113 8.3", "a pseudo-header field of responses", MALFORMED, [(":status", "200"), *FIELDS]),
    fields("9113 8.3", ":path twice", MALFORMED, [FIELDS[2], *FIELDS]),
    *(fields("9113 8.3.1", f"no {name}", MALFORMED, without(name)) for name in (":method", ":scheme", ":path")),
    fields("9113 8.3.1", "an empty :path", MALFORMED, instead(":path", "")),
    fields("9113 8.3.1", "a :path that is none", MALFORMED, instead(":path", "no path")),
    fields("9113 8.5", "CONNECT with :path", MALFORMED, instead(":method", "CONNECT")),
    fields("8441 3", ":protocol that was not offered", MALFORMED, [(":protocol", "websocket"), *instead(":method", "CONNECT")]),
    Case("9113 8.4", "PUSH_PROMISE", BROKEN, lambda c: c.headers() + frame(PUSH_PROMISE, 4, 1, number(2) + c.block())),
    Case("9113 10.5.1", "30 KB of header fields", {"HTTP 431"} | stream_error("REFUSED_STREAM", "ENHANCE_YOUR_CALM"),
         lambda c: large(c.block([*FIELDS, ("judge", "x" * 30_000)]))),
    Case("9113 10.5.1", "20 MB of header fields in 8 KB", CALM | {"HTTP 431"},
         lambda c: split(c.block([*FIELDS, ("judge", "x" * 3_900)]) + b"\xbe" * 5_000)),
    Case("9113 10.5", "a block that never ends", CALM | BROKEN, lambda c: c.headers(flags=0) + frame(9, 0, 1) * 9_999),
    Case("9113 10.5", "2,000 streams opened and reset", CALM | IGNORED, rapid_resets),
    bare("9113 10.5", "5,000 PINGs", CALM | IGNORED, frame(PING, 0, 0, EIGHT) * 5_000),
    bare("9113 10.5", "5,000 SETTINGS", CALM | IGNORED, settings((99, 1)) * 5_000),
    opened("9113 10.5", "5,000 empty DATA", CALM | IGNORED | stream_error("ENHANCE_YOUR_CALM"), frame(DATA, 0, 1) * 5_000),
]

GENERIC = "GOAWAY PROTOCOL_ERROR", "5.4 lets a generic code stand for one that says more; h2 has one for all it cannot read"
# Where h2, the library of the node, deviates: what is seen, and why it does no harm.
KNOWN = {
    **{case.what: GENERIC for case in HTTP2 if case.allowed in (SIZE, PACKED) and "largest" not in case.what},
    **dict.fromkeys(["DATA on a half-closed stream", "HEADERS on a half-closed stream"], GENERIC),
    **dict.fromkeys(["PRIORITY of four bytes", "a window of 2^31"], GENERIC),
    "PING in place of the first SETTINGS": ("nothing", "what the settings are is known all the same: the first ones"),
    "pseudo-header fields in trailers": ("answered", "they are dropped, and nothing of trailers is read"),
    "a value that begins with a space": ("answered", "nothing is handed on in HTTP/1.1, whose parsers would trim it"),
    "a value that ends with a tab": ("answered", "the same"),
}


def judge(cases, known, arguments):
    """Tries all, those that wait beside the others. A case of `known` has to end as it is said there."""
    target = Target(*arguments)

    def failure(case):
        outcome, why = known.get(case.what, (None, ""))
        expected = {outcome} if outcome else case.allowed
        try:
            got = case.outcome(target, "answered" in expected)
            if got in expected and (after := target.serves()) != "answered":
                got += f", and a new connection: {after}"
        except Exception as error:
            got = repr(error)
        expected = " or ".join(sorted(expected)) if got not in expected else ""
        return expected and f"{case.section}, {case.what}: expected {expected}{why and f' ({why})'}, got {got}"

    with ThreadPoolExecutor(8) as pool:
        waiting = pool.map(failure, [case for case in cases if case.patience > PATIENCE])
        failures = [failure(case) for case in cases if case.patience <= PATIENCE] + list(waiting)
    failed = [line for line in failures if line]
    print(*failed, f"{len(failures)} cases, {len(known)} of them known deviations, {len(failed)} failed", sep="\n")
    return bool(failed) or len(failures) != len(cases) or not known.keys() <= {case.what for case in cases}


if __name__ == "__main__":
    sys.exit(judge(HTTP2, KNOWN, sys.argv[1:]))
