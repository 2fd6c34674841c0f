//! Bans: kept over a crash, the longer one counts, the operator's before all others.

use chimera_store::{BanRow, BanSource};

use crate::scene::Scene;

fn ban(address: &str, source: BanSource, created_ms: u64, until_ms: Option<u64>) -> BanRow {
    let reason = format!("since {created_ms}");
    BanRow { address: address.parse().unwrap(), until_ms, reason, source, created_ms }
}

#[tokio::test]
async fn the_longer_ban_counts_and_the_operators_before_all() {
    use BanSource::{Auth, Conduct, Operator};
    let scene = Scene::new().await;
    let store = &scene.store;
    let mut last: Option<BanRow> = None;
    for (source, created_ms, until_ms, kept) in [
        (Conduct, 1, Some(100), true),
        (Auth, 2, Some(100), false),
        (Auth, 3, Some(50), false),
        (Auth, 4, Some(101), true),
        (Operator, 5, Some(20), true),
        (Conduct, 6, Some(1_000), false),
        (Conduct, 7, None, false),
        // The operator's has ended.
        (Conduct, 20, Some(30), true),
        (Auth, 21, None, true),
        (Conduct, 22, None, false),
        (Conduct, 23, Some(9_999), false),
        (Operator, 24, None, true),
        (Operator, 25, Some(40), true),
    ] {
        let row = ban("192.0.2.1", source, created_ms, until_ms);
        assert_eq!(store.set_ban(&row).await.unwrap(), kept, "{row:?}");
        if let Some(last) = &last {
            assert_eq!(row.replaces(last), kept, "{row:?} over {last:?}");
        }
        if kept {
            last = Some(row);
        }
        assert_eq!(store.bans(created_ms).await.unwrap(), Vec::from_iter(last.clone()));
    }
}

#[tokio::test]
async fn a_ban_outlives_a_crash_and_is_gone_when_lifted_or_over() {
    let scene = Scene::new().await;
    for row in [
        ban("2001:db8::", BanSource::Auth, 3, Some(100)),
        ban("::ffff:192.0.2.1", BanSource::Operator, 2, None),
        ban("192.0.2.2", BanSource::Conduct, 1, Some(50)),
    ] {
        assert!(scene.store.set_ban(&row).await.unwrap());
    }
    let scene = scene.crash().await;
    let store = &scene.store;
    let addresses = async |now_ms| -> Vec<String> {
        let bans = store.bans(now_ms).await.unwrap();
        bans.into_iter().map(|ban| ban.address.to_string()).collect()
    };
    assert_eq!(addresses(49).await, ["192.0.2.2", "192.0.2.1", "2001:db8::"]);
    assert_eq!(addresses(50).await, ["192.0.2.1", "2001:db8::"]);
    // It was deleted, not only left out.
    assert_eq!(addresses(0).await, ["192.0.2.1", "2001:db8::"]);
    for (address, lifted) in [("192.0.2.9", false), ("::ffff:c000:201", true), ("192.0.2.1", false)]
    {
        assert_eq!(store.lift_ban(address.parse().unwrap()).await.unwrap(), lifted, "{address}");
    }
    assert_eq!(addresses(50).await, ["2001:db8::"]);
    // A new ban takes those along that are over.
    let other = ban("192.0.2.3", BanSource::Auth, 100, Some(200));
    assert!(store.set_ban(&other).await.unwrap());
    assert_eq!(addresses(0).await, ["192.0.2.3"]);
}
