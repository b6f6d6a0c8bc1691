//! Django projects.

use super::super::facts::Facts;
use super::super::plan::Plan;
use super::super::text;
use super::SETTINGS;
use super::entry::is_identifier;

/// The longest name of a module.
const MAX_MODULE_BYTES: usize = 200;

/// The module of settings that `manage.py` names.
pub(in crate::detect) fn settings_module(manage: &str) -> Option<&str> {
    let after = manage.split_once("DJANGO_SETTINGS_MODULE")?.1;
    let after = after.trim_start_matches(['"', '\'', ',', ')', ']', ' ', '=', '\n', '\r', '\t']);
    // What was trimmed may be the quote that opens the name.
    let end = after.find(|letter: char| !(text::is_word(letter) || letter == '.'))?;
    let module = &after[..end];
    let good = module.len() <= MAX_MODULE_BYTES && module.split('.').all(is_identifier);
    good.then_some(module)
}

pub(super) fn start(facts: &Facts<'_>, plan: &mut Plan) {
    let settings = facts.sources.text(SETTINGS);
    let module = facts.sources.text("manage.py").and_then(settings_module);
    if facts.starts_itself() {
        return;
    }
    // `shop.settings.production` belongs to `shop.wsgi`.
    let project = module.and_then(|module| {
        module.split_once(".settings").or_else(|| module.rsplit_once('.')).map(|(before, _)| before)
    });
    let named = |name| settings.and_then(|text| text::assigned_literal(text, name));
    let target = |named: Option<&str>, file: &str| {
        let named = named.and_then(|named| named.rsplit_once('.'));
        named
            .filter(|(module, name)| module.split('.').all(is_identifier) && is_identifier(name))
            .map(|(module, name)| format!("{module}:{name}"))
            .or_else(|| Some(format!("{}.{file}:application", project?)))
    };
    let needs = &facts.needs;
    let wsgi = target(named("WSGI_APPLICATION"), "wsgi");
    let asgi = target(named("ASGI_APPLICATION"), "asgi");
    let why = |server: &str| format!("manage.py is there and the app depends on {server}");
    match (wsgi, asgi) {
        (_, Some(asgi)) if needs.has("daphne") => {
            plan.starts(format!("daphne -b 0.0.0.0 -p $PORT {asgi}"), why("daphne"));
        }
        (Some(wsgi), _) if needs.has("gunicorn") => {
            plan.starts(format!("gunicorn --bind 0.0.0.0:$PORT {wsgi}"), why("gunicorn"));
        }
        (_, Some(asgi)) if needs.has("uvicorn") => {
            plan.starts(format!("uvicorn --host 0.0.0.0 --port $PORT {asgi}"), why("uvicorn"));
        }
        (Some(wsgi), _) if needs.has("waitress") => {
            plan.starts(format!("waitress-serve --listen=0.0.0.0:$PORT {wsgi}"), why("waitress"));
        }
        _ => {
            plan.starts(
                "python manage.py runserver 0.0.0.0:$PORT --noreload",
                "manage.py is there and no server is among the dependencies",
            );
            plan.warn(
                "Django's own server is not made for production: add gunicorn to the dependencies.",
            );
        }
    }
}

/// What the settings say on static files and on hosts.
pub(super) fn settings(facts: &Facts<'_>, plan: &mut Plan) {
    let settings = facts.sources.text(SETTINGS);
    let module = facts.sources.text("manage.py").and_then(settings_module).unwrap_or("settings");
    if settings.is_some_and(|text| text::assigned(text, "STATIC_ROOT").is_some()) {
        plan.builds(
            "python manage.py collectstatic --noinput",
            format!("STATIC_ROOT is set in {module}"),
        );
    }
    let Some(host) = &facts.settings.host else { return };
    // Django splits nothing itself; this is the name that most projects read.
    plan.sets("DJANGO_ALLOWED_HOSTS", host);
    let hosts = settings.and_then(|text| text::assigned(text, "ALLOWED_HOSTS"));
    let is_open = |hosts: &str| hosts.contains("\"*\"") || hosts.contains("'*'");
    let reads = |hosts: &str| hosts.contains("env") || hosts.contains("config(");
    match hosts {
        Some(hosts) if is_open(hosts) => {}
        Some(hosts) if reads(hosts) => plan.warn(format!(
            "Django answers only hosts in ALLOWED_HOSTS, which {module} reads from the environment: let it hold {host}. DJANGO_ALLOWED_HOSTS is set to that."
        )),
        _ => plan.warn(format!(
            "Django answers only hosts in ALLOWED_HOSTS of {module}: let it hold {host}, say from DJANGO_ALLOWED_HOSTS, which is set to that."
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn where_the_settings_are() {
        let of = |text| settings_module(text);
        let usual = "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')";
        assert_eq!(of(usual), Some("shop.settings"));
        assert_eq!(of("environ[\"DJANGO_SETTINGS_MODULE\"] = \"a.b.c\"\n"), Some("a.b.c"));
        assert_eq!(of("setdefault(\n  \"DJANGO_SETTINGS_MODULE\",\n  \"a\"\n)"), Some("a"));
        assert_eq!(of("'DJANGO_SETTINGS_MODULE', '../x'"), None);
        assert_eq!(of("DJANGO_SETTINGS_MODULE"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let text = format!("DJANGO_SETTINGS_MODULE{text}");
            if let Some(module) = settings_module(&text) {
                prop_assert!(module.split('.').all(is_identifier));
            }
        }
    }
}
