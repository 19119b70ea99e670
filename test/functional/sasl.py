# SPDX-License-Identifier: Apache-2.0
"""The client side of SASL, with switches to misbehave."""
import base64
import functools
import hashlib
import hmac
import os

HASHES = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}


def b64(data):
    return base64.b64encode(data).decode()


def unb64(text):
    return base64.b64decode(text or "", validate=True)


@functools.lru_cache(maxsize=None)
def salted(name, password, salt, iterations):
    return hashlib.pbkdf2_hmac(name, password, salt, iterations)


def fields(message):
    """ "r=..,s=..,i=.." as a dict."""
    return dict(part.split("=", 1) for part in message.split(","))


def plain(user, password, authzid=""):
    return "\0".join((authzid, user, password)).encode()


def ht(token, who, channel=b""):
    """The proof of a token; WHO is Initiator or Responder."""
    return hmac.new(token.encode(), who.encode() + channel, "sha256").digest()


class Scram:
    """One SCRAM exchange.  FLAG is the GS2 flag: "n", "y" or "p=TYPE"; CHANNEL what binds the channel."""

    def __init__(self, mechanism, user, password, flag="n", channel=b"", authzid=""):
        digest = mechanism.removeprefix("SCRAM-").removesuffix("-PLUS")
        self.hash = HASHES[digest]
        self.password = password
        self.channel = channel
        self.gs2 = f"{flag},{'a=' + authzid if authzid else ''},"
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={b64(os.urandom(18))}"
        self.server_first = None
        self.signature = None

    def first(self):
        return (self.gs2 + self.bare).encode()

    def hmac(self, key, text):
        return hmac.new(key, text, self.hash).digest()

    def final(self, challenge):
        self.server_first = challenge.decode()
        answer = fields(self.server_first)
        key = salted(self.hash, self.password.encode(), unb64(answer["s"]), int(answer["i"]))
        without_proof = f"c={b64(self.gs2.encode() + self.channel)},r={answer['r']}"
        auth = f"{self.bare},{self.server_first},{without_proof}".encode()
        client_key = self.hmac(key, b"Client Key")
        stored = hashlib.new(self.hash, client_key).digest()
        proof = bytes(a ^ b for a, b in zip(client_key, self.hmac(stored, auth)))
        self.signature = self.hmac(self.hmac(key, b"Server Key"), auth)
        return f"{without_proof},p={b64(proof)}".encode()

    def verify(self, data):
        """Whether the server proved that it knows the password too."""
        return data.decode() == "v=" + b64(self.signature)


def offer_hash(mechanism, mechanisms, bindings):
    """What XEP-0474 puts in `h` for an offer."""
    text = "\x1e".join(sorted(mechanisms))
    if bindings:
        text += "\x1f" + "\x1e".join(sorted(bindings))
    digest = mechanism.removeprefix("SCRAM-").removesuffix("-PLUS")
    return b64(hashlib.new(HASHES[digest], text.encode()).digest())
