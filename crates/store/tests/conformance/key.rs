use pando_store::{Insert, KeyRow};
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
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_hash_until_it_is_deleted_by_its_org() {
    let world = World::new().await;
    let first = key(&world, 1);
    assert_eq!(world.store.key_insert(&first).await.unwrap(), Insert::Done);
    assert_eq!(world.store.key_insert(&key(&world, 1)).await.unwrap(), Insert::Exists);
    assert_eq!(world.store.key_insert(&key(&world, 2)).await.unwrap(), Insert::Done);
    assert_eq!(world.store.key_by_hash(&[1; 32]).await.unwrap(), Some(first.clone()));
    assert_eq!(world.store.key_by_hash(&[9; 32]).await.unwrap(), None);
    assert!(!world.store.key_delete(OrgId::new(), first.id).await.unwrap());
    assert!(world.store.key_delete(world.org, first.id).await.unwrap());
    assert!(!world.store.key_delete(world.org, first.id).await.unwrap());
    assert_eq!(world.store.key_list(world.org).await.unwrap().len(), 1);
    assert_eq!(world.store.key_count().await.unwrap(), 1);
}

#[tokio::test]
async fn the_default_org_is_made_once() {
    let world = World::new().await;
    let again = world.open_again().await;
    assert_eq!(again.org_default().await.unwrap().id, world.org);
    assert_eq!(world.store.org_get(world.org).await.unwrap().unwrap().name, "default");
    assert_eq!(world.store.org_get(OrgId::new()).await.unwrap(), None);
}
