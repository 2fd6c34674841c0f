//! Exact windows, as tables: the log on the left, who counts how much on the right.
//! Work and score are written in 1024ths of a block.

use chimera_ledger::{Plan, SCORE_PER_BLOCK, SchemeKind, WindowSize};
use chimera_store::{Window, WindowQuery};

use crate::scene::{Scene, scheme};

const TWO_BLOCKS: WindowSize = WindowSize::NetworkWorkMilli(2_000);

fn milli(score: u64) -> u64 {
    let unit = SCORE_PER_BLOCK / 1_024;
    assert_eq!(score % unit, 0, "{score} is exact");
    score / unit
}

/// "ann 5 bob 3 | 8 of 10, shares 2-4, found by bob"
fn text(window: &Window) -> String {
    let mut rows: Vec<String> = window
        .names
        .iter()
        .zip(&window.accounts.work)
        .map(|(name, &work)| format!("{name} {}", milli(work)))
        .collect();
    rows.sort();
    let finder = window.finder.map_or("nobody", |row| window.names[row as usize].as_str());
    format!(
        "{} | of {}, shares {}-{}, finder {finder}",
        rows.join(" "),
        milli(window.window_work),
        window.from_seq + 1,
        window.to_seq
    )
}

async fn query(scene: &mut Scene, size: WindowSize) -> WindowQuery {
    WindowQuery {
        upto_seq: scene.store.last_seq().await.unwrap(),
        floor_seq: 0,
        size,
        previous_block_seq: 0,
        buckets: 1,
        found_at_ms: 100_000,
        finder: scene.worker("bob").await,
    }
}

#[tokio::test]
async fn pplns_windows_of_two_blocks() {
    let table = [
        (
            "shorter than history",
            "ann 1024/1024, bob 1024/1024, ann 1024/1024",
            "ann 1024 bob 1024 | of 2048, shares 2-3, finder bob",
        ),
        (
            "exactly equal to history",
            "ann 1024/1024, bob 1024/1024",
            "ann 1024 bob 1024 | of 2048, shares 1-2, finder bob",
        ),
        (
            "longer than history",
            "ann 512/1024, ann 256/1024",
            "ann 768 | of 2048, shares 1-2, finder nobody",
        ),
        (
            "the boundary share counts with the part inside",
            "ann 1024/1024, bob 1024/1024, ann 512/1024",
            "ann 1024 bob 1024 | of 2048, shares 1-3, finder bob",
        ),
        (
            "one share larger than the window",
            "ann 512/1024, bob 4096/1024",
            "bob 2048 | of 2048, shares 2-2, finder bob",
        ),
        (
            "batch borders do not matter",
            "ann 1024/1024 | bob 1024/1024 | ann 512/1024",
            "ann 1024 bob 1024 | of 2048, shares 1-3, finder bob",
        ),
        // Each share at the network work of its time: 512/1024 and 1024/2048 are half a block.
        (
            "difficulty change inside the window",
            "ann 1024/1024, bob 512/1024, ann 1024/2048, bob 2048/2048",
            "ann 512 bob 1536 | of 2048, shares 2-4, finder bob",
        ),
        (
            "the boundary share after a difficulty change",
            "ann 4096/1024, bob 1024/2048",
            "ann 1536 bob 512 | of 2048, shares 1-2, finder bob",
        ),
        (
            "difficulty back and forth",
            "ann 1024/1024, bob 512/4096, ann 512/1024, bob 512/4096, ann 128/1024",
            "ann 1664 bob 256 | of 2048, shares 1-5, finder bob",
        ),
        (
            "identical timestamps across batches",
            "ann 1024/1024@5 | ann 512/1024@5, bob 512/1024@5 | bob 1024/1024@5",
            "ann 512 bob 1536 | of 2048, shares 2-4, finder bob",
        ),
        (
            "a clock set back",
            "ann 1024/1024@900 | bob 1024/1024@100 | ann 1024/1024@500",
            "ann 1024 bob 1024 | of 2048, shares 2-3, finder bob",
        ),
    ];
    for (name, log, expected) in table {
        let mut scene = Scene::new().await;
        scene.log(log).await;
        let query = query(&mut scene, TWO_BLOCKS).await;
        assert_eq!(text(&scene.store.window(&query).await.unwrap()), expected, "{name}");
    }
}

