use pando_types::Timestamp;

use crate::support::World;

const REPO: &str = "forge.example/acme/shop";

#[tokio::test]
async fn what_is_older_than_what_was_told_is_not_kept() {
    let world = World::new().await;
    let mut tx = world.store.begin().await.unwrap();
    for (repo, number, at, is_kept) in [
        (REPO, 8, 2000, true),
        (REPO, 8, 1999, false),
        // What was refused changed nothing, and the same moment is not older.
        (REPO, 8, 2000, true),
        (REPO, 8, 3000, true),
        (REPO, 8, 2000, false),
        // Others are others.
        (REPO, 9, 1000, true),
        ("elsewhere", 8, 1000, true),
    ] {
        let kept = tx.pull_request_told(repo, number, Timestamp::from_millis(at)).await.unwrap();
        assert_eq!(kept, is_kept, "#{number} of {repo} at {at}");
    }
    tx.commit().await.unwrap();

    let again = world.open_again().await;
    let mut tx = again.begin().await.unwrap();
    assert!(!tx.pull_request_told(REPO, 8, Timestamp::from_millis(2999)).await.unwrap());
    assert_eq!(tx.pull_request_prune(Timestamp::from_millis(1000)).await.unwrap(), 0);
    assert_eq!(tx.pull_request_prune(Timestamp::from_millis(3000)).await.unwrap(), 2);
    assert!(tx.pull_request_told(REPO, 9, Timestamp::from_millis(1)).await.unwrap());
    assert!(!tx.pull_request_told(REPO, 8, Timestamp::from_millis(1)).await.unwrap());
}
