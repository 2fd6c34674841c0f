//! Records: whatever is changed in one is found, and named; and nobody proves work that is
//! not in the tree.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use chimera_ledger::{
    AccountName, Accounts, Allocation, Body, Contribution, Decided, Decider, Decision,
    Distribution, Event, Hash256, Limits, Plan, Premises, Proposal, Record, Request, Salt,
    SaltedKey, SchemeKind, Slices, WindowSize, WorkTree,
};
use proptest::prelude::*;

fn decider(kind: SchemeKind) -> Decider {
    Decider {
        name: "payout-test".to_owned(),
        version: "1.0.0".to_owned(),
        digest: Hash256::from_bytes([3; 32]),
        wit: "chimera:pool@0.1.0".to_owned(),
        config: "{}".to_owned(),
        config_hash: Hash256::of_config("{}"),
        grants: vec!["interpreted".to_owned()],
        generation: 4,
        plan: Plan { kind, window: WindowSize::SinceLastBlock, buckets: 1, carry_max: 5 },
    }
}

/// A block of 1000, its fees 100 of it, among accounts with this work; 10 for the pool.
fn record(kind: SchemeKind, work: &[u64]) -> Record {
    let rows = work.iter().enumerate().map(|(row, &work)| {
        let account = AccountName::new(format!("miner {row}")).unwrap();
        let salted = SaltedKey::of(&account, &Salt::from_bytes([row as u8; 16]));
        Contribution { account, salted, work, fee_ppm: 0 }
    });
    let (accounts, names) = Accounts::of(rows.collect());
    let outcome = Proposal {
        allocation: Allocation::Weights(accounts.work.clone()),
        pool_fee: 10,
        carry: 2,
        state: vec![1],
        notes: vec!["a note".to_owned()],
    };
    let event = Event::Block {
        height: 9,
        reward: 1_000,
        tx_fees: 100,
        window_work: 0,
        found_at_ms: 8,
        finder: None,
    };
    let slices = Slices::default();
    let request = Request { event, accounts, slices, carry: 1, state: vec![9, 9] };
    let decider = decider(kind);
    let limits = Limits::default();
    let checked =
        Distribution::check("test", &request, &decider.plan, outcome.clone(), &limits).unwrap();
    let premises = Premises::of(&names.salted, &request).unwrap();
    let header = Decision {
        key: "block:ab",
        decider: &decider,
        decided: Decided::Scheme(&checked),
        limits,
        shares: (3, 77),
        accounts: &names.salted,
        request: &request,
        outcome: &outcome,
        premises,
        decided_at_ms: 12,
    }
    .header()
    .unwrap()
    .chained(5, Hash256::from_bytes([6; 32]));
    let amounts = checked.into_amounts();
    let body = Body { accounts: names.salted, request, outcome, amounts };
    Record::new(header, Some(body))
}

/// What the record's differences begin with.
fn first(record: &Record) -> String {
    record.differences().first().map_or("equal".to_owned(), |difference| difference.to_string())
}

#[test]
fn an_honest_record_agrees_with_itself_and_with_its_component() {
    let record = record(SchemeKind::Distribute, &[5, 0, 7, 900]);
    assert_eq!(record.differences(), []);
    let answer = record.body.as_ref().unwrap().outcome.clone();
    assert_eq!(record.against(&answer), Some(Vec::new()));
    assert_eq!((record.header.credited, record.header.pool_fee), (989, 10));
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    // The sums alone are a record too.
    let sums = Record { body: None, ..record };
    assert_eq!(sums.differences(), []);
    assert!(serde_json::to_string(&sums).unwrap().len() < 3_000);
    assert_eq!(sums.against(&answer), None);
}

