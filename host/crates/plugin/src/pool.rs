//! The pool auth instances live in: a fresh one for every attempt, so making one must be
//! cheap, and memory is bounded by the number of places whatever the number of attempts.

use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::class::Class;
use crate::host_state::TABLE_ELEMENTS_MAX;

/// Instances at the same time. Attempts take microseconds, unless they wait for an endpoint.
pub(crate) const PLACES: usize = 64;
/// Instances that end while others begin.
const SLACK: u32 = 8;

/// Per component: composed ones have several of each.
const MEMORIES: u32 = 4;
const TABLES: u32 = 8;
const CORE_INSTANCES: u32 = 32;
/// Kept from one instance to the next, to be cleared instead of given back to the system:
/// without it an instance costs twice as much. Only what was written is cleared, where the
/// system can tell (Linux 6.7).
const KEPT_BYTES: usize = 256 << 10;

/// Every total is the number of instances times what one may have, so that whoever has a
/// place has all it needs.
pub(crate) fn strategy(class: Class) -> InstanceAllocationStrategy {
    let instances = PLACES as u32 + SLACK;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * CORE_INSTANCES)
        .total_memories(instances * MEMORIES)
        .total_tables(instances * TABLES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .max_memories_per_module(1)
        .max_memory_size(class.room(0).memory_bytes)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(KEPT_BYTES)
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}
