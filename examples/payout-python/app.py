"""The component: what the host calls, translated for scheme.py.

`wit_world` is generated from wit/ by `chimera plugin build`.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.payout import (
    Allocation_Amounts,
    Event_Block,
    Outcome,
    Plan,
    SchemeKind,
    WindowSize_SinceLastBlock,
)
from wit_world.exports.plugin import Info
from wit_world.imports.types import (
    Diagnostic,
    PluginError_InvalidInput,
    PluginError_Unsupported,
    Severity,
)

import scheme

# Set by configure, once, before anything is settled.
config = scheme.checked("")


class Plugin(exports.Plugin):
    def describe(self):
        description = "Pays the work of the round in proportion, less a fee; in Python"
        return Info("payout-python", "0.1.0", description, scheme.SCHEMA, 1, 1)

    def validate(self, text):
        try:
            return scheme.canonical(scheme.checked(text))
        except scheme.Problem as found:
            raise Err([Diagnostic(Severity.ERROR, found.at, found.message, found.hint)])

    def configure(self, text):
        global config
        try:
            config = scheme.checked(text)
        except scheme.Problem as found:
            raise Err(PluginError_InvalidInput(str(found)))

    def migrate(self, since, state):
        if since != 1:
            raise Err(PluginError_Unsupported(f"state of version {since}; this build reads 1"))
        return state


class Payout(exports.Payout):
    def make_plan(self):
        return Plan(SchemeKind.DISTRIBUTE, WindowSize_SinceLastBlock(), buckets=1, max_carry=0)

    def settle(self, request):
        if not isinstance(request.event, Event_Block):
            raise Err(PluginError_Unsupported("this scheme distributes blocks"))
        rows = request.accounts
        pot = request.event.value.reward + request.carry
        amounts, fee = scheme.settle(config["fee_ppm"], pot, rows.key, rows.work, rows.fee_ppm)
        return Outcome(Allocation_Amounts(amounts), pool_fee=fee, carry=0, state=b"", notes=[])
