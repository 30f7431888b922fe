"""Says of each hash in a built file's name whether it begins a plain digest of the file's bytes."""

import base64
import hashlib
import re
import struct
from pathlib import Path

import blake3
import xxhash

HERE = Path(__file__).parent
OUTPUTS = ["vite/dist", "vite/plain", "esbuild/dist", "esbuild/plain", "webpack/dist", "django/staticfiles", "phoenix/static", "propshaft/assets"]
HASHED = re.compile(r"[-.]([A-Za-z0-9_-]{20,}|[A-Za-z0-9_-]{12}|[A-Za-z0-9_-]{8})(?=\.(?:chunk\.|digested\.)?\w+(?:\.map)?$)")


def md4(data):
    """webpack's default, which OpenSSL 3 has put away."""
    rotate = lambda x, n: ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF
    a, b, c, d = state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    data += b"\x80" + b"\0" * ((55 - len(data)) % 64) + struct.pack("<Q", len(data) * 8)
    rounds = [
        (lambda x, y, z: (x & y) | (~x & z), 0, list(range(16)), (3, 7, 11, 19)),
        (lambda x, y, z: (x & y) | (x & z) | (y & z), 0x5A827999, [i % 4 * 4 + i // 4 for i in range(16)], (3, 5, 9, 13)),
        (lambda x, y, z: x ^ y ^ z, 0x6ED9EBA1, [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15], (3, 9, 11, 15)),
    ]
    for at in range(0, len(data), 64):
        words = struct.unpack("<16I", data[at : at + 64])
        a, b, c, d = state
        for mix, constant, order, shifts in rounds:
            for i, k in enumerate(order):
                a, b, c, d = d, rotate((a + mix(b, c, d) + words[k] + constant) & 0xFFFFFFFF, shifts[i % 4]), b, c
        state = [(x + y) & 0xFFFFFFFF for x, y in zip(state, (a, b, c, d))]
    return struct.pack("<4I", *state)


assert md4(b"abc").hex() == "a448017aaf21d8525fc10ae87aa6729d"
PLAIN = {name: lambda data, name=name: hashlib.new(name, data).digest() for name in ("md5", "sha1", "sha256", "sha384", "sha512")}
PLAIN |= {
    "md4": md4,
    "blake3": lambda data: blake3.blake3(data).digest(),
    "xxh64": lambda data: xxhash.xxh64_digest(data),
    "xxh3-64": lambda data: xxhash.xxh3_64_digest(data),
    "xxh3-128": lambda data: xxhash.xxh3_128_digest(data),
}


def found(text, data):
    for name, plain in PLAIN.items():
        for order, digest in (("", plain(data)), (" reversed", plain(data)[::-1])):
            written = {
                "hex": digest.hex(),
                "base64url": base64.urlsafe_b64encode(digest).decode(),
                "base32": base64.b32encode(digest).decode(),
            }
            for form, whole in written.items():
                if whole.startswith(text):
                    return f"{name}{order} in {form}"
    return "none"


for output in OUTPUTS:
    for path in sorted((HERE / output).rglob("*")):
        is_public = (HERE / "vite/input/public" / path.name).exists() or path.name.startswith(".")
        hashed = path.is_file() and not is_public and HASHED.search(path.name)
        if hashed:
            text = hashed.group(1)
            print(f"{path.relative_to(HERE)}: {text} is {found(text, path.read_bytes())}")
