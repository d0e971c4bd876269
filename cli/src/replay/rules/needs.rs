//! What rules need to know of a request.

use std::collections::BTreeSet;

use serde_json::Value;

/// What a rule of a file asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The method.
    pub(super) methods: bool,
    /// The path.
    pub(super) routes: bool,
    /// The status of the response.
    pub(super) statuses: bool,
    /// These header fields, in small letters.
    pub(super) headers: BTreeSet<String>,
}

impl Needs {
    /// The needs of valid rules.
    pub(super) fn of(rules: &Value) -> Self {
        let list = |name: &str| rules[name].as_array().into_iter().flatten();
        let mut needs = Self::default();
        for part in list("limits").chain(list("exempt")) {
            let has = |name: &str| !part[name].is_null();
            needs.methods |= has("methods");
            needs.routes |= has("routes") || has("except_routes");
            needs.statuses |= has("statuses");
            let names = part["headers"].as_object().into_iter().flatten();
            needs
                .headers
                .extend(names.map(|(name, _)| name.to_lowercase()));
        }
        let keys = list("limits").chain(list("tiers"));
        let mut keys: Vec<&str> = keys.filter_map(|part| part["key"].as_str()).collect();
        let mut seen = BTreeSet::new();
        while let Some(key) = keys.pop() {
            // Valid rules have no circle, but this need not know.
            if !seen.insert(key) {
                continue;
            }
            let key = &rules["keys"][key];
            for name in ["all_of", "first_of"] {
                let parts = key[name].as_array().into_iter().flatten();
                keys.extend(parts.filter_map(Value::as_str));
            }
            let names = ["header", "address"].map(|name| key[name].as_str());
            let bearer = (key["bearer"] == true).then_some("authorization");
            let names = names.into_iter().chain([bearer]).flatten();
            needs.headers.extend(names.map(str::to_lowercase));
        }
        needs
    }
}

#[cfg(test)]
mod tests {
    use super::Needs;

    fn needs(rules: &str) -> Needs {
        Needs::of(&toml::from_str(rules).unwrap())
    }

    #[test]
    fn needs_are_those_of_what_is_used() {
        let keys = "[keys]\n\
                    peer = { peer = true }\n\
                    account = { header = \"X-Api-Key\" }\n\
                    token = { bearer = true }\n\
                    either = { first_of = [\"account\", \"peer\"] }\n";
        let none = needs(&format!("{keys}[[limits]]\nname = \"a\"\nkey = \"peer\"\n"));
        assert_eq!(none, Needs::default());
        let some = needs(&format!(
            "{keys}[[limits]]\nkey = \"either\"\nmethods = [\"PUT\"]\n\
             [[exempt]]\nexcept_routes = [\"/\"]\nheaders = {{ host = \"a\" }}\n\
             [[tiers]]\nkey = \"token\"\n"
        ));
        assert!(some.methods && some.routes && !some.statuses);
        let names: Vec<&str> = some.headers.iter().map(String::as_str).collect();
        assert_eq!(names, ["authorization", "host", "x-api-key"]);
    }
}
