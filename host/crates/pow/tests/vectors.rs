//! Published vectors and properties of the arithmetic.
#![expect(clippy::unwrap_used, reason = "a test")]

use chimera_pow::{Algorithm, BadBits, CompactBits, Difficulty, PowHash, Target, Work};
use proptest::prelude::*;

fn header(hex_text: &str) -> [u8; 80] {
    hex::decode(hex_text).unwrap().try_into().unwrap()
}

#[test]
fn headers_hash_as_published() {
    for (what, algorithm, input, expected) in [
        (
            "Bitcoin's first block",
            Algorithm::Sha256d,
            "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b2\
             7ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
        ),
        (
            "what cpuminer-multi and cpuminer-opt found (CLIENTS.md, known answers)",
            Algorithm::Blake2s,
            "0000002000000000000000000000000000000000000000000000000000000000000000002d5d1805ffc5f8db\
             d53d540928040f8c4cd320d1d50078923bbfb7fe59819f0f3cb2006bffff001d000a0e9c",
            "00000341bf25506f76d174359e5c25974591bec995d58c4bc3736ce7bce6bc8d",
        ),
    ] {
        assert_eq!(algorithm.hash(&header(input)).to_string(), expected, "{what}");
    }
}

/// The expected values were computed with other implementations (hashlib, pycryptodome).
#[test]
fn a_header_of_zeros_hashes_as_elsewhere() {
    for (algorithm, expected) in [
        (Algorithm::Blake2s, "3a1aaead11aa53112e295367c69ab29f1092f450e2fdba5f2c42688d6ae7fdc4"),
        (Algorithm::Sha256d, "14508459b221041eab257d2baaa7459775ba748246c8403609eb708f0e57e74b"),
        (Algorithm::Keccak256, "935848c1a474764013b924fb992794f3a977b009e2067a7c91feeaf70193703a"),
    ] {
        assert_eq!(algorithm.hash(&[0; 80]).to_string(), expected, "{algorithm}");
    }
}

#[test]
fn names_round_trip() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
    }
    assert!("scrypt".parse::<Algorithm>().unwrap_err().to_string().contains("blake2s, sha256d"));
}

#[test]
fn compact_bits_read_as_bitcoin_core_reads_them() {
    let target = |bits| CompactBits(bits).target();
    for (bits, expected) in [
        (0x1d00_ffff, "00000000ffff0000000000000000000000000000000000000000000000000000"),
        (0x207f_ffff, "7fffff0000000000000000000000000000000000000000000000000000000000"),
        (0x0412_3456, "0000000000000000000000000000000000000000000000000000000012345600"),
        (0x0312_3456, "0000000000000000000000000000000000000000000000000000000000123456"),
        (0x0212_3456, "0000000000000000000000000000000000000000000000000000000000001234"),
    ] {
        assert_eq!(target(bits).unwrap().to_string(), expected, "{bits:08x}");
    }
    let bits = |value| CompactBits(value);
    assert_eq!(target(0x0000_0000), Err(BadBits::Zero(bits(0))));
    assert_eq!(target(0x0100_0001), Err(BadBits::Zero(bits(0x0100_0001))));
    assert_eq!(target(0x0492_3456), Err(BadBits::Negative(bits(0x0492_3456))));
    assert_eq!(target(0xff12_3456), Err(BadBits::Overflow(bits(0xff12_3456))));
}

#[test]
fn difficulty_one_is_pdiff() {
    assert_eq!(Difficulty::ONE.target(), Target::DIFFICULTY_ONE);
    assert_eq!(Target::DIFFICULTY_ONE.difficulty().get().to_bits(), 1f64.to_bits());
    assert_eq!(CompactBits(0x1d00_ffff).target().unwrap(), Target::DIFFICULTY_ONE);
    assert_eq!(Target::DIFFICULTY_ONE.work(), Work::from_hashes(0x1_0001_0001));
}

#[test]
fn difficulty_refuses_what_is_none() {
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Difficulty::new(value).is_err(), "{value}");
    }
}

#[test]
fn work_of_the_extreme_targets() {
    assert_eq!(Target::MAX.work(), Work::from_hashes(1));
    assert_eq!(Target::from_le_bytes([0; 32]).work(), Work::from_hashes(u128::MAX));
    let mut half = [0xff; 32];
    half[0] = 0x7f;
    assert_eq!(Target::from_be_bytes(half).work(), Work::from_hashes(2));
}

