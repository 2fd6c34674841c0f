//! Settlements: booked once, balanced, undone only by more transfers.

use chimera_ledger::{BlockState, Reason, SchemeKind};
use chimera_store::{Booking, SettlementRow, Store, StoreError};

use crate::scene::{Scene, interval, miner, scheme, settlement, transfers};

const SPLIT: [&str; 3] = [
    "chain:reward -> miner:ann 600",
    "chain:reward -> miner:bob 390",
    "chain:reward -> pool:fee 10",
];

/// A pool with one ripe block worth 1000.
async fn ripe() -> (Scene, chimera_store::GenerationId) {
    let mut scene = Scene::new().await;
    let generation = scene.generation(SchemeKind::Distribute).await;
    scene.log("ann 6/9, bob 4/9").await;
    scene.found("b1", "ann").await;
    scene.ripen("b1").await;
    (scene, generation)
}

#[tokio::test]
async fn t16_settling_twice_pays_once_also_across_a_crash() {
    let (mut scene, generation) = ripe().await;
    let row = settlement("b1", generation);
    let booked = transfers(&row, &SPLIT);
    assert_eq!(scene.store.settle(&row, &booked).await.unwrap(), Booking::Booked);
    for _ in 0..3 {
        scene = scene.crash().await;
        assert_eq!(scene.store.settle(&row, &booked).await.unwrap(), Booking::AlreadyBooked);
        assert_eq!(scene.balance("miner:ann").await, 600);
        assert_eq!(scene.balance("chain:reward").await, -1_000);
    }
    let books = scene.store.verify_books().await.unwrap();
    assert_eq!((books.transfers, books.moved), (3, 1_000));
    let sum: i128 = scene.store.balances().await.unwrap().iter().map(|line| line.units()).sum();
    assert_eq!(sum, 0);
    assert_eq!(scene.store.block("b1").await.unwrap().state, BlockState::Settled);
    assert_eq!(scene.store.generation(generation).await.unwrap().facts.state, [1]);
    let (found, lines) = scene.store.settlement("block:b1").await.unwrap().unwrap();
    assert_eq!((found.number, found.row, found.reversed_at_ms), (1, row, None));
    assert_eq!(lines, booked);
    assert_eq!(scene.store.settlement("block:b9").await.unwrap(), None);

    let ann = scene.store.miner(&miner("ann"), 0).await.unwrap().unwrap();
    assert_eq!(ann.summary.balance, 600);
    assert_eq!((ann.credits.len(), ann.credits[0].amount), (1, 600));
    assert_eq!(ann.credits[0].block.as_deref(), Some("b1"));
}

#[tokio::test]
async fn an_orphan_after_credit_is_reversed_and_nothing_is_deleted() {
    let (scene, generation) = ripe().await;
    let row = settlement("b1", generation);
    scene.store.settle(&row, &transfers(&row, &SPLIT)).await.unwrap();
    for expected in [Booking::Booked, Booking::AlreadyBooked] {
        assert_eq!(scene.store.reverse("b1", "reorganised away", 9).await.unwrap(), expected);
        for account in ["miner:ann", "miner:bob", "pool:fee", "chain:reward"] {
            assert_eq!(scene.balance(account).await, 0, "{account}");
        }
    }
    assert_eq!(scene.store.verify_books().await.unwrap().transfers, 6);
    assert_eq!(scene.store.block("b1").await.unwrap().state, BlockState::Reversed);
    let latest = scene.store.settlements(1, None).await.unwrap();
    assert_eq!(latest[0].reversed_at_ms, Some(9));
    let ann = scene.store.miner(&miner("ann"), 0).await.unwrap().unwrap();
    let amounts: Vec<i128> = ann.credits.iter().map(|line| line.amount).collect();
    assert_eq!(amounts, [-600, 600]);
    // Settling it again is a replay, and a replay changes nothing.
    let again = scene.store.settle(&row, &transfers(&row, &SPLIT)).await.unwrap();
    assert_eq!(again, Booking::AlreadyBooked);
}

