//! The frameworks that are known, in the order in which they are looked for: the
//! first that has a sign is it. Data only; the facts on JavaScript frameworks are
//! those of the table that npm's `@vercel/frameworks` 3.34 publishes (Apache-2.0):
//! what they depend on, their commands, where a build leaves its pages.

use super::Framework;
use super::facts::Facts;
use super::signs::Sign::{self, File, Gem, Npm, Pip, Script, Text};

/// One framework.
#[derive(Debug)]
pub(super) struct Rule {
    pub framework: Framework,
    /// For people.
    pub label: &'static str,
    /// It is recognised where all signs of one of these hold.
    pub signs: &'static [&'static [Sign]],
    pub web: Web,
}

/// How an app of `package.json` is built and served. Commands are those of the framework's
/// own program; the package manager's way to start it is put before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Web {
    /// Builds where there is no build script; empty for nothing.
    pub build: &'static str,
    /// Where a build of pages leaves them; none where there is no such build.
    pub pages: &'static [&'static str],
    /// Whether the router of such pages is in the browser.
    pub single_page: bool,
    /// Serves in production where no start script does; `node` is Node itself.
    pub serve: &'static str,
    /// Scripts that serve in production, before `start`.
    pub scripts: &'static [&'static str],
    /// Start scripts that are not for production, or know no `$PORT`: what begins so is not
    /// used.
    pub unfit: &'static [&'static str],
}

const NO_WEB: Web =
    Web { build: "", pages: &[], single_page: false, serve: "", scripts: &[], unfit: &[] };

/// A static build with pages of their own.
const fn site(
    label: &'static str,
    signs: &'static [&'static [Sign]],
    build: &'static str,
    pages: &'static [&'static str],
    unfit: &'static [&'static str],
) -> Rule {
    let web = Web { build, pages, unfit, ..NO_WEB };
    Rule { framework: Framework::Static, label, signs, web }
}

/// A server that runs on Node, from a build or as it is.
const fn server(
    framework: Framework,
    label: &'static str,
    signs: &'static [&'static [Sign]],
    build: &'static str,
    serve: &'static str,
    unfit: &'static [&'static str],
) -> Rule {
    Rule { framework, label, signs, web: Web { build, serve, unfit, ..NO_WEB } }
}

const fn other(
    framework: Framework,
    label: &'static str,
    signs: &'static [&'static [Sign]],
) -> Rule {
    Rule { framework, label, signs, web: NO_WEB }
}

