# SPDX-License-Identifier: Apache-2.0
"""A DNS server with the records that a test gives it: a thread, UDP on a port of 127.0.0.1."""
import base64
import socket
import struct
import threading

A, SOA, AAAA, SRV, OPT, RRSIG, NSEC, DNSKEY, TLSA = 1, 6, 28, 33, 41, 46, 47, 48, 52
APEX = "example"  # of the zone, if it is signed


def labels(name):
    parts = [p.encode("ascii") for p in name.rstrip(".").split(".") if p]
    return b"".join(bytes([len(p)]) + p for p in parts) + b"\0"


class Signer:
    """Signs with ECDSA P-256 (RFC 6605), whatever is asked for."""

    def __init__(self):
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
        self.key = ec.generate_private_key(ec.SECP256R1())
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        self.dnskey = struct.pack("!HBB", 257, 3, 13) + point
        self.anchor = f"{APEX}. IN DNSKEY 257 3 13 {base64.b64encode(point).decode()}\n"
        words = self.dnskey + b"\0" * (len(self.dnskey) % 2)
        total = sum(struct.unpack(f"!{len(words) // 2}H", words))
        self.tag = (total + (total >> 16)) & 0xffff

    def sign(self, name, kind, datas):
        """The data of the RRSIG over these."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        count = len([p for p in name.split(".") if p])
        head = struct.pack("!HBBIIIH", kind, 13, count, 1, 0x7fffffff, 0, self.tag) + labels(APEX)
        records = b"".join(labels(name) + struct.pack("!HHIH", kind, 1, 1, len(d)) + d for d in sorted(datas))
        r, s = utils.decode_dss_signature(self.key.sign(head + records, ec.ECDSA(hashes.SHA256())))
        return head + r.to_bytes(32, "big") + s.to_bytes(32, "big")


def bitmap(kinds):
    """Of an NSEC record, all in its first window."""
    bits = bytearray(32)
    for kind in kinds:
        bits[kind // 8] |= 0x80 >> kind % 8
    end = max(i for i, b in enumerate(bits) if b) + 1
    return bytes([0, end]) + bytes(bits[:end])


class Zone:
    """RECORDS: name -> list of (type, value): A and AAAA an address, SRV (priority, weight, port, target),
    TLSA (usage, selector, matching, data).  A name
    below SILENT gets no answer.  SRV records point to TARGET, or to a name of the domain's own: ejabberd asks for the
    addresses of names what the machine asks.  SIGNED: by a Signer, whose anchor is to be believed; names of FORGED are
    not."""

    def __init__(self, target=None, signed=False):
        self.target, self.signer, self.forged = target, Signer() if signed else None, set()
        self.records, self.silent, self.asked = {}, set(), []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return f"127.0.0.1@{self.port}"

    def add(self, name, kind, value):
        self.records.setdefault(name.lower(), []).append((kind, value))

    def server(self, domain, port, direct=None, address="127.0.0.1"):
        """DOMAIN is served at ADDRESS and PORT, with TLS from the first byte at port DIRECT."""
        self.add(f"_xmpp-server._tcp.{domain}", SRV, (10, 1, port, self.target or f"xmpp.{domain}"))
        if direct:
            self.add(f"_xmpps-server._tcp.{domain}", SRV, (5, 1, direct, self.target or f"xmpp.{domain}"))
        self.add(f"xmpp.{domain}", A, address)

    def forget(self, domain):
        for name in [n for n in self.records if n == domain or n.endswith("." + domain)]:
            del self.records[name]

    def close(self):
        self.socket.close()

    def serve(self):
        while True:
            try:
                packet, peer = self.socket.recvfrom(4096)
                answer = self.answer(packet)
                if answer:
                    self.socket.sendto(answer, peer)
            except OSError:
                return

    def answer(self, packet):
        at, name = 12, []
        while packet[at]:
            name.append(packet[at + 1:at + 1 + packet[at]].decode("ascii").lower())
            at += 1 + packet[at]
        kind, = struct.unpack("!H", packet[at + 1:at + 3])
        question, name = packet[12:at + 5], ".".join(name)
        self.asked.append((name, kind))
        if any(name == s or name.endswith("." + s) for s in self.silent):
            return None
        found = [self.data(kind, v) for k, v in self.records.get(name, []) if k == kind]
        if self.signer and name == APEX and kind == DNSKEY:
            found = [self.signer.dnskey]
        # A name with something below it exists too; of a signed zone all do, and have nothing.
        exists = self.signer or name in self.records or any(n.endswith("." + name) for n in self.records)
        flags = 0x8580 | (0 if exists else 3)
        answers = self.group(name, kind, found) if found else []
        authority = [] if found else self.group(APEX, SOA, [self.soa()])
        if self.signer and not found:
            kinds = {k for k, _ in self.records.get(name, [])} | {RRSIG, NSEC} | ({SOA, DNSKEY} if name == APEX else set())
            authority += self.group(name, NSEC, [b"\1\0" + labels(name) + bitmap(kinds)])
        extra = [b"\0" + struct.pack("!HHIH", OPT, 4096, 0x8000, 0)] if packet[11] else []
        return (packet[:2] + struct.pack("!HHHHH", flags, 1, len(answers), len(authority), len(extra)) + question
                + b"".join(answers + authority + extra))

    def group(self, name, kind, datas):
        """Records of one name and type, and their signature."""
        head = labels(name)
        out = [head + struct.pack("!HHIH", kind, 1, 1, len(d)) + d for d in datas]
        if self.signer:
            sig = self.signer.sign(name, kind, datas)
            if name in self.forged:
                sig = sig[:-1] + bytes([sig[-1] ^ 1])
            out.append(head + struct.pack("!HHIH", RRSIG, 1, 1, len(sig)) + sig)
        return out

    @staticmethod
    def soa():
        return labels("ns.example") + labels("root.example") + struct.pack("!5I", 1, 1, 1, 1, 1)

    @staticmethod
    def data(kind, value):
        if kind == SRV:
            priority, weight, port, target = value
            return struct.pack("!HHH", priority, weight, port) + labels(target)
        if kind == TLSA:
            return bytes(value[:3]) + value[3]
        return socket.inet_pton(socket.AF_INET6 if kind == AAAA else socket.AF_INET, value)
