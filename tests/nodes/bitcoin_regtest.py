#!/usr/bin/env python3
"""Plays the pool against a real Bitcoin Core node in regtest, and says what went wrong.

    tests/nodes/bitcoin_regtest.py --bitcoind PATH [--chimera PATH]

The node needs neither wallet nor network. It is started and stopped here, in a directory of
its own. What must hold: `chimera chain check` finds nothing wrong; blocks of the pool's, with
segwit transactions in them, are accepted; a block that is invalidated is shown as orphaned,
and comes back; the node may go away and come back; only blocks that survive are paid.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

# A key everybody knows: of Bitcoin Core's own tests.
KEY = "cTpB4YiyKiBcPxnefsDpbnDxFDffjqJob8wGCEDXxgQ7zQoMXJdH"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Node:
    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        self.port, self.process = free_port(), None
        self.url = f"http://127.0.0.1:{self.port}"
        self.login = base64.b64encode(b"pool:secret").decode()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "-regtest", f"-datadir={self.directory}", f"-rpcport={self.port}",
             "-rpcuser=pool", "-rpcpassword=secret", "-listen=0", "-printtoconsole=0"])
        eventually("the node answers", lambda: self.call("getblockcount") is not None, 60)

    def stop(self):
        if self.process:
            self.call("stop")
            self.process.wait(60)
            self.process = None

    def call(self, method, *params):
        body = json.dumps({"id": 1, "method": method, "params": params}).encode()
        head = {"Authorization": f"Basic {self.login}", "Content-Type": "application/json"}
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url, body, head)) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method}: {json.load(error)['error']}") from error


def eventually(what, holds, seconds=60):
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            if holds():
                return print(f"  {what}", flush=True)
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            last = error
        time.sleep(0.1)
    raise SystemExit(f"not within {seconds} s: {what} ({last})")


def spend(node, address, script, coinbase_height):
    """A segwit payment out of a mature coinbase, waiting to be mined."""
    block = node.call("getblock", node.call("getblockhash", coinbase_height), 2)
    coinbase = block["tx"][0]
    output = next(it for it in coinbase["vout"] if it["scriptPubKey"]["hex"] == script)
    value = output["value"]
    inputs = [{"txid": coinbase["txid"], "vout": output["n"]}]
    raw = node.call("createrawtransaction", inputs, [{address: round(value - 0.0001, 8)}])
    previous = [{**inputs[0], "scriptPubKey": script, "amount": value}]
    signed = node.call("signrawtransactionwithkey", raw, [KEY], previous)
    return node.call("sendrawtransaction", signed["hex"])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bitcoind", required=True)
    arguments.add_argument("--chimera", default="target/debug/chimera")
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        play(arguments, pathlib.Path(directory))
    print("all of it holds")


def play(arguments, directory):
    (directory / "node").mkdir()
    node = Node(arguments.bitcoind, directory / "node")
    node.start()
    descriptor = f"wpkh({KEY})"
    public = node.call("getdescriptorinfo", descriptor)["descriptor"]
    address = node.call("deriveaddresses", public)[0]
    script = node.call("validateaddress", address)["scriptPubKey"]
    node.call("generatetoaddress", 110, address)

    config, api, stratum = directory / "pool.toml", free_port(), free_port()
    config.write_text(f"""
