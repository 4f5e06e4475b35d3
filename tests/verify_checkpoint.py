#!/usr/bin/env python3
"""Verifies a feed of an alliance without any of its software: standard library only.

    verify_checkpoint.py VKEY CHECKPOINT ENTRIES

VKEY        file with the verifier key, `name+key id+base64` (C2SP signed-note)
CHECKPOINT  file with the signed checkpoint (C2SP tlog-checkpoint)
ENTRIES     file with every entry of the feed in order, one a line, in base64, or in hexadecimal after `hex:`

`-` in place of one of them reads standard input. Exit code 0: the entries are exactly what the key's owner signed.
1: they are not, and the reason stands on standard error. 2: wrong usage.

Written from RFC 8032 (Ed25519), RFC 6962 (the tree) and the C2SP pages, so that it shares no mistake with the node.
"""

import base64
import binascii
import hashlib
import sys

ED25519_TYPE = 0x01


class Refused(Exception):
    """What was given does not verify."""


# --- Ed25519, RFC 8032, section 5.1 ---

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_ONE = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)


def add(a, b):
    """Addition in extended homogeneous coordinates (section 5.1.4)."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    x, y, z, t = f - e, h - g, h + g, f + e
    return (x * y % P, z * t % P, y * z % P, x * t % P)


def multiply(scalar, point):
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def same_point(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def decode_point(data):
    """Section 5.1.3."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        raise Refused("a point is out of range")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_MINUS_ONE % P
    if (x * x - square) % P:
        raise Refused("not a point of the curve")
    if x == 0 and sign:
        raise Refused("a point has the wrong sign")
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verify_ed25519(public, message, signature):
    """Section 5.1.7."""
    if len(public) != 32 or len(signature) != 64:
        raise Refused("a key or a signature has the wrong length")
    r, s = decode_point(signature[:32]), int.from_bytes(signature[32:], "little")
    if s >= L:
        raise Refused("a signature is out of range")
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(digest, "little") % L
    if not same_point(multiply(s, BASE), add(r, multiply(k, decode_point(public)))):
        raise Refused("the signature is wrong")


# --- C2SP signed-note and tlog-checkpoint ---


def decode_base64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("bad base64") from error
    if base64.b64encode(data).decode() != text:
        raise Refused("base64 in another than its one form")
    return data


def read_verifier_key(text):
    name, key_id, data = text.strip().split("+", 2)
    data = decode_base64(data)
    if data[0] != ED25519_TYPE:
        raise Refused("not an Ed25519 key")
    expected = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    if expected.hex() != key_id:
        raise Refused("the key id is not the key's")
    return name, expected, data[1:]


def open_note(note, name, key_id, public):
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise Refused("not a signed note")
    text += "\n"
    if any(c < " " and c != "\n" for c in note):
        raise Refused("a control character")
    verified = False
    for line in signatures[:-1].split("\n"):
        mark, of, data = line.split(" ")
        data = decode_base64(data)
        if mark != "\u2014":
            raise Refused("not a signature line")
        if of == name and data[:4] == key_id:
            verify_ed25519(public, text.encode(), data[4:])
            verified = True
    if not verified:
        raise Refused("the key has not signed this")
    return text


def read_checkpoint(text, name):
    origin, size, root, *extensions = text[:-1].split("\n")
    if origin != name:
        raise Refused("a checkpoint of another feed")
    if not size.isascii() or not size.isdigit() or str(int(size)) != size:
        raise Refused("not a size")
    if not all(extensions):
        raise Refused("an empty line")
    return int(size), decode_base64(root)


# --- RFC 6962, section 2.1 ---


def tree_hash(leaves):
    """As the RFC writes it: recursive, by the largest power of two below the size."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:])).digest()


def read_entry(line):
    if line.startswith("hex:"):
        return bytes.fromhex(line[4:])
    return decode_base64(line)


# --- command line ---


def read(path):
    if path == "-":
        return sys.stdin.buffer.read().decode()
    with open(path, "rb") as file:
        return file.read().decode()


def verify(vkey, checkpoint, entries):
    name, key_id, public = read_verifier_key(vkey)
    size, root = read_checkpoint(open_note(checkpoint, name, key_id, public), name)
    leaves = [read_entry(line) for line in entries.split("\n") if line]
    if len(leaves) != size:
        raise Refused(f"{len(leaves)} entries under a checkpoint of {size}")
    if tree_hash(leaves) != root:
        raise Refused("the entries are not those that were signed")
    return f"{name}: {size} entries, root {root.hex()}"


def main(arguments):
    if len(arguments) != 3 or arguments.count("-") > 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(verify(*map(read, arguments)))
    except (Refused, ValueError, IndexError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
