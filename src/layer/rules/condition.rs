//! Which requests a limit is on.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Method};
use matchit::Router;

use super::config::{ConditionConfig, HeaderTest};
use super::error::{RulesError, RulesErrorKind as Kind};
use super::tiers::{Seen, Tiers};
use crate::layer::request_head::RequestHead;

/// Every part that is there must hold.
pub(super) struct Condition {
    methods: Option<Vec<Method>>,
    routes: Option<Router<()>>,
    except_routes: Option<Router<()>>,
    headers: Vec<(HeaderName, HeaderTest)>,
    /// `None` for requests in no tier.
    tiers: Option<Vec<Option<usize>>>,
}

impl Condition {
    /// Reads the condition of `user`.
    pub(super) fn new(
        config: &ConditionConfig,
        tiers: &Tiers,
        user: &str,
    ) -> Result<Self, RulesError> {
        let error = |why: String| RulesError::new(user.to_owned(), Kind::InvalidCondition, why);
        let empty = [
            ("routes", config.routes.as_ref().is_some_and(Vec::is_empty)),
            (
                "except_routes",
                config.except_routes.as_ref().is_some_and(Vec::is_empty),
            ),
            (
                "methods",
                config.methods.as_ref().is_some_and(Vec::is_empty),
            ),
            ("tiers", config.tiers.as_ref().is_some_and(Vec::is_empty)),
        ];
        if let Some((name, _)) = empty.iter().find(|(_, is_empty)| *is_empty) {
            return Err(error(format!("`{name}` is empty")));
        }
        let paths = |routes: &[String]| paths(routes).map_err(error);
        let headers = config.headers.iter().map(|(name, test)| {
            let name = name
                .parse()
                .map_err(|_| error(format!("`{name}` is no header field")))?;
            Ok((name, test.clone()))
        });
        let tiers = config.tiers.as_ref().map(|names| {
            let numbers = names.iter().map(|name| tiers.number(name, user));
            numbers.collect::<Result<Vec<_>, _>>()
        });
        let methods = config.methods.as_ref();
        Ok(Self {
            methods: methods.map(|list| list.iter().map(|method| method.0.clone()).collect()),
            routes: config.routes.as_deref().map(paths).transpose()?,
            except_routes: config.except_routes.as_deref().map(paths).transpose()?,
            headers: headers.collect::<Result<_, _>>()?,
            tiers: tiers.transpose()?,
        })
    }

    pub(super) fn holds(&self, seen: &Seen<'_>) -> bool {
        let request = seen.request;
        let is_on = |router: &Router<()>| router.at(request.path()).is_ok();
        self.methods
            .as_ref()
            .is_none_or(|methods| is_among(methods, request.method()))
            && self.routes.as_ref().is_none_or(is_on)
            && !self.except_routes.as_ref().is_some_and(is_on)
            && self
                .headers
                .iter()
                .all(|(name, test)| header_is(request, name, test))
            && self
                .tiers
                .as_ref()
                .is_none_or(|tiers| tiers.contains(&seen.tier()))
    }
}

/// Servers answer HEAD by the handler of GET.
fn is_among(methods: &[Method], method: &Method) -> bool {
    methods.contains(method) || *method == Method::HEAD && methods.contains(&Method::GET)
}

fn header_is(request: &RequestHead<'_>, name: &HeaderName, test: &HeaderTest) -> bool {
    let mut lines = request
        .headers()
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes);
    // HTTP/2 and later have the host in the target.
    let authority = request.uri().authority().filter(|_| *name == HOST);
    let mut values = lines
        .by_ref()
        .chain(authority.map(|host| host.as_str().as_bytes()));
    match test {
        HeaderTest::IsPresent(is_present) => values.next().is_some() == *is_present,
        HeaderTest::Is(expected) => values.any(|value| value == expected.as_bytes()),
    }
}

fn paths(routes: &[String]) -> Result<Router<()>, String> {
    let mut paths = Router::new();
    for route in routes {
        if !is_route(route) {
            return Err(format!(
                "route `{route}`: a route is a path, with `{{name}}` for one part and `{{*rest}}` \
                 for all that follow"
            ));
        }
        paths
            .insert(route.clone(), ())
            .map_err(|why| format!("route `{route}`: {why}"))?;
    }
    Ok(paths)
}

/// The forms of other routers, queries and patterns would match nothing but themselves.
fn is_route(route: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_part = |part: &str| {
        let name = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        if let Some(name) = name {
            return is_name(name.strip_prefix('*').unwrap_or(name));
        }
        let is_plain = |byte: u8| {
            byte.is_ascii_alphanumeric() || byte > 127 || b"-._~!&',;=:@%+".contains(&byte)
        };
        !part.starts_with(':') && part.bytes().all(is_plain)
    };
    route
        .strip_prefix('/')
        .is_some_and(|parts| parts.split('/').all(is_part))
}
