//! What a pool leaves to the process that takes over.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use chimera_work::JobSequence;

use super::tasks::Drained;
use crate::gate::Gate;
use crate::settler::Settler;
use crate::upgrade::{Estate, JobList, Told, Will};

/// What another process needs to go on; the listeners are not in it yet.
pub(super) fn write_will(
    gate: &Gate,
    settler: &Settler,
    drained: Drained,
    configured: Vec<(String, SocketAddr)>,
) -> Estate {
    let mut jobs = JobList::default();
    let mut connections = Vec::with_capacity(drained.frozen.len());
    let mut sockets = Vec::with_capacity(drained.frozen.len());
    for frozen in drained.frozen {
        let peer = frozen.peer;
        match frozen.state(&mut jobs) {
            Some((state, socket)) => {
                connections.push(state);
                sockets.push(socket);
            }
            // Its socket is closed here: it connects again.
            None => tracing::warn!(%peer, "a connection with an open question is not handed over"),
        }
    }
    let parked = {
        let seats = gate.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.parked(Instant::now(), &mut jobs)
    };
    let newest = gate.work.borrow().job().map(|line| Arc::clone(line.job()));
    // Without it (the feed hung) numbers begin anew, which a new run makes harmless.
    let sequence = drained.sequence.unwrap_or_else(|| JobSequence::new(0).state());
    let chain = settler.chain.templates();
    let extranonce2_bytes = {
        let seats = gate.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.layout().extranonce2_bytes()
    };
    let told = Told { extranonce2_bytes, sequence, newest: newest.as_ref() };
    let will = Will::new(told, chain, parked, connections, configured, jobs);
    Estate { will, listeners: Vec::new(), sockets }
}
