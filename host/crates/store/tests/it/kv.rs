//! Values of components: kept over restarts, counted, forgotten in time, within their quota.

use chimera_store::{KvFailure, KvQuota};

use crate::scene::Scene;

const QUOTA: KvQuota = KvQuota { keys: 3, bytes: 40 };

#[tokio::test]
async fn a_value_is_kept_over_a_crash_and_gone_when_its_time_is_over() {
    let scene = Scene::new().await;
    scene.store.kv_set(("auth", "token"), b"abc", Some(100), QUOTA, 10).await.unwrap();
    scene.store.kv_set(("auth", "always"), b"def", None, QUOTA, 10).await.unwrap();
    let scene = scene.crash().await;
    for (slot, key, now_ms, value) in [
        ("auth", "token", 99, Some("abc")),
        ("auth", "token", 100, None),
        ("auth", "always", 1_000_000, Some("def")),
        ("payout", "token", 10, None),
        ("auth", "other", 10, None),
    ] {
        let found = scene.store.kv_get(slot, key, now_ms).await.unwrap();
        assert_eq!(found.as_deref(), value.map(str::as_bytes), "{slot} {key} at {now_ms}");
    }
    scene.store.kv_delete("auth", "always").await.unwrap();
    scene.store.kv_delete("auth", "never").await.unwrap();
    assert_eq!(scene.store.kv_get("auth", "always", 10).await.unwrap(), None);
}

#[tokio::test]
async fn a_counter_counts_and_ends_a_time_after_it_began() {
    let store = Scene::new().await.store;
    let add = async |delta, expires_ms, now_ms| {
        store.kv_add(("auth", "logins"), delta, Some(expires_ms), QUOTA, now_ms).await.unwrap()
    };
    assert_eq!(add(2, 100, 10).await, 2);
    assert_eq!(add(-5, 500, 50).await, -3);
    assert_eq!(store.kv_get("auth", "logins", 60).await.unwrap().unwrap(), b"-3");
    assert_eq!(add(1, 200, 100).await, 1, "the first one had its time");
    assert_eq!(add(i64::MAX, 200, 101).await, i64::MAX, "it stops at the end of its range");

    store.kv_set(("auth", "name"), b"7", None, QUOTA, 101).await.unwrap();
    let refused = store.kv_add(("auth", "name"), 1, None, QUOTA, 101).await;
    assert!(matches!(refused, Err(KvFailure::NotANumber)), "{refused:?}");
    assert_eq!(store.kv_get("auth", "name", 101).await.unwrap().unwrap(), b"7");
    // What was a counter may be overwritten, and is none any more.
    store.kv_set(("auth", "logins"), b"1", None, QUOTA, 101).await.unwrap();
    let refused = store.kv_add(("auth", "logins"), 1, None, QUOTA, 101).await;
    assert!(matches!(refused, Err(KvFailure::NotANumber)), "{refused:?}");
}

#[tokio::test]
async fn a_slot_has_its_quota_and_what_expired_does_not_count() {
    let store = Scene::new().await.store;
    let set = async |slot, key, bytes: usize, expires_ms, now_ms| {
        store.kv_set((slot, key), &vec![0; bytes], expires_ms, QUOTA, now_ms).await
    };
    set("auth", "a", 9, Some(100), 0).await.unwrap();
    set("auth", "b", 9, None, 0).await.unwrap();
    assert!(matches!(set("auth", "c", 20, None, 0).await, Err(KvFailure::Quota)), "41 bytes");
    set("auth", "c", 19, None, 0).await.unwrap();
    assert!(matches!(set("auth", "b", 10, None, 0).await, Err(KvFailure::Quota)), "41 again");
    set("auth", "b", 0, None, 0).await.unwrap();
    assert!(matches!(set("auth", "d", 0, None, 0).await, Err(KvFailure::Quota)), "a 4th key");
    assert!(matches!(store.kv_add(("auth", "e"), 1, None, QUOTA, 0).await, Err(KvFailure::Quota)));
    assert_eq!(store.kv_get("auth", "d", 0).await.unwrap(), None);
    set("other", "d", 30, None, 0).await.unwrap();
    set("auth", "d", 9, None, 100).await.unwrap();
    store.kv_delete("auth", "d").await.unwrap();
    set("auth", "f", 9, None, 100).await.unwrap();
}