/// A block may leave the chain and come back as often as it likes: its settlement is booked
/// once or not at all, whatever is repeated.
#[tokio::test]
async fn a_reversed_settlement_is_reinstated_once_each_time_its_block_comes_back() {
    let (mut scene, generation) = ripe().await;
    let row = settlement("b1", generation);
    let never = scene.store.reinstate("b1", "back", 1).await.unwrap_err();
    assert!(matches!(never, StoreError::UnknownSettlement(_)), "{never}");
    scene.store.settle(&row, &transfers(&row, &SPLIT)).await.unwrap();
    // leg, what is paid of the settlement after it
    for (leg, paid) in [(1_u64, 0), (2, 1), (3, 0), (4, 1)] {
        for expected in [Booking::Booked, Booking::AlreadyBooked] {
            let (why, at) = (format!("leg {leg}"), 10 * leg);
            let booking = match paid {
                0 => scene.store.reverse("b1", &why, at).await,
                _ => scene.store.reinstate("b1", &why, at).await,
            };
            assert_eq!(booking.unwrap(), expected, "leg {leg}");
            scene = scene.crash().await;
            assert_eq!(scene.balance("miner:ann").await, 600 * paid);
            assert_eq!(scene.balance("chain:reward").await, -1_000 * paid);
        }
        let (found, booked) = scene.store.settlement("block:b1").await.unwrap().unwrap();
        assert_eq!(booked.len(), 3 + 3 * leg as usize);
        assert_eq!(found.reversed_at_ms, (paid == 0).then_some(10 * leg));
        let block = scene.store.block("b1").await.unwrap();
        let state = if paid == 0 { BlockState::Reversed } else { BlockState::Settled };
        assert_eq!((block.state, block.detail), (state, format!("leg {leg}")));
    }
    let legs = scene.store.legs(1).await.unwrap();
    let told: Vec<_> =
        legs.iter().map(|leg| (leg.number, leg.why.as_str(), leg.booked_at_ms)).collect();
    assert_eq!(told, [(1, "leg 1", 10), (2, "leg 2", 20), (3, "leg 3", 30), (4, "leg 4", 40)]);
    assert_eq!(scene.store.verify_books().await.unwrap().transfers, 15);
}

/// What is reversed is divided: under another key it would be paid twice once it is back.
#[tokio::test]
async fn a_reversed_block_is_not_settled_once_more() {
    let (scene, generation) = ripe().await;
    let row = settlement("b1", generation);
    scene.store.settle(&row, &transfers(&row, &SPLIT)).await.unwrap();
    scene.store.reverse("b1", "reorganised away", 9).await.unwrap();
    let other = SettlementRow { key: "block:b1 again".into(), ..row };
    let error = scene.store.settle(&other, &transfers(&other, &SPLIT)).await.unwrap_err();
    assert!(matches!(error, StoreError::SettledElsewhere(_)), "{error}");
    assert!(scene.moved("b1", BlockState::Settled).await.is_err(), "money moves with it");
    assert_eq!(scene.balance("miner:ann").await, 0);
}

#[tokio::test]
async fn t15_only_what_the_chain_pays_leaves_its_account() {
    let (scene, generation) = ripe().await;
    let row = settlement("b1", generation);
    for (lines, moved) in [
        (&["chain:reward -> miner:ann 999"][..], 999),
        (&["chain:reward -> miner:ann 1001"], 1_001),
        (&["chain:reward -> miner:ann 1000", "pool:fee -> chain:reward 1"], 999),
        (&[], 0),
    ] {
        let error = scene.store.settle(&row, &transfers(&row, lines)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "settlement block:b1 moves {moved} out of the chain's account, the chain pays 1000"
            )
        );
    }
    assert!(scene.store.balances().await.unwrap().is_empty());
    assert_eq!(scene.store.block("b1").await.unwrap().state, BlockState::Mature);
}

