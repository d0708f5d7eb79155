//! The description of the REST edge: `/openapi.json`, and `/docs`, a page that shows it. Nothing is loaded from
//! anywhere else: the page, its style and its script are files beside this one.

mod limits;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::Value;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref,
    RefOr, Response, ResponseBuilder, SecurityRequirement,
};

pub(super) use limits::QUERY;

use crate::chat::{Chat, Limits};
use crate::wire::{ErrorBody, ErrorJson, encode};

/// What the page may do: show itself, with its own script and style, and ask this server.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const DESCRIPTION: &str = include_str!("../../docs/errors.md");

/// The routes of the description itself, which it does not describe.
pub(super) fn routes(description: &OpenApi, limits: &Limits) -> Router<Arc<Chat>> {
    let json = Bytes::from(encode(&described(description, limits)));
    let file = |kind, text: &'static str| get(move || async move { served(kind, text) });
    Router::new()
        .route(
            "/openapi.json",
            get(move || async move { served("application/json", json) }),
        )
        .route(
            "/docs",
            file("text/html; charset=utf-8", include_str!("docs/page.html")),
        )
        .route(
            "/docs/page.css",
            file("text/css; charset=utf-8", include_str!("docs/page.css")),
        )
        .route(
            "/docs/page.js",
            file(
                "text/javascript; charset=utf-8",
                include_str!("docs/page.js"),
            ),
        )
}

/// The whole description.
pub(super) fn described(description: &OpenApi, limits: &Limits) -> Value {
    let mut description = description.clone();
    add_refusals(&mut description);
    let mut description = serde_json::to_value(&description).unwrap_or_default();
    limits::describe(&mut description, limits);
    description
}

fn served(kind: &'static str, content: impl Into<Bytes>) -> impl IntoResponse {
    let header = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        header(CONTENT_TYPE, kind),
        header(CACHE_CONTROL, "no-cache"),
        header(CONTENT_SECURITY_POLICY, PAGE_POLICY),
    ];
    (headers, content.into())
}

/// What the description says before its first path.
pub(super) fn preamble() -> OpenApi {
    let license = LicenseBuilder::new().name("MIT").identifier(Some("MIT"));
    let info = InfoBuilder::new()
        .title("hobnob")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license.build()));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT");
    let components = ComponentsBuilder::new()
        .schema_from::<ErrorJson<'_>>()
        .schema_from::<ErrorBody<'_>>()
        .security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    let needed = SecurityRequirement::new("bearer", Vec::<String>::new());
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.build()))
        .security(Some([needed]))
        .build()
}

/// Every operation may be refused in the same shape.
fn add_refusals(description: &mut OpenApi) {
    for item in description.paths.paths.values_mut() {
        for operation in operations(item) {
            let answers = &mut operation.responses.responses;
            answers.insert("default".to_owned(), RefOr::T(refusal()));
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut utoipa::openapi::path::Operation> {
    let methods = [
        &mut item.get,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ];
    methods.into_iter().flatten()
}

fn refusal() -> Response {
    let shape = Ref::from_schema_name("Error");
    let content = ContentBuilder::new().schema(Some(shape)).build();
    ResponseBuilder::new()
        .description("Refused; the codes are listed above")
        .content("application/json", content)
        .build()
}
