use std::time::Duration;

use pando_store::{Insert, KeyRow, QuotaRow};
use pando_types::page::Cursor;
use pando_types::{ApiKeyId, OrgId};

use crate::support::World;

fn key(world: &World, hash: u8) -> KeyRow {
    KeyRow {
        id: ApiKeyId::new(),
        org: world.org,
        label: "laptop".into(),
        prefix: "pds_1234".into(),
        hash: [hash; 32],
        created: world.store.now(),
        expires: None,
        last_used: None,
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_hash_until_it_is_deleted_by_its_org() {
    let world = World::new().await;
    let first = key(&world, 1);
    assert_eq!(world.store.key_insert(&first).await.unwrap(), Insert::Done);
    assert_eq!(world.store.key_insert(&key(&world, 1)).await.unwrap(), Insert::Exists);
    assert_eq!(world.store.key_insert(&key(&world, 2)).await.unwrap(), Insert::Done);
    let found = world.store.key_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert_eq!((found.key, found.requests_per_second), (first.clone(), None));
    assert_eq!(world.store.key_by_hash(&[9; 32]).await.unwrap(), None);
    assert!(!world.store.key_delete(OrgId::new(), first.id).await.unwrap());
    assert!(world.store.key_delete(world.org, first.id).await.unwrap());
    assert!(!world.store.key_delete(world.org, first.id).await.unwrap());
    assert_eq!(world.store.key_list(world.org, None, 10).await.unwrap().len(), 1);
    assert_eq!(world.store.key_count(world.org).await.unwrap(), 1);
    assert_eq!(world.store.key_count(OrgId::new()).await.unwrap(), 0);
}

#[tokio::test]
async fn the_default_org_is_made_once() {
    let world = World::new().await;
    let again = world.open_again().await;
    assert_eq!(again.org_default().await.unwrap().id, world.org);
    assert_eq!(world.store.org_get(world.org).await.unwrap().unwrap().name, "default");
    assert_eq!(world.store.org_get(OrgId::new()).await.unwrap(), None);
}

#[tokio::test]
async fn a_key_carries_its_end_its_use_and_its_orgs_rate() {
    let world = World::new().await;
    let expires = Some(world.store.now().plus(Duration::from_secs(60)));
    let row = KeyRow { expires, ..key(&world, 1) };
    let _ = world.store.key_insert(&row).await.unwrap();
    world.pass(Duration::from_secs(5));
    world.store.key_note_use(row.id).await.unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let set = QuotaRow {
        requests_per_second: Some(7),
        sleeping: Some(8),
        sleeping_mib: Some(9),
        ..QuotaRow::default()
    };
    tx.org_set_quota(world.org, &set).await.unwrap();
    assert_eq!(tx.org_quota(world.org).await.unwrap(), set);
    assert_eq!(set.quota().sandboxes, QuotaRow::default().quota().sandboxes);
    tx.commit().await.unwrap();
    assert_eq!(world.store.org_quota(world.org).await.unwrap(), Some(set.quota()));
    assert_eq!(world.store.org_quota(OrgId::new()).await.unwrap(), None);
    let found = world.store.key_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert_eq!(found.requests_per_second, Some(7));
    assert_eq!(found.key, KeyRow { last_used: Some(world.store.now()), ..row });
}

#[tokio::test]
async fn keys_are_paged_and_found_by_prefix() {
    let world = World::new().await;
    for hash in 0..3 {
        let _ = world.store.key_insert(&key(&world, hash)).await.unwrap();
    }
    let first = world.store.key_list(world.org, None, 2).await.unwrap();
    let after = first.last().map(|row| Cursor { created: row.created, id: row.id });
    let rest = world.store.key_list(world.org, after, 2).await.unwrap();
    assert_eq!((first.len(), rest.len()), (2, 1));
    assert!(!first.contains(&rest[0]));
    assert_eq!(world.store.key_by_prefix(world.org, "pds_1234").await.unwrap().len(), 2);
    assert!(world.store.key_by_prefix(world.org, "pds_").await.unwrap().is_empty());
    assert!(world.store.key_by_prefix(OrgId::new(), "pds_1234").await.unwrap().is_empty());
}