/// In order: what builds on another comes before it, a framework before its language.
pub(super) const RULES: &[Rule] = &[
    // Backends that keep a package.json for their assets.
    other(Framework::Rails, "Rails", &[&[Gem("rails")]]),
    other(Framework::Laravel, "Laravel", &[&[File("artisan"), File("composer.json")]]),
    other(Framework::Phoenix, "Phoenix", &[&[Text("mix.exs", ":phoenix,")]]),
    other(
        Framework::Django,
        "Django",
        &[&[File("manage.py"), Pip("django")], &[Text("manage.py", "DJANGO_SETTINGS_MODULE")]],
    ),
    // What serves from its own build.
    Rule {
        framework: Framework::Nextjs,
        label: "Next.js",
        signs: &[&[Npm("next")], &[Text("project.json", "@nx/next")]],
        web: Web {
            build: "next build",
            pages: &["out"],
            serve: "next start -p $PORT -H 0.0.0.0",
            unfit: &["next"],
            ..NO_WEB
        },
    },
    Rule {
        framework: Framework::Nuxt,
        label: "Nuxt",
        signs: &[&[Npm("nuxt")], &[Npm("nuxt3")], &[Npm("nuxt-nightly")], &[Npm("nuxt-edge")]],
        web: Web {
            build: "nuxt build",
            pages: &[".output/public", "dist"],
            serve: "node .output/server/index.mjs",
            unfit: &["nuxt", "nuxi"],
            ..NO_WEB
        },
    },
    Rule {
        framework: Framework::ReactRouter,
        label: "React Router",
        signs: &[&[Npm("@react-router/dev")]],
        web: Web {
            build: "react-router build",
            pages: &["build/client"],
            single_page: true,
            serve: "react-router-serve ./build/server/index.js",
            unfit: &["react-router dev", "vite"],
            ..NO_WEB
        },
    },
    Rule {
        framework: Framework::Remix,
        label: "Remix",
        signs: &[&[Npm("@remix-run/dev")], &[File("remix.config.js")], &[File("remix.config.mjs")]],
        web: Web {
            build: "remix vite:build",
            pages: &["build/client"],
            single_page: true,
            serve: "remix-serve ./build/server/index.js",
            unfit: &["remix dev", "remix vite:dev", "vite"],
            ..NO_WEB
        },
    },
    Rule {
        framework: Framework::Sveltekit,
        label: "SvelteKit",
        signs: &[&[Npm("@sveltejs/kit")]],
        web: Web {
            build: "vite build",
            pages: &["build"],
            serve: "vite preview --host 0.0.0.0 --port $PORT",
            unfit: &["vite", "svelte-kit"],
            ..NO_WEB
        },
    },
    Rule {
        framework: Framework::Astro,
        label: "Astro",
        signs: &[&[Npm("astro")]],
        web: Web {
            build: "astro build",
            pages: &["dist"],
            serve: "node ./dist/server/entry.mjs",
            unfit: &["astro"],
            ..NO_WEB
        },
    },
    server(
        Framework::Node,
        "TanStack Start",
        &[&[Npm("@tanstack/react-start")], &[Npm("@tanstack/solid-start")]],
        "vite build",
        "node .output/server/index.mjs",
        &["vite"],
    ),
    server(
        Framework::Node,
        "SolidStart",
        &[&[Npm("@solidjs/start")]],
        "vinxi build",
        "node .output/server/index.mjs",
        &["vinxi", "vite"],
    ),
    server(
        Framework::Node,
        "Nitro",
        &[&[Npm("nitropack")], &[Npm("nitro")]],
        "nitro build",
        "node .output/server/index.mjs",
        &["nitro", "vite"],
    ),
    // Sites: their build leaves pages.
    site("Gatsby", &[&[Npm("gatsby")]], "gatsby build", &["public"], &["gatsby"]),
    site(
        "Docusaurus",
        &[&[Npm("@docusaurus/core")]],
        "docusaurus build",
        &["build"],
        &["docusaurus"],
    ),
    site(
        "VitePress",
        &[&[Npm("vitepress")]],
        "vitepress build docs",
        &["docs/.vitepress/dist", ".vitepress/dist"],
        &["vitepress"],
    ),
    site(
        "VuePress",
        &[&[Npm("vuepress")]],
        "vuepress build docs",
        &["docs/.vuepress/dist", "src/.vuepress/dist"],
        &["vuepress"],
    ),
    site("Eleventy", &[&[Npm("@11ty/eleventy")]], "eleventy", &["_site"], &["eleventy"]),
    site("Hexo", &[&[Npm("hexo")]], "hexo generate", &["public"], &["hexo"]),
    Rule {
        framework: Framework::Angular,
        label: "Angular",
        signs: &[
            &[Npm("@angular/core")],
            &[Npm("@angular/cli")],
            &[Text("project.json", "@angular")],
        ],
        web: Web {
            build: "ng build",
            pages: &["dist"],
            single_page: true,
            unfit: &["ng", "nx"],
            ..NO_WEB
        },
    },
    Rule {
        framework: Framework::Cra,
        label: "Create React App",
        signs: &[&[Npm("react-scripts")], &[Npm("react-app-rewired")], &[Npm("@craco/craco")]],
        web: Web {
            build: "react-scripts build",
            pages: &["build"],
            single_page: true,
            unfit: &["react-scripts", "react-app-rewired", "craco"],
            ..NO_WEB
        },
    },
    Rule {
        framework: Framework::Static,
        label: "Vue CLI",
        signs: &[&[Npm("@vue/cli-service")]],
        web: Web {
            build: "vue-cli-service build",
            pages: &["dist"],
            single_page: true,
            unfit: &["vue-cli-service"],
            ..NO_WEB
        },
    },
    Rule {
        framework: Framework::Static,
        label: "Ember",
        signs: &[&[Npm("ember-cli")]],
        web: Web {
            build: "ember build --environment=production",
            pages: &["dist"],
            single_page: true,
            unfit: &["ember", "vite"],
            ..NO_WEB
        },
    },
    Rule {
        framework: Framework::Nest,
        label: "Nest",
        signs: &[&[Npm("@nestjs/core")]],
        web: Web {
            build: "nest build",
            serve: "node dist/main",
            scripts: &["start:prod"],
            unfit: &["nest start"],
            ..NO_WEB
        },
    },
    // Python's, before the tools that their assets need.
    other(Framework::Fastapi, "FastAPI", &[&[Pip("fastapi")]]),
    other(Framework::Flask, "Flask", &[&[Pip("flask")]]),
    Rule {
        framework: Framework::Vite,
        label: "Vite",
        signs: &[&[Npm("vite")], &[Text("project.json", "@nx/vite")]],
        web: Web {
            build: "vite build",
            pages: &["dist"],
            single_page: true,
            unfit: &["vite"],
            ..NO_WEB
        },
    },
    site("Parcel", &[&[Npm("parcel")]], "parcel build", &["dist"], &["parcel"]),
    server(Framework::Express, "Express", &[&[Npm("express")]], "", "", DEV_RUNNERS),
    other(
        Framework::Deno,
        "Deno",
        &[&[File("deno.json")], &[File("deno.jsonc")], &[File("deno.lock")]],
    ),
    server(
        Framework::Bun,
        "Bun",
        &[
            &[File("package.json"), File("bun.lock")],
            &[File("package.json"), File("bun.lockb")],
            &[File("package.json"), File("bunfig.toml")],
        ],
        "",
        "",
        DEV_RUNNERS,
    ),
    // A package.json that starts something is the app; one that does not may serve another's.
    server(
        Framework::Node,
        "Node app",
        &[&[Script("start")], &[Text("project.json", "@nx/")]],
        "",
        "",
        DEV_RUNNERS,
    ),
    other(Framework::Go, "Go", &[&[File("go.mod")]]),
    other(Framework::Rust, "Rust", &[&[File("Cargo.toml")]]),
    other(Framework::Elixir, "Elixir", &[&[File("mix.exs")]]),
    other(
        Framework::Java,
        "Java",
        &[&[File("pom.xml")], &[File("build.gradle")], &[File("build.gradle.kts")]],
    ),
    other(Framework::Php, "PHP", &[&[File("composer.json")], &[File("index.php")]]),
    other(Framework::Ruby, "Ruby", &[&[File("Gemfile")], &[File("config.ru")]]),
    other(
        Framework::Python,
        "Python",
        &[
            &[File("requirements.txt")],
            &[File("pyproject.toml")],
            &[File("Pipfile")],
            &[File("setup.py")],
        ],
    ),
    server(Framework::Node, "Node app", &[&[File("package.json")]], "", "", DEV_RUNNERS),
    other(
        Framework::Static,
        "Static site",
        &[&[File("index.html")], &[File("public/index.html")], &[File("dist/index.html")]],
    ),
    other(Framework::Procfile, "Procfile", &[&[File("Procfile")]]),
    other(Framework::Dockerfile, "Dockerfile", &[&[File("Dockerfile")], &[File("Containerfile")]]),
];