/// Whatever is forged, the place is named.
#[test]
fn every_forgery_is_named() {
    type Forge = fn(&mut Record);
    let forgeries: [(&str, Forge); 14] = [
        ("amount of row 1, account", |record| {
            let amounts = &mut record.body.as_mut().unwrap().amounts;
            (amounts[1], amounts[2]) = (amounts[1] + 1, amounts[2] - 1);
        }),
        ("rows of work", |record| {
            let body = record.body.as_mut().unwrap();
            body.request.accounts.work.pop();
        }),
        ("rows: the record says 4, recomputed 3", |record| {
            let body = record.body.as_mut().unwrap();
            body.accounts.remove(2);
        }),
        ("key of row 0", |record| record.body.as_mut().unwrap().request.accounts.key[0] += 1),
        ("total work", |record| record.body.as_mut().unwrap().request.accounts.work[3] += 1),
        ("root over the work", |record| {
            let work = &mut record.body.as_mut().unwrap().request.accounts.work;
            (work[0], work[3]) = (work[0] + 1, work[3] - 1);
        }),
        ("digest of the request", |record| {
            let Event::Block { height, .. } = &mut record.body.as_mut().unwrap().request.event
            else {
                unreachable!()
            };
            *height += 1;
        }),
        ("state before", |record| record.body.as_mut().unwrap().request.state.push(1)),
        ("digest of the outcome", |record| {
            record.body.as_mut().unwrap().outcome.notes[0].push('!');
        }),
        ("hash of the configuration", |record| record.header.decider.config.push(' ')),
        ("hash of the header", |record| record.header.previous = Hash256::ZERO),
        ("pool fee", |record| record.header.pool_fee += 1),
        ("hash of the transfers", |record| record.header.transfers = Hash256::ZERO),
        // Two accounts that have the same change places: all sums are as before.
        ("key of row 0", |record| record.body.as_mut().unwrap().accounts.swap(0, 1)),
    ];
    for (place, forge) in forgeries {
        let mut forged = record(SchemeKind::Distribute, &[5, 6, 7, 900]);
        forge(&mut forged);
        let found = first(&forged);
        assert!(found.starts_with(place), "{place}: {found}");
    }
}

/// A pool that pays somebody else and makes every hash fit is found by asking the component.
#[test]
fn an_answer_that_is_not_the_components_is_found_row_by_row() {
    let honest = record(SchemeKind::Distribute, &[5, 6, 7, 900]);
    let mut answer = honest.body.as_ref().unwrap().outcome.clone();
    let Allocation::Weights(weights) = &mut answer.allocation else { unreachable!() };
    weights[2] += 100;
    let found = honest.against(&answer).unwrap();
    assert!(found[0].at.starts_with("weights of row 2, account "), "{}", found[0]);
    assert!(found.iter().any(|difference| difference.at.starts_with("amount of row")));
    let mut answer = honest.body.as_ref().unwrap().outcome.clone();
    answer.pool_fee += 1;
    assert_eq!(
        honest.against(&answer).unwrap()[0].to_string(),
        "fee answered: the record says 10, recomputed 11"
    );
}

#[test]
fn a_hybrid_divides_the_fees_and_gives_the_rest_to_the_reserve() {
    let record = record(SchemeKind::Hybrid, &[1, 2]);
    let header = &record.header;
    assert_eq!((header.to_reserve, header.pool_fee, header.carry_out), (900, 10, 2));
    assert_eq!(header.credited, 100 + 1 - 10 - 2, "fees and old carry, less fee and new carry");
    assert_eq!(record.differences(), []);
}

/// Defect: the hash of the transfers was made of plain names, so that trying names found the
/// payee of a settlement with one. It is made of salted keys: who has the record alone finds
/// the same hash, and who knows the name but not the salt finds none.
#[test]
fn the_hash_of_the_transfers_names_nobody() {
    let record = record(SchemeKind::Distribute, &[5]);
    let body = record.body.as_ref().unwrap();
    let hash = |key: &SaltedKey| {
        let mut bytes = b"chimera transfers 1\0".to_vec();
        bytes.extend(4_u64.to_le_bytes());
        let mut movement = |debit: u8, credit: &[u8], reason: u8, amount: u64| {
            bytes.push(debit);
            bytes.extend(credit);
            bytes.push(reason);
            bytes.extend(amount.to_le_bytes());
        };
        let (fee, carry, chain) = (1, 2, 4);
        movement(carry, &[chain], 2, 1);
        movement(chain, &[&[0][..], key.as_bytes()].concat(), 0, 989);
        movement(chain, &[fee], 1, 10);
        movement(chain, &[carry], 3, 2);
        Hash256::from_bytes(*blake3::hash(&bytes).as_bytes())
    };
    assert_eq!(record.header.transfers, hash(&body.accounts[0]));
    let name = AccountName::new("miner 0").unwrap();
    let guessed = SaltedKey::of(&name, &Salt::from_bytes([0xff; 16]));
    assert_ne!(record.header.transfers, hash(&guessed));
    let booked = body.transfers(&record.header, &[name]).unwrap();
    let parts: Vec<_> = booked.iter().map(|transfer| transfer.key.as_str()).collect();
    assert_eq!(
        parts,
        ["block:ab/carry-in", "block:ab/miner:miner 0", "block:ab/pool:fee", "block:ab/carry-out"]
    );
}

