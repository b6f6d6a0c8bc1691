use std::collections::BTreeMap;
use std::time::Duration;

use pando_types::app::DeploymentStatus;

use crate::world::World;

const DOCKERFILE: &[u8] = br#"FROM pando/base
RUN echo very-secret-value
CMD {"command": ["python3", "-m", "http.server", "8000"], "cwd": "/", "ports": [8000]}
"#;
const MANIFEST: &[u8] = b"[build]\nsecrets = [\"TOKEN\"]\n[release]\ncommand = \"pwd\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_dockerfile_is_built_and_what_its_image_says_runs() {
    let world = World::new().await;
    let files = [("Dockerfile", DOCKERFILE), ("pando.toml", MANIFEST)];
    world.repo.push("main", &files, "an image").await.unwrap();
    let own = [("TOKEN", "very-secret-value"), ("WORD", "own")];
    let own: BTreeMap<_, _> = own.map(|(name, value)| (name.into(), value.into())).into();
    let app = world
        .app(|app| {
            app.framework = Some("dockerfile".into());
            app.env = Some(own);
        })
        .await;
    let deployment = world.ended(app.id).await;
    let log = deployment.build_logs.unwrap();
    assert_eq!(deployment.status, DeploymentStatus::Live, "{log}");
    for line in [
        "Docker image, because Dockerfile is there.",
        "Building Dockerfile.",
        "RUN echo [hidden]",
        // Of all that is set on the app, the build is given just that.
        "TOKEN=[hidden]",
        "Port 8000, because the image exposes it.",
        "$ python3 -m http.server 8000",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    assert!(!log.contains("very-secret-value") && !log.contains("WORD="), "{log}");
    // The machine that built is not the one that runs.
    assert_eq!((world.machines.made(), world.machines.count()), (2, 1));
    let argv = vec!["true".to_owned()];
    let minute = Duration::from_secs(60);
    let (_, exec) = world.deploy.app_command(world.org, app.id, argv, minute).await.unwrap();
    assert_eq!((exec.argv, exec.cwd.as_deref()), (vec!["true".to_owned()], Some("/")));
    assert_eq!(exec.root.as_deref(), Some("/run/pando-app/image"));
    assert!(!exec.env.contains_key("TOKEN") && exec.env["WORD"] == "own");
    world.finish().await;
}
