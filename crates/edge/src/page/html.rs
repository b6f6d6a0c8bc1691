//! The one page: self-contained, without script, readable in light and dark.

use std::fmt;

use pando_types::PublicError;

/// All the style there is; [`POLICY`] allows it by its hash and nothing else.
const STYLE: &str = include_str!("style.css");

/// What the page may load: its own style.
pub(super) const POLICY: &str = "default-src 'none'; \
     style-src 'sha256-P8Gh5rSvXGtE/nm2cPFQxj4dzTTImu06bhSDidOJVqs='; \
     base-uri 'none'; form-action 'none'";

/// The page for `error`; `again` if it loads itself anew.
pub(super) fn page(title: &str, status: u16, error: &PublicError, again: bool) -> String {
    let title = Escaped(title);
    let message = Escaped(&error.message);
    let mut hint = String::new();
    if let Some(text) = &error.hint {
        hint = format!("<p class=\"hint\">{}</p>\n", Escaped(text));
    }
    let again = if again {
        "<p class=\"again\" role=\"status\"><span class=\"dot\" aria-hidden=\"true\"></span>\
         This page tries again by itself.</p>\n"
    } else {
        ""
    };
    format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n\
         <style>{STYLE}</style>\n\
         </head>\n\
         <body>\n\
         <main>\n\
         <p class=\"status\">{status}</p>\n\
         <h1>{title}</h1>\n\
         <p>{message}</p>\n\
         {hint}{again}\
         </main>\n\
         </body>\n\
         </html>\n"
    )
}

/// Text that means itself in HTML, between tags and inside quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => fmt::Write::write_char(f, other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use pando_types::Code;

    #[test]
    fn the_policy_names_the_style() {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(digest);
        assert!(POLICY.contains(&format!("'sha256-{hash}'")), "the style's hash is {hash}");
    }

    #[test]
    fn every_text_is_escaped() {
        let error = PublicError::new(Code::NotFound, "<script>a</script>").hint("\"x\" & 'y'");
        let page = page("<b>", 404, &error, true);
        assert!(!page.contains("<script") && !page.contains("<b>"));
        assert!(page.contains("&lt;script&gt;a&lt;/script&gt;"));
        assert!(page.contains("&quot;x&quot; &amp; &#39;y&#39;"));
    }
}
