"""A judge of a listener's TLS that shares no code with the node, and with libraries only their ciphers. It does word for word
what a client must not do, and what it may, and holds what comes back against RFC 8446. After every case a new connection must
still be served.

Usage: tls_judge.py ADDRESS SERVER_NAME CA CERTIFICATE KEY METHOD

The key is one on P-256. All else is as with `protocol_judge.py`.
"""

import hashlib
import hmac
import os
import struct
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from protocol_judge import ACK, PATIENCE, PING, PREFACE, Ended, Line, frame, judge

SLOW = 8  # Seconds where the node's own patience is judged, which is five.

ALERTS = {
    **{10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 40: "handshake_failure", 42: "bad_certificate"},
    **{46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca", 50: "decode_error", 51: "decrypt_error"},
    **{70: "protocol_version", 71: "insufficient_security", 80: "internal_error", 109: "missing_extension"},
    **{116: "certificate_required", 120: "no_application_protocol"},
}
CCS, ALERT, HANDSHAKE, APPLICATION, HEARTBEAT = range(20, 25)
GROUPS, SIGNATURES, ALPN, PSK, EARLY, VERSIONS, MODES, SHARES = 10, 13, 16, 41, 42, 43, 45, 51
RETRY = hashlib.sha256(b"HelloRetryRequest").digest()


def sized(width, data):
    return len(data).to_bytes(width, "big") + data


def record(kind, data, version=0x0303):
    return struct.pack("!BH", kind, version) + sized(2, data)


def message(kind, body):
    return bytes([kind]) + sized(3, body)


def parsed(extensions):
    while extensions:
        kind, size = struct.unpack("!HH", extensions[:4])
        yield kind, extensions[4 : 4 + size]
        extensions = extensions[4 + size :]


def digest(data):
    return hashlib.sha256(data).digest()


def extract(salt, secret):
    return hmac.digest(salt, secret, "sha256")


def expand(secret, label, context=b"", length=32):
    """HKDF-Expand-Label of one block (7.1)."""
    info = struct.pack("!H", length) + sized(1, b"tls13 " + label) + sized(1, context)
    return hmac.digest(secret, info + b"\x01", "sha256")[:length]


class Keys:
    """One direction's, for TLS_AES_128_GCM_SHA256."""

    def __init__(self, secret):
        self.secret, self.count = secret, 0
        self.gcm, self.iv = AESGCM(expand(secret, b"key", length=16)), int.from_bytes(expand(secret, b"iv", length=12), "big")

    def updated(self):
        return Keys(expand(self.secret, b"traffic upd"))

    def nonce(self):
        self.count += 1
        return (self.iv ^ (self.count - 1)).to_bytes(12, "big")

    def seal(self, kind, data):
        head = struct.pack("!BHH", APPLICATION, 0x0303, len(data) + 17)
        return head + self.gcm.encrypt(self.nonce(), data + bytes([kind]), head)

    def open(self, head, data):
        plain = self.gcm.decrypt(self.nonce(), data, head).rstrip(b"\0")
        return plain[-1], plain[:-1]


class Client(Line):
    """A client of TLS 1.3 that does what it is told."""

    def __init__(self, target, patience):
        super().__init__(target.tcp(), patience)
        self.target, self.private, self.random = target, X25519PrivateKey.generate(), os.urandom(32)
        with open(target.certificate, "rb") as file:
            self.chain = [c.public_bytes(Encoding.DER) for c in x509.load_pem_x509_certificates(file.read())]
        with open(target.key, "rb") as file:
            self.key = load_pem_private_key(file.read(), None)
        self.reading = self.writing = None
        self.messages, self.retried, self.updates, self.begun = b"", False, 0, False

    def hello(self, changes=(), legacy=0x0303, suites=b"\x13\x01", session=bytes(32), compression=b"\0", tail=b""):
        """A ClientHello; a change of `None` leaves an extension out."""
        extensions = {
            0: sized(2, b"\0" + sized(2, self.target.name.encode())),
            GROUPS: sized(2, b"\0\x1d"),
            SIGNATURES: sized(2, b"\x04\x03"),
            ALPN: sized(2, sized(1, b"h2")),
            VERSIONS: sized(1, b"\x03\x04"),
            SHARES: sized(2, b"\0\x1d" + sized(2, self.private.public_key().public_bytes_raw())),
        }
        extensions |= dict(changes)
        listed = b"".join(struct.pack("!H", kind) + sized(2, body) for kind, body in extensions.items() if body is not None)
        body = struct.pack("!H", legacy) + self.random + sized(1, session) + sized(2, suites) + sized(1, compression)
        return message(1, body + sized(2, listed + tail))

    def next(self):
        """The next record's type and content, of those that are neither an alert nor for middleboxes."""
        head = self.take(5)
        kind, data = head[0], self.take(int.from_bytes(head[3:], "big"))
        if kind == APPLICATION and self.reading:
            kind, data = self.reading.open(head, data)
        if kind == ALERT:
            raise self.last(f"alert {ALERTS.get(data[1], data[1])}") if data[1] else Ended("closed")
        return self.next() if kind == CCS else (kind, data)

    def read_message(self):
        while len(self.messages) < 4 or len(self.messages) < 4 + int.from_bytes(self.messages[1:4], "big"):
            kind, data = self.next()
            if kind != HANDSHAKE:
                raise Ended(f"a record of type {kind} in the handshake")
            self.messages += data
        size = 4 + int.from_bytes(self.messages[1:4], "big")
        read, self.messages = self.messages[:size], self.messages[size:]
        return read

    def seal(self, kind, data):
        self.send(self.writing.seal(kind, data))

    def shake(self, hello=None, say=None, between=None, chain=None, flight=lambda messages: messages):
        """A handshake. `say` sends the hello, `between` is done before the client's flight, which `flight` may change."""
        hello = hello or self.hello()
        (say or (lambda hello: self.send(record(HANDSHAKE, hello))))(hello)
        said, server = hello, self.read_message()
        if server[6:38] == RETRY:
            hello, self.retried = self.hello(), True
            self.send(record(HANDSHAKE, hello))
            said, server = message(254, digest(said)) + server + hello, self.read_message()
        said += server
        if server[38:71] != sized(1, bytes(32)):
            raise Ended("another session's ServerHello")
        extensions = dict(parsed(server[76:]))
        shared = self.private.exchange(X25519PublicKey.from_public_bytes(extensions[SHARES][4:]))
        secret = extract(expand(extract(bytes(32), bytes(32)), b"derived", digest(b"")), shared)
        ours, theirs = (expand(secret, side + b" hs traffic", digest(said)) for side in (b"c", b"s"))
        self.writing, self.reading = Keys(ours), Keys(theirs)
        while True:
            read = self.read_message()
            if read[0] == 8 and EARLY in dict(parsed(read[6:])):
                raise Ended("early data taken")
            if read[0] == 20 and read[4:] != extract(expand(theirs, b"finished"), digest(said)):
                raise Ended("a wrong Finished")
            said += read
            if read[0] == 20:
                break
        secret = extract(expand(secret, b"derived", digest(b"")), bytes(32))
        application = [Keys(expand(secret, side + b" ap traffic", digest(said))) for side in (b"c", b"s")]
        if between:
            between(self)
        chain = self.chain if chain is None else chain
        messages = [message(11, b"\0" + sized(3, b"".join(sized(3, der) + b"\0\0" for der in chain)))]
        if chain:
            signed = b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + digest(said + messages[0])
            messages.append(message(15, b"\x04\x03" + sized(2, self.key.sign(signed, ECDSA(SHA256())))))
        messages.append(message(20, extract(expand(ours, b"finished"), digest(said + b"".join(messages)))))
        self.seal(HANDSHAKE, b"".join(flight(messages)))
        self.writing, self.reading = application

    def go_on(self):
        """Until HTTP/2 inside answers a PING."""
        data, read = os.urandom(8), b""
        self.seal(APPLICATION, (b"" if self.begun else PREFACE) + frame(PING, 0, 0, data))
        self.begun = True
        while frame(PING, ACK, 0, data) not in read:
            kind, more = self.next()
            if kind == HANDSHAKE and more[0] == 24:
                self.reading, self.updates = self.reading.updated(), self.updates + 1
            read += more * (kind == APPLICATION)
        return "goes on"

    def update(self, request):
        self.seal(HANDSHAKE, message(24, bytes([request])))
        self.writing = self.writing.updated()

    def listen(self):
        while True:
            self.next()


class Case:
    """What a client does, and the outcomes that are allowed, alerts by their names."""

    def __init__(self, section, what, allowed, act, patience=PATIENCE):
        self.section, self.what, self.act, self.patience = section, what, act, patience
        self.allowed = {f"alert {one}" if one in ALERTS.values() else one for one in allowed}

    def outcome(self, target, _waits):
        with Client(target, self.patience) as client:
            try:
                self.act(client)
                return client.go_on()
            except Ended as end:
                return str(end)


def raw(section, what, allowed, *data, patience=PATIENCE):
    """Bytes without a handshake."""
    return Case(section, what, allowed, lambda c: (c.send(b"".join(data)), c.listen()), patience)


def hello(section, what, allowed, *changes, **how):
    """A handshake with such a hello."""
    return Case(section, what, allowed, lambda c: c.shake(c.hello(changes, **how)))


def told(section, what, allowed, say, patience=PATIENCE):
    """A handshake whose hello is sent in another way."""
    return Case(section, what, allowed, lambda c: c.shake(say=lambda hello: say(c, hello)), patience)


def between(section, what, allowed, do):
    """Something before the client's flight."""
    return Case(section, what, allowed, lambda c: c.shake(between=do))


def flight(section, what, allowed, change):
    """A change in the client's flight: certificate, signature and Finished."""
    return Case(section, what, allowed, lambda c: c.shake(flight=change))


def later(section, what, allowed, do):
    """Something when HTTP/2 has begun."""
    return Case(section, what, allowed, lambda c: (c.shake(), c.go_on(), do(c)))


def spoiled(data, at=-1):
    data = bytearray(data)
    data[at] ^= 1
    return bytes(data)


def bytewise(client, hello):
    for byte in record(HANDSHAKE, hello):
        client.send(bytes([byte]))


def drip(client):
    for byte in record(HANDSHAKE, client.hello()):
        client.send(bytes([byte]))
        time.sleep(0.03)
    client.listen()


def retry(client):
    client.shake(client.hello({SHARES: sized(2, b"")}))
    if not client.retried:
        raise Ended("no HelloRetryRequest")


def retry_in_vain(client):
    for _ in range(2):
        client.send(record(HANDSHAKE, client.hello({SHARES: sized(2, b"")})))
    client.listen()


def foreign_certificate(client):
    client.shake(chain=[spoiled(client.chain[0]), *client.chain[1:]])


def key_update(client):
    client.update(1)
    client.go_on()
    if client.updates != 1:
        raise Ended(f"{client.updates} updates of its key in return")


def share(group, data):
    return SHARES, sized(2, struct.pack("!H", group) + sized(2, data))


GOES_ON, UNEXPECTED, DECODE, ILLEGAL = {"goes on"}, {"unexpected_message"}, {"decode_error"}, {"illegal_parameter"}
VERSION, FAILURE, MISSING, DECRYPT = {"protocol_version"}, {"handshake_failure"}, {"missing_extension"}, {"decrypt_error"}
BAD, OVERFLOW, CLOSED, NO_PROTOCOL = {"bad_record_mac"}, {"record_overflow"}, {"closed"}, {"no_application_protocol"}
IDENTITY = sized(2, sized(2, bytes(32)) + bytes(4)) + sized(2, sized(1, bytes(32)))  # Of a session that never was.
OFFER = (MODES, b"\x01\x01"), (EARLY, b""), (PSK, IDENTITY)
TO_DROP, FATAL, ASK = record(CCS, b"\x01"), b"\x02\x28", frame(PING, 0, 0, bytes(8))
UPDATE, LONG = message(24, b"\0"), message(1, bytes(70_000))

TLS = [
    hello("8446 2", "a handshake", GOES_ON),
    hello("8446 4.1.2", "TLS 1.2 alone", VERSION, (VERSIONS, None)),
    hello("8446 4.2.1", "TLS 1.2 alone, as an extension", VERSION, (VERSIONS, b"\x02\x03\x03")),
    hello("8446 D.5", "TLS 1.1 alone", VERSION, (VERSIONS, None), legacy=0x0302),
    hello("8446 D.5", "TLS 1.0 alone", VERSION, (VERSIONS, None), legacy=0x0301),
    hello("8446 D.5", "SSL 3.0 alone", VERSION, (VERSIONS, None), legacy=0x0300),
    raw("8446 D.5", "a hello of SSL 2.0", UNEXPECTED | VERSION, b"\x80\x1c\x01\0\x02\0\x03\0\0\0\x10\x01\0\x80" + bytes(16)),
    hello("8446 4.1.1", "no suite in common", FAILURE, suites=b"\xc0\x2f"),
    hello("8446 4.1.1", "no group in common", FAILURE | {"insufficient_security"},
          (GROUPS, b"\0\x02\x01\0"), share(256, bytes(256))),
    hello("8446 4.1.1", "no signature in common", FAILURE, (SIGNATURES, sized(2, b"\x04\x01"))),
    hello("8446 9.2", "no list of groups", MISSING, (GROUPS, None)),
    hello("8446 9.2", "no list of signatures", MISSING, (SIGNATURES, None)),
    hello("8446 9.2", "no list of shares", MISSING, (SHARES, None)),
    hello("8446 4.1.2", "compression", ILLEGAL, compression=b"\x01\0"),
    hello("8446 4.1.2", "a session of 33 bytes", DECODE | ILLEGAL, session=bytes(33)),
    hello("8446 4.1.2", "a hello with a byte too many", DECODE, tail=b"\0"),
    hello("8446 4.2", "an extension twice", DECODE | ILLEGAL, tail=struct.pack("!H", 16) + sized(2, sized(2, sized(1, b"h2")))),
    hello("8446 4.2", "unknown suites, versions, groups and extensions", GOES_ON, (VERSIONS, b"\x04\x0a\x0a\x03\x04"),
          (GROUPS, sized(2, b"\x1a\x1a\0\x1d")), (0x2A2A, b"x"), suites=b"\x3a\x3a\x13\x01"),
    hello("8446 4.2.8", "a share of 31 bytes", ILLEGAL, share(29, bytes(31))),
    hello("8446 7.4.2", "a share of zeros", ILLEGAL | FAILURE, share(29, bytes(32))),
    hello("8446 4.2.8.2", "a share off its curve", ILLEGAL, (GROUPS, b"\0\x02\0\x17"), share(23, b"\x04" + b"\xff" * 64)),
    hello("8446 4.2.9", "a session without its modes", MISSING | ILLEGAL | FAILURE, (PSK, IDENTITY)),
    hello("8446 4.2.11", "a session before another extension", ILLEGAL, OFFER[0], OFFER[2], (0x2A2A, b"")),
    Case("8446 4.1.4", "a hello without a share", GOES_ON, retry),
    Case("8446 4.1.2", "a second hello without a share", ILLEGAL | UNEXPECTED, retry_in_vain),
    hello("7301 3.2", "a protocol that is not HTTP/2", NO_PROTOCOL, (ALPN, sized(2, sized(1, b"http/1.1")))),
    hello("7301 3.1", "no name of a protocol in the list", DECODE, (ALPN, b"\0\0")),
    hello("9113 3.3", "no word of a protocol", NO_PROTOCOL | CLOSED, (ALPN, None)),
    hello("8446 4.2.10", "early data is offered", GOES_ON, *OFFER),
    told("8446 5.1", "a hello in small records", GOES_ON,
         lambda c, h: c.send(b"".join(record(HANDSHAKE, h[i : i + 9]) for i in range(0, len(h), 9)))),
    told("8446 5.1", "a hello in segments of a byte", GOES_ON, bytewise),
    told("8446 5.1", "another record within the hello", UNEXPECTED | CLOSED,
         lambda c, h: c.send(record(HANDSHAKE, h[:9]) + record(APPLICATION, b"x") + record(HANDSHAKE, h[9:]))),
    told("8446 5.1", "a record of TLS 1.0 with the hello", GOES_ON, lambda c, h: c.send(record(HANDSHAKE, h, 0x0301))),
    told("8446 5.1", "a version of no meaning in the record", GOES_ON, lambda c, h: c.send(record(HANDSHAKE, h, 0x0305))),
    told("8446 5.1", "a record after a hello at its key's end", UNEXPECTED, lambda c, h: c.send(record(HANDSHAKE, h + h))),
    raw("8446 5", "a record of an unknown type", UNEXPECTED, record(99, b"x")),
    raw("8446 5", "noise", UNEXPECTED | DECODE, bytes(range(200, 0, -1))),
    raw("8446 5", "HTTP/2 without TLS", UNEXPECTED, PREFACE),
    raw("8446 5", "HTTP/1.1 without TLS", UNEXPECTED, b"GET / HTTP/1.1\r\nHost: judge\r\n\r\n"),
    raw("8446 5", "application data before a hello", UNEXPECTED, record(APPLICATION, bytes(50))),
    raw("8446 5", "a change of cipher before a hello", UNEXPECTED, TO_DROP),
    hello("8446 5.1", "a record of more than 2^14 bytes", OVERFLOW, (0x2A2A, bytes(16_384))),
    raw("8446 5.1", "a record of 2^16-1 bytes", OVERFLOW, record(HANDSHAKE, bytes(65_535))),
    raw("8446 5.1", "a part of a hello without a byte", UNEXPECTED | DECODE, record(HANDSHAKE, b"")),
    raw("8446 4", "a hello of 16 MB, by its head", DECODE | ILLEGAL | CLOSED, record(HANDSHAKE, b"\x01\xff\xff\xff\x03")),
    raw("8446 4", "a hello of 70 KB of zeros", DECODE | ILLEGAL | CLOSED,
        b"".join(record(HANDSHAKE, LONG[i : i + 16_384]) for i in range(0, len(LONG), 16_384))),
    raw("8446 4", "a Finished before a hello", UNEXPECTED, record(HANDSHAKE, message(20, bytes(32)))),
    raw("8446 6.2", "a fatal alert before a hello", CLOSED, record(ALERT, FATAL)),
    raw("8446 6", "an alert without a byte", UNEXPECTED | DECODE, record(ALERT, b"")),
    between("8446 D.4", "a change of cipher for middleboxes", GOES_ON, lambda c: c.send(TO_DROP)),
    between("8446 5", "1,000 changes of cipher", GOES_ON | UNEXPECTED | CLOSED, lambda c: c.send(TO_DROP * 1_000)),
    between("8446 5", "a change of cipher of two bytes", UNEXPECTED, lambda c: c.send(record(CCS, b"\x01\x01"))),
    between("8446 5", "an encrypted change of cipher", UNEXPECTED, lambda c: c.seal(CCS, b"\x01")),
    between("8446 5.2", "a record under no key", BAD, lambda c: c.send(record(APPLICATION, bytes(50)))),
    between("8446 5.2", "a message without encryption", UNEXPECTED | BAD, lambda c: c.send(record(HANDSHAKE, UPDATE))),
    between("8446 2", "application data before the end of the handshake", UNEXPECTED, lambda c: c.seal(APPLICATION, PREFACE)),
    between("8446 4.6.3", "an update of the key before that", UNEXPECTED, lambda c: c.seal(HANDSHAKE, UPDATE)),
    between("8446 6.2", "a fatal alert in the handshake", CLOSED, lambda c: c.seal(ALERT, FATAL)),
    Case("8446 4.2.10", "early data that is sent", GOES_ON,
         lambda c: c.shake(c.hello(OFFER), lambda h: c.send(record(HANDSHAKE, h) + record(APPLICATION, bytes(999))))),
    Case("8446 4.4.2.4", "no certificate", {"certificate_required"}, lambda c: c.shake(chain=[])),
    Case("8446 4.4.2.4", "a certificate that no CA signed", DECRYPT | {"bad_certificate", "unknown_ca"}, foreign_certificate),
    flight("8446 4.4", "no message of a certificate", UNEXPECTED, lambda m: m[2:]),
    flight("8446 4.4", "a certificate without a signature", UNEXPECTED, lambda m: [m[0], m[2]]),
    flight("8446 4.4.3", "a wrong signature", DECRYPT, lambda m: [m[0], spoiled(m[1]), m[2]]),
    flight("8446 4.4.3", "a signature of another kind", ILLEGAL | DECRYPT, lambda m: [m[0], spoiled(m[1], 4), m[2]]),
    flight("8446 4.4.4", "a wrong Finished", DECRYPT, lambda m: [*m[:2], spoiled(m[2])]),
    flight("8446 4.4.4", "a short Finished", DECODE | DECRYPT, lambda m: [*m[:2], message(20, m[2][4:-1])]),
    flight("8446 5.1", "a message across the change of keys", UNEXPECTED, lambda m: [*m, UPDATE]),
    later("8446 4.1.2", "a hello for a new handshake", UNEXPECTED, lambda c: c.seal(HANDSHAKE, c.hello())),
    later("8446 4.4.2", "a certificate that nobody asked for", UNEXPECTED, lambda c: c.seal(HANDSHAKE, message(11, bytes(4)))),
    later("8446 4.5", "the end of early data that was none", UNEXPECTED, lambda c: c.seal(HANDSHAKE, message(5, b""))),
    later("8446 4.6.3", "an update of the key, and one in return", GOES_ON, key_update),
    later("8446 4.6.3", "an update of the key that asks for 2", ILLEGAL, lambda c: c.update(2)),
    later("8446 4.6.3", "999 updates of the key", GOES_ON | UNEXPECTED | CLOSED, lambda c: [c.update(1) for _ in range(999)]),
    later("8446 5", "a change of cipher after the handshake", UNEXPECTED, lambda c: c.send(TO_DROP)),
    later("8446 5.2", "a record that was changed on its way", BAD, lambda c: c.send(spoiled(c.writing.seal(APPLICATION, ASK)))),
    later("8446 5.2", "a record that comes twice", BAD, lambda c: c.send(c.writing.seal(APPLICATION, ASK) * 2)),
    later("8446 5.2", "a record of 2^14+257 bytes", OVERFLOW, lambda c: c.send(record(APPLICATION, bytes(16_641)))),
    later("8446 5.4", "2^14+1 bytes in a record", OVERFLOW, lambda c: c.seal(APPLICATION, bytes(16_385))),
    later("8446 5.4", "a record of nothing but padding", UNEXPECTED, lambda c: c.seal(0, bytes(99))),
    later("8446 5", "a heartbeat", UNEXPECTED, lambda c: c.seal(HEARTBEAT, b"\x01\xff\xff")),
    later("8446 6.1", "the end of what is said", CLOSED, lambda c: (c.seal(ALERT, b"\x01\0"), c.listen())),
    later("8446 6.2", "a fatal alert", CLOSED, lambda c: (c.seal(ALERT, FATAL), c.listen())),
    raw("HANDSHAKE_TIMEOUT", "silence", CLOSED, patience=SLOW),
    raw("HANDSHAKE_TIMEOUT", "half a hello, and silence", CLOSED, record(HANDSHAKE, message(1, bytes(99)))[:50], patience=SLOW),
    told("HANDSHAKE_TIMEOUT", "a hello, and silence", CLOSED, lambda c, h: (c.send(record(HANDSHAKE, h)), c.listen()), SLOW),
    Case("HANDSHAKE_TIMEOUT", "a hello in drops", CLOSED, drip, SLOW),
    Case("HANDSHAKE_TIMEOUT", "silence after the handshake", CLOSED, lambda c: (c.shake(), c.listen()), SLOW),
    Case("HANDSHAKE_TIMEOUT", "half of HTTP/2's preface, and silence", CLOSED,
         lambda c: (c.shake(), c.seal(APPLICATION, PREFACE[:12]), c.listen()), SLOW),
]
NO_TYPE = "alert decode_error", "rustls cannot read a type of record that it does not know; the connection ends all the same"
NO_LIST = "alert handshake_failure", "an empty list has nothing in common with ours; the handshake ends all the same"
# Where rustls, the library of the node, deviates: what is seen, and why it does no harm.
KNOWN = {
    **dict.fromkeys(["a hello of SSL 2.0", "a record of an unknown type", "a heartbeat"], NO_TYPE),
    **dict.fromkeys(["HTTP/2 without TLS", "HTTP/1.1 without TLS"], NO_TYPE),
    **dict.fromkeys(["no list of groups", "no list of signatures", "no list of shares"], NO_LIST),
    "a record of more than 2^14 bytes": ("goes on", "2 KiB more are taken, as TLS 1.2 allows, and no more"),
    "a record of 2^14+257 bytes": ("alert bad_record_mac", "the same, and such a record is never good"),
    "a record of 2^16-1 bytes": ("alert decode_error", "it is refused by its head alone"),
    "a record of nothing but padding": ("closed", "the connection ends all the same, without the alert"),
}

if __name__ == "__main__":
    sys.exit(judge(TLS, KNOWN, sys.argv[1:]))