/// Start scripts of apps without a framework of pages that serve no production: they watch,
/// and know no `$PORT`.
const DEV_RUNNERS: &[&str] = &["webpack serve", "webpack-dev-server", "vite", "parcel"];

/// Where builds without a known framework leave their pages, in the order they are looked for.
pub(super) const BUILT_FOLDERS: [&str; 3] = ["dist", "build", "out"];

/// The first rule with a sign, and the sign.
pub(super) fn find(facts: &Facts<'_>) -> Option<(&'static Rule, String)> {
    RULES.iter().find_map(|rule| Some((rule, rule.why(facts)?)))
}

/// The rule of a framework that the settings name: the one with a sign, else the plainest.
pub(super) fn of(framework: Framework, facts: &Facts<'_>) -> Option<&'static Rule> {
    let of_it = || RULES.iter().filter(|rule| rule.framework == framework);
    of_it().find(|rule| rule.why(facts).is_some()).or_else(|| of_it().next_back())
}

impl Rule {
    fn why(&self, facts: &Facts<'_>) -> Option<String> {
        self.signs.iter().find_map(|all| {
            let reasons: Option<Vec<String>> = all.iter().map(|sign| sign.holds(facts)).collect();
            reasons.map(|reasons| reasons.join(" and "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_framework_has_a_rule() {
        for framework in Framework::ALL {
            assert!(RULES.iter().any(|rule| rule.framework == framework), "{framework:?}");
        }
    }

    #[test]
    fn a_rule_has_a_way_to_serve() {
        use crate::detect::framework::Family;
        for rule in RULES.iter().filter(|rule| rule.framework.family() == Family::Node) {
            let plain =
                matches!(rule.framework, Framework::Node | Framework::Express | Framework::Bun);
            assert!(plain || !rule.web.pages.is_empty() || !rule.web.serve.is_empty(), "{rule:?}");
        }
    }
}
