//! Java, with Maven or Gradle.

use super::facts::Facts;
use super::plan::{Plan, Serve};
use super::rules::Rule;
use super::{DetectError, tools};

/// Programs that builds leave beside the one that runs.
const NOT_THE_APP: &str =
    "-e '-plain.jar' -e '-sources.jar' -e '-javadoc.jar' -e '-tests.jar' -e '/original-'";

pub(super) fn plan(rule: &Rule, facts: &Facts<'_>, why: &str) -> Result<Plan, DetectError> {
    let sources = facts.sources;
    let start = Serve::Command(String::new());
    let mut plan = Plan::new(rule.framework, &sources.app.path, start);
    plan.because(rule.label, why);
    tools::add(&tools::JAVA, facts, &mut plan)?;
    let is_maven = sources.has("pom.xml");
    let (program, wrapper, kind, libs) = if is_maven {
        ("mvn", "mvnw", &tools::MAVEN, "target")
    } else {
        ("gradle", "gradlew", &tools::GRADLE, "build/libs")
    };
    // Not all repositories keep the wrapper's permission to run.
    let (program, why) = if sources.has(wrapper) {
        (format!("sh ./{wrapper}"), format!("{wrapper} is there"))
    } else {
        tools::add(kind, facts, &mut plan)?;
        (program.to_owned(), format!("there is no {wrapper}"))
    };
    let command = if is_maven {
        format!("{program} --batch-mode -DskipTests package")
    } else {
        format!("{program} --no-daemon build -x test")
    };
    plan.builds(command, why);
    if facts.starts_itself() {
        return Ok(plan);
    }
    let build =
        sources.any_text(&["pom.xml", "build.gradle", "build.gradle.kts"]).unwrap_or_default();
    let is_quarkus = build.contains("io.quarkus");
    let jar = if is_quarkus {
        let folder = if is_maven { "target" } else { "build" };
        format!("{folder}/quarkus-app/quarkus-run.jar")
    } else {
        format!("\"$(ls {libs}/*.jar | grep -v {NOT_THE_APP} | head -n 1)\"")
    };
    // What each framework reads for its port.
    let (port, why) = if is_quarkus {
        ("QUARKUS_HTTP_PORT=$PORT QUARKUS_HTTP_HOST=0.0.0.0", "it is built with Quarkus")
    } else if build.contains("io.micronaut") {
        ("MICRONAUT_SERVER_PORT=$PORT", "it is built with Micronaut")
    } else if build.contains("org.springframework.boot") {
        (
            "SERVER_PORT=$PORT SERVER_FORWARD_HEADERS_STRATEGY=framework",
            "it is built with Spring Boot",
        )
    } else {
        ("SERVER_PORT=$PORT", "that is what the build leaves")
    };
    plan.starts(format!("{port} java -jar {jar}"), why);
    Ok(plan)
}
