//! `/v1/preview-repos`: previews by repository.

pub mod disable;
pub mod enable;
pub mod list;