/// Nobody's work counts: a window of fixed size is empty but for a mark of the finder, so that
/// what it leaves goes where the scheme says; a round is the finder's.
#[tokio::test]
async fn where_nobodys_work_counts_the_finder_stands_alone() {
    for (size, work, window_work) in [
        (TWO_BLOCKS, 1, 2 * SCORE_PER_BLOCK),
        (WindowSize::NetworkWorkMilli(1), 1, SCORE_PER_BLOCK / 1_000),
        (WindowSize::NetworkWorkMilli(0), 1, 1),
        (WindowSize::SinceLastBlock, SCORE_PER_BLOCK, SCORE_PER_BLOCK),
        (WindowSize::DurationMs(5), SCORE_PER_BLOCK, SCORE_PER_BLOCK),
        (WindowSize::None, SCORE_PER_BLOCK, SCORE_PER_BLOCK),
    ] {
        let mut scene = Scene::new().await;
        scene.log("").await;
        let query = query(&mut scene, size).await;
        let window = scene.store.window(&query).await.unwrap();
        assert_eq!(window.names[0].as_str(), "bob");
        let found = (window.accounts.work, window.window_work, window.finder);
        assert_eq!(found, (vec![work], window_work, Some(0)), "{size:?}");
    }
}

#[tokio::test]
async fn the_winning_share_and_later_ones_are_outside() {
    let mut scene = Scene::new().await;
    scene.log("ann 512/1024, bob 512/1024 | ann 1024/1024, bob 1024/1024").await;
    for (upto_seq, expected) in [
        (1, "ann 512 | of 2048, shares 1-1, finder nobody"),
        (2, "ann 512 bob 512 | of 2048, shares 1-2, finder bob"),
        (3, "ann 1536 bob 512 | of 2048, shares 1-3, finder bob"),
    ] {
        let query = WindowQuery { upto_seq, ..query(&mut scene, TWO_BLOCKS).await };
        assert_eq!(text(&scene.store.window(&query).await.unwrap()), expected);
    }
}

#[tokio::test]
async fn other_sizes() {
    let log = "ann 1024/1024@10000, bob 512/1024@60000 | bob 256/1024@90000, ann 128/1024@90000";
    let table = [
        (WindowSize::None, 0, "bob 1024 | of 1024, shares 5-4, finder bob"),
        (WindowSize::SinceLastBlock, 0, "ann 1152 bob 768 | of 1920, shares 1-4, finder bob"),
        (WindowSize::SinceLastBlock, 2, "ann 128 bob 256 | of 384, shares 3-4, finder bob"),
        (WindowSize::SinceLastBlock, 4, "bob 1024 | of 1024, shares 5-4, finder bob"),
        (WindowSize::DurationMs(10_000), 0, "ann 128 bob 256 | of 384, shares 3-4, finder bob"),
        (WindowSize::DurationMs(40_000), 0, "ann 128 bob 768 | of 896, shares 2-4, finder bob"),
        (WindowSize::DurationMs(u64::MAX), 0, "ann 1152 bob 768 | of 1920, shares 1-4, finder bob"),
        (WindowSize::NetworkWorkMilli(125), 0, "ann 128 | of 128, shares 4-4, finder nobody"),
        (
            WindowSize::NetworkWorkMilli(u64::MAX),
            0,
            "ann 1152 bob 768 | of 2096128, shares 1-4, finder bob",
        ),
    ];
    let mut scene = Scene::new().await;
    scene.log(log).await;
    for (size, previous_block_seq, expected) in table {
        let query = WindowQuery { previous_block_seq, ..query(&mut scene, size).await };
        assert_eq!(text(&scene.store.window(&query).await.unwrap()), expected, "{size:?}");
    }
}