[pool]
data_dir = "{directory / 'pool'}"
[stratum]
listen = "127.0.0.1:{stratum}"
[api]
listen = "127.0.0.1:{api}"
[chain]
kind = "node"
profile = "bitcoin-regtest"
payout_address = "{address}"
nodes = [{{ url = "{node.url}", user = "pool", password = "secret" }}]
poll_ms = 200
""")
    checked = subprocess.run([arguments.chimera, "chain", "check", "--config", config],
                             capture_output=True, text=True)
    print(checked.stdout)
    if checked.returncode:
        raise SystemExit("chain check found something wrong")

    pool = subprocess.Popen([arguments.chimera, "run", "--config", config],
                            stderr=(directory / "pool.log").open("w"), stdout=subprocess.DEVNULL)
    try:
        mine_and_pay(node, address, script, api, stratum)
    except BaseException:
        print((directory / "pool.log").read_text()[-4000:], file=sys.stderr)
        raise
    finally:
        pool.terminate()
        pool.wait(30)
        node.stop()


def sha256d(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def words_reversed(text):
    data = bytes.fromhex(text)
    return b"".join(data[at:at + 4][::-1] for at in range(0, len(data), 4))


def mine(stratum):
    """One share of one miner. On regtest every second hash is a block."""
    with socket.create_connection(("127.0.0.1", stratum), 30) as link:
        lines = link.makefile("rw", newline="\n")

        def say(number, method, *params):
            line = {"id": number, "method": method, "params": params}
            lines.write(json.dumps(line) + "\n")
            lines.flush()

        say(1, "mining.subscribe", "regtest/1")
        say(2, "mining.authorize", "alice.rig", "x")
        first, size, job = None, 0, None
        while first is None or job is None:
            heard = json.loads(lines.readline())
            if heard.get("id") == 1:
                _, first, size = heard["result"]
            if heard.get("method") == "mining.notify":
                job = heard["params"]
        name, previous, coinb1, coinb2, branch, version, bits, time_, _ = job
        second = "00" * size
        root = sha256d(bytes.fromhex(coinb1 + first + second + coinb2))
        for sibling in branch:
            root = sha256d(root + bytes.fromhex(sibling))
        little = lambda text: bytes.fromhex(text)[::-1]  # noqa: E731
        head = little(version) + words_reversed(previous) + root + little(time_) + little(bits)
        nonce = 0
        while sha256d(head + nonce.to_bytes(4, "little"))[31] > 0x7f:
            nonce += 1
        say(4, "mining.submit", "alice.rig", name, second, time_, f"{nonce:08x}")
        while True:
            heard = json.loads(lines.readline())
            if heard.get("id") == 4:
                if heard["result"] is not True:
                    raise SystemExit(f"a share was refused: {heard}")
                return


def mine_and_pay(node, address, script, api, stratum):
    def ask(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{api}/api/v1/{path}") as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            # "unhealthy" is answered with 503.
            return json.load(error)

    def blocks(*states):
        return [it for it in ask("blocks?limit=100")["items"] if it["state"] in states]


    eventually("the pool runs", lambda: ask("status")["state"] == "running")
    paid = [spend(node, address, script, height) for height in (1, 2, 3)]
    eventually("three segwit payments wait", lambda: len(node.call("getrawmempool")) == 3)
    # The pool's template is renewed with the next block.
    node.call("generateblock", address, [])
    time.sleep(0.5)
    mine(stratum)
    eventually("a block is found and accepted", lambda: blocks("pending"))
    found = node.call("getblock", blocks("pending")[0]["id"], 1)
    assert set(paid) <= set(found["tx"]), "the payments are in the pool's block"
    assert found["confirmations"] >= 1
    raw = node.call("getblock", found["hash"], 2)
    assert all("txinwitness" in tx["vin"][0] for tx in raw["tx"]), "with witnesses, also its own"
    print("  with the payments and their witnesses")

    lost = blocks("pending")[0]["id"]
    node.call("invalidateblock", lost)
    node.call("generateblock", address, [])
    eventually("an invalidated block is orphaned",
               lambda: lost in [it["id"] for it in blocks("orphaned")])
    mine(stratum)
    eventually("another is found", lambda: blocks("pending"))

    node.stop()
    eventually("the pool says that the node is away", lambda: ask("health")["status"] != "healthy")
    node.start()
    began = time.monotonic()
    eventually("and that it is back", lambda: ask("health")["status"] == "healthy", 30)
    print(f"  after {time.monotonic() - began:.1f} s")
    mine(stratum)
    eventually("and mines on", lambda: len(blocks("pending")) >= 2)

    surviving = {it["id"] for it in blocks("pending")}
    # One that was orphaned comes back with the branch it is on.
    back = blocks("pending")[0]["id"]
    node.call("invalidateblock", back)
    node.call("generateblock", address, [])
    eventually("a second one is orphaned", lambda: back in [it["id"] for it in blocks("orphaned")])
    best = node.call("getbestblockhash")
    node.call("reconsiderblock", back)
    node.call("invalidateblock", best)
    eventually("and is back on the chain", lambda: back in [it["id"] for it in blocks("pending")])

    node.call("generatetoaddress", 101, address)
    eventually("the blocks ripen and are paid",
               lambda: surviving == {it["id"] for it in blocks("settled")}, 90)
    assert lost in [it["id"] for it in blocks("orphaned")], "the lost one is not"
    rewards = sum(int(it["reward"]["units"]) for it in blocks("settled"))
    miner = ask("miners/alice")
    print(f"  rewards {rewards}, alice: {json.dumps(miner.get('balance', miner))[:200]}")


if __name__ == "__main__":
    main()
