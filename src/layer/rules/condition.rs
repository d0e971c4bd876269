//! Which requests a limit is on.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use http::{HeaderName, Method};
use matchit::Router;

use super::config::{ConditionConfig, HeaderTest};
use super::error::{RulesError, RulesErrorKind as Kind};
use super::tiers::{Seen, Tiers};

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
                "methods",
                config.methods.as_ref().is_some_and(Vec::is_empty),
            ),
            ("tiers", config.tiers.as_ref().is_some_and(Vec::is_empty)),
        ];
        if let Some((name, _)) = empty.iter().find(|(_, is_empty)| *is_empty) {
            return Err(error(format!(
                "`{name}` is empty, so it would be on no request"
            )));
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
            except_routes: match &*config.except_routes {
                [] => None,
                routes => Some(paths(routes)?),
            },
            headers: headers.collect::<Result<_, _>>()?,
            tiers: tiers.transpose()?,
        })
    }

    pub(super) fn holds(&self, seen: &Seen<'_>) -> bool {
        let request = seen.request;
        let is_on = |router: &Router<()>| router.at(request.path()).is_ok();
        self.methods
            .as_ref()
            .is_none_or(|methods| methods.contains(request.method()))
            && self.routes.as_ref().is_none_or(is_on)
            && !self.except_routes.as_ref().is_some_and(is_on)
            && self.headers.iter().all(|(name, test)| {
                let mut lines = request.headers().get_all(name).iter();
                match test {
                    HeaderTest::IsPresent(is_present) => lines.next().is_some() == *is_present,
                    HeaderTest::Is(text) => lines.any(|line| line.as_bytes() == text.as_bytes()),
                }
            })
            && self
                .tiers
                .as_ref()
                .is_none_or(|tiers| tiers.contains(&seen.tier()))
    }
}

fn paths(routes: &[String]) -> Result<Router<()>, String> {
    let mut paths = Router::new();
    for route in routes {
        // The forms of other routers would match nothing but themselves here.
        let is_foreign = |part: &str| part.starts_with([':', '*']);
        if !route.starts_with('/') || route.split('/').any(is_foreign) {
            return Err(format!(
                "route `{route}`: routes begin with `/`, and have `{{name}}` for one part and \
                 `{{*rest}}` for all that follow"
            ));
        }
        paths
            .insert(route.clone(), ())
            .map_err(|why| format!("route `{route}`: {why}"))?;
    }
    Ok(paths)
}