#[tokio::test]
async fn t15_a_window_never_scores_above_2_to_the_63() {
    let mut scene = Scene::new().await;
    scene.log("ann 4194304/1, bob 4194304/1").await;
    for size in [WindowSize::SinceLastBlock, WindowSize::NetworkWorkMilli(u64::MAX)] {
        let query = query(&mut scene, size).await;
        let window = scene.store.window(&query).await.unwrap();
        assert_eq!(text(&window), "bob 2096128 | of 2096128, shares 2-2, finder bob");
    }
}

#[tokio::test]
async fn buckets_are_equal_slices_of_the_window_newest_first() {
    let log = "ann 1024/1024, bob 1536/1024, ann 512/1024";
    let cells = |window: &Window| -> String {
        let slices = &window.slices;
        let rows = slices.bucket.iter().zip(&slices.account).zip(&slices.work);
        let mut cells: Vec<String> = rows
            .map(|((bucket, &row), &work)| {
                format!("{bucket}:{} {}", window.names[row as usize], milli(work))
            })
            .collect();
        let keys: Vec<_> = slices.bucket.iter().zip(&slices.account).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "sorted by (bucket, account)");
        cells.sort();
        cells.join(", ")
    };
    let table = [
        (TWO_BLOCKS, 2, "0:ann 512, 0:bob 512, 1:bob 1024"),
        (TWO_BLOCKS, 4, "0:ann 512, 1:bob 512, 2:bob 512, 3:bob 512"),
        (WindowSize::NetworkWorkMilli(4_000), 2, "0:ann 512, 0:bob 1536, 1:ann 1024"),
        // As much as there is: 3072, in slices of 1536 and 1024.
        (WindowSize::SinceLastBlock, 2, "0:ann 512, 0:bob 1024, 1:ann 1024, 1:bob 512"),
        (WindowSize::SinceLastBlock, 3, "0:ann 512, 0:bob 512, 1:bob 1024, 2:ann 1024"),
        (TWO_BLOCKS, 1, ""),
        (TWO_BLOCKS, 0, ""),
        (WindowSize::None, 2, "0:bob 1024"),
    ];
    let mut scene = Scene::new().await;
    scene.log(log).await;
    for (size, buckets, expected) in table {
        let query = WindowQuery { buckets, ..query(&mut scene, size).await };
        let window = scene.store.window(&query).await.unwrap();
        assert_eq!(cells(&window), expected, "{size:?} in {buckets}");
        if buckets > 1 {
            let sliced: u64 = window.slices.work.iter().sum();
            assert_eq!(sliced, window.accounts.work.iter().sum::<u64>());
        }
    }
}

#[tokio::test]
async fn two_rigs_of_one_account_are_one_row_with_its_fee() {
    let mut scene = Scene::new().await;
    scene.log("ann 512/1024").await;
    let other = scene.store.worker("ann", "second rig", 0).await.unwrap();
    scene.store.append_shares(2, &[crate::scene::share(other, 256, 1_024, 0)], 0).await.unwrap();
    scene.store.set_fee_ppm(&crate::scene::miner("ann"), 5_000).await.unwrap();
    let query = query(&mut scene, TWO_BLOCKS).await;
    let window = scene.store.window(&query).await.unwrap();
    assert_eq!(text(&window), "ann 768 | of 2048, shares 1-2, finder nobody");
    assert_eq!(window.accounts.fee_ppm, [5_000]);
}

