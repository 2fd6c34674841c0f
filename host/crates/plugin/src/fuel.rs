//! What an instruction costs, fixed: the same settlement must fit, or not, whichever version
//! of the runtime meters it.

use wasmtime::OperatorCost;

/// One unit for every instruction that computes, one per byte or element moved in bulk.
pub(crate) fn costs() -> OperatorCost {
    OperatorCost::new()
}

#[cfg(test)]
mod tests {
    use crate::Digest;

    /// The table is the runtime's, as it was when 0.1 was frozen. Should an upgrade change
    /// it, set what differs back in `costs`; then only new instructions, which no component
    /// may use, are a reason to write the new digest here.
    #[test]
    fn the_table_of_costs_is_the_one_that_was_frozen() {
        let table = format!("{:?}", super::costs());
        let frozen = "0437c9cdf231ba1a94783b7c5ae18b04fa48625624568324554aa485825fab7f";
        assert_eq!(Digest::of(table.as_bytes()).to_string(), frozen);
    }
}
