use pando_store::{DomainRow, Insert, Swap};
use pando_types::domain::DomainStatus;
use pando_types::{AppId, DomainId, Generation};

use crate::support::World;

const NAME: &str = "shop.example.com";

impl World {
    async fn claim(&self, app: AppId, name: &str) -> (Insert, DomainRow) {
        let row = DomainRow {
            id: DomainId::new(),
            org: self.org,
            app,
            name: name.into(),
            status: DomainStatus::Pending,
            reason: None,
            missing: None,
            checked: None,
            revision: Generation::first(),
            created: self.store.now(),
        };
        let mut tx = self.store.begin().await.unwrap();
        let insert = tx.domain_insert(&row).await.unwrap();
        tx.commit().await.unwrap();
        (insert, row)
    }

    async fn settle(&self, row: &DomainRow, status: DomainStatus) -> Swap {
        let next = DomainRow {
            status,
            reason: Some("why".into()),
            missing: Some(self.store.now()),
            checked: Some(self.store.now()),
            ..row.clone()
        };
        let mut tx = self.store.begin().await.unwrap();
        let swap = tx.domain_settle(row, &next).await.unwrap();
        tx.commit().await.unwrap();
        swap
    }
}

#[tokio::test]
async fn many_claim_a_name_and_one_has_it() {
    let world = World::new().await;
    let (shop, blog) = (world.app("shop"), world.app("blog"));
    let _ = (world.add_app(&shop).await, world.add_app(&blog).await);
    let (first, one) = world.claim(shop.id, NAME).await;
    let (second, other) = world.claim(blog.id, NAME).await;
    let (again, _) = world.claim(shop.id, NAME).await;
    assert_eq!((first, second, again), (Insert::Done, Insert::Done, Insert::Exists));
    assert_eq!(world.store.domain_named(shop.id, NAME).await.unwrap(), Some(one.clone()));
    assert_eq!(world.store.domain_active(NAME).await.unwrap(), None);

    assert_eq!(world.settle(&one, DomainStatus::Active).await, Swap::Done);
    // What was read before that counts no more.
    assert_eq!(world.settle(&one, DomainStatus::Pending).await, Swap::Stale);
    let active = world.store.domain_active(NAME).await.unwrap().unwrap();
    assert_eq!((active.id, active.reason.as_deref()), (one.id, Some("why")));
    assert!(active.revision > one.revision && active.missing.is_some());
    let mut tx = world.store.begin().await.unwrap();
    let next = DomainRow { status: DomainStatus::Active, ..other.clone() };
    assert!(tx.domain_settle(&other, &next).await.is_err(), "one has it already");
    drop(tx);

    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.domain_count(shop.id).await.unwrap(), 1);
    assert!(tx.domain_delete(shop.id, Some("other.example.com")).await.unwrap().is_empty());
    assert_eq!(tx.domain_delete(shop.id, None).await.unwrap(), std::slice::from_ref(&active));
    assert_eq!(tx.domain_settle(&active, &active).await.unwrap(), Swap::Missing);
    assert_eq!(tx.domain_settle(&other, &next).await.unwrap(), Swap::Done);
    tx.commit().await.unwrap();
    assert!(world.store.domain_list(shop.id).await.unwrap().is_empty());
    assert_eq!(world.store.domain_get(other.id).await.unwrap().unwrap().status, next.status);
}

#[tokio::test]
async fn a_domain_s_generation_only_grows() {
    let world = World::new().await;
    let mut tx = world.store.begin().await.unwrap();
    let first = tx.domain_route_put(NAME, Some("shop-1")).await.unwrap();
    let gone = tx.domain_route_put(NAME, None).await.unwrap();
    let back = tx.domain_route_put(NAME, Some("blog-1")).await.unwrap();
    tx.domain_route_put("a.example.com", None).await.unwrap();
    tx.domain_route_put("b.example.com", Some("b")).await.unwrap();
    tx.commit().await.unwrap();
    assert!(first.generation < gone.generation && gone.generation < back.generation);
    let page = world.open_again().await.domain_route_list(None, 1).await.unwrap();
    assert_eq!(page[0].name, "b.example.com", "tombstones are left out");
    let page = world.store.domain_route_list(Some("b.example.com"), 9).await.unwrap();
    assert_eq!(page, [back]);
}
