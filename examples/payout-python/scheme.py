"""The scheme itself: proportional to the work of the round, less a fee. Integers only.

Nothing here knows WebAssembly, so that `python3 -m unittest` tests it as it is.
"""

import json

PPM = 1_000_000

SCHEMA = """{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "payout-python",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "fee_ppm": {
      "description": "the pool's part, in parts per million: 0 to 1000000; 10000 is 1 %",
      "type": "integer", "minimum": 0, "maximum": 1000000, "default": 10000
    }
  }
}"""


class Problem(Exception):
    """What is wrong with a configuration: where (JSON Pointer), what, what would be right."""

    def __init__(self, at, message, hint):
        super().__init__(message)
        self.at, self.message, self.hint = at, message, hint


def checked(text):
    """The configuration with every default filled in. Empty text means all defaults."""
    try:
        config = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise Problem("", str(error), "one JSON object, e.g. {}") from None
    if not isinstance(config, dict):
        raise Problem("", "no JSON object", "one JSON object, e.g. {}")
    for key in config:
        if key != "fee_ppm":
            at = "/" + key.replace("~", "~0").replace("/", "~1")
            raise Problem(at, f"unknown key {key!r}", "known keys: fee_ppm")
    fee = config.get("fee_ppm", 10_000)
    # In Python, True is an integer; in JSON it is not.
    if isinstance(fee, bool) or not isinstance(fee, int) or not 0 <= fee <= PPM:
        raise Problem("/fee_ppm", f"a fee of {fee!r}", "0 to 1000000; 10000 is 1 %")
    return {"fee_ppm": fee}


def canonical(config):
    """The one text of a configuration: sorted keys, no spaces. Settlements record its hash."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"))


def split_exact(total, weights, keys):
    """Parts that sum to `total` exactly: rounded down, then one unit each to the largest
    remainders, ties to the smaller key. All zero if nobody has weight."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda row: (-(total * weights[row] % whole), keys[row]))
    for row in order[: total - sum(parts)]:
        parts[row] += 1
    return parts


def settle(fee_ppm, pot, keys, work, fees_ppm):
    """Amounts per row, and what is the pool's. Together they are the pot, to the last unit."""
    amounts = split_exact(pot, work, keys)
    for row, extra in enumerate(fees_ppm):
        # What the operator adds for this account; a bonus at most waives the fee.
        fee = min(max(fee_ppm + extra, 0), PPM)
        amounts[row] -= amounts[row] * fee // PPM
    return amounts, pot - sum(amounts)
