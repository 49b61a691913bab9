"""Proves provable exports of the audit log: a second opinion, written from the documentation of AuditService alone.

verifier.py KEY < exports: each export is announced by a line with its length in bytes. Answers a line of JSON for each:
null where it is proven, otherwise the number of the first bad line.
"""

import base64
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Bad(Exception):
    """The line is not what was signed."""


def must(condition):
    if not condition:
        raise Bad


def canonical(value):
    """RFC 8785, of what exports hold: there are no numbers but small whole ones."""
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(canonical(key) + ":" + canonical(inner) for key, inner in items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    must(not isinstance(value, float))
    return json.dumps(value, ensure_ascii=False)


def parse(line):
    value = json.loads(line.decode("utf-8"))
    must(line == canonical(value).encode("utf-8") + b"\n")
    must(isinstance(value, dict))
    return value


def sha256(data):
    return hashlib.sha256(data).digest()


def unhex(text):
    must(isinstance(text, str) and len(text) == 64 and text == text.lower())
    return bytes.fromhex(text)


def take(event, paths):
    """Takes the fields at these paths out of an event."""
    taken = {}
    for *path, last in paths:
        source, target = event, taken
        for name in path:
            source, target = source[name], target.setdefault(name, {})
        must(last not in target)
        target[last] = source.pop(last)
    return taken


def leaf(event, seals):
    personal = {}
    for name in ("subject", "actor"):
        if name in seals:
            seal = seals[name]
            must(set(seal) in ({"seal"}, {"seal", "salt", "fields"}))
            personal[name] = unhex(seal["seal"]).hex()
            if "salt" in seal:
                part = take(event, seal["fields"])
                must(sha256(unhex(seal["salt"]) + canonical(part).encode()).hex() == personal[name])
    must(set(seals) == set(personal))
    return sha256(canonical({"event": event, "personal": personal}).encode())


def cloud_event(event, data):
    organization, tenant = event.get("organizationId"), event["tenantId"]
    attributes = {
        "specversion": "1.0",
        "id": event["eventId"],
        "source": f"/tenants/{tenant}" + (f"/organizations/{organization}" if organization else ""),
        "type": event["type"],
        "time": event["occurTime"],
        "sequence": event["sequence"].rjust(19, "0"),
        "datacontenttype": "application/json",
        "dataschema": "urn:roster:json:audit-record:1",
        "data": data,
    }
    subject = event.get("subject", {}).get("id")
    return attributes | ({"subject": subject} if subject else {})


def unbase64(text):
    data = base64.b64decode(text, validate=True)
    must(base64.b64encode(data).decode() == text)
    return data


def signed_text(note, name, kind_and_key):
    """The text of a note, if this key signed it and no line of its signatures is malformed; otherwise nothing."""
    text, _, signatures = note.rpartition("\n\n")
    if not signatures.endswith("\n"):
        return None
    key_id, signed = sha256(name.encode() + b"\n" + kind_and_key)[:4], False
    for signature in signatures[:-1].split("\n"):
        try:
            dash, signer, encoded = signature.split(" ")
            data = unbase64(encoded)
            must(dash == "\u2014" and len(data) >= 4)
            if (signer, data[:4]) == (name, key_id):
                Ed25519PublicKey.from_public_bytes(kind_and_key[1:]).verify(data[4:], (text + "\n").encode())
                signed = True
        except InvalidSignature:
            pass
        except (Bad, ValueError):
            return None
    return text + "\n" if signed else None


def b64(hexed):
    return base64.b64encode(bytes.fromhex(hexed)).decode()


def check_checkpoint(event, name, key, head, hashes):
    """What was signed of the stream earlier on is what the export has of it."""
    note = event.get("checkpointSigned", {}).get("checkpoint", {}).get("note", "")
    text = signed_text(note, name, key)
    if text is None:
        return
    origin, sequence, _ = text.split("\n", 2)
    must(origin == f"{name}/{head['stream']}")
    if int(sequence) in hashes:
        must(text == f"{origin}\n{sequence}\n{b64(hashes[int(sequence)])}\n")


def header_line(lines):
    return "header " + base64.b64encode(sha256(lines[0])).decode()


def header_was_changed(lines, key):
    """Whether it is the header that is wrong, of these lines and those that follow a bad one: the signed end tells."""
    name, _, encoded = key.split("+", 2)
    for line in lines[1:]:
        try:
            note = json.loads(line)["note"]
        except (ValueError, KeyError, TypeError):
            continue
        try:
            signed = signed_text(note, name, unbase64(encoded)) or ""
        except (AttributeError, TypeError):
            return False
        headers = [line for line in signed.split("\n") if line.startswith("header ")]
        return bool(headers) and headers[0] != header_line(lines)
    return False


def prove(lines, at, key):
    """Proves the lines; at[0] is the number of the one that is looked at."""
    name, _, encoded = key.split("+", 2)
    head, digest = parse(lines[0]), hashlib.sha256(lines[0])
    must(set(head) == {"rosterAuditExport", "tenant", "stream", "streamEpoch", "from", "previousHash"})
    begin, hashed = head["from"], unhex(head["previousHash"])
    must(type(begin) is int and begin >= 1 and head["stream"].startswith(("org_", "tenant_")))
    must(begin > 1 or hashed == sha256(b"roster.v1 chain\n" + head["stream"].encode()))
    sequence, hashes, signer = begin, {begin - 1: hashed.hex()}, unbase64(encoded)
    for at[0] in range(2, len(lines) + 1):
        line = lines[at[0] - 1]
        value = parse(line)
        if "rosterAuditExportEnd" in value:
            break
        data = value["data"]
        event, proof = data["event"], data["proof"]
        must(event["sequence"] == str(sequence) and event["tenantId"] == head["tenant"])
        must(event.get("organizationId", event["tenantId"]) == head["stream"])
        must(set(data) == {"event", "proof"} and set(proof) <= {"previousHash", "hash", "personal"})
        must(unhex(proof["previousHash"]) == hashed and proof.get("personal") != {})
        must(value == cloud_event(event, data))
        hashed = sha256(hashed + leaf(json.loads(json.dumps(event)), proof.get("personal", {})))
        must(proof["hash"] == hashed.hex())
        hashes[sequence] = hashed.hex()
        check_checkpoint(event, name, signer, head, hashes)
        sequence += 1
        digest.update(line)
    else:
        at[0] = len(lines) + 1
        raise Bad
    must(set(value) == {"rosterAuditExportEnd", "events", "through", "hash", "digest", "note"})
    must((value["events"], value["through"], value["hash"]) == (sequence - begin, sequence - 1, hashed.hex()))
    must(value["digest"] == digest.hexdigest())
    text = f"{name}/{head['stream']}\n{sequence - 1}\n{b64(value['hash'])}\n"
    text += f"from {begin} {b64(head['previousHash'])}\n{header_line(lines)}\nexport {b64(value['digest'])}\n"
    must(signed_text(value["note"], name, signer) == text and value["note"].count("\n\u2014 ") == 1)
    at[0] += 1
    must(at[0] > len(lines))


def main():
    key = sys.argv[1]
    source = sys.stdin.buffer
    while length := source.readline():
        *whole, rest = source.read(int(length)).split(b"\n")
        lines, at = [line + b"\n" for line in whole] + ([rest] if rest else []), [1]
        try:
            must(lines)
            prove(lines, at, key)
            print("null", flush=True)
        except (Bad, InvalidSignature, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            blamed = at[0] > 1 and header_was_changed(lines[:1] + lines[at[0] - 1 :], key)
            print(1 if blamed else at[0], flush=True)


if __name__ == "__main__":
    main()
