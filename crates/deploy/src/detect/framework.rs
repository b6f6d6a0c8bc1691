//! The kinds of app that are known: their names on the wire and for people.

use serde::{Deserialize, Serialize};

/// What an app is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Framework {
    Nextjs,
    Nuxt,
    Remix,
    ReactRouter,
    Sveltekit,
    Astro,
    Vite,
    Cra,
    Angular,
    Express,
    Nest,
    Node,
    Static,
    Django,
    Flask,
    Fastapi,
    Python,
    Go,
    Rust,
    Rails,
    Ruby,
    Laravel,
    Php,
    Phoenix,
    Elixir,
    Java,
    Deno,
    Bun,
    Procfile,
    Dockerfile,
}

/// Who plans an app of a framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Node,
    Page,
    Python,
    Go,
    Rust,
    Ruby,
    Php,
    Elixir,
    Java,
    Deno,
    /// What its Procfile says, and nothing more.
    Procfile,
    Dockerfile,
}

impl Framework {
    /// All of them, in the order of `docs/detection.md`.
    pub(crate) const ALL: [Self; 30] = [
        Self::Nextjs,
        Self::Nuxt,
        Self::Remix,
        Self::ReactRouter,
        Self::Sveltekit,
        Self::Astro,
        Self::Vite,
        Self::Cra,
        Self::Angular,
        Self::Express,
        Self::Nest,
        Self::Node,
        Self::Bun,
        Self::Deno,
        Self::Static,
        Self::Django,
        Self::Flask,
        Self::Fastapi,
        Self::Python,
        Self::Rails,
        Self::Ruby,
        Self::Laravel,
        Self::Php,
        Self::Phoenix,
        Self::Elixir,
        Self::Go,
        Self::Rust,
        Self::Java,
        Self::Procfile,
        Self::Dockerfile,
    ];

    /// Its name in the API.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nextjs => "nextjs",
            Self::Nuxt => "nuxt",
            Self::Remix => "remix",
            Self::ReactRouter => "react_router",
            Self::Sveltekit => "sveltekit",
            Self::Astro => "astro",
            Self::Vite => "vite",
            Self::Cra => "cra",
            Self::Angular => "angular",
            Self::Express => "express",
            Self::Nest => "nest",
            Self::Node => "node",
            Self::Static => "static",
            Self::Django => "django",
            Self::Flask => "flask",
            Self::Fastapi => "fastapi",
            Self::Python => "python",
            Self::Go => "go",
            Self::Rust => "rust",
            Self::Rails => "rails",
            Self::Ruby => "ruby",
            Self::Laravel => "laravel",
            Self::Php => "php",
            Self::Phoenix => "phoenix",
            Self::Elixir => "elixir",
            Self::Java => "java",
            Self::Deno => "deno",
            Self::Bun => "bun",
            Self::Procfile => "procfile",
            Self::Dockerfile => "dockerfile",
        }
    }

    /// The framework of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|framework| framework.name() == name)
    }

    pub(super) const fn family(self) -> Family {
        match self {
            Self::Nextjs
            | Self::Nuxt
            | Self::Remix
            | Self::ReactRouter
            | Self::Sveltekit
            | Self::Astro
            | Self::Vite
            | Self::Cra
            | Self::Angular
            | Self::Express
            | Self::Nest
            | Self::Node
            | Self::Bun => Family::Node,
            Self::Static => Family::Page,
            Self::Django | Self::Flask | Self::Fastapi | Self::Python => Family::Python,
            Self::Go => Family::Go,
            Self::Rust => Family::Rust,
            Self::Rails | Self::Ruby => Family::Ruby,
            Self::Laravel | Self::Php => Family::Php,
            Self::Phoenix | Self::Elixir => Family::Elixir,
            Self::Java => Family::Java,
            Self::Deno => Family::Deno,
            Self::Procfile => Family::Procfile,
            Self::Dockerfile => Family::Dockerfile,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_on_the_wire_is_the_name_in_a_plan() {
        for framework in Framework::ALL {
            assert_eq!(
                serde_json::to_value(framework).unwrap(),
                serde_json::Value::from(framework.name())
            );
            assert_eq!(Framework::named(framework.name()), Some(framework));
        }
    }
}