/// Where a state is no longer kept its hash stands for it; all else is compared as before.
#[test]
fn without_its_states_a_record_is_still_compared() {
    let mut pruned = record(SchemeKind::Distribute, &[5, 6]);
    let body = pruned.body.as_mut().unwrap();
    (body.request.state, body.outcome.state) = (Vec::new(), Vec::new());
    assert_eq!(pruned.differences_without_states(), []);
    assert!(first(&pruned).starts_with("state before"));
    pruned.header.state_in = Hash256::ZERO;
    let found = pruned.differences_without_states();
    assert!(found[0].to_string().starts_with("digest of the request"), "{}", found[0]);
}

/// The bytes behind the hash are the same for ever.
#[test]
fn the_hash_of_a_record_never_changes() {
    let record = record(SchemeKind::Distribute, &[5, 6]);
    assert_eq!(
        (record.header.work.hash.to_string(), record.hash.to_string()),
        (VECTOR_ROOT.to_owned(), VECTOR_HASH.to_owned())
    );
}

const VECTOR_ROOT: &str = "537a09acfab0d3e021094837e87df08bb959d3d9dd35efbf5a169d959cd09f31";
const VECTOR_HASH: &str = "5133cab6df8720eb35553dcd563d3a7009c122d54a258ba6f8d84d7530701d7e";

proptest! {
    /// Every account is shown its own work; nobody is shown other work, or another's.
    #[test]
    fn every_row_is_proved_and_only_as_it_is(
        work in prop::collection::vec(0_u64..1 << 40, 1..70),
        pick in any::<prop::sample::Index>(),
    ) {
        let keys: Vec<SaltedKey> =
            (0..work.len()).map(|row| SaltedKey::from_bytes([row as u8; 32])).collect();
        let tree = WorkTree::of(&keys, &work).unwrap();
        let root = tree.root();
        prop_assert_eq!(root.work, work.iter().sum::<u64>());
        for row in 0..work.len() {
            let proof = tree.inclusion(row).unwrap();
            prop_assert_eq!(proof.verify(&keys[row], work[row], &root), Ok(()));
        }
        let row = pick.index(work.len());
        let proof = tree.inclusion(row).unwrap();
        prop_assert!(proof.verify(&keys[row], work[row] + 1, &root).is_err());
        prop_assert!(proof.verify(&SaltedKey::from_bytes([99; 32]), work[row], &root).is_err());
        let mut elsewhere = proof.clone();
        elsewhere.row += 1;
        if elsewhere.row < elsewhere.rows && (keys.len() > 1) {
            prop_assert!(elsewhere.verify(&keys[row], work[row], &root).is_err());
        }
        for step in 0..proof.path.len() {
            let mut bent = proof.clone();
            bent.path[step].work += 1;
            prop_assert!(bent.verify(&keys[row], work[row], &root).is_err());
        }
        let mut cut = proof;
        if cut.path.pop().is_some() {
            prop_assert!(cut.verify(&keys[row], work[row], &root).is_err());
        }
    }

    /// Leaving an account out, or taking work from it, changes the root.
    #[test]
    fn no_two_columns_have_one_root(
        work in prop::collection::vec(0_u64..100, 2..20),
        row in any::<prop::sample::Index>(),
    ) {
        let keys: Vec<SaltedKey> =
            (0..work.len()).map(|row| SaltedKey::from_bytes([row as u8; 32])).collect();
        let root = WorkTree::of(&keys, &work).unwrap().root();
        let row = row.index(work.len());
        let mut moved = work.clone();
        let other = (row + 1) % work.len();
        moved[row] += 1;
        moved[other] = moved[other].saturating_sub(1);
        prop_assert_ne!(WorkTree::of(&keys, &moved).unwrap().root(), root);
        let (mut fewer, mut less) = (keys, work);
        fewer.remove(row);
        less.remove(row);
        prop_assert_ne!(WorkTree::of(&fewer, &less).unwrap().root(), root);
    }
}
