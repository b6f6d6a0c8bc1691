//! What an org may have awake, and asleep.

use pando_store::QuotaRow;
use pando_types::{Code, SandboxId};

use super::schedules::World;
use crate::State;

impl World {
    async fn allow(&self, quota: QuotaRow) {
        let mut tx = self.store.begin().await.unwrap();
        tx.org_set_quota(self.org, &quota).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn wake_refused(&self, id: SandboxId) {
        let refused = self.sandboxes().wake(self.org, id).await.unwrap_err();
        assert_eq!(refused.code, Code::OverQuota, "{refused:?}");
        assert!(refused.retry_after_secs.is_some());
        assert_eq!(self.state(id), Some(State::Hibernated));
    }
}

#[test]
fn what_sleeps_makes_room_and_wakes_only_where_there_is_some() {
    World::run(async |world| {
        world.allow(QuotaRow { sandboxes: Some(2), vcpus: Some(2), ..QuotaRow::default() }).await;
        let first = world.asleep().await;
        let (second, third) = (world.sandbox().await, world.sandbox().await);
        let refused = world.try_sandbox().await.unwrap_err();
        assert_eq!(refused.code, Code::OverQuota, "{refused:?}");
        world.wake_refused(first).await;

        // A later server counts what it finds running.
        world.stop().await;
        world.serve().await;
        world.wake_refused(first).await;
        world.sandboxes().hibernate(world.org, second).await.unwrap();
        world.sandboxes().wake(world.org, first).await.unwrap();
        world.wake_refused(second).await;

        // Of too many sleepers nothing is made, and those may wake.
        let few = QuotaRow { sleeping: Some(1), ..QuotaRow::default() };
        world.allow(few).await;
        world.sandboxes().hibernate(world.org, third).await.unwrap();
        let refused = world.try_sandbox().await.unwrap_err();
        assert!(refused.message.contains("2 sandboxes that sleep"), "{refused:?}");
        world.sandboxes().wake(world.org, third).await.unwrap();
        world.sandbox().await;
    });
}
