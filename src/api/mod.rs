//! The REST edge: routes, their order of checks, and what every answer carries. Knows the use cases; knows neither
//! the sockets nor any adapter. `/openapi.json` describes the routes and shapes.

mod accounts;
mod answer;
mod conversations;
mod docs;
mod error;
mod extract;
mod history;
mod links;
mod members;
mod people;
mod reading;
mod request;
mod rooms;

pub use error::ApiError;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::header::{
    CACHE_CONTROL, HeaderName, LINK, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::chat::{Chat, ChatError};
use crate::metrics::Metrics;
use reading::{Answers, WORST_ESCAPE};

/// How long a browser may remember that an origin is allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);
/// What a request's JSON may have besides the message itself, in bytes.
const BODY_SLACK: usize = 16 * 1024;
/// A member in a request, in bytes: an id's 24 digits, its quotes, a comma and a space.
const MEMBER: usize = 28;

/// How the REST edge is set up.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Origins whose pages may call it from a browser; none by default.
    pub allowed_origins: Vec<HeaderValue>,
    /// How long a request may take, its body included.
    pub request_within: Duration,
    /// Where requests are counted.
    pub metrics: Metrics,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            request_within: Duration::from_secs(75),
            metrics: Metrics::none(),
        }
    }
}

/// The REST routes with everything around them. It has fallbacks of its own for unknown paths and methods, so a
/// router merged with it must have none.
pub fn router(chat: Arc<Chat>, config: ApiConfig) -> Router {
    let (routes, description) = documented().split_for_parts();
    let limits = chat.limits();
    let body_limit =
        (limits.content_bytes * WORST_ESCAPE).max(limits.room_members * MEMBER) + BODY_SLACK;
    let header = |name: HeaderName, value| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    // The last layer is the outermost: the first to see a request, the last to see its answer.
    routes
        .merge(docs::routes(&description, limits))
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(middleware::from_fn_with_state(
            config.request_within,
            request::end_in_time,
        ))
        .layer(header(CACHE_CONTROL, "no-store"))
        .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(X_FRAME_OPTIONS, "DENY"))
        .layer(header(REFERRER_POLICY, "no-referrer"))
        .layer(cors(config.allowed_origins))
        .layer(Extension(config.metrics.clone()))
        .layer(Extension(Arc::new(Answers::new(limits))))
        .layer(middleware::from_fn_with_state(
            Arc::new(request::Ids::new(config.metrics)),
            request::identify,
        ))
        .with_state(chat)
}

/// Gives the requests of other routes their ids and the answer to a wrong method, too.
pub fn with_request_ids(routes: Router) -> Router {
    let ids = Arc::new(request::Ids::new(Metrics::none()));
    let routes = routes.method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed });
    routes.layer(middleware::from_fn_with_state(ids, request::identify_only))
}

/// The routes with their description, which cannot name different ones.
fn documented() -> OpenApiRouter<Arc<Chat>> {
    OpenApiRouter::with_openapi(docs::preamble())
        .routes(routes!(accounts::register))
        .routes(routes!(accounts::login))
        .routes(routes!(accounts::refresh))
        .routes(routes!(accounts::logout))
        .routes(routes!(rooms::create))
        .routes(routes!(history::direct))
        .routes(routes!(history::send_to_room))
        .routes(routes!(history::room))
        .routes(routes!(rooms::list))
        .routes(routes!(rooms::details, rooms::rename, rooms::delete))
        .routes(routes!(members::list, members::add))
        .routes(routes!(members::change_role, members::remove))
        .routes(routes!(conversations::list))
        .routes(routes!(people::search))
        .routes(routes!(people::profile))
        .routes(routes!(people::me))
        .routes(routes!(people::presence))
}

fn cors(origins: Vec<HeaderValue>) -> CorsLayer {
    if origins.is_empty() {
        return CorsLayer::new();
    }
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([LINK, request::HEADER])
        .max_age(PREFLIGHT_AGE)
}

/// What a panicking handler answers. The panic hook has printed where; its payload may quote a message, so it stays
/// out of the log.
fn after_panic(_payload: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    ApiError::Chat(ChatError::Internal).into_response()
}

#[cfg(test)]
mod tests;
