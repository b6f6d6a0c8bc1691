//! Who looks without visiting: link previews, search engines, checks of whether a host
//! is up. They wake nothing, and keep nothing awake. Pure.

use http::{HeaderMap, Method, header};
use memchr::memmem::Finder;

/// What the `User-Agent` of those contains, whatever the case.
const DEFAULT_AGENTS: &[&str] = &[
    // Link previews.
    "slackbot",
    "slack-imgproxy",
    "twitterbot",
    "facebookexternalhit",
    "facebot",
    "linkedinbot",
    "discordbot",
    "whatsapp",
    "telegrambot",
    "skypeuripreview",
    "msteams",
    "microsoftpreview",
    "iframely",
    "embedly",
    "pinterestbot",
    "redditbot",
    "mattermost-bot",
    "github-camo",
    "notionbot",
    "mastodon",
    "cardyb",
    "viber",
    "zoombot",
    "synapse",
    "snapchat",
    "tumblr",
    "line-poker",
    "rocket.chat",
    "vkshare",
    "meta-externalagent",
    "google-read-aloud",
    "googleimageproxy",
    // Search engines and other crawlers.
    "googlebot",
    "google-inspectiontool",
    "bingbot",
    "bingpreview",
    "slurp",
    "seznambot",
    "duckduckbot",
    "yandexbot",
    "baiduspider",
    "applebot",
    "amazonbot",
    "petalbot",
    "ahrefsbot",
    "semrushbot",
    "mj12bot",
    "dotbot",
    "bytespider",
    "gptbot",
    "claudebot",
    "ccbot",
    "oai-searchbot",
    "chatgpt-user",
    "claude-searchbot",
    "claude-user",
    "perplexitybot",
    "perplexity-user",
    // Checks of whether a host is up.
    "uptimerobot",
    "pingdom",
    "statuscake",
    "site24x7",
    "betteruptime",
    "better uptime",
    "better stack",
    "uptime-kuma",
    "updown.io",
    "hetrixtools",
    "checkly",
    "datadogsynthetics",
    "newrelicpinger",
    "googlestackdrivermonitoring",
    "blackbox exporter",
    "prometheus/",
    "nagios",
    "freshping",
    "kube-probe",
    "elb-healthchecker",
    "amazon-route53-health-check",
    "googlehc",
    "cloudflare-healthchecks",
    "consul health check",
    "check_http",
];

/// How much of a `User-Agent` is looked at.
const MAX_AGENT_BYTES: usize = 512;

/// The list of those.
#[derive(Debug)]
pub struct QuietAgents(Vec<Finder<'static>>);

impl Default for QuietAgents {
    fn default() -> Self {
        Self::of(DEFAULT_AGENTS.iter().copied())
    }
}

impl QuietAgents {
    /// Those whose `User-Agent` contains one of `names`, whatever the case.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(|name| name.trim().to_ascii_lowercase());
        let finder = |name: String| Finder::new(name.as_bytes()).into_owned();
        Self(names.filter(|name| !name.is_empty()).map(finder).collect())
    }

    /// One name a line; empty lines, and those that begin with `#`, say nothing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::of(text.lines().filter(|line| !line.trim_start().starts_with('#')))
    }

    /// Whether a request only looks.
    pub(crate) fn asks(&self, method: &Method, headers: &HeaderMap) -> bool {
        if method == Method::HEAD {
            return true;
        }
        let Some(agent) = headers.get(header::USER_AGENT).filter(|_| method == Method::GET) else {
            return false;
        };
        let agent = agent.as_bytes();
        let agent = agent[..agent.len().min(MAX_AGENT_BYTES)].to_ascii_lowercase();
        self.0.iter().any(|name| name.find(&agent).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asks(agents: &QuietAgents, method: Method, agent: &'static str) -> bool {
        let headers = [(header::USER_AGENT, HeaderValue::from_static(agent))];
        agents.asks(&method, &headers.into_iter().collect())
    }

    #[test]
    fn unfurlers_crawlers_and_checks_only_look() {
        let agents = QuietAgents::default();
        for agent in [
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "facebookexternalhit/1.1",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        ] {
            assert!(asks(&agents, Method::GET, agent), "{agent}");
            assert!(!asks(&agents, Method::POST, agent), "{agent}");
        }
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        for agent in [firefox, "curl/8.14.1", "python-requests/2.32"] {
            assert!(!asks(&agents, Method::GET, agent), "{agent}");
            assert!(asks(&agents, Method::HEAD, agent), "{agent}");
        }
        assert!(!agents.asks(&Method::GET, &HeaderMap::new()));
    }

    #[test]
    fn an_operator_names_others() {
        let agents = QuietAgents::parse("# ours\n\n  Probe \r\n");
        assert!(asks(&agents, Method::GET, "the-PROBE/1"));
        assert!(!asks(&agents, Method::GET, "Slackbot"));
        assert!(!asks(&QuietAgents::parse(""), Method::GET, "Slackbot"));
    }
}