#[tokio::test]
async fn only_a_mature_block_is_divided_and_under_one_key() {
    let (mut scene, generation) = ripe().await;
    scene.found("young", "ann").await;
    let young = settlement("young", generation);
    let error = scene.store.settle(&young, &transfers(&young, &SPLIT)).await.unwrap_err();
    assert!(matches!(error, StoreError::IllegalMove { .. }), "{error}");
    assert!(matches!(
        scene.store.reverse("young", "", 0).await,
        Err(StoreError::IllegalMove { .. })
    ));

    let row = settlement("b1", generation);
    scene.store.settle(&row, &transfers(&row, &SPLIT)).await.unwrap();
    let mut other = row;
    other.key = "block:b1 again".into();
    let error = scene.store.settle(&other, &transfers(&other, &SPLIT)).await.unwrap_err();
    assert!(matches!(error, StoreError::SettledElsewhere(_)), "{error}");
    assert_eq!(scene.balance("miner:ann").await, 600);
}

#[tokio::test]
async fn nobody_spends_a_carry_twice() {
    let (mut scene, generation) = ripe().await;
    scene.found("b2", "ann").await;
    scene.found("b3", "ann").await;
    scene.ripen("b2").await;
    scene.ripen("b3").await;
    let leaves = settlement("b1", generation);
    let leaves = SettlementRow { carry_out: 7, ..leaves };
    let lines = ["chain:reward -> miner:ann 993", "chain:reward -> pool:carry 7"];
    scene.store.settle(&leaves, &transfers(&leaves, &lines)).await.unwrap();

    let takes = |id| SettlementRow { carry_in: 7, ..settlement(id, generation) };
    let lines = ["pool:carry -> chain:reward 7", "chain:reward -> miner:bob 1007"];
    scene.store.settle(&takes("b2"), &transfers(&takes("b2"), &lines)).await.unwrap();
    assert_eq!(scene.balance("pool:carry").await, 0);
    let error =
        scene.store.settle(&takes("b3"), &transfers(&takes("b3"), &lines)).await.unwrap_err();
    assert!(matches!(error, StoreError::CarryMoved { expected: 7, found: 0, .. }), "{error}");
    scene.store.verify_books().await.unwrap();
}

#[tokio::test]
async fn t16_an_interval_of_work_is_paid_once() {
    let mut scene = Scene::new().await;
    let pps = scene.generation(SchemeKind::Accrue).await;
    scene.log("ann 1/9, ann 1/9, ann 1/9, ann 1/9").await;
    let pay = async |scene: &Scene, from, to| {
        let row = interval(from, to, pps);
        let lines = transfers(&row, &["pool:reserve -> miner:ann 5", "pool:reserve -> pool:fee 1"]);
        scene.store.settle(&row, &lines).await
    };
    assert_eq!(scene.store.interval_start(pps).await.unwrap(), 0);
    assert_eq!(pay(&scene, 0, 2).await.unwrap(), Booking::Booked);
    assert_eq!(pay(&scene, 0, 2).await.unwrap(), Booking::AlreadyBooked);
    assert_eq!(scene.store.interval_start(pps).await.unwrap(), 2);
    assert_eq!(scene.store.interval_started_ms(pps).await.unwrap(), 7);
    // An overlap, a hole, and shares that do not exist yet.
    for (from, to) in [(1, 3), (0, 3), (3, 4), (2, 5)] {
        let error = pay(&scene, from, to).await.unwrap_err();
        assert!(matches!(error, StoreError::IntervalOverlap { .. }), "{error}");
    }
    // The next generation takes over after share 4; later shares are not this one's.
    scene.generation(SchemeKind::Distribute).await;
    scene.log("ann 1/9").await;
    assert!(matches!(pay(&scene, 2, 5).await, Err(StoreError::IntervalOverlap { .. })));
    assert_eq!(pay(&scene, 2, 4).await.unwrap(), Booking::Booked);
    assert_eq!(scene.balance("pool:reserve").await, -12);
    assert_eq!(scene.balance("miner:ann").await, 10);
    // An interval moves nothing out of the chain's account.
    let row = interval(4, 4, pps);
    let error = scene
        .store
        .settle(&row, &transfers(&row, &["chain:reward -> miner:ann 1"]))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::RewardMismatch { reward: 0, .. }), "{error}");
}