#[tokio::test]
async fn two_blocks_in_one_batch_divide_the_same_round() {
    let plan = Plan {
        kind: SchemeKind::Distribute,
        window: WindowSize::SinceLastBlock,
        buckets: 1,
        carry_max: 0,
    };
    let mut scene = Scene::new().await;
    scene.generation(SchemeKind::Distribute).await;
    scene.log("ann 512/1024").await;
    scene.found("early", "ann").await;
    scene.log("ann 256/1024, bob 256/1024").await;
    scene.found("first", "ann").await;
    scene.found("second", "bob").await;
    // The winning shares become durable together, after both blocks.
    scene.log("ann 1024/1024, bob 1024/1024").await;
    scene.found("third", "ann").await;
    let window = async |id| text(&scene.store.window_of_block(id, &plan).await.unwrap());
    assert_eq!(window("first").await, "ann 256 bob 256 | of 512, shares 2-3, finder ann");
    assert_eq!(window("second").await, "ann 256 bob 256 | of 512, shares 2-3, finder bob");
    assert_eq!(window("third").await, "ann 1024 bob 1024 | of 2048, shares 4-5, finder ann");
    // The round of a block that came to nothing goes on.
    scene.moved("early", chimera_ledger::BlockState::Orphaned).await.unwrap();
    assert_eq!(window("first").await, "ann 768 bob 256 | of 1024, shares 1-3, finder ann");
}

#[tokio::test]
async fn work_an_accruing_generation_paid_never_counts_again() {
    let plan = Plan { kind: SchemeKind::Distribute, window: TWO_BLOCKS, buckets: 1, carry_max: 0 };
    let mut scene = Scene::new().await;
    let pplns = scene.generation(SchemeKind::Distribute).await;
    scene.log("ann 256/1024").await;
    scene.found("old", "ann").await;
    let pps = scene.generation(SchemeKind::Accrue).await;
    scene.log("ann 512/1024").await;
    let again = scene.generation(SchemeKind::Distribute).await;
    scene.log("bob 256/1024").await;
    let newest = scene.store.begin_generation(&scheme(SchemeKind::Distribute, 3), 0).await.unwrap();
    scene.found("new", "bob").await;
    for (generation, floor) in [(pplns, 0), (pps, 0), (again, 2), (newest, 2)] {
        assert_eq!(scene.store.paid_floor(generation).await.unwrap(), floor);
    }
    let window = async |id| text(&scene.store.window_of_block(id, &plan).await.unwrap());
    assert_eq!(window("old").await, "ann 256 | of 2048, shares 1-1, finder ann");
    assert_eq!(window("new").await, "bob 256 | of 2048, shares 3-3, finder bob");
}

#[tokio::test]
async fn intervals_sum_what_lies_between() {
    let mut scene = Scene::new().await;
    scene.log("ann 512/1024, bob 256/1024 | ann 128/1024 | bob 2048/2048, bob 64/1024").await;
    for (from, to, expected) in [
        (0, 5, "ann 640 bob 1344 | of 1984, shares 1-5, finder nobody"),
        (0, 1, "ann 512 | of 512, shares 1-1, finder nobody"),
        (1, 3, "ann 128 bob 256 | of 384, shares 2-3, finder nobody"),
        (3, 4, "bob 1024 | of 1024, shares 4-4, finder nobody"),
        (5, 9, " | of 0, shares 6-5, finder nobody"),
        (2, 2, " | of 0, shares 3-2, finder nobody"),
    ] {
        assert_eq!(text(&scene.store.work_between(from, to).await.unwrap()), expected);
    }
}

#[tokio::test]
async fn an_interval_too_large_for_its_columns_ends_early_and_nothing_is_skipped() {
    let mut scene = Scene::new().await;
    scene.log("ann 2000/1, bob 40/1, ann 8/1 | bob 2000/1, ann 9999/1, bob 1/1").await;
    for (from, expected) in [
        (0, "ann 2048000 bob 40960 | of 2088960, shares 1-2, finder nobody"),
        (2, "ann 8192 bob 2048000 | of 2056192, shares 3-4, finder nobody"),
        // One share above the bound counts with what fits.
        (4, "ann 2096128 | of 2096128, shares 5-5, finder nobody"),
        (5, "bob 1024 | of 1024, shares 6-6, finder nobody"),
    ] {
        assert_eq!(text(&scene.store.work_between(from, 6).await.unwrap()), expected);
    }
}
