//! Jobs of real pools give the headers and hashes real miners made of them.

use serde_json::json;

use super::*;
use crate::miner::grind::scan;

const COINB1: &str = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff0e0401020304";
const COINB2: &str = "ffffffff0100f2052a01000000015100000000";

pub(in crate::miner) fn subscription(extranonce1: &str, size: u8) -> Subscription {
    Subscription::from_values(&json!(extranonce1), &json!(size)).expect("usable sizes")
}

pub(in crate::miner) fn difficulty(value: f64) -> Difficulty {
    Difficulty::new(value).expect("a positive number")
}

fn notify_params() -> Vec<Value> {
    let zeros = "0".repeat(64);
    let params = json!(["1", zeros, COINB1, COINB2, [], "20000000", "1d00ffff", "6b00b23c", true]);
    params.as_array().expect("a list").clone()
}

/// The job both cpuminers were given when they sent the known nonces.
pub(in crate::miner) fn known_job(extranonce1: &str, at: f64) -> MinerJob {
    let subscription = subscription(extranonce1, 4);
    MinerJob::from_notify(&notify_params(), &subscription, difficulty(at), Algorithm::Blake2s)
        .expect("a well-formed notify")
}

#[test]
fn known_nonces_of_real_miners_hash_as_they_did() {
    for (extranonce1, nonce, hash, proved) in [
        (
            "0a0b0c0d",
            0x9c0e_0a00_u32,
            "00000341bf25506f76d174359e5c25974591bec995d58c4bc3736ce7bce6bc8d",
            0.001_199_386_798_706_249,
        ),
        (
            "0a0b0c0d",
            0x8196_1900,
            "0000061415d4a8118bae4ad5563eef72cbe8fcbec411b110ba7acb8295b067fe",
            0.000_642_628_496_361_98,
        ),
        (
            "ab00000a",
            0xd76e_a108,
            "00000000a4b020ee6a6fc8ccc446d22957c98ea720d47fdd0395a8aa01af8fc1",
            1.554_430_741_016_08,
        ),
    ] {
        let job = known_job(extranonce1, proved * 0.999);
        let only = u64::from(nonce)..u64::from(nonce) + 1;
        let found = scan(&job, 0, only.clone()).expect("the nonce is a share");
        assert_eq!(found.hash.to_string(), hash);
        assert_eq!(found.nonce, nonce);
        assert_eq!(scan(&known_job(extranonce1, proved * 1.001), 0, only), None);
    }
}

#[test]
fn header_has_the_bytes_the_miners_hashed() {
    let mut header = known_job("0a0b0c0d", 1.0).header(0);
    header[76..].copy_from_slice(&0x9c0e_0a00_u32.to_le_bytes());
    assert_eq!(
        hex::encode(header),
        "0000002000000000000000000000000000000000000000000000000000000000000000002d5d1805ffc5f8\
         dbd53d540928040f8c4cd320d1d50078923bbfb7fe59819f0f3cb2006bffff001d000a0e9c"
    );
}

#[test]
fn submit_carries_the_fields_big_endian_and_extranonce2_lowest_byte_first() {
    let job = known_job("0a0b0c0d", 1.0);
    let found = Found { extranonce2: 0x0102, nonce: 0x00ab_cdef, hash: PowHash([0; 32]) };
    let expected = json!(["alice.rig1", "1", "02010000", "6b00b23c", "00abcdef"]);
    assert_eq!(job.submit_params("alice.rig1", &found), expected);
}

#[test]
fn extranonce2_fills_every_size_from_1_to_16() {
    for size in 1..=16_u8 {
        let subscription = subscription("0a0b0c0d", size);
        let params = notify_params();
        let job =
            MinerJob::from_notify(&params, &subscription, Difficulty::ONE, Algorithm::Sha256d)
                .expect("a well-formed notify");
        assert_eq!(job.extranonce2_max(), u128::MAX >> (128 - 8 * u32::from(size)));
        let found = Found { extranonce2: job.extranonce2_max(), nonce: 0, hash: PowHash([0; 32]) };
        assert_eq!(job.submit_params("a", &found)[2], "ff".repeat(usize::from(size)));
    }
    for unusable in [json!(0), json!(17), json!("4"), json!(null), json!(-1), json!(2.5)] {
        assert!(Subscription::from_values(&json!("00"), &unusable).is_err(), "{unusable}");
    }
}

#[test]
fn the_same_puzzle_under_another_id_or_difficulty_is_the_same_work() {
    let job = known_job("0a0b0c0d", 0.002);
    assert!(job.same_work(&known_job("0a0b0c0d", 0.004)));
    assert!(!job.same_work(&known_job("0a0b0c0e", 0.002)));
}

#[test]
fn a_malformed_notify_names_the_field() {
    for (index, value, named) in [
        (0, json!(7), "job id"),
        (1, json!("00ff"), "prevhash has 2 bytes, expected 32"),
        (2, json!("zz"), "coinb1"),
        (3, json!(null), "coinb2"),
        (4, json!("x"), "merkle branch"),
        (4, json!(["ff"]), "merkle branch has 1 bytes"),
        (5, json!("123456789"), "version"),
        (6, json!("+1d00fff"), "nbits"),
        (7, json!(12), "ntime"),
        (8, json!("true"), "clean_jobs"),
    ] {
        let mut params = notify_params();
        params[index] = value;
        let subscription = subscription("00", 4);
        let error =
            MinerJob::from_notify(&params, &subscription, Difficulty::ONE, Algorithm::Blake2s)
                .expect_err(named)
                .to_string();
        assert!(error.contains(named), "{error}");
    }
    assert!(
        MinerJob::from_notify(&[], &subscription("00", 4), Difficulty::ONE, Algorithm::Blake2s)
            .is_err()
    );
}