#[tokio::test]
async fn sums_stay_exact_beyond_64_bits() {
    let mut scene = Scene::new().await;
    let generation = scene.generation(SchemeKind::Distribute).await;
    let half = i64::MAX.unsigned_abs();
    for number in 0..5 {
        let id = format!("b{number}");
        scene.found(&id, "ann").await;
        scene.moved(&id, BlockState::Pending).await.unwrap();
        let reward = chimera_ledger::Amount::from_units(half);
        let change = chimera_store::BlockChange {
            to: BlockState::Mature,
            reward: Some(reward),
            detail: String::new(),
        };
        scene.store.set_block_state(&id, &change, 0).await.unwrap();
        let row = settlement(&id, generation);
        let lines = [format!("chain:reward -> miner:ann {half}")];
        let lines = [lines[0].as_str()];
        scene.store.settle(&row, &transfers(&row, &lines)).await.unwrap();
    }
    assert_eq!(scene.balance("miner:ann").await, 5 * i128::from(half));
    assert_eq!(scene.store.verify_books().await.unwrap().moved, 5 * u128::from(half));
}

#[tokio::test]
async fn a_failed_settlement_leaves_nothing_behind() {
    let (scene, generation) = ripe().await;
    let row = settlement("b1", generation);
    let mut lines = transfers(&row, &SPLIT);
    lines[2].key = lines[0].key.clone();
    let error = scene.store.settle(&row, &lines).await.unwrap_err();
    assert!(error.to_string().starts_with("could not settle: "), "{error}");
    assert!(!error.is_retryable());
    assert!(scene.store.balances().await.unwrap().is_empty());
    assert!(scene.store.settlements(9, None).await.unwrap().is_empty());
    assert_eq!(scene.store.generation(generation).await.unwrap().facts.state, [0]);
    // The connection is good for the next one.
    scene.store.settle(&row, &transfers(&row, &SPLIT)).await.unwrap();
    scene.store.verify_books().await.unwrap();
}

#[tokio::test]
async fn the_fees_listed_are_all_the_fees_there_are() {
    let mut scene = Scene::new().await;
    scene.log("ann 6/9, bob 4/9, cat 1/9").await;
    scene.store.set_fee_ppm(&miner("ann"), 7).await.unwrap();
    // fees set, fees then found of ann, bob and cat
    for (fees, expected) in [
        (vec![("bob", -5_000), ("cat", 2_500)], [Some(0), Some(-5_000), Some(2_500)]),
        (vec![("ann", 1_000_000)], [Some(1_000_000), Some(0), Some(0)]),
        (vec![], [Some(0), Some(0), Some(0)]),
    ] {
        let fees = fees.into_iter().map(|(name, fee)| (miner(name), fee)).collect();
        scene.store.set_all_fees_ppm(&fees).await.unwrap();
        for (name, expected) in ["ann", "bob", "cat"].into_iter().zip(expected) {
            let found = scene.store.miner(&miner(name), 0).await.unwrap();
            assert_eq!(found.map(|found| found.fee_ppm), expected, "{name}");
        }
    }
    // One that is refused changes none.
    let refused = [(miner("ann"), 5), (miner("bob"), 1_000_001)].into_iter().collect();
    assert!(matches!(
        scene.store.set_all_fees_ppm(&refused).await,
        Err(StoreError::TooLarge { value: 1_000_001, .. })
    ));
    assert_eq!(scene.store.miner(&miner("ann"), 0).await.unwrap().unwrap().fee_ppm, 0);
}

