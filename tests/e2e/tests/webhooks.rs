//! Webhooks to the real server: what is not signed, what comes again, and very many at once.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use pando_e2e::{App, Options, Server, remove_apps};
use pando_forge::{Answer, Delivery, Forge, Repo, Settings, Webhook, sign};
use pando_store::Store;
use pando_types::DeliveryId;
use pando_types::limits::MAX_WEBHOOK_BODY_BYTES;
use serde_json::{Value, json};
use tokio::time::timeout;

const SECRET: &str = "a-webhook-secret";
/// Where nobody listens.
const NOBODY: &str = "http://127.0.0.1:9/";

/// The deliveries of the flood.
const MANY: usize = 1000;
/// Those under way at once.
const AT_ONCE: usize = 16;
/// The repositories that they are about.
const REPOS: usize = 2;
/// The apps that are made from each.
const APPS_OF_REPO: usize = 2;
/// The heads that each repository has meanwhile, one after another.
const HEADS: usize = 5;
/// How long those who look meanwhile wait for an answer.
const LOOK_LIMIT: Duration = Duration::from_secs(30);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

struct World {
    server: Server,
    forge: Forge,
    root: PathBuf,
}

impl World {
    async fn start() -> anyhow::Result<Self> {
        let root = pando_e2e::test_data().join("webhooks");
        std::fs::create_dir_all(&root)?;
        let forge = Forge::start(Settings::new(root.join("forge"), "token")).await?;
        let host = forge.url().trim_start_matches("http://").to_owned();
        let options = Options {
            arguments: ["--allow-git-host".to_owned(), host].into(),
            environment: [("PANDO_GITHUB_WEBHOOK_SECRET".to_owned(), SECRET.to_owned())].into(),
            ..Options::default()
        };
        let server = Server::start(options).await?;
        remove_apps(&server).await?;
        Ok(Self { server, forge, root })
    }

    /// A repository whose page says `head 0`, and so many apps of it, all of them live.
    async fn repo(&self, name: &str, apps: usize) -> anyhow::Result<(Repo, Vec<App>)> {
        let files = [("index.html", &b"head 0"[..])];
        let repo = self.forge.create_repo(&format!("acme/{name}"), &files, "main").await?;
        let mut made = Vec::new();
        for number in 0..apps {
            let fields = json!({
                "name": format!("{name}-{number}"), "git_url": repo.clone_url(),
                "git_branch": "main",
            });
            made.push(App::create(&self.server, &fields).await?);
        }
        for app in &made {
            app.until_live(&self.server).await?;
        }
        Ok((repo, made))
    }

    /// Pushes a page that says `head N`, of which the forge tells whoever is at `url`.
    async fn push(&self, repo: &Repo, head: usize, url: String) -> anyhow::Result<Delivery> {
        self.forge.set_webhook(Webhook { url, secret: SECRET.to_owned() });
        let text = format!("head {head}");
        let pushed = repo.push("main", &[("index.html", text.as_bytes())], "Next").await?;
        pushed.deliveries.into_iter().next().context("the forge told nobody")
    }

    /// The body of what the forge says of such a push, which does not arrive.
    async fn push_unheard(&self, repo: &Repo, head: usize) -> anyhow::Result<String> {
        Ok(self.push(repo, head, NOBODY.to_owned()).await?.body)
    }

