//! The node's wallet: addresses by label, and for Verge the keys behind them.

use std::collections::HashMap;
use std::sync::OnceLock;

use bitcoin::base58;
use bitcoin::hashes::{Hash as _, hash160};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use chimera_pow::sha256d;

use super::address::{Payee, address_for};
use super::params::DevParams;
use super::spend::anybody;

/// Version byte of a pay-to-pubkey-hash address of regtest, Verge's as Bitcoin's.
const PUBKEY_ADDRESS: u8 = 111;

/// Keys Verge's wallet has; a label leads to one of them, so that a restarted node, which
/// remembers no label, still has the key.
const KEYS: u16 = 1024;

/// Length of a public key in a script.
const KEY_BYTES: usize = 33;

#[derive(Debug)]
pub(super) struct Wallet {
    seed: [u8; 32],
    /// By the hash their address has. Made when first needed.
    keys: OnceLock<HashMap<[u8; 20], [u8; KEY_BYTES]>>,
}

/// An address the node knows how to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// What pays the address.
    pub(super) script: Vec<u8>,
    /// Version and program of a witness address.
    pub(super) witness: Option<(u8, Vec<u8>)>,
    /// Of an address of this wallet with a key.
    pub(super) pubkey: Option<[u8; KEY_BYTES]>,
}

impl Wallet {
    pub(super) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, keys: OnceLock::new() }
    }

    /// The address for a label: always the same one.
    pub(super) fn address(&self, params: &DevParams, label: &str) -> String {
        if !params.rules.is_verge() {
            return address_for(params.address_prefix(), &self.seed, label);
        }
        let digest = sha256d(&[&self.seed, label.as_bytes()].concat());
        let nth = u16::from_le_bytes([digest[0], digest[1]]) % KEYS;
        let hash = hash160::Hash::hash(&key(&self.seed, nth)).to_byte_array();
        base58::encode_check(&[&[PUBKEY_ADDRESS], &hash[..]].concat())
    }

    /// Reads an address, or says what is wrong with it.
    pub(super) fn look_up(&self, params: &DevParams, address: &str) -> Result<Known, String> {
        if !params.rules.is_verge() {
            let payee = Payee::parse(params.address_prefix(), address)?;
            let script = payee.script();
            let witness = Some((payee.version, payee.program));
            return Ok(Known { script, witness, pubkey: None });
        }
        let bytes = base58::decode_check(address).map_err(|error| error.to_string())?;
        let hash: [u8; 20] = match bytes.split_first() {
            Some((&PUBKEY_ADDRESS, hash)) => {
                hash.try_into().map_err(|_| "an address has 20 bytes".to_owned())?
            }
            _ => return Err(format!("the version byte must be {PUBKEY_ADDRESS}")),
        };
        let script = [&[0x76, 0xa9, 20], &hash[..], &[0x88, 0xac]].concat();
        let pubkey = self.keys().get(&hash).copied();
        Ok(Known { script, witness: None, pubkey })
    }

    /// Whether a public key is the wallet's.
    pub(super) fn has_key(&self, key: &[u8]) -> bool {
        let hash = hash160::Hash::hash(key).to_byte_array();
        self.keys().get(&hash).is_some_and(|own| own == key)
    }

    /// Whom blocks of the simulator pay: anybody where that can be spent, else the wallet.
    pub(super) fn own_script(&self, params: &DevParams) -> Vec<u8> {
        if params.rules.is_bitcoin() {
            return anybody(params.rules.segwit()).into_bytes();
        }
        let address = self.address(params, "simulator");
        let known = self.look_up(params, &address).expect("its own address");
        known.mining_script()
    }

    fn keys(&self) -> &HashMap<[u8; 20], [u8; KEY_BYTES]> {
        self.keys.get_or_init(|| {
            let all = (0..KEYS).map(|nth| key(&self.seed, nth));
            all.map(|key| (hash160::Hash::hash(&key).to_byte_array(), key)).collect()
        })
    }
}

impl Known {
    /// What a coinbase must say to pay it: Verge wants the bare key.
    pub(super) fn mining_script(self) -> Vec<u8> {
        match self.pubkey {
            Some(key) => [&[33], &key[..], &[0xac]].concat(),
            None => self.script,
        }
    }
}

fn key(seed: &[u8; 32], nth: u16) -> [u8; KEY_BYTES] {
    let secret = sha256d(&[&seed[..], b"key", &nth.to_le_bytes()].concat());
    let secret = SecretKey::from_slice(&secret).expect("all but one in 2^127 numbers are keys");
    PublicKey::from_secret_key(&Secp256k1::signing_only(), &secret).serialize()
}
