use pando_deploy::Added;
use pando_types::app::App;
use pando_types::domain::{AddDomain, AppDomain, DnsRecordType, DomainStatus};
use pando_types::limits::MAX_DOMAINS;
use pando_types::{AppId, Code, OrgId, PublicError};

use crate::dns::Record;
use crate::world::World;

const SHOP: &str = "shop.example.com";

impl World {
    async fn add_domain(&self, app: &App, domain: &str) -> Result<(Added, AppDomain), PublicError> {
        let request = AddDomain { domain: domain.into() };
        self.deploy.domain_add(self.org, app.id, &request, Some("api.example:443")).await
    }

    async fn domain(&self, app: &App, domain: &str) -> AppDomain {
        self.deploy.domain_get(self.org, app.id, domain).await.unwrap()
    }

    async fn check_domain(&self, app: &App, domain: &str) -> AppDomain {
        self.deploy.domain_check(self.org, app.id, domain).await.unwrap()
    }

    async fn named(&self, name: &str) -> App {
        self.app(|app| app.name = name.into()).await
    }

    /// Makes the record of this kind that the domain asks for.
    fn make_record(&self, domain: &AppDomain, kind: DnsRecordType) {
        let record = domain.records.iter().find(|it| it.kind == kind).unwrap().clone();
        self.dns.set(
            &record.name,
            match kind {
                DnsRecordType::Cname => Record::Cname(record.value),
                DnsRecordType::Txt => Record::Txt(record.value),
            },
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_becomes_active_by_itself_and_follows_the_app() {
    let mut world = World::new().await;
    let app = world.named("shop").await;
    world.ended(app.id).await;
    let (added, domain) = world.add_domain(&app, "Shop.Example.COM.").await.unwrap();
    assert_eq!((added, domain.status), (Added::New, DomainStatus::Pending));
    assert_eq!(domain.domain, SHOP);
    assert_eq!(domain.url, "http://shop.example.com");
    let host = app.url.strip_prefix("http://").unwrap();
    assert_eq!((domain.records[0].name.as_str(), domain.records[0].value.as_str()), (SHOP, host));
    assert!(!world.deploy.domain_is_active(SHOP));
    assert_eq!(world.routes.resolve_domain(SHOP), None);

    world.make_record(&domain, DnsRecordType::Cname);
    world
        .until("it is active", async || {
            world.domain(&app, SHOP).await.status == DomainStatus::Active
        })
        .await;
    assert!(world.deploy.domain_is_active("SHOP.example.com"));
    assert!(world.routes.resolve_domain(SHOP).is_some());
    assert_eq!(world.routes.resolve_domain(SHOP), world.target(&app));

    // The next deployment is behind both names at once.
    let before = world.routes.resolve_domain(SHOP);
    world.new_deployment(app.id, Default::default()).await.unwrap();
    world.ended(app.id).await;
    assert_ne!(world.routes.resolve_domain(SHOP), before);
    assert_eq!(world.routes.resolve_domain(SHOP), world.target(&app));
    world.restart().await;
    assert!(world.routes.is_domain(SHOP));
    assert_eq!(world.routes.resolve_domain(SHOP), world.target(&app));

    // Removed, it leads nowhere at once; added again, it begins anew.
    world.deploy.domain_remove(world.org, app.id, "SHOP.example.com").await.unwrap();
    assert!(!world.routes.is_domain(SHOP));
    let gone = world.deploy.domain_get(world.org, app.id, SHOP).await.unwrap_err();
    assert_eq!(gone.code, Code::NotFound);
    world.add_domain(&app, SHOP).await.unwrap();
    assert_eq!(world.check_domain(&app, SHOP).await.status, DomainStatus::Active);
    world.deploy.app_delete(world.org, app.id).await.unwrap();
    assert!(!world.routes.is_domain(SHOP), "a domain goes with its app");
    world.restart().await;
    assert!(!world.routes.is_domain(SHOP));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_without_a_proof_stands_in_nobody_s_way() {
    let world = World::new().await;
    let (squatter, owner) = (world.named("squatter").await, world.named("owner").await);
    world.add_domain(&squatter, SHOP).await.unwrap();
    let (_, claim) = world.add_domain(&owner, SHOP).await.unwrap();
    // What the squatter was told is in nobody's zone: it holds another token.
    world.make_record(&claim, DnsRecordType::Txt);
    assert_eq!(world.check_domain(&squatter, SHOP).await.status, DomainStatus::Error);
    assert_eq!(world.check_domain(&owner, SHOP).await.status, DomainStatus::Active);
    assert_eq!(world.routes.resolve_domain(SHOP), world.target(&owner));
    let told = world.check_domain(&squatter, SHOP).await;
    assert!(told.reason.unwrap().contains("holds another value"));

    // Both are proven: who has it keeps it, until its record goes.
    world.make_record(&world.domain(&squatter, SHOP).await, DnsRecordType::Cname);
    let refused = world.check_domain(&squatter, SHOP).await;
    assert_eq!(refused.status, DomainStatus::Error);
    assert!(refused.reason.unwrap().contains("another app has this domain"));
    assert_eq!(world.routes.resolve_domain(SHOP), world.target(&owner));
    world.dns.remove(&claim.records[1].name);
    assert_eq!(world.check_domain(&squatter, SHOP).await.status, DomainStatus::Active);
    assert_eq!(world.domain(&owner, SHOP).await.status, DomainStatus::Pending);
    assert_eq!(world.routes.resolve_domain(SHOP), world.target(&squatter));
    assert_eq!(world.check_domain(&owner, SHOP).await.status, DomainStatus::Error);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dns_says_is_told_and_an_active_domain_outlives_its_silence() {
    let world = World::new().await;
    let app = world.named("shop").await;
    world.add_domain(&app, SHOP).await.unwrap();
    let seen = async |record: Record, status: DomainStatus, why: &str| {
        world.dns.set(SHOP, record);
        let seen = world.check_domain(&app, SHOP).await;
        assert_eq!(seen.status, status, "{seen:?}");
        assert!(seen.reason.unwrap_or_default().contains(why), "{why}");
        assert!(seen.checked_at.is_some());
    };
    let host = app.url.strip_prefix("http://").unwrap().to_owned();
    seen(Record::Txt("x".into()), DomainStatus::Pending, "neither record").await;
    seen(Record::Cname("x.test".into()), DomainStatus::Error, "leads to x.test, not to").await;
    seen(Record::Fails, DomainStatus::Error, "response code 2").await;
    // By way of another name of one's own.
    world.dns.set("x.test", Record::Cname("Y.test".into()));
    world.dns.set("y.test", Record::Cname(host.to_uppercase()));
    seen(Record::Cname("x.test".into()), DomainStatus::Active, "").await;
    seen(Record::Fails, DomainStatus::Active, "response code 2").await;
    seen(Record::Txt("x".into()), DomainStatus::Active, "it is served until").await;
    assert!(world.routes.is_domain(SHOP));
    // Names that lead in a circle.
    world.dns.set("x.test", Record::Cname("x.test".into()));
    seen(Record::Cname("x.test".into()), DomainStatus::Active, "leads to x.test").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_domain_is_refused_by_its_field() {
    let world = World::new().await;
    let app = world.named("shop").await;
    for (domain, why) in [
        ("preview.test", "this server's own"),
        ("shop.Preview.test.", "this server's own"),
        ("API.example", "the API's own host"),
        ("192.0.2.1", "not an address"),
        ("localhost", "localhost"),
        ("shop", "two labels"),
        ("*.example.com", "wildcard"),
        ("b\u{fc}cher.example", "xn--"),
    ] {
        let error = world.add_domain(&app, domain).await.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some("domain")));
        assert!(error.message.contains(why), "{domain}: {}", error.message);
    }
    for number in 0..MAX_DOMAINS {
        world.add_domain(&app, &format!("d{number}.example.com")).await.unwrap();
    }
    let (again, _) = world.add_domain(&app, "d0.example.com").await.unwrap();
    assert_eq!(again, Added::Known);
    assert_eq!(world.add_domain(&app, SHOP).await.unwrap_err().code, Code::Conflict);
    let list = world.deploy.domain_list(world.org, app.id).await.unwrap();
    assert_eq!(list.domains.len(), MAX_DOMAINS as usize);
    assert_eq!(list.domains[7].domain, "d7.example.com");

    let other = world.deploy.domain_list(OrgId::new(), app.id).await.unwrap_err();
    let nobody = world.deploy.domain_list(world.org, AppId::new()).await.unwrap_err();
    let unknown = world.deploy.domain_remove(world.org, app.id, "*").await.unwrap_err();
    let foreign = world.deploy.domain_remove(OrgId::new(), app.id, "d0.example.com").await;
    for error in [other, nobody, unknown, foreign.unwrap_err()] {
        assert_eq!(error.code, Code::NotFound);
    }
    world.finish().await;
}