    /// Sends a body with these headers, and no others.
    async fn send(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> anyhow::Result<(u16, Value)> {
        let request = self.server.client().post(self.hook()).body(body);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Sends what a forge would.
    async fn deliver(&self, event: &str, id: &str, body: &str) -> anyhow::Result<(u16, Value)> {
        let signature = sign(SECRET, body.as_bytes());
        let headers = [
            ("x-github-event", event),
            ("x-github-delivery", id),
            ("x-hub-signature-256", &signature),
        ];
        self.send(&headers, body.to_owned()).await
    }

    fn hook(&self) -> String {
        self.server.url("/v1/webhooks/github")
    }

    /// Waits until what was last asked for is live, and looks whether it is `head N`.
    async fn page_is(&self, app: &App, head: usize) -> anyhow::Result<()> {
        app.until_live(&self.server).await?;
        let (page, wanted) = (app.page(&self.server).await?, format!("head {head}"));
        ensure!(page == wanted, "it shows {page}, not {wanted}");
        Ok(())
    }

    /// Asks for its health and for the page of an app, again and again, and keeps the
    /// longest that it waited.
    async fn look(&self, app: &App, slowest: &Cell<Duration>) -> anyhow::Result<Infallible> {
        loop {
            let begun = Instant::now();
            let health = self.server.client().get(self.server.url("/healthz")).send();
            let health = timeout(LOOK_LIMIT, health).await.context("/healthz")??;
            ensure!(health.status() == 200, "/healthz answers {}", health.status());
            slowest.set(slowest.get().max(begun.elapsed()));
            let begun = Instant::now();
            let page = timeout(LOOK_LIMIT, app.page(&self.server)).await.context("the page")??;
            ensure!(page.starts_with("head "), "it shows {page}");
            slowest.set(slowest.get().max(begun.elapsed()));
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn finish(self) -> anyhow::Result<()> {
        remove_apps(&self.server).await?;
        let finished = self.server.finish();
        self.forge.stop().await;
        std::fs::remove_dir_all(&self.root)?;
        finished
    }
}

/// An id that no delivery had, in this run or an earlier one.
fn new_id() -> String {
    DeliveryId::new().to_string()
}

fn texts(rows: &[Value], field: &str) -> Vec<String> {
    rows.iter().map(|row| row[field].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_is_refused_and_nothing_comes_of_it() -> anyhow::Result<()> {
    let world = World::start().await?;
    let (repo, apps) = world.repo("signed", 1).await?;
    let app = &apps[0];
    let body = world.push_unheard(&repo, 1).await?;
    let (id, good) = (new_id(), sign(SECRET, body.as_bytes()));
    let named = [("x-github-event", "push"), ("x-github-delivery", id.as_str())];
    let signed = |signature| [named[0], named[1], ("x-hub-signature-256", signature)];

    let (status, refusal) = world.send(&named, body.clone()).await?;
    ensure!(status == 401 && refusal["code"] == "unauthorized", "none: {status} {refusal}");
    let digits = good.trim_start_matches("sha256=");
    let sha1 = format!("sha1={}", &digits[..40]);
    let sha1_of_its_length = format!("sha1={digits}");
    let other_secret = sign("another", body.as_bytes());
    let other_body = sign(SECRET, b"{}");
    let (longer, long) = (format!("{good}00"), format!("sha256={}", "a".repeat(32 * 1024)));
    for signature in [
        "",
        "sha256=",
        "sha256=zz",
        &good[..good.len() - 2],
        &good[..good.len() - 1],
        digits,
        &sha1,
        &sha1_of_its_length,
        &other_secret,
        &other_body,
        &longer,
        &long,
    ] {
        let (status, refusal) = world.send(&signed(signature), body.clone()).await?;
        ensure!(
            status == 401 && refusal["code"] == "unauthorized",
            "{signature:.80}: {status} {refusal}"
        );
    }
    let megabyte = format!("sha256={}", "a".repeat(1024 * 1024));
    let (status, refusal) = world.send(&signed(&megabyte), body.clone()).await?;
    ensure!(status == 431, "a megabyte: {status} {refusal}");
    let (status, refusal) = world.send(&signed(&good), format!("{body} ")).await?;
    ensure!(status == 401, "changed on its way: {status} {refusal}");
    let mut large = body.clone().into_bytes();
    large.resize(MAX_WEBHOOK_BODY_BYTES + 1, b' ');
    let of_large = sign(SECRET, &large);
    let (status, refusal) = world.send(&signed(&of_large), large).await?;
    ensure!(status == 413 && refusal["code"] == "too_large", "too large: {status} {refusal}");

    let deliveries = app.deliveries(&world.server).await?;
    ensure!(deliveries.is_empty(), "{deliveries:?}");
    ensure!(app.deployments(&world.server).await?.len() == 1, "something was deployed");
    world.page_is(app, 0).await?;

    // What is signed is answered, also where nothing follows.
    for event in ["ping", "star"] {
        let (status, said) = world.deliver(event, &new_id(), &body).await?;
        ensure!(status == 202 && said["decision"] == "ignore", "{event}: {status} {said}");
    }
    ensure!(app.deployments(&world.server).await?.len() == 1, "something was deployed");
    // Refused, it may come again under its id.
    let (status, said) = world.deliver("push", &id, &body).await?;
    ensure!(status == 202 && said["decision"] == "deploy", "{status} {said}");
    world.page_is(app, 1).await?;
    let heard = texts(&app.deliveries(&world.server).await?, "event");
    ensure!(heard == ["push", "star", "ping"], "{heard:?}");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_done_once_however_often_it_comes() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    let (repo, apps) = world.repo("again", 1).await?;
    let app = &apps[0];

    let first = world.push(&repo, 1, world.hook()).await?;
    let Answer::Answered { status: 202, body: said } = &first.answer else {
        anyhow::bail!("{:?}", first.answer)
    };
    ensure!(said.contains(r#""decision":"deploy""#), "{said}");
    let again = world.forge.redeliver(first.id).await?;
    ensure!(again.answer == first.answer, "under way: {:?}", again.answer);
    world.page_is(app, 1).await?;
    let again = world.forge.redeliver(first.id).await?;
    ensure!(again.answer == first.answer, "live: {:?}", again.answer);
    ensure!(app.deployments(&world.server).await?.len() == 2, "it was deployed again");

    // The server was away: the forge has it still.
    let hook = world.hook();
    world.server.terminate()?;
    let missed = world.push(&repo, 2, hook).await?;
    ensure!(matches!(missed.answer, Answer::Failed { .. }), "{:?}", missed.answer);
    world.server.launch().await?;
    world.page_is(app, 1).await?;
    let done = world.forge.redeliver(missed.id).await?;
    ensure!(matches!(done.answer, Answer::Answered { status: 202, .. }), "{:?}", done.answer);
    world.page_is(app, 2).await?;

    // The server was in trouble: another process has its database, for longer than it waits.
    let (id, body) = (new_id(), world.push_unheard(&repo, 3).await?);
    let store = Store::open(&world.server.data().join("pando.db")).await?;
    let held = store.begin().await?;
    let (status, refusal) = world.deliver("push", &id, &body).await?;
    ensure!(status == 503 && refusal["code"] == "unavailable", "{status} {refusal}");
    let page = app.page(&world.server).await?;
    ensure!(page == "head 2", "it shows {page}");
    held.commit().await?;
    store.close().await;
    ensure!(app.deliveries(&world.server).await?.len() == 2, "it was kept");
    ensure!(app.deployments(&world.server).await?.len() == 3, "it was deployed");
    let (status, said) = world.deliver("push", &id, &body).await?;
    ensure!(status == 202 && said["decision"] == "deploy", "{status} {said}");
    ensure!(world.deliver("push", &id, &body).await? == (status, said), "it was done twice");
    world.page_is(app, 3).await?;
    let heard = texts(&app.deliveries(&world.server).await?, "id");
    ensure!(heard == [id, missed.id.to_string(), first.id.to_string()], "{heard:?}");
    ensure!(app.deployments(&world.server).await?.len() == 4, "something was deployed twice");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_deliveries_are_kept_and_lead_to_one_deployment_of_each_head()
-> anyhow::Result<()> {
    let mut world = World::start().await?;
    let mut repos = Vec::new();
    for number in 0..REPOS {
        repos.push(world.repo(&format!("many-{number}"), APPS_OF_REPO).await?);
    }
    let mut bodies = Vec::new();
    for head in 1..=HEADS {
        for (repo, _) in &repos {
            bodies.push(world.push_unheard(repo, head).await?);
        }
    }
    // Of a head nothing comes before all of the one before it did: what comes last is deployed.
    let mut sent: Vec<BTreeSet<String>> = vec![BTreeSet::new(); REPOS];
    let (slowest, slowest_look) = (Cell::new(Duration::ZERO), Cell::new(Duration::ZERO));
    let begun = Instant::now();
    let flood = async {
        for of_head in bodies.chunks(REPOS) {
            let ids: Vec<String> = (0..MANY / HEADS).map(|_| new_id()).collect();
            let deliver = async |(number, id): (usize, &String)| {
                let asked = Instant::now();
                let (status, said) = world.deliver("push", id, &of_head[number % REPOS]).await?;
                slowest.set(slowest.get().max(asked.elapsed()));
                ensure!(status == 202, "{status} {said}");
                Ok(())
            };
            let all = stream::iter(ids.iter().enumerate()).map(deliver);
            all.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            for (number, id) in ids.into_iter().enumerate() {
                sent[number % REPOS].insert(id);
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        done = flood => done?,
        looked = world.look(&repos[0].1[0], &slowest_look) => match looked? {},
    }
    let took = begun.elapsed();
    world.server.kill()?;
    println!(
        "{MANY} deliveries in {:.1} s, slowest {} ms; slowest of the health and a page meanwhile {} ms",
        took.as_secs_f64(),
        slowest.get().as_millis(),
        slowest_look.get().as_millis()
    );
    world.server.launch().await?;

    for ((repo, apps), sent) in repos.iter().zip(&sent) {
        for app in apps {
            let kept = app.deliveries(&world.server).await?;
            let ids = texts(&kept, "id");
            ensure!(ids.len() == sent.len(), "{} of {} are kept", ids.len(), sent.len());
            ensure!(ids.into_iter().collect::<BTreeSet<_>>() == *sent, "others are kept");
            let deploy = kept.iter().filter(|row| row["decision"] == "deploy").count();
            ensure!(deploy == HEADS, "{deploy} led to a deployment");

            world.page_is(app, HEADS).await?;
            let made = app.deployments(&world.server).await?;
            let heads: BTreeSet<String> = texts(&made, "git_commit").into_iter().collect();
            ensure!(made.len() == HEADS + 1 && heads.len() == made.len(), "{made:#?}");
            ensure!(made[0]["git_commit"] == json!(repo.head("main").await?), "{made:#?}");
            let ended = |row: &Value| row["status"] == "superseded" || row["status"] == "live";
            ensure!(made.iter().all(ended), "{made:#?}");
        }
    }
    world.finish().await
}
