//! What must hold for every input: each module takes any bytes and panics when it does not.
//! libFuzzer looks for such bytes (`run.sh`); every test run tries the ones in `corpus`.

mod choices;
pub mod judge;
pub mod line;
pub mod proxy_header;
pub mod request;
pub mod session;
