//! Whether a build leaves pages or a server: each framework says it in its own
//! configuration.

use serde_json::Value;

use super::super::Framework;
use super::super::facts::Facts;
use super::super::plan::{Built, Plan};
use super::super::range::{Range, Tilde};
use super::super::rules::Rule;
use super::super::text::{assigned_literal, assigns, inside, joined, shown};

/// What answers once it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    Pages(Built, String),
    /// This program of the framework; empty for what the repository itself starts.
    Server(String, String),
}

const NEXT: &[&str] =
    &["next.config.ts", "next.config.mjs", "next.config.js", "next.config.cjs", "next.config.mts"];
const NUXT: &[&str] = &["nuxt.config.ts", "nuxt.config.js", "nuxt.config.mjs"];
const VITE: &[&str] = &[
    "vite.config.ts",
    "vite.config.js",
    "vite.config.mts",
    "vite.config.mjs",
    "vite.config.cts",
    "vite.config.cjs",
];
const SVELTE: &[&str] = &["svelte.config.js", "svelte.config.ts", "svelte.config.mjs"];
const ASTRO: &[&str] =
    &["astro.config.mjs", "astro.config.ts", "astro.config.js", "astro.config.mts"];
const REACT_ROUTER: &[&str] = &["react-router.config.ts", "react-router.config.js"];

pub(super) fn of(rule: &Rule, facts: &Facts<'_>, plan: &mut Plan) -> Output {
    let config = |files: &[&str]| facts.sources.any_text(files).unwrap_or_default();
    let pages = |folder: Option<String>, why: &str| {
        let known = rule.web.pages.iter().map(|folder| (*folder).to_owned());
        let folders = folder.into_iter().chain(known).fold(Vec::new(), |mut all, folder| {
            if !all.contains(&folder) {
                all.push(folder);
            }
            all
        });
        Output::Pages(Built { folders, single_page: rule.web.single_page }, why.to_owned())
    };
    let server = |why: &str| Output::Server(rule.web.serve.to_owned(), why.to_owned());
    match rule.framework {
        Framework::Nextjs => {
            let config = config(NEXT);
            if assigned_literal(config, "output") == Some("export") {
                let folder = assigned_literal(config, "distDir").and_then(inside);
                return pages(folder, "the Next.js configuration has output `export`");
            }
            server("Next.js renders on a server unless its output is `export`")
        }
        Framework::Nuxt => {
            let build = facts.package.as_ref().and_then(|package| package.script("build"));
            if build.is_some_and(|build| build.contains("generate")) {
                return pages(None, "the build script generates pages");
            }
            if assigned_literal(config(NUXT), "preset") == Some("static") {
                return pages(None, "the Nuxt configuration has preset `static`");
            }
            let range = facts.package.as_ref().and_then(|package| package.dependency("nuxt"));
            let range = range.and_then(|range| Range::parse(range, Tilde::Npm));
            let is =
                |major| range.as_ref().zip(Range::prefix(major)).is_some_and(|(a, b)| a.meets(&b));
            if is("2") && !is("3") {
                return Output::Server("nuxt start".into(), "Nuxt 2 serves so".into());
            }
            server("Nuxt renders on a server unless the build script is `nuxt generate`")
        }
        Framework::ReactRouter | Framework::Remix => {
            let files = [REACT_ROUTER, VITE].concat();
            let is_spa = files
                .iter()
                .filter_map(|file| facts.sources.text(file))
                .any(|text| assigns(text, "ssr", "false"));
            if is_spa {
                return pages(None, "`ssr` is false");
            }
            if facts.sources.app.first(&["remix.config.js", "remix.config.mjs"]).is_some() {
                let line = "remix-serve ./build/index.js";
                return Output::Server(line.into(), "its build is that of remix.config".into());
            }
            server("`ssr` is not false")
        }
        Framework::Sveltekit => sveltekit(facts, config(SVELTE), plan, pages, server),
        Framework::Astro => {
            if facts.depends_on("@astrojs/node") {
                return server("package.json depends on @astrojs/node");
            }
            let config = config(ASTRO);
            if matches!(assigned_literal(config, "output"), Some("server" | "hybrid")) {
                plan.warn(
                    "Astro renders on a server here, and only the adapter @astrojs/node runs one: `npx astro add node`.",
                );
            }
            let folder = assigned_literal(config, "outDir").and_then(inside);
            pages(folder, "Astro builds pages without the adapter @astrojs/node")
        }
        Framework::Angular => angular(facts, pages),
        Framework::Vite => {
            let config = config(VITE);
            let root = assigned_literal(config, "root");
            let out = assigned_literal(config, "outDir").or(root.map(|_| "dist"));
            // It is named from the root of Vite.
            let folder = out.and_then(|out| joined(root.unwrap_or_default(), out));
            pages(folder, "Vite builds pages")
        }
        _ if !rule.web.pages.is_empty() => pages(None, &format!("{} builds pages", rule.label)),
        _ => server("nothing else starts it"),
    }
}

