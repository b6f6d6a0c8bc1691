//! Small apps of the kinds that people have, which a request finds asleep.

use crate::sample::Sample;

/// What a page takes of one app.
#[derive(Debug)]
pub(super) struct App {
    pub(super) name: &'static str,
    /// A shell script that installs it, and starts it on port 8000.
    pub(super) start: &'static str,
    /// Until its first byte, while it runs.
    pub(super) warm: Sample,
    /// Until its first byte, from sleep.
    pub(super) woken: Sample,
    /// Until its first byte, when it was woken before and did nothing since: what its own
    /// code costs that is translated anew, whoever restores the machine and however fast.
    pub(super) first: Sample,
}

/// All of them, not yet measured.
pub(super) fn apps() -> [App; 4] {
    let kinds = [
        ("a static site (pando-pages)", PAGES),
        ("Python's http.server", HTTP_SERVER),
        ("uvicorn", UVICORN),
        ("Next.js", NEXT),
    ];
    kinds.map(|(name, start)| App {
        name,
        start,
        warm: Sample::default(),
        woken: Sample::default(),
        first: Sample::default(),
    })
}

/// Whether it answers: what follows that is measured, and not its start.
pub(super) const ANSWERS: &str = "curl -fso /dev/null localhost:8000/";

/// What a deployment of a static site runs.
const PAGES: &str = "mkdir -p /srv/page; cd /srv/page; head -c 1024 /etc/services >index.html; \
    setsid pando-pages --port 8000 /srv/page >/dev/null 2>&1 &";

const HTTP_SERVER: &str = "mkdir -p /srv/page; cd /srv/page; head -c 1024 /etc/services >index.html; \
    setsid python3 -m http.server 8000 >/dev/null 2>&1 &";

const UVICORN: &str = r#"set -e
mkdir -p /srv/app && cd /srv/app
pip install --quiet --disable-pip-version-check --break-system-packages uvicorn
cat > app.py <<'TEXT'
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})
TEXT
setsid python3 -m uvicorn app:app --port 8000 --log-level warning >/tmp/log 2>&1 &"#;

const NEXT: &str = r#"set -e
mkdir -p /srv/app/app && cd /srv/app
cat > package.json <<'TEXT'
{"private": true, "dependencies": {"next": "15", "react": "19", "react-dom": "19"}}
TEXT
cat > app/layout.js <<'TEXT'
export default function Layout({ children }) {
  return <html><body>{children}</body></html>;
}
TEXT
cat > app/page.js <<'TEXT'
export const dynamic = 'force-dynamic';
export default function Page() {
  return <p>{new Date().toISOString()}</p>;
}
TEXT
npm install --silent
NEXT_TELEMETRY_DISABLED=1 npx next build >/tmp/log 2>&1
setsid npx next start --port 8000 >>/tmp/log 2>&1 &"#;