#[test]
fn a_hash_is_compared_as_a_little_endian_number() {
    let mut hash = [0; 32];
    hash[28] = 0xff; // top word 0x000000ff: just above difficulty one
    assert!(!Target::DIFFICULTY_ONE.is_met_by(&PowHash(hash)));
    let mut exact = Target::DIFFICULTY_ONE.to_be_bytes();
    exact.reverse();
    assert!(Target::DIFFICULTY_ONE.is_met_by(&PowHash(exact)), "equality meets the target");
    exact[0] = 1;
    assert!(!Target::DIFFICULTY_ONE.is_met_by(&PowHash(exact)), "one above does not");
}

/// cpuminer-opt uses `2^224 / difficulty` with the low 128 bits all ones.
#[test]
fn tolerance_covers_cpuminer_opt_and_little_more() {
    for exponent in [-20_i32, -10, -1, 0, 1, 10, 24] {
        let difficulty = Difficulty::new(2f64.powi(exponent)).unwrap();
        let mut opt = [0xff_u8; 32];
        opt[..16].fill(0);
        let top = 2f64.powi(224 - 128 - exponent) as u128;
        opt[..16].copy_from_slice(&top.to_be_bytes());
        let strict = difficulty.target();
        let tolerant = strict.with_share_tolerance();
        assert!(tolerant >= Target::from_be_bytes(opt), "difficulty {difficulty}");
        let ratio = strict.difficulty().get() / tolerant.difficulty().get();
        assert!(ratio < 1.0 + 1.0 / 65_000.0, "difficulty {difficulty}: {ratio}");
    }
}

proptest! {
    #[test]
    fn difficulty_and_target_are_inverse_to_the_precision_of_a_double(exponent in -30.0_f64..60.0) {
        let difficulty = Difficulty::new(exponent.exp2()).unwrap();
        let back = difficulty.target().difficulty().get();
        prop_assert!((back / difficulty.get() - 1.0).abs() < 1e-12, "{difficulty} came back as {back}");
    }

    #[test]
    fn a_higher_difficulty_is_never_easier(a in -30.0_f64..60.0, step in 0.001_f64..5.0) {
        let low = Difficulty::new(a.exp2()).unwrap();
        let high = Difficulty::new((a + step).exp2()).unwrap();
        prop_assert!(high.target() < low.target());
        prop_assert!(high.target().work() >= low.target().work());
    }

    #[test]
    fn work_is_the_expected_number_of_hashes(exponent in -20.0_f64..40.0) {
        let difficulty = Difficulty::new(exponent.exp2()).unwrap();
        let work = difficulty.target().work().hashes() as f64;
        // 2^256 / (0xffff * 2^208) hashes for difficulty 1.
        let expected = difficulty.get() * 2f64.powi(48) / 65_535.0;
        prop_assert!((work / expected - 1.0).abs() < 1e-3 || (work - expected).abs() <= 1.0);
    }

    #[test]
    fn compact_form_never_makes_a_target_easier(bytes in any::<[u8; 32]>()) {
        let target = Target::from_be_bytes(bytes);
        prop_assume!(target > Target::from_le_bytes([0; 32]));
        let back = target.compact().target().unwrap();
        prop_assert!(back <= target);
        prop_assert_eq!(back.compact(), target.compact());
    }

    #[test]
    fn units_of_components_round_trip(units in 1_u64..1 << 53) {
        prop_assert_eq!(Difficulty::from_units(units).unwrap().to_units(), units);
    }

    #[test]
    fn shares_of_a_difficulty_are_worth_their_work(words in any::<[u64; 4]>(), shift in 0_usize..200) {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_mut(8).zip(words) { chunk.copy_from_slice(&word.to_be_bytes()); }
        let zeros = shift / 8;
        bytes[..zeros].fill(0);
        let target = Target::from_be_bytes(bytes);
        // target + 1 hashes of 2^256 meet it: work * (target + 1) is 2^256 less a remainder.
        let work = target.work().hashes() as f64;
        let product = work.log2() + (target.difficulty().get().recip().log2() + 224.0);
        prop_assert!((product - 256.0).abs() < 0.01 || work < 200.0 || target.work().hashes() == u128::MAX);
    }
}
