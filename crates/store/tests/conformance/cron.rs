use std::time::Duration;

use pando_store::{CronRow, CronRunRow, CronWish, MissRow, RunEnd, RunRow, Swap};
use pando_types::{AppId, BootId, Timestamp};

use crate::support::World;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn wish(name: &str, next_due: Option<i64>) -> CronWish {
    CronWish {
        name: name.into(),
        schedule: "0 3 * * *".into(),
        command: "echo \u{1f333}\n\"x\"".into(),
        timeout: Duration::from_secs(600),
        is_on: next_due.is_some(),
        next_due: next_due.map(at),
    }
}

async fn app(world: &World) -> AppId {
    let app = world.app(&format!("a{}", &AppId::new().to_string()[30..]));
    let _ = world.add_app(&app).await;
    app.id
}

async fn set(world: &World, app: AppId, wishes: &[CronWish]) {
    let mut tx = world.store.begin().await.unwrap();
    tx.cron_set(app, wishes).await.unwrap();
    tx.commit().await.unwrap();
}

async fn get(world: &World, app: AppId, name: &str) -> CronRow {
    world.store.cron_get(app, name).await.unwrap().unwrap()
}

async fn due(world: &World, now: i64, limit: u32) -> Vec<String> {
    let rows = world.store.cron_due(at(now), limit).await.unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

fn run(boot: BootId, due: i64) -> CronRunRow {
    CronRunRow { boot, due: at(due), started: at(due + 5) }
}

#[tokio::test]
async fn a_deployment_sets_what_there_is_and_the_same_keeps_its_times() {
    let world = World::new().await;
    let (one, two) = (app(&world).await, app(&world).await);
    assert_eq!(world.store.cron_next_look().await.unwrap(), None);
    set(&world, one, &[wish("late", Some(300)), wish("off", None), wish("gone", Some(50))]).await;
    set(&world, two, &[wish("early", Some(100))]).await;
    let late = get(&world, one, "late").await;
    let expected = CronRow {
        app: one,
        name: "late".into(),
        schedule: "0 3 * * *".into(),
        command: "echo \u{1f333}\n\"x\"".into(),
        timeout: Duration::from_secs(600),
        is_on: true,
        next_due: Some(at(300)),
        asked: None,
        run: None,
        last: None,
        miss: None,
    };
    assert_eq!(late, expected);

    let later = CronWish { command: "other".into(), ..wish("late", Some(900)) };
    set(&world, one, &[later.clone(), wish("off", None)]).await;
    let names: Vec<_> = world.store.cron_list(one).await.unwrap();
    assert_eq!(names.iter().map(|row| &*row.name).collect::<Vec<_>>(), ["late", "off"]);
    let expected = CronRow { command: "other".into(), ..late };
    assert_eq!(get(&world, one, "late").await, expected);
    assert_eq!(due(&world, 999, 9).await, ["early", "late"]);
    assert_eq!(due(&world, 999, 1).await, ["early"]);
    assert!(due(&world, 99, 9).await.is_empty());
    assert_eq!(world.store.cron_next_look().await.unwrap(), Some(at(100)));

    let moved = CronWish { schedule: "0 4 * * *".into(), ..later };
    set(&world, one, &[moved, wish("off", Some(700))]).await;
    assert_eq!(get(&world, one, "late").await.next_due, Some(at(900)));
    assert_eq!(get(&world, one, "off").await.next_due, Some(at(700)));
    set(&world, one, &[wish("off", None)]).await;
    assert_eq!(
        (get(&world, one, "off").await.next_due, due(&world, 999, 9).await.len()),
        (None, 1)
    );
    set(&world, one, &[]).await;
    assert!(world.store.cron_list(one).await.unwrap().is_empty());
    assert_eq!(world.store.cron_list(two).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_due_time_is_taken_once_and_a_run_ends_once() {
    let world = World::new().await;
    let (store, boot, app) = (&world.store, BootId::new(), app(&world).await);
    set(&world, app, &[wish("a", Some(100))]).await;
    let row = get(&world, app, "a").await;
    let first = run(boot, 100);
    for expected in [Swap::Done, Swap::Stale] {
        let begun = store.cron_begin(&row, at(100), first, Some(at(200))).await.unwrap();
        assert_eq!(begun, expected);
    }
    let now = get(&world, app, "a").await;
    assert_eq!((now.run, now.next_due), (Some(first), Some(at(200))));
    // It comes again, and is not begun while it runs.
    assert_eq!(due(&world, 200, 9).await, ["a"]);
    let second = run(boot, 200);
    let begun = store.cron_begin(&row, at(200), second, Some(at(300))).await.unwrap();
    assert_eq!(begun, Swap::Stale);
    assert_eq!(store.cron_ask(app, "a", at(210)).await.unwrap(), Swap::Stale);
    let skipped = store.cron_skip(&row, at(200), at(200), "it runs", Some(at(300))).await;
    assert_eq!(skipped.unwrap(), Swap::Done);

    // A deployment meanwhile takes nothing of the run.
    set(&world, app, &[wish("a", Some(900))]).await;
    let end = RunEnd { exit_code: Some(3), error: None, output: "x\n".into() };
    assert_eq!(store.cron_end(&row, second, at(250), &end).await.unwrap(), Swap::Stale);
    assert_eq!(store.cron_end(&row, first, at(250), &end).await.unwrap(), Swap::Done);
    assert_eq!(store.cron_end(&row, first, at(251), &end).await.unwrap(), Swap::Stale);
    let now = get(&world, app, "a").await;
    let last = RunRow { due: at(100), started: at(105), ended: at(250), end };
    let miss = MissRow { due: at(200), reason: "it runs".into() };
    assert_eq!((now.run, now.last, now.miss), (None, Some(last), Some(miss)));
    assert_eq!(now.next_due, Some(at(300)));

    assert_eq!(store.cron_put_off(&row, at(300), at(330)).await.unwrap(), Swap::Done);
    assert!(due(&world, 329, 9).await.is_empty());
    assert_eq!(store.cron_put_off(&row, at(100), at(1)).await.unwrap(), Swap::Stale);
    assert_eq!(due(&world, 330, 9).await, ["a"]);
    set(&world, app, &[]).await;
    let missing = store.cron_begin(&row, at(300), second, None).await.unwrap();
    assert_eq!(missing, Swap::Missing);
}

#[tokio::test]
async fn what_somebody_wants_at_once_comes_first_and_once() {
    let world = World::new().await;
    let (store, boot, app) = (&world.store, BootId::new(), app(&world).await);
    set(&world, app, &[wish("off", None), wish("on", Some(500))]).await;
    assert_eq!(store.cron_ask(app, "nobody", at(50)).await.unwrap(), Swap::Missing);
    for name in ["off", "on"] {
        assert_eq!(store.cron_ask(app, name, at(50)).await.unwrap(), Swap::Done);
        assert_eq!(store.cron_ask(app, name, at(51)).await.unwrap(), Swap::Stale);
        // A deployment forgets no wish.
        set(&world, app, &[wish("off", None), wish("on", Some(500))]).await;
        let row = get(&world, app, name).await;
        assert_eq!((row.asked, due(&world, 50, 9).await), (Some(at(50)), vec![name.to_owned()]));
        let run = run(boot, 50);
        // Before its times, which wait.
        assert_eq!(store.cron_begin(&row, at(500), run, None).await.unwrap(), Swap::Stale);
        assert_eq!(store.cron_begin_asked(&row, run).await.unwrap(), Swap::Done);
        assert_eq!(store.cron_begin_asked(&row, run).await.unwrap(), Swap::Stale);
        let now = get(&world, app, name).await;
        assert_eq!((now.asked, now.run, now.next_due), (None, Some(run), row.next_due));
        assert!(due(&world, 499, 9).await.is_empty());
    }
    assert_eq!(due(&world, 500, 9).await, ["on"]);
}

#[tokio::test]
async fn a_run_that_was_refused_waits_for_the_same_time_again() {
    let world = World::new().await;
    let (store, boot, app) = (&world.store, BootId::new(), app(&world).await);
    set(&world, app, &[wish("a", Some(100))]).await;
    let row = get(&world, app, "a").await;
    let first = run(boot, 100);
    let begin = async || store.cron_begin(&row, at(100), first, Some(at(200))).await.unwrap();
    assert_eq!(begin().await, Swap::Done);
    let back = store.cron_take_back(&row, first, "no room", Some(at(130))).await.unwrap();
    assert_eq!(back, Swap::Done);
    let now = get(&world, app, "a").await;
    let miss = Some(MissRow { due: at(100), reason: "no room".into() });
    assert_eq!((now.run, now.next_due, now.miss), (None, Some(at(100)), miss));
    // Nor does a deployment hurry it.
    set(&world, app, &[wish("a", Some(900))]).await;
    assert!(due(&world, 129, 9).await.is_empty());
    assert_eq!(due(&world, 130, 9).await, ["a"]);
    // Not to be tried again.
    assert_eq!(begin().await, Swap::Done);
    assert_eq!(store.cron_take_back(&row, first, "paused", None).await.unwrap(), Swap::Done);
    assert_eq!(get(&world, app, "a").await.next_due, Some(at(200)));
    // Due at other times by now, or off.
    for changed in [
        CronWish { schedule: "0 5 * * *".into(), ..wish("a", Some(700)) },
        CronWish { schedule: "0 5 * * *".into(), ..wish("a", None) },
    ] {
        set(&world, app, &[wish("a", Some(200))]).await;
        let row = get(&world, app, "a").await;
        let second = run(boot, 200);
        let begun = store.cron_begin(&row, at(200), second, Some(at(300))).await.unwrap();
        assert_eq!(begun, Swap::Done);
        let next = changed.next_due;
        set(&world, app, &[changed]).await;
        let back = store.cron_take_back(&row, second, "no room", Some(at(230))).await.unwrap();
        assert_eq!((back, get(&world, app, "a").await.next_due), (Swap::Done, next));
        assert!(due(&world, 699, 9).await.is_empty());
    }
}

#[tokio::test]
async fn the_runs_of_a_server_that_is_gone_are_ended_and_no_others() {
    let world = World::new().await;
    let (mine, theirs, app) = (BootId::new(), BootId::new(), app(&world).await);
    set(&world, app, &[wish("mine", Some(100)), wish("theirs", Some(100))]).await;
    for (name, boot) in [("mine", mine), ("theirs", theirs)] {
        let row = get(&world, app, name).await;
        let begun = world.store.cron_begin(&row, at(100), run(boot, 100), None).await.unwrap();
        assert_eq!(begun, Swap::Done);
    }
    assert_eq!(world.store.cron_end_of_other_boots(mine, "gone").await.unwrap(), 1);
    let last = get(&world, app, "theirs").await.last.unwrap();
    let end = RunEnd { exit_code: None, error: Some("gone".into()), output: String::new() };
    assert_eq!((last.due, last.started, last.end), (at(100), at(105), end));
    assert!(get(&world, app, "mine").await.run.is_some());
}
