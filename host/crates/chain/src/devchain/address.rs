//! Addresses: bech32 (BIP 173, BIP 350) with the network's name as prefix, so that a typing
//! error or an address of another network is noticed (T8).
//!
//! They are real scripts without keys: the chain has no transactions, so nothing that is
//! paid here can be spent.

use bech32::{Fe32, Hrp, segwit};
use chimera_pow::sha256d;

/// Length of the program of the addresses given out: a key hash, as in P2WPKH.
const PROGRAM_BYTES: usize = 20;

/// The address for a label: always the same one. A fresh one would hide nothing.
pub(super) fn address_for(network: &str, seed: &[u8; 32], label: &str) -> String {
    let digest = sha256d(&[seed, label.as_bytes()].concat());
    let hrp = Hrp::parse(network).expect("a network's name is lower-case letters and digits");
    segwit::encode_v0(hrp, &digest[..PROGRAM_BYTES]).expect("20 bytes are a program of version 0")
}

/// What an address stands for.
pub(super) struct Payee {
    pub(super) version: u8,
    pub(super) program: Vec<u8>,
}

impl Payee {
    /// Reads an address, or says what is wrong with it.
    pub(super) fn parse(network: &str, address: &str) -> Result<Self, String> {
        let (hrp, version, program): (Hrp, Fe32, Vec<u8>) =
            segwit::decode(address).map_err(|error| error.to_string())?;
        if hrp.to_lowercase() != network {
            return Err(format!("the address is of network \"{hrp}\", this is \"{network}\""));
        }
        Ok(Self { version: version.to_u8(), program })
    }

    /// The script that pays it (BIP 141): version and program.
    pub(super) fn script(&self) -> Vec<u8> {
        let version = if self.version == 0 { 0 } else { 0x50 + self.version };
        let mut script = vec![version];
        script.push(u8::try_from(self.program.len()).expect("a program has 2 to 40 bytes"));
        script.extend_from_slice(&self.program);
        script
    }
}

/// The address a script pays, if it is of the form addresses here have.
pub(super) fn address_of(network: &str, script: &[u8]) -> Option<String> {
    let (version, program) = match script {
        [0, length, program @ ..] if usize::from(*length) == program.len() => (0, program),
        [version @ 0x51..=0x60, length, program @ ..] if usize::from(*length) == program.len() => {
            (version - 0x50, program)
        }
        _ => return None,
    };
    segwit::encode(Hrp::parse(network).ok()?, Fe32::try_from(version).ok()?, program).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_its_script_and_back() {
        let address = address_for("dev", &[7; 32], "pool");
        let script = Payee::parse("dev", &address).expect("its own address").script();
        assert_eq!(script.len(), 22);
        assert_eq!(address_of("dev", &script), Some(address.clone()));
        assert_eq!(address, address_for("dev", &[7; 32], "pool"));
        assert_ne!(address, address_for("dev", &[7; 32], "other"));
        assert_ne!(address, address_for("dev", &[8; 32], "pool"));
    }

    /// The example of BIP 173.
    #[test]
    fn t08_a_bitcoin_address_is_no_address_here() {
        let bitcoin = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
        let script = Payee::parse("bc", bitcoin).expect("valid on its network").script();
        assert_eq!(hex::encode(script), "0014751e76e8199196d454941c45d1b3a323f1433bd6");
        let error = Payee::parse("dev", bitcoin).err().expect("another network");
        assert!(error.contains("\"bc\"") && error.contains("\"dev\""), "{error}");
        for typo in [
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "",
            "dev1",
            "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
        ] {
            assert!(Payee::parse("dev", typo).is_err(), "{typo}");
        }
    }
}