/// Somebody looks at the books while the pool goes on writing them.
#[tokio::test]
async fn a_reader_sees_the_books_and_cannot_change_them() {
    let (mut scene, generation) = ripe().await;
    let path = scene.path();
    let reader = Store::open_to_read(&path).await.unwrap();
    assert_eq!(reader.last_seq().await.unwrap(), 2);
    let row = settlement("b1", generation);
    scene.store.settle(&row, &transfers(&row, &SPLIT)).await.unwrap();
    scene.log("ann 1/9").await;
    assert_eq!(reader.settlements(9, None).await.unwrap().len(), 1);
    assert_eq!(reader.last_seq().await.unwrap(), 3);
    assert!(reader.set_fee_ppm(&miner("ann"), 7).await.is_err());
    assert!(reader.begin_run().await.is_err());
    reader.close().await;
    scene.log("ann 1/9").await;

    let missing = path.with_file_name("nothing.db");
    assert!(Store::open_to_read(&missing).await.is_err());
    assert!(!missing.exists(), "and none is made");
    std::fs::write(&missing, b"").unwrap();
    let refused = Store::open_to_read(&missing).await;
    assert!(matches!(refused, Err(StoreError::OlderSchema { found: 0, .. })));
}

/// Defect: after a restart an interval was said to begin when its generation did, whatever had
/// been settled since. Its beginning is where the ledger has the end of the one before.
#[tokio::test]
async fn an_interval_begins_when_the_one_before_it_was_booked_also_after_a_crash() {
    let mut scene = Scene::new().await;
    let pps = scene.store.begin_generation(&scheme(SchemeKind::Hybrid, 0), 3).await.unwrap();
    assert_eq!(scene.store.interval_started_ms(pps).await.unwrap(), 3);
    scene.log("ann 1/9, ann 1/9").await;
    let first = SettlementRow { booked_at_ms: 50, ..interval(0, 1, pps) };
    scene.store.settle(&first, &[]).await.unwrap();
    scene.found("b1", "ann").await;
    scene.ripen("b1").await;
    let block = SettlementRow { booked_at_ms: 60, ..settlement("b1", pps) };
    let paid = transfers(&block, &["chain:reward -> pool:reserve 1000"]);
    scene.store.settle(&block, &paid).await.unwrap();
    let scene = scene.crash().await;
    assert_eq!(scene.store.interval_started_ms(pps).await.unwrap(), 50, "a block ends no interval");
    let unknown = scene.store.interval_started_ms(chimera_store::GenerationId(99)).await;
    assert!(matches!(unknown, Err(StoreError::UnknownGeneration(99))));
}

/// Defect: a list read every transfer of a settlement to show a hundred of them.
#[tokio::test]
async fn the_largest_credits_are_found_among_many() {
    let mut scene = Scene::new().await;
    let pps = scene.generation(SchemeKind::Accrue).await;
    scene.log("ann 1/9, ann 1/9").await;
    for (from, to, rows) in [(0, 1, 1_500_u64), (1, 2, 3)] {
        let row = interval(from, to, pps);
        // Amounts from 1 to the number of rows, in no order.
        let lines: Vec<String> = (0..rows)
            .map(|line| format!("pool:reserve -> miner:m{line} {}", line * 7 % rows + 1))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut booked = transfers(&row, &lines);
        let mut fee = transfers(&row, &["pool:reserve -> pool:fee 9"]).remove(0);
        (fee.key, fee.reason) = (format!("{}/fee", row.key), Reason::Fee);
        booked.push(fee);
        scene.store.settle(&row, &booked).await.unwrap();
    }
    let found = scene.store.credits(1, None, 100).await.unwrap();
    let amounts: Vec<u64> = found.largest.iter().map(|(_, amount, _)| amount.units()).collect();
    assert_eq!(amounts, (1_401..=1_500).rev().collect::<Vec<_>>());
    assert_eq!((found.accounts, found.credited), (1_500, 1_500 * 1_501 / 2));
    assert_eq!(found.pool_fee, 9);
    let found = scene.store.credits(2, None, 100).await.unwrap();
    assert_eq!((found.accounts, found.credited, found.largest.len()), (3, 6, 3));
}
