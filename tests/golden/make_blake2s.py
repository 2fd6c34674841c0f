#!/usr/bin/env python3
"""Computes blake2s-segwit.json: template, job, answer and block of a generic Blake2s coin.

Independent of the pool's code: the standard library only, from the BIPs (22, 34, 141, 144) and
the rules of Stratum. No such node was recorded, so this is what one would have to accept: the
transactions are those of a recorded template of Bitcoin Core's, with a coinbase, a commitment
and a proof of work of this script's.

    tests/golden/make_blake2s.py > tests/golden/blake2s-segwit.json
"""
import hashlib
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
RECORDED = "bitcoin-regtest-7-segwit.json"
HEIGHT = 70_000  # three bytes in the coinbase
VERSION = 0x20000000
BITS = 0x1F7FFFFF  # some five hundred hashes
SUBSIDY = 5_000_000_000
TIME = 1_800_000_000
TAG = b"/golden/"
PAYOUT = bytes.fromhex("0014") + bytes(range(20))
EXTRANONCE1 = bytes.fromhex("0a0b0c0d")
EXTRANONCE2 = bytes.fromhex("0001020304050607")


def sha256d(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def blake2s(data):
    return hashlib.blake2s(data).digest()


def compact_size(number):
    assert number < 0xFD
    return bytes([number])


def push(data):
    return compact_size(len(data)) + data


def display(digest):
    return digest[::-1].hex()


def merkle_root(leaves):
    while len(leaves) > 1:
        if len(leaves) % 2:
            leaves = leaves + leaves[-1:]
        leaves = [sha256d(a + b) for a, b in zip(leaves[::2], leaves[1::2])]
    return leaves[0]


def merkle_branch(others):
    """Steps from the first leaf, which is not known yet, to the root."""
    branch, level = [], [None] + others
    while len(level) > 1:
        if len(level) % 2:
            level = level + level[-1:]
        branch.append(level[1])
        pairs = list(zip(level[::2], level[1::2]))
        level = [None] + [sha256d(a + b) for a, b in pairs[1:]]
    return branch


def target_of(bits):
    return (bits & 0xFFFFFF) << (8 * ((bits >> 24) - 3))


def coinbase_halves(value, commitment):
    height = HEIGHT.to_bytes((HEIGHT.bit_length() + 8) // 8, "little")
    before = push(height) + push(TAG)
    nonces = len(EXTRANONCE1) + len(EXTRANONCE2)
    script_bytes = len(before) + 1 + nonces
    head = struct.pack("<I", 2) + b"\x01" + bytes(32) + b"\xff" * 4
    head += compact_size(script_bytes) + before + bytes([nonces])
    outputs = [(value, PAYOUT), (0, commitment)]
    tail = b"\xff" * 4 + compact_size(len(outputs))
    for amount, script in outputs:
        tail += struct.pack("<Q", amount) + push(script)
    return head, tail + bytes(4)


def with_witness(coinbase):
    """BIP 144: marker, flag, and behind the outputs the reserved value of BIP 141."""
    witness = b"\x01" + push(bytes(32))
    return coinbase[:4] + b"\x00\x01" + coinbase[4:-4] + witness + coinbase[-4:]


def header_with_work(previous, root):
    target = target_of(BITS)
    for nonce in range(2**32):
        header = struct.pack("<I", VERSION) + previous + root
        header += struct.pack("<III", TIME, BITS, nonce)
        if int.from_bytes(blake2s(header), "little") <= target:
            return header, nonce
    raise SystemExit("no nonce is enough")


def word_swapped(digest):
    """Stratum's previous hash: header order with the bytes of each word turned around."""
    return b"".join(digest[at : at + 4][::-1] for at in range(0, 32, 4)).hex()


def main():
    recorded = json.loads((HERE / RECORDED).read_text())["template"]
    transactions = recorded["transactions"]
    txids = [bytes.fromhex(tx["txid"])[::-1] for tx in transactions]
    wtxids = [bytes.fromhex(tx["hash"])[::-1] for tx in transactions]
    data = [bytes.fromhex(tx["data"]) for tx in transactions]
    assert [sha256d(tx) for tx in data] == wtxids
    value = SUBSIDY + sum(tx["fee"] for tx in transactions)
    witness_root = merkle_root([bytes(32)] + wtxids)
    commitment = bytes.fromhex("6a24aa21a9ed") + sha256d(witness_root + bytes(32))
    assert commitment.hex() == recorded["default_witness_commitment"]
    previous = blake2s(b"the block before")
    template = {
        **recorded,
        "version": VERSION,
        "previousblockhash": display(previous),
        "coinbasevalue": value,
        "longpollid": display(previous) + "1",
        "target": f"{target_of(BITS):064x}",
        "mintime": TIME - 600,
        "curtime": TIME,
        "bits": f"{BITS:08x}",
        "height": HEIGHT,
    }
    head, tail = coinbase_halves(value, commitment)
    coinbase = head + EXTRANONCE1 + EXTRANONCE2 + tail
    root = merkle_root([sha256d(coinbase)] + txids)
    header, nonce = header_with_work(previous, root)
    block = header + compact_size(1 + len(data)) + with_witness(coinbase) + b"".join(data)
    golden = {
        "note": "A generic Blake2s coin with segwit: computed by make_blake2s.py, not recorded; "
        f"the transactions are those of {RECORDED}.",
        "template": template,
        "notify": {
            "prevhash": word_swapped(previous),
            "coinb1": head.hex(),
            "coinb2": tail.hex(),
            "merkle_branch": [step.hex() for step in merkle_branch(txids)],
            "version": f"{VERSION:08x}",
            "nbits": f"{BITS:08x}",
            "ntime": f"{TIME:08x}",
        },
        "submit": {
            "extranonce1": EXTRANONCE1.hex(),
            "extranonce2": EXTRANONCE2.hex(),
            "ntime": f"{TIME:08x}",
            "nonce": f"{nonce:08x}",
        },
        "coinbase_txid": display(sha256d(coinbase)),
        "header": header.hex(),
        "pow_hash": display(blake2s(header)),
        "block": block.hex(),
        "submitblock_answer": None,
        "getblock": {
            "hash": display(sha256d(header)),
            "height": HEIGHT,
            "merkleroot": display(root),
            "nTx": 1 + len(data),
            "previousblockhash": display(previous),
            "versionHex": f"{VERSION:08x}",
            "tx": [display(sha256d(coinbase))] + [tx["txid"] for tx in transactions],
        },
    }
    print(json.dumps(golden, indent=1))


main()