fn sveltekit(
    facts: &Facts<'_>,
    config: &str,
    plan: &mut Plan,
    pages: impl Fn(Option<String>, &str) -> Output,
    server: impl Fn(&str) -> Output,
) -> Output {
    if config.contains("adapter-static") || facts.depends_on("@sveltejs/adapter-static") {
        let folder = assigned_literal(config, "pages").and_then(inside);
        let Output::Pages(mut built, why) = pages(folder, "its adapter is adapter-static") else {
            return server("its adapter is not known");
        };
        built.single_page = assigned_literal(config, "fallback") == Some("index.html");
        return Output::Pages(built, why);
    }
    if facts.depends_on("@sveltejs/adapter-node") {
        let folder = assigned_literal(config, "out").and_then(inside);
        let folder = folder.unwrap_or_else(|| "build".into());
        let line = format!("node {}", super::super::text::quoted(&folder));
        return Output::Server(line, "its adapter is adapter-node".into());
    }
    plan.warn(
        "SvelteKit's adapter builds for another platform: Vite's preview server serves it. Use @sveltejs/adapter-node for production.",
    );
    server("it has neither adapter-node nor adapter-static")
}

/// `angular.json` says where each project's build goes.
fn angular(facts: &Facts<'_>, pages: impl Fn(Option<String>, &str) -> Output) -> Output {
    let why = "Angular builds pages";
    let json = facts.sources.text("angular.json").and_then(|it| serde_json::from_str(it).ok());
    let json: Value = json.unwrap_or_default();
    let projects = json.get("projects").and_then(Value::as_object);
    let wished = json.get("defaultProject").and_then(Value::as_str);
    let is_app =
        |project: &Value| project.get("projectType").is_none_or(|kind| kind == "application");
    let project = projects.and_then(|projects| {
        wished
            .and_then(|name| projects.get_key_value(name))
            .or_else(|| projects.iter().find(|(_, project)| is_app(project)))
    });
    let Some((name, project)) = project else { return pages(None, why) };
    let targets = project.get("architect").or_else(|| project.get("targets"));
    let options = targets.and_then(|targets| targets.get("build")?.get("options"));
    let option = |key: &str| options.and_then(|options| options.get(key));
    let path = option("outputPath");
    let base = path.and_then(|it| it.as_str().or_else(|| it.get("base")?.as_str()));
    let base = base.and_then(inside).or_else(|| inside(&format!("dist/{name}")));
    let Some(base) = base else { return pages(None, why) };
    let is_server = option("ssr").is_some_and(|ssr| *ssr != Value::Bool(false))
        && option("outputMode").is_none_or(|mode| mode != "static");
    if is_server {
        let line =
            format!("node {}", super::super::text::quoted(&format!("{base}/server/server.mjs")));
        return Output::Server(
            line,
            format!("{} renders on a server in angular.json", shown(name)),
        );
    }
    let browser = path.and_then(|it| it.get("browser")?.as_str()).unwrap_or("browser");
    let Output::Pages(mut built, why) = pages(None, why) else { return pages(None, why) };
    built.folders = inside(&format!("{base}/{browser}")).into_iter().chain([base]).collect();
    Output::Pages(built, why)
}
