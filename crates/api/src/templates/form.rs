//! The form that asks for a build: its fields, and what comes with them.

use axum::body::Body;
use futures_util::Stream;
use pando_node::control::{Contents, Templates, Upload};
use pando_types::PublicError;
use pando_types::limits::MAX_DOCKERFILE_BYTES;
use pando_types::template::BuildTemplate;

use crate::multipart::{Part, Parts};
use crate::query;

/// A field that is no text of a file.
const MAX_FIELD_BYTES: usize = 4096;
/// The file that is a root file system, unless there is a Dockerfile, whose context may hold
/// one of that name.
const ROOTFS: &str = "rootfs";
/// The permission bits of a file of the context, in octal: else they are guessed.
const MODE_HEADER: &str = "x-pando-mode";

/// Sets a field.
fn set(request: &mut BuildTemplate, name: &str, value: String) -> Result<(), PublicError> {
    let is_again = match name {
        "name" => !std::mem::replace(&mut request.name, value).is_empty(),
        "dockerfile" => request.dockerfile.replace(value).is_some(),
        "template_toml" => request.template_toml.replace(value).is_some(),
        "image_ref" => request.image_ref.replace(value).is_some(),
        "size_mb" => request.size_mb.replace(number(name, &value)?).is_some(),
        "cpu" => request.cpu.replace(number(name, &value)?).is_some(),
        "memory_mb" => request.memory_mb.replace(number(name, &value)?).is_some(),
        "replace" => request.replace.replace(switch(name, &value)?).is_some(),
        "kernel" if !value.is_empty() => {
            let message =
                "`kernel`: this server has one guest kernel, its operator's; leave it out";
            return Err(PublicError::invalid(name, message));
        }
        // Clients may be newer than the server.
        _ => false,
    };
    if is_again {
        return Err(PublicError::invalid(name, format!("`{name}` is given twice")));
    }
    Ok(())
}

fn number(name: &str, text: &str) -> Result<i64, PublicError> {
    text.trim()
        .parse()
        .map_err(|_| PublicError::invalid(name, format!("`{name}` must be a whole number")))
}

fn switch(name: &str, text: &str) -> Result<bool, PublicError> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(PublicError::invalid(name, format!("`{name}` must be `true` or `false`"))),
    }
}

/// What a form of plain pairs asks for.
pub fn of_pairs(body: &str) -> Result<BuildTemplate, PublicError> {
    let mut request = BuildTemplate::default();
    for (name, value) in query::form(body)? {
        set(&mut request, &name, value)?;
    }
    Ok(request)
}

/// What a form in parts asks for, and its files.
pub async fn of_parts(
    templates: &Templates,
    body: Body,
    boundary: &str,
) -> Result<(BuildTemplate, Option<Upload>), PublicError> {
    let mut parts = Parts::new(body.into_data_stream(), boundary);
    let mut request = BuildTemplate::default();
    let mut upload: Option<Upload> = None;
    while let Some(part) = parts.next().await? {
        if part.filename.is_none() {
            let limit_bytes = match part.name.as_str() {
                "dockerfile" | "template_toml" => MAX_DOCKERFILE_BYTES,
                _ => MAX_FIELD_BYTES,
            };
            let text = parts.text(&part.name, limit_bytes).await?;
            set(&mut request, &part.name, text)?;
            continue;
        }
        let has_text = request.dockerfile.is_some() || request.template_toml.is_some();
        let contents = match part.name.as_str() {
            ROOTFS if !has_text => Contents::Rootfs,
            _ => Contents::Context,
        };
        let upload = match &mut upload {
            Some(upload) if contents == Contents::Rootfs || upload.contents() != contents => {
                let message = "`rootfs` is one file, and comes without a context";
                return Err(PublicError::invalid(ROOTFS, message));
            }
            Some(upload) => upload,
            None => upload.insert(templates.upload(contents).await?),
        };
        if contents == Contents::Context {
            upload.begin(&part.name, mode(&part)?).await?;
        }
        pass(&mut parts, upload).await?;
    }
    Ok((request, upload))
}

async fn pass<S, E>(parts: &mut Parts<S>, upload: &mut Upload) -> Result<(), PublicError>
where
    S: Stream<Item = Result<bytes::Bytes, E>> + Unpin,
{
    while let Some(piece) = parts.piece().await? {
        upload.write(&piece).await?;
    }
    Ok(())
}

fn mode(part: &Part) -> Result<Option<u32>, PublicError> {
    let Some(text) = part.header(MODE_HEADER) else { return Ok(None) };
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.map(Some).ok_or_else(|| {
        let message = format!("`{MODE_HEADER}` is up to three octal digits");
        PublicError::invalid(MODE_HEADER, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_fields() {
        let request = of_pairs("name=a&dockerfile=FROM+base%0A&size_mb=64&cpu=1&replace=true&x=y");
        let want = BuildTemplate {
            name: "a".into(),
            dockerfile: Some("FROM base\n".into()),
            size_mb: Some(64),
            cpu: Some(1),
            replace: Some(true),
            ..BuildTemplate::default()
        };
        assert_eq!(request, Ok(want));
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (body, field) in [
            ("size_mb=big", "size_mb"),
            ("cpu=1.5", "cpu"),
            ("memory_mb=", "memory_mb"),
            ("replace=maybe", "replace"),
            ("name=a&name=b", "name"),
            ("kernel=6.1", "kernel"),
        ] {
            assert_eq!(of_pairs(body).unwrap_err().field.as_deref(), Some(field), "{body}");
        }
    }
}
